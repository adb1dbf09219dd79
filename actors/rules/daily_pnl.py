"""A day that has lost (RULE-003) or won (RULE-013) enough is over until the reset.

What is closed always counts; what is only on the screen counts too with `include_unrealized`. At the
limit is over the limit. The account is locked until the reset, everything closed and cancelled.

The fill that took the closed P&L over the limit is found by adding up the day's fills in the
exchange's order. So a limit that was crossed while nobody was looking still locks, whatever was won
back afterwards, and the breach has the same name whenever it is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import ClassVar

import msgspec
from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    BookedFill,
    Breach,
    Exact,
    Figure,
    Lock,
    Money,
    Now,
    OwnClose,
)
from actors.money import money_text
from config.settings import DailyRealizedLoss, DailyRealizedProfit

from . import sandbox
from .day_fold import DayFold
from .episodes import UNNUMBERED, Episodes, covered, follow, near_alerts, on_day
from .exposure import working
from .locks import Resets, asked_for, lock_for
from .machine import Machine, breaches_of
from .rule import Bound, Judgement, Measure, Probe, Wake
from .worth import Side, acts_at, marks_text, position_inputs, share_of

PRICE = "price"
"""Key and cause of an episode that began on the screen; the others are named after their fill."""
MISSED = "missed "
"""Begins the key of an episode that was over when it was found."""


class Crossing(Struct, frozen=True, gc=False):
    """The fill with which the closed P&L went over the limit, and the P&L it made."""

    booked: BookedFill
    total: Money
    lasts: bool
    """Still over the limit now."""

    @property
    def cause(self) -> str:
        return f"fill:{self.booked.fill.id}"


class Closed(Struct, frozen=True, gc=False):
    """The closed P&L of a day, and the fills that took it over the limit."""

    total: Money = 0
    over: bool = False
    crossings: tuple[Crossing, ...] = ()


class DailyPnl(Machine[Episodes]):
    """The machine of both rules; a subclass says which side, and from where on."""

    side: ClassVar[Side]
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.PRICE, Wake.RESET})

    def __init__(
        self,
        limit: Money,
        alert_at: Fraction | None,
        calendar: Resets,
        *,
        include_unrealized: bool,
        message: str | None = None,
    ) -> None:
        self._limit, self._alert_at, self._calendar = limit, alert_at, calendar
        self._open_counts, self._message = include_unrealized, message
        near = () if alert_at is None else (self._bound(share_of(limit, alert_at)),)
        self._bounds = (self._bound(limit), *near) if include_unrealized else ()
        self._closed = DayFold(Closed(), self._closed_with)

    def initial(self) -> Episodes:
        return Episodes()

    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        return self._bounds

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """The limit was never crossed today."""
        return not self._closed.of(snapshot.fills).crossings and not self._open_is_over(snapshot)

    def _bound(self, amount: Exact) -> Bound:
        if self.side is Side.LOSS:
            return Bound(Measure.NET, at_most=amount)
        return Bound(Measure.NET_PROFIT, at_least=amount)

    # ------------------------------------------------------------------------------ judge

    def judge(self, state: Episodes, snapshot: AccountSnapshot, now: Now) -> Judgement[Episodes]:
        crossings = self._crossings(snapshot)
        lasting = self._lasting(state, snapshot, crossings)
        missed = {} if PRICE in state.open else self._missed(state, snapshot, crossings)
        episodes = follow(state, self.name, snapshot.day, {**missed, **lasting})
        if PRICE in episodes.open or PRICE in state.open:
            for crossing in crossings:
                episodes = covered(episodes, None, crossing.cause)
        lock = asked_for(
            self._locks(episodes.new_since(state)), self._locks(episodes.open.values()), now.wall
        )
        value = self._value(snapshot)
        near = {"*": (self.side.used(value, self._limit), self._near_text(value))}
        episodes, notices = near_alerts(episodes, self.name, snapshot.day, near, self._alert_at)
        exposed = bool(snapshot.positions or working(snapshot))
        return Judgement(
            episodes,
            breaches_of(episodes),
            (AccountFlat(),) if exposed and lasting else (),
            lock=lock,
            notices=notices,
        )

    def _locks(self, breaches: Iterable[Breach]) -> list[Lock]:
        return [lock_for(breach, "until_reset", self._calendar, flatten=True) for breach in breaches]

    def _crossings(self, snapshot: AccountSnapshot) -> list[Crossing]:
        """Each fill of the day that took the closed P&L over the limit."""
        return list(self._closed.of(snapshot.fills).crossings)

    def _closed_with(self, day: Closed, booked: BookedFill) -> Closed:
        total = day.total + (booked.fill.pnl or 0) - booked.fill.fees
        found, was, over = day.crossings, day.over, self.side.beyond(total, self._limit)
        if over and not was:
            found = (*found, Crossing(booked, total, lasts=True))
        elif was and not over:
            found = (*found[:-1], msgspec.structs.replace(found[-1], lasts=False))
        return Closed(total, over, found)

    def _lasting(
        self, state: Episodes, snapshot: AccountSnapshot, crossings: list[Crossing]
    ) -> dict[str, Breach]:
        """The breach that is true now, under the name of how it began."""
        now_over = next((crossing for crossing in crossings if crossing.lasts), None)
        unclear = snapshot.suspended or (self._open_counts and bool(snapshot.unmeasured))
        if PRICE in state.open and (now_over or unclear or self._open_is_over(snapshot)):
            return {PRICE: state.open[PRICE]}
        if now_over is not None:
            breach = self._closed_breach(now_over, snapshot)
            return {breach.cause: breach}
        if self._open_is_over(snapshot):
            known = {key: breach for key, breach in state.open.items() if not key.startswith(MISSED)}
            return known or {PRICE: self._open_breach(snapshot)}
        return {}

    def _missed(
        self, state: Episodes, snapshot: AccountSnapshot, crossings: list[Crossing]
    ) -> dict[str, Breach]:
        """Crossed and won back since it was last judged."""
        today = on_day(state, snapshot.day)
        return {
            MISSED + crossing.cause: self._closed_breach(crossing, snapshot)
            for crossing in crossings
            if not (crossing.lasts or self._was_open(crossing) or today.began(None, crossing.cause))
        }

    def _was_open(self, crossing: Crossing) -> bool:
        """A lockout's flatten only closed what had gone over the limit on the screen before."""
        return self._open_counts and crossing.booked.own is OwnClose.LOCKOUT

    def _open_is_over(self, snapshot: AccountSnapshot) -> bool:
        if not self._open_counts or snapshot.suspended:
            return False
        return self.side.beyond(snapshot.realized + self.side.sum(snapshot), self._limit)

    # ------------------------------------------------------------------------------ breach

    def _closed_breach(self, crossing: Crossing, snapshot: AccountSnapshot) -> Breach:
        cause = PRICE if self._was_open(crossing) else crossing.cause
        breach = self._breach(crossing.total, cause, snapshot)
        judged = {"judged": "realized", "realized": money_text(crossing.total)}
        return msgspec.structs.replace(breach, at=crossing.booked.fill.at, inputs=breach.inputs | judged)

    def _open_breach(self, snapshot: AccountSnapshot) -> Breach:
        breach = self._breach(snapshot.realized + self.side.sum(snapshot), PRICE, snapshot)
        return msgspec.structs.replace(breach, mark=marks_text(self.side, snapshot.positions))

    def _breach(self, value: Exact, cause: str, snapshot: AccountSnapshot) -> Breach:
        limit, shown = money_text(self._limit), money_text(value)
        text = f"the day's P&L is {shown}, the limit {limit}"
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=None,
            value=shown,
            limit=limit,
            mark=None,
            cause=cause,
            at=snapshot.cause_at or snapshot.now.wall,
            text=f"{self._message} ({text})" if self._message else text,
            inputs={
                "judged": "realized and open",
                "realized": money_text(snapshot.realized),
                "fills": str(len(snapshot.fills)),
                "include_unrealized": str(self._open_counts).lower(),
                **position_inputs(self.side, snapshot.positions),
            },
        )

    # ------------------------------------------------------------------------------ figure, probe

    def _value(self, snapshot: AccountSnapshot) -> Exact:
        """The P&L nearest to the limit of those that are judged."""
        if not self._open_counts or snapshot.suspended:
            return snapshot.realized
        net = snapshot.realized + self.side.sum(snapshot)
        return min(snapshot.realized, net) if self.side is Side.LOSS else max(snapshot.realized, net)

    def _near_text(self, value: Exact) -> str:
        return f"the day's P&L is {money_text(value)} of {money_text(self._limit)}"

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        """The day's P&L, and with one open contract the price at which the day would be over."""
        value = self._value(snapshot)
        left: Exact = (self._limit - value) * self.side.value
        price = None
        if self._open_counts and len(snapshot.positions) == 1:
            price = acts_at(self.side, snapshot.positions[0], self._limit - snapshot.realized)
        return Figure(
            money_text(value),
            money_text(self._limit),
            float(self.side.used(value, self._limit)),
            money_text(max(left, 0)),
            price,
        )

    def probe(self, now: Now) -> Probe:
        record = sandbox.contract()
        opened = sandbox.opening_fill(record, 1, 1, now.wall)
        stories = list[tuple[AccountSnapshot, ...]]()
        for result in (self._limit, self._limit - self.side.value):
            then = sandbox.after(now, 1)
            closed = sandbox.closing_fill(record, 2, -1, then.wall, result)
            before = sandbox.snapshot(now, fills=[opened], cause="fill:1")
            stories.append((before, sandbox.snapshot(then, fills=[opened, closed], cause="fill:2")))
        return Probe(stories[0], stories[1])


class DailyRealizedLossRule(DailyPnl):
    """RULE-003: the most a day may lose."""

    name = "daily_realized_loss"
    side = Side.LOSS

    def __init__(self, config: DailyRealizedLoss, calendar: Resets) -> None:
        super().__init__(
            config.limit, config.alert_at, calendar, include_unrealized=config.include_unrealized
        )


class DailyRealizedProfitRule(DailyPnl):
    """RULE-013: enough for a day."""

    name = "daily_realized_profit"
    side = Side.PROFIT

    def __init__(self, config: DailyRealizedProfit, calendar: Resets) -> None:
        super().__init__(
            config.target,
            config.alert_at,
            calendar,
            include_unrealized=config.include_unrealized,
            message=config.message,
        )
