"""Settings: environment variables only, all checked before the bot does anything."""

from __future__ import annotations

import os
import re
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

RISKS = {
    "RISK_MAX_POSITION_PER_MARKET": "50",
    "RISK_MAX_PORTFOLIO_EXPOSURE": "500",
    "RISK_MAX_DAILY_LOSS": None,
    "RISK_KELLY_FRACTION": "0.25",
    "RISK_MIN_EDGE": "0",
    "RISK_MIN_TRADE_SIZE": "1",
    "RISK_MAX_CORRELATED_EXPOSURE": None,
    "RISK_MAX_POSITIONS": "20",
    "RISK_MAX_DRAWDOWN_PCT": None,
}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Wrong(Exception):
    """One or more settings cannot work; one sentence each."""


@dataclass(frozen=True)
class Config:
    bot: str
    host: str
    api_key_id: str
    private_key: str
    markets: tuple[str, ...]
    base_url: str
    mode: str
    balance: Decimal
    risk: Mapping[str, Decimal | None]
    orders_per_second: float
    database: str
    log_level: str
    log_json: bool
    log_file: str | None
    health_host: str
    health_port: int
    stale_seconds: float
    release: str

    def __repr__(self) -> str:
        # The generated one would print the private key.
        return f"Config(bot={self.bot!r}, mode={self.mode!r}, base_url={self.base_url!r})"


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.wrong: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        value = self.environ.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.wrong.append(f"{name} is missing.")
            return ""
        return default

    def secret(self, name: str) -> str:
        """NAME, or the file of that name among systemd's credentials."""
        directory = self.environ.get("CREDENTIALS_DIRECTORY")
        if not self.environ.get(name) and directory:
            try:
                with open(os.path.join(directory, name), encoding="utf-8") as handle:
                    return handle.read().strip()
            except OSError:
                pass
        return self.text(name)

    def number(self, name: str, default: str | None, low: float, high: float) -> Decimal | None:
        raw = self.environ.get(name, "").strip() or default
        if raw is None:
            return None
        try:
            value = Decimal(raw)
            if not value.is_finite() or not Decimal(str(low)) <= value <= Decimal(str(high)):
                raise InvalidOperation
        except InvalidOperation:
            self.wrong.append(f"{name} is {raw!r}: give a number from {low:g} to {high:g}.")
            return Decimal(0)
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.wrong.append(f"{name} is {value!r}: use one of {', '.join(choices)}.")
        return value


def load(environ: Mapping[str, str]) -> Config:
    read = _Reader(environ)
    markets = tuple(slug.strip() for slug in read.text("MARKET_SLUGS").split(",") if slug.strip())
    for slug in markets:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", slug):
            read.wrong.append(f"MARKET_SLUGS has {slug!r}: letters, digits, - and _ only.")
    base_url = read.text("PM_BASE_URL", "http://127.0.0.1:9000")
    parts = urllib.parse.urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        read.wrong.append(f"PM_BASE_URL is {base_url!r}: give http://host:port or https://host.")
    bot = read.text("BOT_NAME", "paper-bot")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", bot):
        read.wrong.append(f"BOT_NAME is {bot!r}: letters, digits, - and _ only.")
    config = Config(
        bot=bot,
        host=read.text("BOT_HOST", socket.gethostname()),
        api_key_id=read.secret("PM_API_KEY_ID"),
        private_key=read.secret("PM_PRIVATE_KEY"),
        markets=markets,
        base_url=base_url.rstrip("/"),
        mode=read.choice("TRADING_MODE", "paper", ("paper", "live")),
        balance=read.number("INITIAL_BALANCE", "1000.00", 0, 1e12) or Decimal(0),
        risk={name: read.number(name, default, 0, 1e12) for name, default in RISKS.items()},
        orders_per_second=float(read.number("ORDERS_PER_SECOND", "1", 0.001, 1000) or 1),
        database=read.text("DATABASE_PATH", "paper_bot.db"),
        log_level=read.choice("LOG_LEVEL", "INFO", LEVELS),
        log_json=read.choice("LOG_JSON", "false", ("true", "false")) == "true",
        log_file=environ.get("LOG_FILE") or None,
        health_host=read.text("HEALTH_HOST", "127.0.0.1"),
        health_port=int(read.number("HEALTH_PORT", "8080", 0, 65535) or 0),
        stale_seconds=float(read.number("HEALTH_STALE_SECONDS", "10", 1, 3600) or 10),
        # The deployment starts the bot in releases/<id>, reached through a link; getcwd() resolves it.
        release=read.text("BOT_RELEASE", os.path.basename(os.getcwd()) or "none"),
    )
    if read.wrong:
        raise Wrong("\n".join(read.wrong))
    return config
