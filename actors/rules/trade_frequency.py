"""Too many trades in a minute, an hour or a trading day earn a rest (RULE-006).

The windows roll over the trades' own timestamps; a trade exactly a window old is out. An order filled
in parts counts once. The rest runs from the trade that crossed the limit and is not renewed while the
count stays above it; of several at once the longest holds. Closes of our own never count.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from msgspec import Struct

from actors.messages import AccountSnapshot, BookedFill, Figure, Notice, Now, OrderId, OwnClose
from config.settings import TradeFrequencyLimit

from . import sandbox
from .day_fold import DayFold
from .episodes import Episodes, near_alerts
from .locks import Resets
from .machine import NO_FIGURE
from .rests import Length, Rest, Resting
from .rule import Probe


class Tier(Struct, frozen=True, gc=False):
    """One limit: at most this many in the window (None: the trading day), else this rest."""

    name: str
    limit: int
    window: timedelta | None
    rest: Length

    def count(self, times: Sequence[datetime], at: datetime) -> int:
        """How many of `times`, sorted, lie in the window that ends with `at`."""
        return bisect_right(times, at) - self.left_out(times, at)

    def left_out(self, times: Sequence[datetime], at: datetime) -> int:
        """How many of `times` are already a window old at `at`."""
        return 0 if self.window is None else bisect_right(times, at - self.window)


class Crossing(Struct, frozen=True, gc=False):
    """A trade that was one too many, for which limits, and how many each counted."""

    booked: BookedFill
    tiers: tuple[Tier, ...]
    counts: dict[str, int]


class Trades(Struct, frozen=True, gc=False):
    """The trades of a day: one fill stands for each."""

    times: tuple[datetime, ...] = ()
    orders: frozenset[OrderId] = frozenset()
    """Those counted; an order filled in parts is one trade."""
    crossings: tuple[Crossing, ...] = ()


class TradeFrequencyRule(Resting):
    """RULE-006."""

    name = "trade_frequency_limit"

    def __init__(self, config: TradeFrequencyLimit, calendar: Resets) -> None:
        super().__init__(calendar, flatten=config.flatten)
        self._what, self._alert_at = config.count, config.alert_at
        rest = config.cooldown
        tiers = (
            ("per_minute", config.per_minute, timedelta(minutes=1), rest.per_minute),
            ("per_hour", config.per_hour, timedelta(hours=1), rest.per_hour),
            ("per_session", config.per_session, None, rest.per_session),
        )
        self._tiers = tuple(Tier(n, limit, w, length) for n, limit, w, length in tiers if limit is not None)
        self._fewest = min((tier.limit for tier in self._tiers), default=0)
        self._trades = DayFold(Trades(), self._traded_with)

    # ------------------------------------------------------------------------------ judge

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        if len(snapshot.fills) <= self._fewest:
            return True
        return not self._trades.of(snapshot.fills).crossings

    def rests(self, snapshot: AccountSnapshot, now: Now) -> list[Rest]:
        trades = self._trades.of(snapshot.fills)
        found, newest = list[Rest](), dict[str, int]()
        for crossing in trades.crossings:
            newest.update((tier.name, len(found)) for tier in crossing.tiers)
            found.append(self._rest(crossing))
        above = [t.name for t in self._tiers if t.count(trades.times, now.wall) > t.limit]
        lasting = {newest[name] for name in above if name in newest}
        return [Rest(r.breach, r.length, place in lasting) for place, r in enumerate(found)]

    def _rest(self, crossing: Crossing) -> Rest:
        booked, counts = crossing.booked, crossing.counts
        longest = max(crossing.tiers, key=lambda tier: self._ends(tier, booked.fill.at))
        breach = self.begun_by(
            booked,
            value=str(counts[longest.name]),
            limit=str(longest.limit),
            text=f"{counts[longest.name]} {self._what} {_words(longest)}, more than {longest.limit}",
            inputs={name: str(count) for name, count in counts.items()},
        )
        return Rest(breach, longest.rest)

    def _ends(self, tier: Tier, at: datetime) -> datetime:
        return at + tier.rest if isinstance(tier.rest, timedelta) else self._calendar.next_reset(at)

    def _traded_with(self, trades: Trades, booked: BookedFill) -> Trades:
        if not self._counts(booked) or booked.fill.order in trades.orders:
            return trades
        orders = trades.orders
        if self._what != "round_turns":
            orders = orders | {booked.fill.order}
        at = booked.fill.at
        times = (*trades.times, at)
        counts = {t.name: len(times) - t.left_out(times, at) for t in self._tiers}
        crossed = tuple(t for t in self._tiers if counts[t.name] == t.limit + 1)
        crossings = (*trades.crossings, Crossing(booked, crossed, counts)) if crossed else trades.crossings
        return Trades(times, orders, crossings)

    def _counts(self, booked: BookedFill) -> bool:
        """Whether the fill may stand for a trade: the first of an order, or the last of a round turn."""
        if booked.own is not OwnClose.NO:
            return False
        match self._what:
            case "round_turns":
                return booked.flat_after
            case "entries":
                return bool(booked.opened)
            case "executions":
                return True

    # ------------------------------------------------------------------------------ figure, probe

    def alerts(
        self, episodes: Episodes, snapshot: AccountSnapshot, now: Now
    ) -> tuple[Episodes, tuple[Notice, ...]]:
        times = self._trades.of(snapshot.fills).times
        used = dict[str, tuple[Fraction, str]]()
        for tier in self._tiers:
            count = tier.count(times, now.wall)
            used[tier.name] = (
                Fraction(count, tier.limit),
                f"{count} of {tier.limit} {self._what} {_words(tier)}",
            )
        return near_alerts(episodes, self.name, snapshot.day, used, self._alert_at)

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        """The tier of which most is used."""
        times = self._trades.of(snapshot.fills).times
        if not self._tiers:
            return NO_FIGURE
        counts = [(tier.count(times, snapshot.now.wall), tier.limit) for tier in self._tiers]
        count, limit = max(counts, key=lambda pair: pair[0] / pair[1])
        return Figure(str(count), str(limit), count / limit, str(max(0, limit - count)), None)

    def probe(self, now: Now) -> Probe:
        if not self._tiers:
            return Probe((), ())
        limit = self._tiers[0].limit
        return Probe(self._traded(limit, limit + 1, now), self._traded(limit - 1, limit, now))

    def _traded(self, first: int, then: int, now: Now) -> tuple[AccountSnapshot, ...]:
        """So many countable trades, a millisecond apart."""
        record, fills, story = sandbox.contract(), list[BookedFill](), list[AccountSnapshot]()
        for trade in range(then + 1):
            at = sandbox.after(now, trade * 0.001)
            if trade in (first, then):
                story.append(sandbox.snapshot(at, fills=fills, cause=f"fill:{2 * trade}"))
            if self._what == "round_turns":
                fills.append(sandbox.closing_fill(record, 2 * trade + 2, -1, at.wall, 0))
            else:
                fills.append(sandbox.opening_fill(record, 2 * trade + 2, 1, at.wall))
        return tuple(story)


def _words(tier: Tier) -> str:
    return {"per_minute": "in a minute", "per_hour": "in an hour"}.get(tier.name, "in the trading day")
