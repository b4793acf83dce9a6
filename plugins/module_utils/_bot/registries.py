# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logins to registries, on the host only while images are looked up, built and pulled."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import tempfile

# The name under which Docker keeps a login to its own registry.
HUB = "https://index.docker.io/v1/"


def settings(registries, present):
    """What is there already, with these logins."""
    auths = dict(present.get("auths") or {})
    for entry in registries:
        name = HUB if entry["registry"] in ("docker.io", "index.docker.io") else entry["registry"]
        auths[name] = {"auth": base64.b64encode(("%s:%s" % (entry["username"], entry["password"])).encode()).decode()}
    helpers = {name: helper for name, helper in (present.get("credHelpers") or {}).items() if name not in auths}
    return {**present, "auths": auths, **({"credHelpers": helpers} if helpers else {})}


@contextlib.contextmanager
def login(registries):
    """For every docker command of this process and of those it starts."""
    if not registries:
        yield
        return
    before = os.environ.get("DOCKER_CONFIG")
    directory = tempfile.mkdtemp(prefix="bot-registry-", dir="/run" if os.path.isdir("/run") else None)
    try:
        present = {}
        with contextlib.suppress(OSError, ValueError), open(os.path.join(before or "/root/.docker", "config.json"), encoding="utf-8") as handle:
            present = json.load(handle)
        with open(os.open(directory + "/config.json", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as handle:
            json.dump(settings(registries, present), handle)
        os.environ["DOCKER_CONFIG"] = directory
        yield
    finally:
        os.environ.pop("DOCKER_CONFIG", None)
        if before is not None:
            os.environ["DOCKER_CONFIG"] = before
        shutil.rmtree(directory)
