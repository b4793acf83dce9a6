# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception of the inventory: its text is a sentence for the operator."""

from __future__ import annotations


class InventoryError(Exception):
    pass
