"""The band in which prices move without a word to anybody: no rule's bound is crossed, nothing turns stale.

By far most prices change nothing that a rule asked to be woken for. Worked out once from the bounds of all
rules, the band of a contract tells so from its prices alone, in a few comparisons; a price outside is taken
the long way. Contracts that are judged together share what is left to a bound equally, so that all of them
may move at once. In doubt a price is outside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from actors.messages import AccountSnapshot, Contract, ContractId, Exact, PositionView, Quoted
from actors.rules.rule import Bound, Measure

from .marks import NEVER, Mark
from .state import NO_MARK, AccountState


class Room(Struct, gc=False):
    """Where a figure may go without crossing a bound. None: as far as it likes."""

    above: Exact | None = None
    least: Exact | None = None
    most: Exact | None = None
    below: Exact | None = None

    def keep(self, bound: Bound, value: Exact, less: Exact = 0) -> None:
        """Stay on the side of the bound on which `value` is; the bound itself is on value + `less`."""
        if bound.at_most is not None:
            limit = bound.at_most - less
            if value <= limit:
                self.most = limit if self.most is None else min(self.most, limit)
            else:
                self.above = limit if self.above is None else max(self.above, limit)
        if bound.at_least is not None:
            limit = bound.at_least - less
            if value >= limit:
                self.least = limit if self.least is None else max(self.least, limit)
            else:
                self.below = limit if self.below is None else min(self.below, limit)

    def share(self, total: Exact, own: Exact, among: int) -> Room:
        """The room of one of so many figures that make up `total`, when each takes an equal part."""

        def down(limit: Exact | None) -> Exact | None:
            return None if limit is None else own - (total - limit) // among

        def up(limit: Exact | None) -> Exact | None:
            return None if limit is None else own + (limit - total) // among

        return Room(down(self.above), down(self.least), up(self.most), up(self.below))


class Span(Struct, gc=False):
    """Whole ticks from `low` to `high`, both allowed."""

    low: float | Exact = -math.inf
    high: float | Exact = math.inf

    def narrow(self, room: Room, of: Exact = 1, less: Exact = 0) -> None:
        """Where mark x `of` - `less` stays in the room."""
        for limit, beyond in ((room.above, True), (room.least, False)):
            if limit is not None:
                self._from(*divmod(limit + less, of), beyond=beyond, up=of > 0)
        for limit, beyond in ((room.below, True), (room.most, False)):
            if limit is not None:
                self._from(*divmod(limit + less, of), beyond=beyond, up=of < 0)

    def _from(self, tick: Exact, rest: Exact, *, beyond: bool, up: bool) -> None:
        """Not less (`up`), or not more, than `tick` and a bit more where there is a `rest`."""
        if up:
            self.low = max(self.low, tick + 1 if beyond or rest else tick)
        else:
            self.high = min(self.high, tick - 1 if beyond and not rest else tick)

    def prices(self, record: Contract) -> tuple[float, float]:
        """As wire prices; half a tick more, because those are no exact multiples."""
        return float(self.low - 0.5) * record.tick, float(self.high + 0.5) * record.tick


class Band:
    """Good until anything but prices changes in the account, or a price turns stale."""

    def __init__(
        self, state: AccountState, shown: AccountSnapshot, bounds: Iterable[Bound], stale_s: float
    ) -> None:
        marks, held = state.marks, [p for p in shown.positions if _is_measured(p)]
        self._stale_s = stale_s
        ends = (_turns_stale(marks.get(p.contract, NO_MARK), shown, stale_s) for p in held)
        self._until = min(ends, default=math.inf)
        spans = _spans(held, shown, tuple(bounds))
        self._prices = {
            p.contract: spans[p.contract].prices(p.record)
            for p in held
            if p.contract in spans and p.record is not None
        }
        self._outside = frozenset(p.contract for p in shown.positions) - self._prices.keys()

    def takes(self, quote: Quoted, mono: float) -> bool:
        """Whether these prices are nobody's business at this second."""
        prices = self._prices.get(quote.contract)
        if prices is None:
            return quote.contract not in self._outside
        if mono >= self._until:
            return False
        low, high = prices
        last, bid, ask = quote.last, quote.bid, quote.ask
        if (
            (last is None or low < last < high)
            and (bid is None or low < bid < high)
            and (ask is None or low < ask < high)
        ):
            return True
        return self._only_stale_are_outside(quote, low, high, mono - self._stale_s)

    def _only_stale_are_outside(self, quote: Quoted, low: float, high: float, oldest: float) -> bool:
        fields = (
            (quote.last, quote.last_mono),
            (quote.bid, quote.bid_mono),
            (quote.ask, quote.ask_mono),
        )
        return all(price is None or low < price < high or (at or quote.mono) < oldest for price, at in fields)


def _spans(
    held: list[PositionView], shown: AccountSnapshot, bounds: tuple[Bound, ...]
) -> dict[ContractId, Span]:
    """Ticks in which each contract may move; one of which every price matters is left out."""
    net, net_profit = Room(), Room()
    for bound in bounds:
        match bound.measure:
            case Measure.NET | Measure.UNREALIZED:
                net.keep(bound, shown.unrealized, shown.realized if bound.measure is Measure.NET else 0)
            case Measure.NET_PROFIT | Measure.UNREALIZED_PROFIT:
                less = shown.realized if bound.measure is Measure.NET_PROFIT else 0
                net_profit.keep(bound, shown.unrealized_profit, less)
            case _:
                continue
    pinned = {b.contract for b in bounds if b.measure is Measure.PROFIT_MARK and not b.limits}
    spans = dict[ContractId, Span]()
    for p in held:
        if p.contract not in pinned:
            spans[p.contract] = _span(p, bounds, net, net_profit, shown, len(held))
    return spans


def _span(
    p: PositionView,
    bounds: tuple[Bound, ...],
    net: Room,
    net_profit: Room,
    shown: AccountSnapshot,
    among: int,
) -> Span:
    assert p.record is not None
    assert p.cost_ticks is not None
    assert p.unrealized is not None
    assert p.unrealized_profit is not None
    assert p.profit_mark is not None
    own, own_profit, mark = Room(), Room(), Room()
    for bound in bounds:
        if bound.measure is Measure.POSITION:
            own.keep(bound, p.unrealized)
        elif bound.measure is Measure.POSITION_PROFIT:
            own_profit.keep(bound, p.unrealized_profit)
        elif bound.measure is Measure.PROFIT_MARK and bound.contract == p.contract:
            mark.keep(bound, p.profit_mark)
    span, value = Span(), p.record.tick_value
    span.narrow(mark)
    for room in (
        own,
        own_profit,
        net.share(shown.unrealized, p.unrealized, among),
        net_profit.share(shown.unrealized_profit, p.unrealized_profit, among),
    ):
        span.narrow(room, p.size * value, p.cost_ticks * value)
    return span


def _is_measured(p: PositionView) -> bool:
    """What it is worth follows from its prices alone."""
    return p.unrealized is not None and p.unrealized_profit is not None and not p.disputed


def _turns_stale(mark: Mark, shown: AccountSnapshot, stale_s: float) -> float:
    """When the first of its prices that count now counts no more."""
    oldest = shown.now.mono - stale_s
    seen = (mark.last_mono, mark.bid_mono, mark.ask_mono)
    return min((at for at in seen if at != NEVER and at >= oldest), default=NEVER) + stale_s
