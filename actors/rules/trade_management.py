"""Stops and targets placed and moved for the trader (RULE-012); only ever tighter, never a breach.

A new position that lacks them gets a bracket. Far enough in profit its stop goes to entry, and then
follows the price at a distance. This says where stop and target belong; enforcement places and moves
them, leaves alone what is nearer already, and closes what comes of both legs filling.

All prices are worked out as for a long; a short is mirrored by its sign, so both round the same way:
a stop never further from the price than asked, on the tick grid and on the losing side of the market.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction

import msgspec
from msgspec import Struct

from actors.messages import (
    AccountSnapshot,
    ContractId,
    Demand,
    Exact,
    Now,
    PositionView,
    StopAt,
    TargetAt,
)
from config.instruments import matches_any
from config.settings import TradeManagement

from . import sandbox
from .machine import Machine
from .protection import announced_stops_of, announced_targets_of
from .rule import Bound, Judgement, Measure, Probe, Wake


class Managed(Struct, frozen=True, gc=False):
    """One open position as it is managed. Ticks are mirrored: greater is better for either side."""

    long: bool
    opened_at: datetime
    brackets_stop: bool
    brackets_target: bool
    best: int | None = None
    """The best price seen, rounded down to a tick."""
    stop: int | None = None


class ManagementState(Struct, frozen=True, gc=False):
    """Every managed position."""

    armed_at: datetime | None = None
    managed: dict[ContractId, Managed] = {}


class TradeManagementRule(Machine[ManagementState]):
    """RULE-012."""

    name = "trade_management"
    manages = True
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.ORDER, Wake.PRICE, Wake.TIME, Wake.RESET})

    def __init__(self, config: TradeManagement, blocked: Iterable[str] = ()) -> None:
        self._config, self._blocked = config, tuple(blocked)
        after = [part.after_ticks for part in (config.breakeven, config.trailing) if part is not None]
        self._first_move = min(after, default=None)

    def initial(self) -> ManagementState:
        return ManagementState()

    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        """The price at which a stop first moves; from there on every price counts."""
        if self._first_move is None:
            return ()
        return tuple(self._bound(p, self._first_move) for p in snapshot.positions if p.cost_ticks is not None)

    def _bound(self, p: PositionView, after: int) -> Bound:
        first = math.ceil(_entry(p) + after)
        if p.profit_mark is not None and p.profit_mark * _side(p) >= first:
            return Bound(Measure.PROFIT_MARK, contract=p.contract)
        if p.size > 0:
            return Bound(Measure.PROFIT_MARK, at_least=first, contract=p.contract)
        return Bound(Measure.PROFIT_MARK, at_most=-first, contract=p.contract)

    # ------------------------------------------------------------------------------ judge

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Nothing is open that could be managed."""
        return not snapshot.positions

    def judge(
        self, state: ManagementState, snapshot: AccountSnapshot, now: Now
    ) -> Judgement[ManagementState]:
        armed_at = state.armed_at or now.wall
        managed, demands = dict[ContractId, Managed](), list[Demand]()
        for p in snapshot.positions:
            if p.cost_ticks is None or p.disputed or matches_any(p.root, self._blocked):
                continue
            known = state.managed.get(p.contract)
            if known is None or not _same(known, p):
                known = self._begin(p, snapshot, armed_at)
            moved = self._move(known, p)
            managed[p.contract] = moved
            demands += self._wishes(moved, p)
        return Judgement(ManagementState(armed_at, managed), demands=tuple(demands))

    def _begin(self, p: PositionView, snapshot: AccountSnapshot, armed_at: datetime) -> Managed:
        """Only a position opened since the rule was armed is new; only what it lacks is placed."""
        new = p.opened_at >= max(armed_at, snapshot.session_since or armed_at)
        orders = snapshot.orders
        return Managed(
            p.size > 0,
            p.opened_at,
            new and self._config.stop_loss is not None and not announced_stops_of(p, orders),
            new and self._config.take_profit is not None and not announced_targets_of(p, orders),
        )

    def _move(self, known: Managed, p: PositionView) -> Managed:
        """Take the price in, and tighten the stop where it is due."""
        mirrored = None if p.profit_mark is None else p.profit_mark * _side(p)
        if mirrored is not None:
            seen = math.floor(mirrored)
            best = seen if known.best is None else max(seen, known.best)
            known = msgspec.structs.replace(known, best=best)
        stop = self._wanted_stop(known, p, mirrored)
        if stop is None or (known.stop is not None and stop <= known.stop):
            return known
        return msgspec.structs.replace(known, stop=stop)

    def _wanted_stop(self, known: Managed, p: PositionView, price: Exact | None) -> int | None:
        """The tightest stop that applies, on the losing side of the market; mirrored ticks."""
        config, entry, wanted = self._config, _entry(p), list[int]()
        if known.brackets_stop and config.stop_loss is not None:
            wanted.append(math.ceil(entry - config.stop_loss.ticks))
        if known.best is not None:
            gained = known.best - entry
            if config.breakeven is not None and gained >= config.breakeven.after_ticks:
                wanted.append(math.ceil(entry + config.breakeven.offset_ticks))
            if config.trailing is not None and gained >= config.trailing.after_ticks:
                wanted.append(known.best - config.trailing.distance_ticks)
        if not wanted or price is None:
            return max(wanted, default=None)
        return min(max(wanted), math.ceil(price) - 1)

    def _wishes(self, managed: Managed, p: PositionView) -> Iterable[Demand]:
        if managed.stop is not None:
            yield StopAt(p.contract, managed.stop * _side(p), abs(p.size))
        if managed.brackets_target and self._config.take_profit is not None:
            target = math.ceil(_entry(p) + self._config.take_profit.ticks)
            yield TargetAt(p.contract, target * _side(p), abs(p.size))

    # ------------------------------------------------------------------------------ probe

    def probe(self, now: Now) -> Probe:
        record, then = sandbox.contract(), sandbox.after(now, 1)
        if self._config.stop_loss is not None or self._config.take_profit is not None:
            held = sandbox.position(record, 1, at=then.wall)
            opened = sandbox.snapshot(then, positions=[held], cause="fill:1")
            flat = sandbox.snapshot(now)
            return Probe((flat, opened), (flat, sandbox.snapshot(then, cause="time")))
        if self._first_move is None:
            return Probe((), ())

        def priced(*gains: int) -> tuple[AccountSnapshot, ...]:
            marks = [sandbox.ENTRY + gain for gain in gains]
            held = [sandbox.position(record, 1, at=now.wall, mark=mark) for mark in marks]
            times = [sandbox.after(now, second) for second in range(len(held))]
            return tuple(sandbox.snapshot(at, positions=[p]) for at, p in zip(times, held, strict=True))

        below = self._first_move - 1
        return Probe(priced(below, self._first_move), priced(below - 1, below))


def _side(p: PositionView) -> int:
    return 1 if p.size > 0 else -1


def _entry(p: PositionView) -> Exact:
    """Average entry in mirrored ticks."""
    assert p.cost_ticks is not None
    return Fraction(p.cost_ticks) / abs(p.size)


def _same(known: Managed, p: PositionView) -> bool:
    return known.long == (p.size > 0) and p.opened_at <= known.opened_at
