"""An emulator of the DigitalOcean API: stateful, asynchronous where the vendor is, and judged by the vendor's document.

In a test it runs inside the process (`with Emulator() as emulator: emulator.url`); for a shell, a benchmark or the lab
`python tests/emulators/digitalocean/server.py --port 8480` starts it alone.
"""

from .server import Emulator

__all__ = ["Emulator"]
