"""Last, bid and ask of a contract, and the bars that its prices left behind."""

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from fractions import Fraction

import msgspec

from ops.simulator.records import Side

#: Ticks kept per contract; older ones are forgotten, as bars further back are of no use to anybody here.
KEPT_TICKS = 200_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: 1970-01-01 was a Thursday; weekly bars begin on a Monday.
FIRST_MONDAY = EPOCH + timedelta(days=4)


class Price(msgspec.Struct, frozen=True):
    """What the market shows for a contract; a side that nobody quotes is None."""

    last: Fraction | None = None
    bid: Fraction | None = None
    ask: Fraction | None = None

    def touch(self, side: Side) -> Fraction | None:
        """What a market order would get: the ask for a buyer, the bid for a seller, else the last price.

        A price of zero or below is no price to trade at (bad data is sent on, never filled at).
        """
        quoted = self.ask if side is Side.BUY else self.bid
        return next((price for price in (quoted, self.last) if price is not None and price > 0), None)

    @property
    def traded(self) -> Fraction | None:
        """The last price, if there is a usable one."""
        return self.last if self.last is not None and self.last > 0 else None


class Unit(IntEnum):
    SECOND = 1
    MINUTE = 2
    HOUR = 3
    DAY = 4
    WEEK = 5
    MONTH = 6
    TICK = 7


_SPAN = {
    Unit.SECOND: timedelta(seconds=1),
    Unit.MINUTE: timedelta(minutes=1),
    Unit.HOUR: timedelta(hours=1),
    Unit.DAY: timedelta(days=1),
    Unit.WEEK: timedelta(weeks=1),
}


class Bar(msgspec.Struct, frozen=True):
    start: datetime
    open: Fraction
    high: Fraction
    low: Fraction
    close: Fraction
    volume: int


class Tape:
    """The prices at which one contract traded.

    A price that holds still is taken to trade on at that price, so the newest bar is always the price of
    now; `halted` stops that, and later bars are missing as in a closed market.
    """

    def __init__(self) -> None:
        self._times: list[datetime] = []
        self._prices: list[Fraction] = []
        self.halted = False

    def add(self, at: datetime, price: Fraction) -> None:
        """Remembers a price; a clock that was set back does not take the tape back with it."""
        self._times.append(max(at, self._times[-1]) if self._times else at)
        self._prices.append(price)
        if len(self._times) > KEPT_TICKS:
            del self._times[: KEPT_TICKS // 2], self._prices[: KEPT_TICKS // 2]

    def bars(
        self,
        now: datetime,
        start: datetime,
        end: datetime,
        unit: Unit,
        number: int,
        limit: int,
        partial: bool,
    ) -> list[Bar]:
        """The newest `limit` bars that began in [start, end], newest first."""
        if not self._times:
            return []
        if unit is Unit.TICK:
            return self._ticks(start, min(end, now), number, limit)
        until = min(end, self._times[-1] if self.halted else now)
        found: list[Bar] = []
        begin = _floor(until, unit, number)
        while begin >= start and len(found) < limit:
            after = _next(begin, unit, number)
            if after <= now or partial:
                bar = self._bar(begin, after)
                if bar is None:
                    break
                found.append(bar)
            begin = _floor(begin - timedelta(microseconds=1), unit, number)
        return found

    def _bar(self, begin: datetime, after: datetime) -> Bar | None:
        first, end = bisect_left(self._times, begin), bisect_left(self._times, after)
        traded = self._prices[first:end] or self._prices[max(first - 1, 0) : first]
        if not traded:
            return None
        return Bar(begin, traded[0], max(traded), min(traded), traded[-1], end - first)

    def _ticks(self, start: datetime, end: datetime, number: int, limit: int) -> list[Bar]:
        first, after = bisect_left(self._times, start), bisect_right(self._times, end)
        groups = [(i, self._prices[i : min(i + number, after)]) for i in range(first, after, number)]
        return [
            Bar(self._times[i], part[0], max(part), min(part), part[-1], len(part))
            for i, part in reversed(groups[-limit:])
        ]


def _floor(instant: datetime, unit: Unit, number: int) -> datetime:
    if unit is Unit.MONTH:
        months = (instant.year * 12 + instant.month - 1) // number * number
        return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    origin, span = (FIRST_MONDAY if unit is Unit.WEEK else EPOCH), _SPAN[unit] * number
    return origin + (instant - origin) // span * span


def _next(begin: datetime, unit: Unit, number: int) -> datetime:
    if unit is Unit.MONTH:
        months = begin.year * 12 + begin.month - 1 + number
        return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    return begin + _SPAN[unit] * number
