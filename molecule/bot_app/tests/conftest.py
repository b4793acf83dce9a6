"""Nothing but the fixtures that both scenarios of bot_app share."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from botfixtures import *  # noqa: E402, F403
