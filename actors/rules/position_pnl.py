"""An open position that is too far down (RULE-004) or far enough up (RULE-005) is closed.

By position, only the contract that reached the limit is closed; the others and their stops stay. By
account, the sum counts and everything is closed. Taking profit may instead move the stop to entry.

Once the limit is reached the position is closed for good, also if the price comes back while the
close is on its way: an order that was refused at first is not taken back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import ClassVar, Literal

from msgspec import Struct

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
from .locks import Resets, lock_for, standing
from .machine import Machine, breaches_of
from .protection import is_covered_at, market
from .rule import Bound, Judgement, Measure, Probe, Wake
from .worth import Side, acts_at, mark_text, marks_text, position_inputs

ACCOUNT = "*"
PROBE_TICKS = 1000
"""How far the made-up price of a probe moves at most."""


class Hit(Struct, frozen=True, gc=False):
    """A position that reached the limit: the demand on it stands until it is gone."""

    long: bool
    opened_at: datetime

    def still(self, position: PositionView) -> bool:
        """Whether this is that position, or the opposite one that came of closing it."""
        return (position.size > 0) != self.long or position.opened_at <= self.opened_at


class OpenState(Struct, frozen=True, gc=False):
    """Positions (or the account) that reached the limit, and the lock that came of it."""

    episodes: Episodes = Episodes()
    hit: dict[ContractId, Hit] = {}
    flattening: bool = False
    lock: Lock | None = None


class PositionPnl(Machine[OpenState]):
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
        near = () if config.alert_at is None else (self._bound(limit * config.alert_at),)
        self._bounds = (self._bound(limit), *near)

    def initial(self) -> OpenState:
        return OpenState()

    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        return self._bounds

    def _bound(self, amount: Exact) -> Bound:
        if self.side is Side.LOSS:
            return Bound(Measure.POSITION if self._by_position else Measure.UNREALIZED, at_most=amount)
        measure = Measure.POSITION_PROFIT if self._by_position else Measure.UNREALIZED_PROFIT
        return Bound(measure, at_least=amount)

    # ------------------------------------------------------------------------------ judge

    def judge(self, state: OpenState, snapshot: AccountSnapshot, now: Now) -> Judgement[OpenState]:
        seen = self._positions_over(state, snapshot) if self._by_position else self._sum_over(state, snapshot)
        episodes = follow(state.episodes, self.name, snapshot.day, seen)
        began = episodes.new_since(state.episodes)
        lock, said = standing(state.lock, self._locks(began), now.wall)
        episodes, notices = near_alerts(
            episodes, self.name, snapshot.day, self._near(snapshot), self._alert_at
        )
        exposed = bool(snapshot.positions or working(snapshot))
        new = OpenState(
            episodes,
            _hits(state, episodes, snapshot) if self._by_position else {},
            not self._by_position and exposed and (state.flattening or bool(episodes.open)),
            lock,
        )
        return Judgement(new, breaches_of(episodes), self._demands(new, snapshot), lock=said, notices=notices)

    def _positions_over(self, state: OpenState, snapshot: AccountSnapshot) -> dict[str, Breach]:
        """Every position at the limit; what cannot be measured stays as it was last judged."""
        seen = dict[str, Breach]()
        for p in snapshot.positions:
            worth, known = self.side.worth(p), state.episodes.open.get(p.contract)
            if worth is None or p.disputed:
                if known is not None:
                    seen[p.contract] = known
            elif self.side.beyond(worth, self._limit):
                seen[p.contract] = self._breach(p.contract, worth, mark_text(self.side, p), snapshot, (p,))
        return seen

    def _sum_over(self, state: OpenState, snapshot: AccountSnapshot) -> dict[str, Breach]:
        known = state.episodes.open.get(ACCOUNT)
        if snapshot.suspended:
            return {} if known is None else {ACCOUNT: known}
        worth = self.side.sum(snapshot)
        if not self.side.beyond(worth, self._limit):
            return {}
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

    def _locks(self, began: tuple[Breach, ...]) -> list[Lock]:
        if self._lockout == "none":
            return []
        close = (
            () if self._acts == "breakeven" else tuple(b.contract for b in began if b.contract is not None)
        )
        flatten = not self._by_position
        return [lock_for(b, self._lockout, self._calendar, flatten=flatten, close=close) for b in began]

    def _demands(self, state: OpenState, snapshot: AccountSnapshot) -> tuple[Demand, ...]:
        if state.flattening:
            return (AccountFlat(),)
        hit = [p for p in snapshot.positions if p.contract in state.hit]
        if self._acts == "breakeven":
            return tuple(demand for p in hit if (demand := _breakeven(p, snapshot)) is not None)
        return tuple(Flat(p.contract) for p in hit)

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

    def figure(self, state: OpenState, snapshot: AccountSnapshot) -> Figure:
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


def _hits(state: OpenState, episodes: Episodes, snapshot: AccountSnapshot) -> dict[ContractId, Hit]:
    """Positions hit now or before and not yet gone."""
    hits = dict[ContractId, Hit]()
    for p in snapshot.positions:
        before = state.hit.get(p.contract)
        if before is not None and before.still(p):
            hits[p.contract] = before
        elif p.contract in episodes.open:
            hits[p.contract] = Hit(p.size > 0, p.opened_at)
    return hits


def _breakeven(position: PositionView, snapshot: AccountSnapshot) -> Demand | None:
    """The stop at entry, rounded to the side that loses nothing; closed if the market is through it."""
    price = market(position)
    if position.cost_ticks is None or price is None:
        return None
    entry = Fraction(position.cost_ticks) / position.size
    ticks = math.ceil(entry) if position.size > 0 else math.floor(entry)
    through = price <= ticks if position.size > 0 else price >= ticks
    if through and not is_covered_at(position, snapshot.orders, ticks):
        return Flat(position.contract)
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
