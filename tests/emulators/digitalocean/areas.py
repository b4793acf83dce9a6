"""Imports every area of the API, so that its routes are known, and lays out the tables they share."""

from __future__ import annotations

from . import compute, network, projects

AREAS = [compute, network, projects]


def prepare(emulator):
    for area in AREAS:
        area.prepare(emulator)
