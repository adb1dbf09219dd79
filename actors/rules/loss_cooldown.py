"""A losing trade earns a rest, the longer the deeper the loss (RULE-007).

What counts is a closing order: the P&L of its closing fills less their fees. The deepest tier that it
reaches decides, from the fill that reached it. While one rest runs, the later end wins. Positions that
a rule closed or reduced count as losses too; those that a lockout flattened do not.
"""

from __future__ import annotations

from msgspec import Struct

from actors.messages import AccountSnapshot, BookedFill, Figure, Money, Now, OrderId, OwnClose
from actors.money import money_text
from config.settings import CooldownAfterLoss
from config.values import duration_text

from . import sandbox
from .episodes import Episodes
from .exposure import in_order
from .locks import Resets
from .rests import Rest, Resting
from .rule import Probe


class Closing(Struct, frozen=True, gc=False):
    """One closing fill, and the result of its order up to it."""

    booked: BookedFill
    result: Money
    before: Money | None
    """The deepest result of the order's earlier fills; None at its first."""


class LossCooldownRule(Resting):
    """RULE-007."""

    name = "cooldown_after_loss"

    def __init__(self, config: CooldownAfterLoss, calendar: Resets) -> None:
        super().__init__(calendar, flatten=config.flatten)
        self._tiers = sorted(config.tiers, key=lambda tier: tier.loss)  # the deepest first

    def rests(self, snapshot: AccountSnapshot, now: Now) -> list[Rest]:
        found = list[Rest]()
        for closing in _closings(snapshot):
            tier = next((t for t in self._tiers if closing.result <= t.loss), None)
            if tier is None or (closing.before is not None and closing.before <= tier.loss):
                continue
            value, limit = money_text(closing.result), money_text(tier.loss)
            breach = self.begun_by(
                closing.booked,
                value=value,
                limit=limit,
                text=f"a trade lost {value} ({limit} or deeper rests {duration_text(tier.cooldown)})",
                inputs={"own": closing.booked.own.value, "cooldown": duration_text(tier.cooldown)},
            )
            found.append(Rest(breach, tier.cooldown))
        return found

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        """The newest closing order against the first tier."""
        closings, first = _closings(snapshot), self._tiers[-1].loss
        if not closings:
            return Figure(None, money_text(first), 0.0, None, None)
        result = closings[-1].result
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


def _closings(snapshot: AccountSnapshot) -> list[Closing]:
    """Closing fills with their order's running result; opening halves and lockouts' closes left out."""
    results, deepest, found = dict[OrderId, Money](), dict[OrderId, Money](), list[Closing]()
    for booked in in_order(snapshot.fills):
        fill = booked.fill
        if fill.pnl is None or booked.own is OwnClose.LOCKOUT:
            continue
        result = results.get(fill.order, 0) + fill.pnl - fill.fees
        found.append(Closing(booked, result, deepest.get(fill.order)))
        results[fill.order] = result
        deepest[fill.order] = min(result, deepest.get(fill.order, result))
    return found
