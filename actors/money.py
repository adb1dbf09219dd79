"""Money and prices as people read them: the one formatter for both.

Inside, money is an exact number of 1/10000 dollar and a price a number of ticks. Only here, where
they are shown or stored, is anything rounded: half to even, to 1/10000 dollar.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from actors.messages import Contract, Exact
from config.values import dollars_text


def money_text(amount: Exact) -> str:
    """1/10000 dollar as dollars: at least two decimals, a sign where negative (`-512.50`)."""
    return dollars_text(round(amount))


def price_text(contract: Contract, ticks: Exact) -> str:
    """A number of ticks as the contract's price (`21000.25`); a mid may lie between two ticks."""
    exact = Fraction(ticks)
    price = contract.tick_size * exact.numerator / Decimal(exact.denominator)
    return f"{price:f}"
