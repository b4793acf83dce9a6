# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Another host's variables, for filters that ask for them."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.template import Templar


class _Variables(Mapping):
    """Templated when they are read, as the variables of that host, which may ask for those of a third."""

    def __init__(self, raw, hostvars):
        self._raw = {**raw, "hostvars": hostvars}
        self._templar = Templar(loader=hostvars._loader, variables=self._raw)

    def __getitem__(self, key):
        return self._templar.template(self._raw[key])

    def __iter__(self):
        return iter(self._raw)

    def __len__(self):
        return len(self._raw)


def variables(hostvars, name):
    """What `hostvars[name]` is, but for one thing: there, ansible-core leaves `hostvars` itself undefined.

    A bot whose settings come from `hostvars.localhost.fleet_outputs` could otherwise not be read from the other member or the witness.
    """
    if not hasattr(hostvars, "raw_get") or name not in hostvars:
        return hostvars[name]
    return _Variables(hostvars.raw_get(name), hostvars)
