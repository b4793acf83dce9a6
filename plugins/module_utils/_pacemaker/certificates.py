# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two fields of a certificate that matter here, read without any library: its subject's name and its end."""

from __future__ import annotations

import base64
import calendar
import re
import time

BLOCK = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)
COMMON_NAME = bytes((0x55, 0x04, 0x03))


def pem(text):
    """Only the armoured block: certutil writes prose around it."""
    found = BLOCK.search(text)
    return found.group(0) + "\n" if found else ""


def der(text):
    lines = pem(text).splitlines()[1:-1]
    return base64.b64decode("".join(lines))


def element(data, at):
    """(tag, start of value, end of value) of the DER element at this place."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[at:at + count], "big"), at + count
    return tag, at, at + length


def children(data, start, end):
    while start < end:
        tag, first, last = element(data, start)
        yield tag, first, last
        start = last


def fields(data):
    """(common name of the subject, end of validity as seconds since the epoch)."""
    unused, start, end = element(data, 0)
    unused, start, end = element(data, start)
    parts = list(children(data, start, end))
    if parts[0][0] == 0xA0:  # the explicit version
        parts = parts[1:]
    validity, subject = parts[3], parts[4]
    tag, first, last = list(children(data, validity[1], validity[2]))[1]
    moment = data[first:last].decode().rstrip("Z")
    if tag == 0x17:  # UTCTime has two digits for the year, and 50 divides the centuries
        moment = ("20" if int(moment[:2]) < 50 else "19") + moment
    return common_name(data, subject), calendar.timegm(time.strptime(moment, "%Y%m%d%H%M%S"))


def common_name(data, subject):
    for unused, first, last in children(data, subject[1], subject[2]):
        unused, first, last = element(data, first)
        kind, value = list(children(data, first, last))[:2]
        if data[kind[1]:kind[2]] == COMMON_NAME:
            return data[value[1]:value[2]].decode()
    return ""
