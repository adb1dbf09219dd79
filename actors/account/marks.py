"""What an open position is worth now: the latest last, bid and ask of a contract, each with its age.

Quotes are partial (a live one may carry only the touch), so fields are merged and age separately.
A zero, negative or non-finite price is refused: one zero once made a giant false loss.
"""

from __future__ import annotations

import math
from fractions import Fraction

from msgspec import Struct

from actors.messages import Contract, Exact, Quoted

NEVER = float("-inf")


class Mark(Struct, frozen=True, gc=False):
    """Prices of one contract in ticks, and the monotonic second at which each was last confirmed."""

    last: int | None = None
    bid: int | None = None
    ask: int | None = None
    last_mono: float = NEVER
    bid_mono: float = NEVER
    ask_mono: float = NEVER


def usable(price: float | None) -> bool:
    return price is not None and math.isfinite(price) and price > 0


def merge(mark: Mark, quote: Quoted, contract: Contract) -> Mark:
    """Take over what the quote carries; raises OffGrid for a price between two ticks."""
    last, last_mono = mark.last, mark.last_mono
    bid, bid_mono = mark.bid, mark.bid_mono
    ask, ask_mono = mark.ask, mark.ask_mono
    if quote.last is not None and usable(quote.last):
        last, last_mono = contract.ticks(quote.last), max(last_mono, quote.last_mono or quote.mono)
    if quote.bid is not None and usable(quote.bid):
        bid, bid_mono = contract.ticks(quote.bid), max(bid_mono, quote.bid_mono or quote.mono)
    if quote.ask is not None and usable(quote.ask):
        ask, ask_mono = contract.ticks(quote.ask), max(ask_mono, quote.ask_mono or quote.mono)
    return Mark(last, bid, ask, last_mono, bid_mono, ask_mono)


def traded(mark: Mark, ticks: int, mono: float) -> Mark:
    """A market trade or a fill in the contract refreshes last."""
    return Mark(ticks, mark.bid, mark.ask, max(mono, mark.last_mono), mark.bid_mono, mark.ask_mono)


def loss_mark(mark: Mark, size: int, mono: float, stale_after_s: float) -> int | None:
    """The worse of last and touch, fresh ones only: bid for a long, ask for a short."""
    oldest = mono - stale_after_s
    last = mark.last if mark.last_mono >= oldest else None
    if size > 0:
        touch = mark.bid if mark.bid_mono >= oldest else None
        return touch if last is None else last if touch is None else min(last, touch)
    touch = mark.ask if mark.ask_mono >= oldest else None
    return touch if last is None else last if touch is None else max(last, touch)


def profit_mark(mark: Mark, mono: float, stale_after_s: float) -> Exact | None:
    """Last, else the middle of a fresh bid and ask."""
    oldest = mono - stale_after_s
    if mark.last is not None and mark.last_mono >= oldest:
        return mark.last
    if mark.bid is None or mark.ask is None or min(mark.bid_mono, mark.ask_mono) < oldest:
        return None
    middle = Fraction(mark.bid + mark.ask, 2)
    return middle.numerator if middle.denominator == 1 else middle
