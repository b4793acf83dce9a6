# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packages a host lacks, in hundredths of a second: opening apt's cache to learn that nothing is missing takes most of one."""

from __future__ import annotations

FORMAT = "${db:Status-Status}|${Package}|${Version}|${db:Status-Want}\n"


def installed(run_command, names):
    """{package: (version, selection)} of those of `names` that are installed whole. Unknown and virtual ones are left out."""
    # dpkg-query fails when one of several packages is unknown, and still prints the others.
    out = run_command(["dpkg-query", "-W", "-f", FORMAT, *names])[1] if names else ""
    rows = [line.split("|") for line in out.splitlines()]
    return {row[1]: (row[2], row[3]) for row in rows if len(row) == 4 and row[0] == "installed"}


def missing(run_command, names):
    """Those of `names`, each a package or `package=version`, that apt has to be asked for."""
    return lacking(installed(run_command, sorted(map(package, names))), names)


def lacking(found, names):
    """The same from what `installed` has found."""
    return [name for name in names if package(name) not in found or name.partition("=")[2] not in ("", found[package(name)][0])]


def package(name):
    """`docker.io` of `docker.io=20.10.24`."""
    return name.partition("=")[0]
