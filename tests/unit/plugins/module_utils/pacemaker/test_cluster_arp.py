"""Frames of an ARP probe, byte for byte."""

from __future__ import annotations

import struct

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import arp

OWN = bytes.fromhex("020000000001")
THEIRS = bytes.fromhex("020000000002")


def reply(address, operation=2):
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + THEIRS + bytes(address) + OWN + bytes(4)
    return OWN + THEIRS + b"\x08\x06" + body


def test_a_probe_is_a_broadcast_that_claims_nothing():
    frame = arp.frame(OWN, "192.0.2.10")
    assert len(frame) == 42
    assert frame[:6] == b"\xff" * 6 and frame[6:12] == OWN and frame[12:14] == b"\x08\x06"
    assert frame[28:32] == bytes(4), "a sender address would end up in other hosts' tables"
    assert frame[38:42] == bytes((192, 0, 2, 10))


def test_a_reply_names_who_has_it():
    assert arp.sender(reply((192, 0, 2, 10)), "192.0.2.10") == "02:00:00:00:00:02"


def test_what_is_no_answer():
    assert arp.sender(reply((192, 0, 2, 11)), "192.0.2.10") is None
    assert arp.sender(reply((192, 0, 2, 10), operation=1), "192.0.2.10") is None
    assert arp.sender(b"short", "192.0.2.10") is None
