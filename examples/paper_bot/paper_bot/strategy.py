"""Prices and decisions, pure: the same bot, market and tick always give the same price and the same order id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal

from .config import Config
from .store import Order

CENT = Decimal("0.01")


def price_of(market: str, tick: int) -> Decimal:
    """A made-up price in cents between 0.30 and 0.70; a hash is as good a market as any for a demonstration."""
    digest = hashlib.sha256(f"{market}/{tick}".encode()).digest()
    return Decimal(30 + digest[0] % 41) * CENT


def client_order_id(bot: str, market: str, tick: int) -> str:
    return f"{bot}.{market}.{tick}"


def decide(config: Config, tick: int, positions: Mapping[str, tuple[Decimal, Decimal]]) -> Order:
    """Buy what is cheap, sell what is dear, and never past a limit: a limit turns the order round."""
    market = config.markets[tick % len(config.markets)]
    price = price_of(market, tick)
    size = config.risk["RISK_MIN_TRADE_SIZE"] or Decimal(1)
    held = positions.get(market, (Decimal(0), price))[0]
    exposure = sum((abs(amount) * last for amount, last in positions.values()), Decimal(0))
    side = "buy" if price < Decimal("0.50") else "sell"
    per_market = config.risk["RISK_MAX_POSITION_PER_MARKET"]
    total = config.risk["RISK_MAX_PORTFOLIO_EXPOSURE"]
    opened = sum(1 for amount, _ in positions.values() if amount)
    grows = held == 0 or (held > 0) == (side == "buy")
    blocked = (
        abs(held) + size > per_market
        or exposure + size * price > total
        or (held == 0 and opened >= config.risk["RISK_MAX_POSITIONS"])
    )
    if grows and blocked and held:
        side = "sell" if held > 0 else "buy"
    return Order(client_order_id(config.bot, market, tick), market, tick, side, price, size, config.mode)


def halted(config: Config, cash: Decimal, positions: Mapping[str, tuple[Decimal, Decimal]]) -> str | None:
    """Why no new order may be made, if a loss limit is reached."""
    equity = cash + sum((size * last for size, last in positions.values()), Decimal(0))
    loss = config.balance - equity
    limit = config.risk["RISK_MAX_DAILY_LOSS"]
    if limit is not None and loss >= limit:
        return f"loss {loss} reached RISK_MAX_DAILY_LOSS {limit}"
    percent = config.risk["RISK_MAX_DRAWDOWN_PCT"]
    if percent is not None and config.balance and loss * 100 >= percent * config.balance:
        return f"loss {loss} reached RISK_MAX_DRAWDOWN_PCT {percent}"
    return None
