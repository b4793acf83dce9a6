"""What stops a change, and what does not."""

from __future__ import annotations

import pytest

from ansible_collections.botops.fleet.plugins.modules import pacemaker_cib


class Module:
    def __init__(self, answer):
        self.answer, self.verified = answer, ""

    def run_command(self, argv):
        with open(argv[2], encoding="utf-8") as stream:
            self.verified = stream.read()
        return self.answer

    def fail_json(self, msg):
        raise SystemExit(msg)


CIB = "<cib><configuration/><status><node_state id='1'/></status></cib>"


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ((0, "", ""), False),
        ((78, "", "crm_verify: Warnings found during check: config may not be valid"), False),
        ((78, "", "error: no such thing\ncrm_verify: Errors found during check: config not valid"), True),
        ((1, "", "crm_verify: command failed"), True),
    ],
)
def test_errors_refuse_and_warnings_do_not(tmp_path, answer, refused):
    module = Module(answer)
    if refused:
        with pytest.raises(SystemExit, match="Pacemaker refuses this configuration; nothing was changed"):
            pacemaker_cib.verify(module, str(tmp_path / "x.xml"), CIB)
    else:
        pacemaker_cib.verify(module, str(tmp_path / "x.xml"), CIB)
    assert "node_state" not in module.verified
