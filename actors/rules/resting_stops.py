"""A stop that rests at the gateway, so that a dead machine is not a naked position (`resting_stops`).

Not one of the numbered rules. A position without a valid stop for five seconds is alerted, or, with
`require`, gets a stop where it would lose what `daily_unrealized_loss` allows, or what is left of
`daily_realized_loss` where that is nearer. The stop is never a breach; it follows the position's size,
is cancelled with it, and gives way to the trader's own once that covers the whole position.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from actors.messages import (
    AccountSnapshot,
    ContractId,
    Demand,
    Exact,
    Money,
    Notice,
    Now,
    PositionView,
    StopAt,
)

from . import sandbox
from .machine import Machine, instant_text
from .protection import OWN_TAG, is_protected, market
from .rule import Judgement, Probe, Wake

WITHOUT_STOP_FOR = timedelta(seconds=5)


class Guarded(Struct, frozen=True, gc=False):
    """An open position: since when it is without a valid stop, whether that was told, and our stop."""

    long: bool
    naked_since: datetime | None
    told: bool = False
    stop: int | None = None
    """Ticks of the stop that we asked for; it stays where it is."""


class RestingState(Struct, frozen=True, gc=False):
    """Every open position and its stop."""

    guarded: dict[ContractId, Guarded] = {}


class RestingStopsRule(Machine[RestingState]):
    """`resting_stops: alert | require`."""

    name = "resting_stops"
    manages = True
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.ORDER, Wake.TIME})

    def __init__(
        self, action: Literal["alert", "require"], position_limit: Money | None, day_limit: Money | None
    ) -> None:
        self._places = action == "require"
        self._position_limit, self._day_limit = position_limit, day_limit

    def initial(self) -> RestingState:
        return RestingState()

    # ------------------------------------------------------------------------------ judge

    def judge(self, state: RestingState, snapshot: AccountSnapshot, now: Now) -> Judgement[RestingState]:
        guarded, demands, notices = dict[ContractId, Guarded](), list[Demand](), list[Notice]()
        for p in snapshot.positions:
            known = self._known(state.guarded.get(p.contract), p, snapshot, now)
            if known.naked_since is not None and now.wall - known.naked_since >= WITHOUT_STOP_FOR:
                if not known.told:
                    notices.append(self._notice(p, known.naked_since))
                known = Guarded(known.long, known.naked_since, True, self._stop(p, known, snapshot))
            guarded[p.contract] = known
            if known.stop is not None:
                demands.append(StopAt(p.contract, known.stop, abs(p.size)))
        due = [g.naked_since + WITHOUT_STOP_FOR for g in guarded.values() if g.naked_since is not None]
        return Judgement(
            RestingState(guarded),
            demands=tuple(demands),
            notices=tuple(notices),
            due=min((at for at in due if at > now.wall), default=None),
        )

    def _known(self, before: Guarded | None, p: PositionView, snapshot: AccountSnapshot, now: Now) -> Guarded:
        others = [o for o in snapshot.orders if o.tag is None or not o.tag.startswith(OWN_TAG)]
        if is_protected(p, others):
            return Guarded(p.size > 0, None)
        if before is None or before.long != (p.size > 0):
            before = Guarded(p.size > 0, None)
        if is_protected(p, snapshot.orders):
            return Guarded(before.long, None, False, before.stop)
        return Guarded(before.long, before.naked_since or now.wall, before.told, before.stop)

    def _stop(self, p: PositionView, known: Guarded, snapshot: AccountSnapshot) -> int | None:
        """Where the position would lose what it may, on the losing side of the market."""
        loss = self._allowed_loss(snapshot)
        if known.stop is not None or not self._places or loss is None:
            return known.stop
        if p.record is None or p.cost_ticks is None:
            return None
        side = 1 if p.size > 0 else -1
        level: Exact = (Fraction(loss) / p.record.tick_value + p.cost_ticks) / abs(p.size)
        price = market(p)
        mirrored = math.ceil(level)
        if price is not None:
            mirrored = min(mirrored, math.ceil(price * side) - 1)
        return mirrored * side

    def _allowed_loss(self, snapshot: AccountSnapshot) -> Exact | None:
        """Negative or 0: the nearer of the position's limit and what is left of the day's."""
        limits = list[Exact]()
        if self._position_limit is not None:
            limits.append(self._position_limit)
        if self._day_limit is not None:
            limits.append(min(self._day_limit - snapshot.realized, 0))
        return max(limits, default=None)

    def _notice(self, p: PositionView, since: datetime) -> Notice:
        then = "A stop is placed for it." if self._places else "Place one."
        text = f"{p.contract} has had no stop that covers it since {instant_text(since)}. {then}"
        return Notice("warning", self.name, text, f"{self.name}/{p.contract}/{instant_text(since)}")

    # ------------------------------------------------------------------------------ probe

    def probe(self, now: Now) -> Probe:
        if not self._places:
            return Probe((), ())
        held = sandbox.position(sandbox.contract(), 1, at=now.wall)
        times = (now, sandbox.after(now, WITHOUT_STOP_FOR.total_seconds()))
        naked = tuple(sandbox.snapshot(at, positions=[held], cause="time") for at in times)
        return Probe(naked, naked[:1])
