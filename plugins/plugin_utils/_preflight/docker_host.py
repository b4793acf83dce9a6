# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What docker_host can say about its variables before it looks at any host."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
ANY = "any"
VERSION = re.compile(r"^[0-9][A-Za-z0-9.+:~*-]*$")
SIZE = re.compile(r"^[1-9][0-9]*[kmg]$")
DURATION = re.compile(r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$")
USER = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
LABEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]*(=[A-Za-z0-9._/-]+)?$")
INTERFACE = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]{0,14}\+?$")
MULTILINE = ("docker_host_repository_key",)
ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

# Options that would take the ground from under this role, and what to do instead.
REFUSED_OPTIONS = {
    "hosts": "the unit already passes -H, and a TCP socket gives root to whoever reaches it; "
    "use `docker -H ssh://user@host` from afar",
    "ip-forward": "containers reach nothing without forwarding; leave the option out",
    "bridge": "the policy for published ports is written for Docker's own bridges; leave the option out",
}


def check(values: dict) -> list[str]:
    found: list[str] = []
    for part in (_distribution, _repository, _daemon, _pools, _ports, _interfaces, _users, _prune):
        found += part(values)
    return found


def _network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network | str:
    """The network, or the words that say what is wrong with it."""
    try:
        loose = ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return f"{text!r} is not a network; write it as 203.0.113.0/24 or 2001:db8::/32"
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        return f"{text} has host bits set; write {loose}"


def _distribution(values: dict) -> list[str]:
    name, version = values["distribution"].lower(), str(values["distribution_version"])
    release = version.split(".", maxsplit=1)[0] if name == "debian" else version
    if release not in SUPPORTED.get(name, ()):
        return [f"docker_host runs on Debian 12 and 13 and Ubuntu 22.04 and 24.04; this host is {name} {version}."]
    if (name, release) == ("debian", "12") and values["docker_host_packages"] == "distro" and values["docker_host_compose"]:
        return [
            "docker_host_packages is distro, but Debian 12 has no Compose v2 of its own: use upstream, "
            "or set docker_host_compose: false to do without Compose."
        ]
    return []


def _repository(values: dict) -> list[str]:
    found = []
    version = values["docker_host_version"]
    if version and not VERSION.match(version):
        found.append(
            f"docker_host_version is {version!r}; write a package version as apt-cache madison shows it, "
            "such as 5:28.2.2-1~debian.12~bookworm or 5:28.2.*"
        )
    if version and values["docker_host_upgrade"]:
        found.append("docker_host_version and docker_host_upgrade contradict each other: raise the version, or leave it empty.")
    channel = values["docker_host_packages"]
    if (values["auto_channel"] if channel == "auto" else channel) != "upstream":
        return found
    if not re.match(r"^[a-z]+$", values["docker_host_repository_channel"]):
        found.append(f"docker_host_repository_channel is {values['docker_host_repository_channel']!r}; write stable or test.")
    url = urlsplit(values["docker_host_repository_url"])
    if url.scheme not in ("https", "http") or not url.hostname:
        found.append(f"docker_host_repository_url is {values['docker_host_repository_url']!r}; write an https:// address.")
    key = values["docker_host_repository_key"].strip()
    at = urlsplit(key)
    if key.startswith(ARMOUR) or (at.scheme == "https" and at.hostname):
        return found
    if at.scheme:
        found.append(
            f"docker_host_repository_key is {key!r}: a key that came over {at.scheme}:// proves nothing; "
            "use https://, a file on the control node, or the armoured key itself."
        )
    elif not os.path.isfile(key):
        found.append(f"docker_host_repository_key names {key!r}, which is not a file on the control node.")
    else:
        with open(key, encoding="ascii", errors="replace") as handle:
            if ARMOUR not in handle.read():
                found.append(f"docker_host_repository_key {key!r} holds no armoured public key; `gpg --export --armor` writes one.")
    return found


def _daemon(values: dict) -> list[str]:
    found = []
    if not SIZE.match(values["docker_host_log_max_size"]):
        found.append(f"docker_host_log_max_size is {values['docker_host_log_max_size']!r}; write a size such as 100m.")
    if values["docker_host_log_max_files"] < 1:
        found.append("docker_host_log_max_files must be at least 1.")
    try:
        ipaddress.ip_address(values["docker_host_publish_address"])
    except ValueError:
        found.append(
            f"docker_host_publish_address is {values['docker_host_publish_address']!r}; "
            "write an address such as 127.0.0.1, or 0.0.0.0 for all."
        )
    for key, value in values["docker_host_daemon_options"].items():
        where = f"docker_host_daemon_options.{key}"
        key = str(key)
        if "_" in key:
            found.append(f"{where}: the engine's options are written with hyphens: {key.replace('_', '-')}.")
        elif key in REFUSED_OPTIONS:
            found.append(f"{where} is refused: {REFUSED_OPTIONS[key]}.")
        elif key in ("iptables", "ip6tables") and value is False:
            found.append(f"{where}: false leaves containers without addresses translated and ports unguarded; leave it out.")
        elif key == "firewall-backend" and value != "iptables":
            found.append(f"{where}: only iptables has the DOCKER-USER chain that the policy for published ports needs.")
        elif key == "insecure-registries" and value:
            found.append(f"{where} is refused: an image that anyone on the way can replace runs beside your keys; give the registry TLS.")
    return found


def _pools(values: dict) -> list[str]:
    found, seen = [], []
    for index, pool in enumerate(values["docker_host_address_pools"]):
        where = f"docker_host_address_pools[{index}]"
        network = _network(pool["base"])
        if isinstance(network, str):
            found.append(f"{where}.base: {network}.")
            continue
        largest = network.max_prefixlen - 2
        if not network.prefixlen <= pool["size"] <= largest:
            found.append(f"{where}.size is {pool['size']}; for {network} write {network.prefixlen} to {largest}.")
        for other_index, other in seen:
            if other.version == network.version and other.overlaps(network):
                found.append(f"{where}.base {network} overlaps docker_host_address_pools[{other_index}].base {other}.")
        seen.append((index, network))
    return found


def _ports(values: dict) -> list[str]:
    found, seen = [], {}
    for index, entry in enumerate(values["docker_host_published_ports"]):
        where = f"docker_host_published_ports[{index}]"
        port, protocol = entry["port"], entry["protocol"]
        if not 1 <= port <= 65535:
            found.append(f"{where}.port is {port}; write a port from 1 to 65535.")
        if (port, protocol) in seen:
            found.append(f"{where} repeats {port}/{protocol} of entry {seen[port, protocol]}; list all sources in one entry.")
        seen.setdefault((port, protocol), index)
        if not entry["from"]:
            found.append(f"{where}.from is empty; list the networks that may connect, or [any] for everyone.")
        for position, source in enumerate(entry["from"]):
            if source == ANY:
                continue
            network = _network(source)
            if isinstance(network, str):
                found.append(f"{where}.from[{position}]: {network}.")
    return found


def _interfaces(values: dict) -> list[str]:
    return [
        f"docker_host_container_interfaces[{index}] is {name!r}; write an interface name, with + only at its end, such as br-+."
        for index, name in enumerate(values["docker_host_container_interfaces"])
        if not INTERFACE.match(name)
    ]


def _users(values: dict) -> list[str]:
    found = []
    for index, name in enumerate(values["docker_host_users"]):
        if not USER.match(name):
            found.append(f"docker_host_users[{index}] is {name!r}, which is not a user name.")
        elif name == "root":
            found.append(f"docker_host_users[{index}] is root, who needs no group; leave it out.")
    return found


def _prune(values: dict) -> list[str]:
    if not values["docker_host_prune"]:
        return []
    found = []
    until = values["docker_host_prune_until"]
    if not until or not DURATION.match(until):
        found.append(f"docker_host_prune_until is {until!r}; write hours, minutes or seconds such as 168h (days are not known to Docker).")
    for index, label in enumerate(values["docker_host_prune_keep_labels"]):
        if not LABEL.match(label):
            found.append(f"docker_host_prune_keep_labels[{index}] is {label!r}; write a label such as keep or tier=gold.")
    if not values["docker_host_prune_schedule"].strip():
        found.append("docker_host_prune_schedule must be one systemd calendar expression, such as Sun 04:30.")
    return found
