"""A losing trade earns a rest, the longer the deeper the loss (RULE-007).

What counts is a closing order: the P&L of its closing fills less their fees. The deepest tier that it
reaches decides, from the fill that reached it. While one rest runs, the later end wins. Positions that
a rule closed or reduced count as losses too; those that a lockout flattened do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from actors.messages import AccountSnapshot, BookedFill, Figure, Money, Now, OrderId, OwnClose
from actors.money import money_text
from config.settings import CooldownAfterLoss
from config.values import duration_text

from . import sandbox
from .day_fold import DayFold
from .episodes import Episodes
from .locks import Resets
from .rests import Rest, Resting
from .rule import Probe


class Closing(Struct, frozen=True, gc=False):
    """One closing fill, and the result of its order up to it."""

    booked: BookedFill
    result: Money
    before: Money | None
    """The deepest result of the order's earlier fills; None at its first."""


class Closings(Struct, frozen=True, gc=False):
    """The day's closing fills; opening halves and lockouts' closes left out."""

    newest: Closing | None = None
    deep: tuple[Closing, ...] = ()
    """Those that reached a tier which their order had not reached before."""
    orders: Mapping[OrderId, tuple[Money, Money]] = {}
    """The result of each order that closed, so far, and the deepest that it was."""


class LossCooldownRule(Resting):
    """RULE-007."""

    name = "cooldown_after_loss"

    def __init__(self, config: CooldownAfterLoss, calendar: Resets) -> None:
        super().__init__(calendar, flatten=config.flatten)
        self._tiers = sorted(config.tiers, key=lambda tier: tier.loss)  # the deepest first
        self._closings = DayFold(Closings(), self._closed_with)

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        return not self._closings.of(snapshot.fills).deep

    def rests(self, snapshot: AccountSnapshot, now: Now) -> list[Rest]:
        found = list[Rest]()
        for closing in self._closings.of(snapshot.fills).deep:
            tier = next(t for t in self._tiers if closing.result <= t.loss)
            value, limit = money_text(closing.result), money_text(tier.loss)
            breach = self.begun_by(
                closing.booked,
                value=value,
                limit=limit,
                text=f"a trade lost {value} ({limit} or deeper rests {duration_text(tier.cooldown)})",
                inputs=_inputs(closing) | {"cooldown": duration_text(tier.cooldown)},
            )
            found.append(Rest(breach, tier.cooldown))
        return found

    def _closed_with(self, day: Closings, booked: BookedFill) -> Closings:
        fill = booked.fill
        if fill.pnl is None or booked.own is OwnClose.LOCKOUT:
            return day
        total, before = day.orders.get(fill.order, (0, None))
        result = total + fill.pnl - fill.fees
        closing = Closing(booked, result, before)
        deepest = result if before is None else min(result, before)
        return Closings(
            closing,
            (*day.deep, closing) if self._reaches_a_tier(closing) else day.deep,
            {**day.orders, fill.order: (result, deepest)},
        )

    def _reaches_a_tier(self, closing: Closing) -> bool:
        tier = next((t for t in self._tiers if closing.result <= t.loss), None)
        return tier is not None and (closing.before is None or closing.before > tier.loss)

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        """The newest closing order against the first tier."""
        newest, first = self._closings.of(snapshot.fills).newest, self._tiers[-1].loss
        if newest is None:
            return Figure(None, money_text(first), 0.0, None, None)
        result = newest.result
        return Figure(money_text(result), money_text(first), max(0.0, result / first), None, None)

    def probe(self, now: Now) -> Probe:
        def closed(result: Money) -> tuple[AccountSnapshot, ...]:
            record, then = sandbox.contract(), sandbox.after(now, 1)
            opened = sandbox.opening_fill(record, 1, 1, now.wall)
            fills = (opened, sandbox.closing_fill(record, 2, -1, then.wall, result))
            before = sandbox.snapshot(now, fills=fills[:1], cause="fill:1")
            return before, sandbox.snapshot(then, fills=fills, cause="fill:2")

        first = self._tiers[-1].loss
        return Probe(closed(first), closed(first + 1))


def _inputs(closing: Closing) -> dict[str, str]:
    """What the result is made of: the order's earlier fills, and this one's P&L less its fees."""
    fill = closing.booked.fill
    pnl = fill.pnl or 0
    return {
        "earlier": money_text(closing.result - pnl + fill.fees),
        "pnl": money_text(pnl),
        "fees": money_text(fill.fees),
        "own": closing.booked.own.value,
    }
