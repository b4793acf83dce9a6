"""A stand-in for an exchange: it numbers and timestamps every order and refuses a repeated client order id."""

__version__ = "1.0.0"
