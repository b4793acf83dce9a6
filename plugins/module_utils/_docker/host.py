# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands on a host in docker_host's way: pure functions over what the module read there."""

from __future__ import annotations

import fnmatch
import ipaddress
import re

ENGINES = {"distro": "docker.io", "upstream": "docker-ce"}
DOCKER_BRIDGE = re.compile(r"^br-[0-9a-f]{12}$")


def source_entries(path, text):
    """(line number, address) of each active entry of a sources.list or deb822 file."""
    found = []
    active = True
    stanza = []
    for number, line in enumerate(text.splitlines() + [""], 1):
        bare = line.strip()
        if path.endswith(".sources"):
            if not bare:
                found += stanza if active else []
                stanza, active = [], True
            elif bare.lower().startswith("enabled:"):
                active = bare.split(":", 1)[1].strip().lower() not in ("no", "false", "without", "off", "disable", "0")
            elif bare.lower().startswith("uris:"):
                stanza += [(number, address) for address in bare.split(":", 1)[1].split()]
        elif bare.startswith(("deb ", "deb-src ", "deb\t", "deb-src\t")):
            rest = re.sub(r"\[[^]]*\]", " ", bare).split()
            if len(rest) > 1:
                found.append((number, rest[1]))
    return found


def repository_conflicts(files, address, own):
    """(files that hold nothing but this repository, sentences about files that hold other things as well).

    The same repository twice with different keys makes apt refuse every update.
    """
    stale, sentences = [], []
    wanted = address.rstrip("/")
    for path, text in sorted(files.items()):
        if path == own:
            continue
        entries = source_entries(path, text)
        ours = [number for number, uri in entries if uri.rstrip("/") == wanted]
        if ours and len(ours) == len(entries):
            stale.append(path)
        elif ours:
            sentences.append(
                "%s line %d names %s beside other repositories, which apt refuses once the role has added it with its key: "
                "remove that entry." % (path, ours[0], wanted)
            )
    return stale, sentences


def package_sentences(installed, channel, version, upgrade, containers, survives, allowed):
    """Sentences about packages: installed is {name: version}, containers the names of those that run."""
    other = ENGINES["upstream" if channel == "distro" else "distro"]
    own = ENGINES[channel]
    found = []
    for name in ("podman-docker", "docker-engine", "lxc-docker"):
        if name in installed:
            found.append("The package %s is installed and provides another docker command: `apt-get remove %s` first." % (name, name))
    if not containers or allowed:
        return found
    names = ", ".join(containers[:5])
    if other in installed:
        found.append(
            "%s is installed and runs containers (%s); changing to %s would stop them: set docker_host_packages: %s, "
            "or docker_host_allow_restart: true." % (other, names, own, "upstream" if channel == "distro" else "distro")
        )
    elif own in installed and not survives:
        changes = version and not fnmatch.fnmatchcase(installed[own], version)
        if changes or upgrade:
            found.append(
                "%s %s would be replaced while containers run (%s) and live-restore is off, which stops them: turn live-restore on "
                "in a run of its own first, or set docker_host_allow_restart: true." % (own, installed[own], names)
            )
    return found


def bridge_sentences(bridges, patterns, docker_bridges):
    """A bridge of the host's own that looks like one of Docker's would have its traffic trusted."""
    found = []
    for name in sorted(bridges):
        if name in docker_bridges or DOCKER_BRIDGE.match(name) or name in ("docker0", "docker_gwbridge"):
            continue
        for pattern in patterns:
            if name == pattern or (pattern.endswith("+") and name.startswith(pattern[:-1])):
                found.append(
                    "The bridge %s is not Docker's, but %s in docker_host_container_interfaces would trust what comes from it: "
                    "name Docker's own interfaces there." % (name, pattern)
                )
                break
    return found


def pool_sentences(pools, routes, docker_bridges):
    """Docker skips a subnet that is in use here; a pool with nothing left to give is refused. routes: [(network, interface)]."""
    found = []
    for index, pool in enumerate(pools):
        network = ipaddress.ip_network(str(pool["base"]))
        for route, interface in routes:
            if interface in docker_bridges or interface.startswith(("br-", "docker")):
                continue
            other = ipaddress.ip_network(str(route))
            if other.prefixlen and other.version == network.version and network.subnet_of(other):
                found.append(
                    "docker_host_address_pools[%d] %s lies inside %s, which this host reaches by %s: choose a range that is free here."
                    % (index, network, other, interface)
                )
                break
    return found
