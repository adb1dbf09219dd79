"""The one formatter for people: money, prices, sizes, spans and moments as a trader reads them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation

NONE = "-"
"""What is shown where there is no value."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def money(amount: str | int | Decimal | None) -> str:
    """Dollars: `$1,234.56`, `-$500.00`; finer than a cent only where it is (`$15.625`)."""
    if amount is None:
        return NONE
    try:
        value = Decimal(amount)
    except InvalidOperation:
        return str(amount)
    places = max(2, -int(value.normalize().as_tuple().exponent))
    return f"{'-' if value < 0 else ''}${abs(value):,.{places}f}"


def plain(value: str | int | None) -> str:
    return NONE if value is None else str(value)


def size(contracts: int) -> str:
    """A position's size with its side: `+2`, `-3`."""
    return f"{contracts:+d}" if contracts else "0"


def span(seconds: float) -> str:
    """`1h 1m 5s`: the largest unit and what is left in the two below it; under a second `0s`."""
    rest = int(abs(seconds))
    parts: list[str] = []
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count}{unit}")
    shown = [part for part in parts[:3] if not part.startswith("0")] or ["0s"]
    return ("-" if seconds <= -1 else "") + " ".join(shown)


def age(seconds: float | None) -> str:
    """How old something is: `0.4s`, `12s`, `3m 5s`."""
    if seconds is None:
        return NONE
    return f"{seconds:.1f}s" if seconds < 10 else span(seconds)


def moment(at: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """Local time with its zone: `17:00:00 CST`, with the date when that is not today's."""
    if at is None:
        return NONE
    local = at.astimezone(zone)
    today = now.astimezone(zone).date()
    day = "" if local.date() == today else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S} {local:%Z}"


def until(at: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """An expiry with its countdown: `17:00:00 CST (in 5h 41m)`; without one: until it is lifted."""
    if at is None:
        return "until its condition ends or an admin lifts it"
    left = (at - now).total_seconds()
    return f"{moment(at, now, zone)} ({f'in {span(left)}' if left > 0 else 'now'})"


def acts_at(text: str | None, now: datetime) -> str:
    """The price or count at which a rule acts as it is; an instant (grace, session end) as a countdown."""
    instant = parsed(text) if text and "T" in text else None
    return plain(text) if instant is None else until(instant, now)


def share(used: float | None) -> str:
    return NONE if used is None else f"{used:.0%}"


def count(number: int, thing: str) -> str:
    """`1 account`, `2 accounts`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def parsed(instant: object) -> datetime | None:
    """An instant of an answer, whichever way it was stored (history keeps text)."""
    if isinstance(instant, datetime):
        return instant
    if isinstance(instant, str):
        try:
            found = datetime.fromisoformat(instant)
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
