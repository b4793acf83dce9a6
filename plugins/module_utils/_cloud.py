# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose account is meant and where its API is: the variables that modules and inventory read alike, and which addresses are safe."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# Each list in the order in which it is looked through.
DIGITALOCEAN_TOKEN = ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"]
DIGITALOCEAN_ENDPOINT = ["DIGITALOCEAN_API_ENDPOINT"]
AWS_ENDPOINT = ["AWS_ENDPOINT_URL", "AWS_URL"]
SPACES_KEY = ["SPACES_ACCESS_KEY_ID"]
SPACES_SECRET = ["SPACES_SECRET_ACCESS_KEY"]
SPACES_ENDPOINT = ["SPACES_ENDPOINT_URL"]

# A bucket's name at both vendors. No dots: the certificate of their addresses does not cover them.
BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
# Of Spaces, such as nyc3.
REGION = re.compile(r"^[a-z0-9-]+$")

DIGITALOCEAN_API = "https://api.digitalocean.com"
# More than any account has: a listing that claims it is broken, and reading it would not end.
MOST_ITEMS = 200_000


def is_inside(host):
    """Whether a name or address is this machine or a network of the operator's own."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A bare name is a host of the lab. A bare number would be an address in another spelling.
        return bool(re.match(r"^[a-zA-Z][a-zA-Z0-9-]*$", host))
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_private


def endpoint_problem(endpoint):
    """What is wrong with the address of an API to which a token is sent; None when nothing is."""
    if "@" in endpoint:
        return "must not contain a user or password; the token is given by itself"  # and is not repeated here
    try:
        parts = urlsplit(endpoint)
        host, _unused = parts.hostname, parts.port
    except ValueError:
        return "must be http(s)://host[:port] without a path, not %r" % endpoint
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", endpoint) or parts.path.strip("/") or parts.query or parts.fragment:
        return "must be http(s)://host[:port] without a path, not %r" % endpoint
    if parts.scheme == "http" and not is_inside(host):
        return "%s would send the token unencrypted over a public network; use https" % endpoint
    return None


def dns_name(text):
    """A name as it is compared: in lower case, without the dot at its end."""
    return text.lower().rstrip(".")
