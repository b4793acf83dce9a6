"""python -m paper_bot runs the bot; python -m paper_bot --migrate brings the database to this release's schema."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import signal
import sqlite3
import sys
import threading

from .config import Config, Wrong, load
from .exchange import Exchange
from .health import Health
from .store import Store
from .trader import Trader

log = logging.getLogger("paper_bot")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {"time": self.formatTime(record), "level": record.levelname, "message": record.getMessage()}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def set_up_logging(config: Config) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if config.log_file:
        # Follows the name: logrotate may rename the file without telling anybody.
        handlers.append(logging.handlers.WatchedFileHandler(config.log_file, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(JsonFormatter() if config.log_json else logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=config.log_level, handlers=handlers)


def main(argv: list[str]) -> int:
    try:
        config = load(os.environ)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 78
    set_up_logging(config)
    try:
        store = Store(config.database, config.balance)
    except sqlite3.Error as error:
        log.error("the database %s cannot be used: %s", config.database, error)
        return 1
    if argv == ["--migrate"]:
        store.close()
        return 0
    trader = Trader(config, store, Exchange(config))
    try:
        health = Health((config.health_host, config.health_port), trader)
    except OSError as error:
        log.error("%s:%s cannot be listened on: %s", config.health_host, config.health_port, error)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: trader.stopping.set())
    threading.Thread(target=health.serve_forever, daemon=True).start()
    log.info("trading %s in %s mode at %s", ",".join(config.markets), config.mode, config.base_url)
    # A loop that dies must end the process: a bot that answers /health and trades nothing helps nobody.
    trader.run()
    health.shutdown()
    store.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
