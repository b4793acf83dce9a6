# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does somebody on this network answer for an address? An ARP probe as RFC 5227 describes it, with nothing installed."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import time

ETH_P_ARP = 0x0806


def frame(mac, address):
    """A probe claims no address of its own (sender 0.0.0.0), so it changes nobody's ARP table."""
    target = ipaddress.IPv4Address(address).packed
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + bytes(4) + bytes(6) + target
    return b"\xff" * 6 + mac + struct.pack("!H", ETH_P_ARP) + body


def sender(packet, address):
    """The hardware address in a reply for the address, or None if the packet is something else."""
    if len(packet) < 42:
        return None
    operation = struct.unpack("!H", packet[20:22])[0]
    if operation != 2 or packet[28:32] != ipaddress.IPv4Address(address).packed:
        return None
    return ":".join("%02x" % byte for byte in packet[22:28])


def answered_by(interface, address, seconds=0.6, tries=2):
    """The hardware address of who answers for the address on that interface, or an empty string."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as raw:
        raw.bind((interface, 0))
        probe = frame(raw.getsockname()[4], address)
        for _try in range(tries):
            raw.send(probe)
            deadline = time.monotonic() + seconds / tries
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([raw], [], [], left)[0]:
                    break
                found = sender(raw.recv(2048), address)
                if found:
                    return found
    return ""
