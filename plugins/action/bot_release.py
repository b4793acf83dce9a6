# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names what lies on the control node by its content, and sends it only to hosts that do not have that release yet."""

from __future__ import annotations

import os
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import local


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        bots, paths = [], {}
        for bot in arguments.get("bots") or []:
            source = bot["source"]
            if arguments.get("action") != "remove" and source["type"] in ("archive", "image") and source["path"]:
                paths[bot["name"]] = path = self._find(source["path"])
                try:
                    digest, size = local.describe(path, source["checksum"])
                except Refused as error:
                    raise AnsibleActionFail(f"{bot['label']}: {error}") from error
                bot = dict(bot, source=dict(source, digest=digest, megabytes=size >> 20, local=True))
            bots.append(bot)
        arguments["bots"] = bots
        try:
            answer = self._execute(arguments, task_vars)
            if answer.get("needs_upload"):
                arguments["uploads"] = self._send({name: paths[name] for name in answer["needs_upload"]})
                first, answer = answer, self._execute(arguments, task_vars)
                answer["changed"] = bool(answer.get("changed") or first.get("changed"))
                if first.get("failed") and not answer.get("failed"):
                    answer.update(failed=True, msg=first["msg"])
            answer.pop("needs_upload", None)
            result.update(answer)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _execute(self, arguments, task_vars):
        return self._execute_module("botops.fleet.bot_release", module_args=arguments, task_vars=task_vars)

    def _find(self, path):
        path = os.path.expanduser(path)
        return path if os.path.isabs(path) else self._loader.path_dwim(path)

    def _send(self, paths):
        if not self._connection._shell.tmpdir:
            self._make_tmp_path()
        sent = {}
        for name, path in paths.items():
            remote = self._connection._shell.join_path(self._connection._shell.tmpdir, f"{name}.archive")
            with tempfile.NamedTemporaryFile(prefix="bot-", suffix=".tar.gz") as packed:
                if os.path.isdir(path):
                    local.pack(path, packed)
                    packed.flush()
                    path = packed.name
                self._transfer_file(path, remote)
            sent[name] = remote
        return sent
