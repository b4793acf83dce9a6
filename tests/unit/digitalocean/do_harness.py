"""Runs modules inside the test process, argument parsing and censoring included."""

import contextlib
import importlib
import io
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

MODULES = "ansible_collections.botops.fleet.plugins.modules."
UTILS = "ansible_collections.botops.fleet.plugins.module_utils."
TOKEN = "dop_v1_canary-2718"


def util(name):
    return importlib.import_module(UTILS + name)


class Result(dict):
    """A module's result with what it sent."""

    requests = ()

    @property
    def writes(self):
        return [f"{entry['method']} {entry['path']}" for entry in self.requests if entry["method"] != "GET"]

    @property
    def reads(self):
        return [entry["path"] for entry in self.requests if entry["method"] == "GET"]


def run_module(name, arguments, check=False):
    """Run a module as ansible would, argument parsing and censoring included; its JSON is the result."""
    from ansible.module_utils import _internal, basic
    from ansible.module_utils.testing import patch_module_args

    module = importlib.import_module(MODULES + name)
    out = io.StringIO()
    internal = {
        "_ansible_check_mode": check,
        "_ansible_diff": True,
        "_ansible_remote_tmp": "/tmp",
        "_ansible_no_log": False,
    }
    with patch_module_args({**arguments, **internal}), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        logged, told = basic.AnsibleModule.log, basic.AnsibleModule.debug
        basic.AnsibleModule.log = basic.AnsibleModule.debug = lambda self, *args, **kwargs: None
        # Censoring and warnings are kept in module globals; a process of its own would start without them.
        from ansible.module_utils.common import warnings as kept

        for store in ("_global_warnings", "_global_deprecations"):
            if hasattr(kept, store):
                getattr(kept, store).clear()
        # Where another test has loaded the controller's code, a module's warnings would go to the screen instead of into its result.
        inside, _internal.is_controller = _internal.is_controller, False
        try:
            module.main()
        finally:
            basic.AnsibleModule.log, basic.AnsibleModule.debug, _internal.is_controller = logged, told, inside
    result = Result(json.loads(out.getvalue().strip().splitlines()[-1]))
    if "warnings" in result:  # newer engines send them as objects
        result["warnings"] = [w if isinstance(w, str) else w["event"]["msg"] for w in result["warnings"]]
    return result
