"""python -m mock_exchange: LISTEN_HOST (127.0.0.1), LISTEN_PORT (9000), DATABASE_PATH (exchange.db)."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading

from .book import Book
from .server import Exchange


def main() -> int:
    host, port = os.environ.get("LISTEN_HOST", "127.0.0.1"), os.environ.get("LISTEN_PORT", "9000")
    path = os.environ.get("DATABASE_PATH", "exchange.db")
    try:
        book = Book(path)
        exchange = Exchange((host, int(port)), book)
    except ValueError:
        print(f"LISTEN_PORT is {port!r}: give a number", file=sys.stderr)
        return 78
    except (sqlite3.Error, OSError) as error:
        print(f"cannot start on {host}:{port} with the database {path}: {error}", file=sys.stderr)
        return 1

    def stop(*_: object) -> None:
        # shutdown() waits for serve_forever, which this very thread is running.
        threading.Thread(target=exchange.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    orders = book.stats()["orders"]
    print(f"mock exchange on {host}:{exchange.server_address[1]}, {orders} orders on record", flush=True)
    exchange.serve_forever()
    exchange.server_close()
    book.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
