# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the nginx role's variables cannot mean."""

from __future__ import annotations


def check(values):
    return []
