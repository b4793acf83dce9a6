"""What the lab shows of a playbook's output."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

import lab  # noqa: E402 - beside chaos.py and the rest

OUTPUT = """\
TASK [Report | in a few lines] ****
ok: [localhost] => {
    "msg": [
        "first"
    ]
}

TASK [Once more] ****
ok: [localhost] => {
    "msg": [
        "ok    primary: 98.1 % [of 120]",
        "FAIL  standby: 90.0 %"
    ]
}
"""


def test_the_last_table_is_what_is_shown():
    assert lab.told(OUTPUT) == ["ok    primary: 98.1 % [of 120]", "FAIL  standby: 90.0 %"]


def test_without_one_there_is_nothing_to_show():
    assert lab.told("fatal: [primary]: FAILED! => {}\n") == []
