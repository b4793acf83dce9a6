"""Imports every area of the API, so that its routes are known, and lays out the tables they share."""

from __future__ import annotations

from . import apps, compute, databases, monitoring, network, projects, volumes

AREAS = [compute, projects, network, monitoring, databases, apps, volumes]


def prepare(emulator):
    for area in AREAS:
        area.prepare(emulator)
