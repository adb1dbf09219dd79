"""An open position that is too far down (RULE-004) or far enough up (RULE-005) is closed.

By position, only the contract that reached the limit is closed; the others and their stops stay. By
account, the sum counts and everything is closed. Taking profit may instead move the stop to entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from typing import ClassVar, Literal

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    Breach,
    ContractId,
    Demand,
    Exact,
    Figure,
    Flat,
    Lock,
    Money,
    Now,
    PositionView,
    StopAt,
)
from actors.money import money_text
from config.settings import DailyUnrealizedLoss, MaxUnrealizedProfit

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow, near_alerts
from .exposure import working
from .locks import Resets, asked_for, lock_for
from .machine import Machine, breaches_of
from .rule import Bound, Judgement, Measure, Probe, Wake
from .worth import Side, acts_at, mark_text, marks_text, position_inputs, share_of

ACCOUNT = "*"
PROBE_TICKS = 1000
"""How far the made-up price of a probe moves at most."""


class PositionPnl(Machine[Episodes]):
    """The machine of both rules; a subclass says which side, and from where on."""

    side: ClassVar[Side]
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.PRICE, Wake.RESET})

    def __init__(
        self,
        config: DailyUnrealizedLoss | MaxUnrealizedProfit,
        limit: Money,
        calendar: Resets,
    ) -> None:
        self._limit, self._alert_at, self._calendar = limit, config.alert_at, calendar
        self._by_position = config.scope == "position"
        self._acts: Literal["close", "breakeven", "flatten"] = config.acts
        self._lockout: Literal["none", "until_reset"] | timedelta = config.lockout
        near = () if config.alert_at is None else (self._bound(share_of(limit, config.alert_at)),)
        self._bounds = (self._bound(limit), *near)

    def initial(self) -> Episodes:
        return Episodes()

    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        return self._bounds

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Everything open is measured and within the limit."""
        if snapshot.unmeasured or snapshot.suspended:
            return False
        return not any(self.side.beyond(worth, self._limit) for worth in self._worths(snapshot).values())

    def _bound(self, amount: Exact) -> Bound:
        if self.side is Side.LOSS:
            return Bound(Measure.POSITION if self._by_position else Measure.UNREALIZED, at_most=amount)
        measure = Measure.POSITION_PROFIT if self._by_position else Measure.UNREALIZED_PROFIT
        return Bound(measure, at_least=amount)

    # ------------------------------------------------------------------------------ judge

    def judge(self, state: Episodes, snapshot: AccountSnapshot, now: Now) -> Judgement[Episodes]:
        seen = self._positions_over(state, snapshot) if self._by_position else self._sum_over(state, snapshot)
        episodes = follow(state, self.name, snapshot.day, seen)
        lock = asked_for(
            self._locks(episodes.new_since(state)), self._locks(episodes.open.values()), now.wall
        )
        episodes, notices = near_alerts(
            episodes, self.name, snapshot.day, self._near(snapshot), self._alert_at
        )
        return Judgement(
            episodes,
            breaches_of(episodes),
            self._demands(episodes, snapshot),
            lock=lock,
            notices=notices,
        )

    def _positions_over(self, state: Episodes, snapshot: AccountSnapshot) -> dict[str, Breach]:
        """Every position at the limit; what cannot be measured stays as it was last judged."""
        seen = dict[str, Breach]()
        for p in snapshot.positions:
            worth, known = self.side.worth(p), state.open.get(p.contract)
            if worth is None or p.disputed:
                if known is not None:
                    seen[p.contract] = known
            elif self.side.beyond(worth, self._limit):
                seen[p.contract] = self._breach(p.contract, worth, mark_text(self.side, p), snapshot, (p,))
        return seen

    def _sum_over(self, state: Episodes, snapshot: AccountSnapshot) -> dict[str, Breach]:
        known = state.open.get(ACCOUNT)
        if snapshot.suspended:
            return {} if known is None else {ACCOUNT: known}
        worth = self.side.sum(snapshot)
        if not self.side.beyond(worth, self._limit):
            # A sum without what cannot be measured does not say that it is over.
            return {ACCOUNT: known} if known is not None and snapshot.unmeasured else {}
        marks = marks_text(self.side, snapshot.positions)
        return {ACCOUNT: self._breach(None, worth, marks, snapshot, snapshot.positions)}

    def _breach(
        self,
        contract: ContractId | None,
        worth: Exact,
        mark: str | None,
        snapshot: AccountSnapshot,
        positions: Iterable[PositionView],
    ) -> Breach:
        value, limit = money_text(worth), money_text(self._limit)
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=contract,
            value=value,
            limit=limit,
            mark=mark,
            cause="price",
            at=snapshot.cause_at or snapshot.now.wall,
            text=f"open P&L of {contract or 'the account'} is {value}, the limit {limit}",
            inputs=position_inputs(self.side, positions),
        )

    def _locks(self, breaches: Iterable[Breach]) -> list[Lock]:
        if self._lockout == "none":
            return []
        flatten, closes = not self._by_position, self._acts != "breakeven"
        return [
            lock_for(
                breach,
                self._lockout,
                self._calendar,
                flatten=flatten,
                close=(breach.contract,) if closes and breach.contract is not None else (),
            )
            for breach in breaches
        ]

    def _demands(self, episodes: Episodes, snapshot: AccountSnapshot) -> tuple[Demand, ...]:
        if not self._by_position:
            exposed = snapshot.positions or working(snapshot)
            return (AccountFlat(),) if exposed and episodes.open else ()
        over = [p for p in snapshot.positions if p.contract in episodes.open]
        if self._acts == "breakeven":
            return tuple(stop for p in over if (stop := _breakeven(p)) is not None)
        return tuple(Flat(p.contract) for p in over)

    # ------------------------------------------------------------------------------ figure, probe

    def _near(self, snapshot: AccountSnapshot) -> dict[str, tuple[Fraction, str]]:
        near = dict[str, tuple[Fraction, str]]()
        for key, worth in self._worths(snapshot).items():
            what = "the account" if key == ACCOUNT else key
            text = f"open P&L of {what} is {money_text(worth)} of {money_text(self._limit)}"
            near[key] = (self.side.used(worth, self._limit), text)
        return near

    def _worths(self, snapshot: AccountSnapshot) -> dict[str, Exact]:
        if not self._by_position:
            return {} if snapshot.suspended else {ACCOUNT: self.side.sum(snapshot)}
        worths = ((p.contract, self.side.worth(p)) for p in snapshot.positions if not p.disputed)
        return {contract: worth for contract, worth in worths if worth is not None}

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        """The position nearest to the limit; with one open contract the price at which it acts."""
        worths = self._worths(snapshot).values()
        value = (min if self.side is Side.LOSS else max)(worths, default=0)
        left: Exact = (self._limit - value) * self.side.value
        only = snapshot.positions[0] if len(snapshot.positions) == 1 else None
        return Figure(
            money_text(value),
            money_text(self._limit),
            float(self.side.used(value, self._limit)),
            money_text(max(left, 0)),
            acts_at(self.side, only, self._limit) if only is not None else None,
        )

    def probe(self, now: Now) -> Probe:
        record = sandbox.contract()
        size = max(1, abs(self._limit) // (PROBE_TICKS * record.tick_value))
        needed = math.ceil(Fraction(abs(self._limit), size * record.tick_value))
        opened = sandbox.opening_fill(record, 1, size, now.wall)

        def priced(ticks: int, seconds: int) -> AccountSnapshot:
            mark = sandbox.ENTRY + ticks * self.side.value
            held = sandbox.position(record, size, at=now.wall, mark=mark)
            return sandbox.snapshot(sandbox.after(now, seconds), positions=[held], fills=[opened])

        return Probe((priced(0, 0), priced(needed, 1)), (priced(0, 0), priced(needed - 1, 1)))


def _breakeven(position: PositionView) -> StopAt | None:
    """The stop at entry, rounded to the side that loses nothing."""
    if position.cost_ticks is None:
        return None
    entry = Fraction(position.cost_ticks) / position.size
    ticks = math.ceil(entry) if position.size > 0 else math.floor(entry)
    return StopAt(position.contract, ticks, abs(position.size))


class DailyUnrealizedLossRule(PositionPnl):
    """RULE-004: the most that may be down while open."""

    name = "daily_unrealized_loss"
    side = Side.LOSS

    def __init__(self, config: DailyUnrealizedLoss, calendar: Resets) -> None:
        super().__init__(config, config.limit, calendar)


class MaxUnrealizedProfitRule(PositionPnl):
    """RULE-005: take an open profit once it is this large."""

    name = "max_unrealized_profit"
    side = Side.PROFIT

    def __init__(self, config: MaxUnrealizedProfit, calendar: Resets) -> None:
        super().__init__(config, config.target, calendar)
