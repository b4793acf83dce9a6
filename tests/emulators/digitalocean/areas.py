"""Imports every area of the API, so that its routes are known, and lays out the tables they share."""

from __future__ import annotations

from . import apps, compute, databases, monitoring, network, projects

AREAS = [compute, projects, network, monitoring, databases, apps]


def prepare(emulator):
    for area in AREAS:
        area.prepare(emulator)
