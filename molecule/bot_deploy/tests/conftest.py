"""The fixtures of the other scenario of bot_app."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bot_app/tests"))

from botfixtures import *  # noqa: E402, F403
