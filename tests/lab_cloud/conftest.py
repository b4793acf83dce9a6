"""Where the lab's own modules, the emulators and the runner of playbooks lie, which the tests import."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("lab", "tests", "tests/cloud")]
