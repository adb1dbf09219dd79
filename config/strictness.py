"""Which of two values protects more, compared by meaning. Pure.

A `Direction` is asked with the value in force and the wanted one, and answers the wanted value as far as it
protects no less in any case: the wanted one where it only tightens, the one in force where it only loosens,
a third one (more lots blocked, fewer allowed) where it does both. Where it cannot tell, it is the one in
force: an unknown direction counts as loosening.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from config.instruments import is_glob, matches
from config.settings import Alert, Breakeven, EarlyClose, LossTier, Session, StopTicks, Trailing

_ENDLESS = float("inf")


class Direction(NamedTuple):
    """What tightens a value, in words, and the strictest blend of two values."""

    tightens: str
    meet: Callable[[Any, Any], Any]
    """(in force, wanted) -> a value at least as strict as the one in force, as near the wanted as it gets."""


def _smaller(old: Any, new: Any) -> Any:
    if old is None or new is None:
        return old if new is None else new
    return min(old, new)


def _larger(old: Any, new: Any) -> Any:
    if old is None or new is None:
        return old if new is None else new
    return max(old, new)


def words(*loosest_to_strictest: object) -> Direction:
    """Words in order; one that is not among them is kept as it is."""

    def meet(old: Any, new: Any) -> Any:
        known = loosest_to_strictest
        if old not in known or new not in known:
            return old
        return max(old, new, key=known.index)

    return Direction(f"towards {loosest_to_strictest[-1]}", meet)


FREE = Direction("protects neither more nor less", lambda old, new: new)
UNKNOWN = Direction("not to be told: any change counts as loosening", lambda old, new: old)
SMALLER = Direction("smaller; none is laxest", _smaller)
LARGER = Direction("larger; none is laxest", _larger)
NEARER_LOSS = Direction("nearer to zero", _larger)
"""Losses are negative: the larger one is met first."""
SWITCHED_ON = words(False, True)
SWITCHED_OFF = words(True, False)


def _rest(old: Any, new: Any) -> Any:
    """Spans by their length. Until the reset may be longer or shorter than any span."""
    if "none" in (old, new):
        return new if old == "none" else old
    if isinstance(old, timedelta) and isinstance(new, timedelta):
        return max(old, new)
    return old


REST = Direction("longer; until_reset and a duration cannot be compared", _rest)


def _delay(old: Any, new: Any) -> Any:
    return new if old is None else old if new is None else _rest(old, new)


DELAY = Direction("longer; null is laxest", _delay)
ADDED = Direction("set where nothing was set", lambda old, new: new if old is None else old)


def _blocked(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    left = [one for one in old if not any(_covers(wide, one) for wide in new)]
    more = any(not any(_covers(wide, one) for wide in old) for one in new)
    return (*new, *left) if more or not left else old


def _covers(wide: str, one: str) -> bool:
    return wide == one or wide == "*" or (not is_glob(one) and matches(one, wide))


BLOCKED = Direction("more roots", _blocked)


def _tiers(old: tuple[LossTier, ...], new: tuple[LossTier, ...]) -> tuple[LossTier, ...]:
    blend = list[LossTier]()
    for loss in sorted({tier.loss for tier in (*old, *new)}, reverse=True):
        rest = max(_earned(old, loss), _earned(new, loss))
        if not blend or rest > blend[-1].cooldown:
            blend.append(LossTier.model_construct(loss=loss, cooldown=rest))
    return tuple(blend)


def _earned(tiers: tuple[LossTier, ...], loss: int) -> timedelta:
    return max((tier.cooldown for tier in tiers if loss <= tier.loss), default=timedelta(0))


TIERS = Direction("a longer rest for some loss", _tiers)


class Lots(NamedTuple):
    """Most lots by root, and what applies to a root that is not listed."""

    limits: Mapping[str, int]
    default_limit: int | None
    unknown: str

    def unlisted(self) -> float:
        if self.unknown == "block":
            return 0
        return _ENDLESS if self.unknown == "allow" or self.default_limit is None else self.default_limit

    def of(self, root: str) -> float:
        return self.limits.get(root, self.unlisted())


def _lots(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    was, wanted = Lots(*old), Lots(*new)
    roots = was.limits.keys() | wanted.limits.keys()
    least = {root: min(was.of(root), wanted.of(root)) for root in sorted(roots)}
    keeps = wanted.unlisted() <= was.unlisted()
    if keeps and all(least[root] == wanted.of(root) for root in roots):
        return new
    if was.unlisted() <= wanted.unlisted() and all(least[root] == was.of(root) for root in roots):
        return old
    _, default_limit, unknown = new if keeps else old
    return ({root: int(lots) for root, lots in least.items() if lots != _ENDLESS}, default_limit, unknown)


LOTS = Direction("fewer lots of some root", _lots)


def _scoped(old: tuple[str, str | None], new: tuple[str, str | None]) -> tuple[str, str | None]:
    """Only moving the stop is less than closing; one position and the account cannot be compared."""
    if old[0] != new[0]:
        return old
    return old if new[1] == "breakeven" and old[1] != "breakeven" else new


SCOPED = Direction("close instead of breakeven; scopes cannot be compared", _scoped)


def _ticks(old: StopTicks | None, new: StopTicks | None) -> StopTicks | None:
    if old is None or new is None:
        return old or new
    return min(old, new, key=lambda one: one.ticks)


TICKS = Direction("fewer ticks; none is laxest", _ticks)


def _breakeven(old: Breakeven | None, new: Breakeven | None) -> Breakeven | None:
    if old is None or new is None:
        return old or new
    sooner = new.after_ticks <= old.after_ticks and new.offset_ticks >= old.offset_ticks
    return new if sooner else old


BREAKEVEN = Direction("sooner, and not nearer to a loss", _breakeven)


def _trailing(old: Trailing | None, new: Trailing | None) -> Trailing | None:
    if old is None or new is None:
        return old or new
    return Trailing.model_construct(
        after_ticks=min(old.after_ticks, new.after_ticks),
        distance_ticks=min(old.distance_ticks, new.distance_ticks),
    )


TRAILING = Direction("sooner or nearer", _trailing)


def _session(old: Session | None, new: Session | None) -> Session | None:
    """The part of the window that both have; windows of different zones are not compared."""
    if old is None or new is None:
        return new if old is None else old
    if (old.timezone, old.overnight) != (new.timezone, new.overnight) or old.overnight:
        return new if old == new else _fewer_days(old, new)
    days = tuple(day for day in new.days if day in old.days)
    start, end = max(old.start, new.start), min(old.end, new.end)
    if not days or start >= end:
        return old
    return new.model_copy(update={"start": start, "end": end, "days": days})


def _fewer_days(old: Session, new: Session) -> Session:
    same = old.model_copy(update={"days": new.days}) == new
    return new if same and set(new.days) <= set(old.days) else old


SESSION = Direction("a window within the one before", _session)


def _early(old: tuple[EarlyClose, ...], new: tuple[EarlyClose, ...]) -> tuple[EarlyClose, ...]:
    wanted = {early.date: early for early in new}
    kept = {early.date: early for early in old if _closes_before(early, wanted)}
    return (*(kept.pop(early.date, early) for early in new), *kept.values())


def _closes_before(early: EarlyClose, wanted: Mapping[date, EarlyClose]) -> bool:
    other = wanted.get(early.date)
    return other is None or early.close < other.close


EARLIER_CLOSES = Direction("more dates, earlier closes", _early)
_LEVELS = ("critical", "error", "warning", "info")


def _alerts(old: tuple[Alert, ...], new: tuple[Alert, ...]) -> tuple[Alert, ...]:
    left = [alert for alert in old if not any(_tells_all(other, alert) for other in new)]
    return (*new, *left)


def _tells_all(other: Alert, alert: Alert) -> bool:
    louder = _LEVELS.index(other.level) >= _LEVELS.index(alert.level)
    kinds = not other.only or (bool(alert.only) and set(alert.only) <= set(other.only))
    return other.to == alert.to and louder and kinds


ALERTS = Direction("more targets, lower levels, more kinds", _alerts)
