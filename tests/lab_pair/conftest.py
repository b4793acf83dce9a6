"""Where the lab's own modules lie, which the tests import: its table of hosts, faults, and the judge of a pair."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))
