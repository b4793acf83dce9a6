"""A small paper-trading bot: deterministic orders, a durable intent before every order, health and metrics."""

__version__ = "1.0.0"
