"""Ends a run before its n-th task, as a power cut or a closed laptop would, or records which tasks changed something."""

from __future__ import annotations

import json
import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: boundary
    type: aggregate
    short_description: Kills the run before a task, or records the tasks
    description:
      - BOTOPS_DIE_BEFORE is the number of the task, counted from 0, before which this process is killed.
      - BOTOPS_TASKS is a file that receives one line of JSON a task, with its number, name and whether it changed something.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "boundary"

    def __init__(self):
        super().__init__()
        self.count = -1
        self.die_before = int(os.environ.get("BOTOPS_DIE_BEFORE", -1))
        self.record = os.environ.get("BOTOPS_TASKS")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.count += 1
        if self.count == self.die_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def v2_runner_on_ok(self, result):
        if self.record:
            line = {"number": self.count, "name": result._task.get_name(), "changed": bool(result._result.get("changed"))}
            with open(self.record, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
