# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names that have to be told apart."""

from __future__ import annotations


def twice(where, names):
    """One sentence for each of `names` that occurs more than once; `where` is the variable that holds them."""
    return ["%s: the name %s is used more than once; give each its own" % (where, name) for name in sorted({n for n in names if names.count(n) > 1})]
