"""The trading day's fills, each once by its id, and the realized P&L that they make.

Realized P&L of the day = sum of the broker's non-null `profitAndLoss` less the fees of all fills
of the day. Null is not zero. Voided fills are taken out again and stay known, so that a late copy
cannot bring them back.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec
from msgspec import Struct

from actors.messages import BookedFill, Fill, FillId, Money


class Ledger(Struct, frozen=True, gc=False):
    """Fills of one trading day, counted from `since` on (the reset, or an admin's later baseline)."""

    day: date
    since: datetime
    booked: tuple[BookedFill, ...] = ()
    """Oldest first as they were applied; voided ones left out."""
    known: frozenset[FillId] = frozenset()
    """Every id ever applied or voided, of this day and the one before."""
    voided: frozenset[FillId] = frozenset()
    ahead: tuple[BookedFill, ...] = ()
    """Stamped after the next reset, which has not been announced yet."""
    realized: Money = 0

    def find(self, fill: FillId) -> BookedFill | None:
        return next((b for b in self.booked if b.fill.id == fill), None)


def result(fill: Fill) -> Money:
    """What one fill adds to realized P&L; the opening half pays its fees too."""
    return (fill.pnl or 0) - fill.fees


def counts(ledger: Ledger, fill: Fill) -> bool:
    """Whether the fill belongs to what is counted now; a baseline leaves out what was before it."""
    return fill.at >= ledger.since


def add(ledger: Ledger, booked: BookedFill) -> Ledger:
    """Count a fill that was not known."""
    return msgspec.structs.replace(
        ledger,
        booked=(*ledger.booked, booked),
        known=ledger.known | {booked.fill.id},
        realized=ledger.realized + result(booked.fill),
    )


def know(ledger: Ledger, fill: FillId) -> Ledger:
    """Remember an id that is not counted today (another day's, or before the baseline)."""
    return msgspec.structs.replace(ledger, known=ledger.known | {fill})


def put_ahead(ledger: Ledger, booked: BookedFill) -> Ledger:
    return msgspec.structs.replace(
        ledger, ahead=(*ledger.ahead, booked), known=ledger.known | {booked.fill.id}
    )


def void(ledger: Ledger, fill: FillId) -> Ledger:
    """Take a fill out again."""
    found = ledger.find(fill)
    return msgspec.structs.replace(
        ledger,
        booked=tuple(b for b in ledger.booked if b.fill.id != fill),
        ahead=tuple(b for b in ledger.ahead if b.fill.id != fill),
        known=ledger.known | {fill},
        voided=ledger.voided | {fill},
        realized=ledger.realized - (result(found.fill) if found else 0),
    )


def take_out(ledger: Ledger, fill: FillId) -> Ledger:
    """Uncount a fill that is about to be booked again in its place; it stays known."""
    found = ledger.find(fill)
    return msgspec.structs.replace(
        ledger,
        booked=tuple(b for b in ledger.booked if b.fill.id != fill),
        ahead=tuple(b for b in ledger.ahead if b.fill.id != fill),
        realized=ledger.realized - (result(found.fill) if found else 0),
    )


def merged(known: Fill, copy: Fill) -> Fill:
    """The known fill with the P&L and the fees that either copy gave."""
    pnl, fees = known.pnl if copy.pnl is None else copy.pnl, max(known.fees, copy.fees)
    if (pnl, fees) == (known.pnl, known.fees):
        return known
    return msgspec.structs.replace(known, pnl=pnl, fees=fees)


def complete(ledger: Ledger, fill: Fill) -> Ledger:
    """A second copy of a known fill: keep the P&L and the fees that either way gave.

    The stream has fees and commissions, REST rows may lack the commissions.
    """
    found = ledger.find(fill.id)
    if found is None:
        return ledger
    old, both = found.fill, merged(found.fill, fill)
    if both == old:
        return ledger
    return msgspec.structs.replace(
        ledger,
        booked=tuple(
            msgspec.structs.replace(b, fill=both) if b.fill.id == fill.id else b for b in ledger.booked
        ),
        realized=ledger.realized - result(old) + result(both),
    )


def roll(ledger: Ledger, day: date, since: datetime) -> Ledger:
    """Begin a trading day: P&L and counters at zero, plus what already happened after the reset."""
    fresh = Ledger(
        day,
        since,
        known=frozenset(b.fill.id for b in (*ledger.booked, *ledger.ahead)) | ledger.voided,
        voided=ledger.voided,
    )
    for booked in ledger.ahead:
        if counts(fresh, booked.fill):
            fresh = add(fresh, booked)
    return fresh


def rebase(ledger: Ledger, at: datetime) -> Ledger:
    """Count from `at` on: what was before it is known and counts no more."""
    kept = tuple(b for b in ledger.booked if b.fill.at > at)
    return msgspec.structs.replace(ledger, since=at, booked=kept, realized=sum(result(b.fill) for b in kept))
