"""How a trader writes an amount, a span of time, a time of day: text in, exact value out, and back.

Standard library only, so that the command line reads `--for 2h` with the same words as the configuration
without loading the schema. Every refusal is an `Unreadable` that says why and how to write it instead.
"""

import difflib
import re
import zoneinfo
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from zoneinfo import ZoneInfo

from config.errors import OperatorMustAct

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MONEY_PER_DOLLAR = 10_000
_MOST_DOLLARS = 100_000_000_000
_LONGEST = timedelta(days=3650)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DURATION = re.compile(r"(\d{1,10})([smhd])", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Unreadable(OperatorMustAct, ValueError):
    """A value that cannot be taken as written; `why` names the fault, `hint` how to write it."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(f"{why}. {hint}" if hint else why)
        self.why = why
        self.hint = hint


def dollars(amount: str | int | float | Decimal) -> int:
    """Dollars as written (`-500`, `"12.50"`) in 1/10000 dollar; finer fractions are refused."""
    text = str(amount).strip()
    if isinstance(amount, bool) or not _NUMBER.fullmatch(text):
        raise Unreadable(
            f"{text!r} is not an amount", "write a plain number of dollars, such as -500 or 12.50"
        )
    try:
        exact = Decimal(text) * MONEY_PER_DOLLAR
    except InvalidOperation as error:  # an exponent beyond what Decimal holds
        raise Unreadable(f"{text!r} is not an amount", "write a plain number of dollars") from error
    if abs(exact) > _MOST_DOLLARS * MONEY_PER_DOLLAR:
        raise Unreadable(f"{text!r} is more than {_MOST_DOLLARS} dollars", "write a smaller amount")
    if exact != exact.to_integral_value():
        raise Unreadable(f"{text!r} has more than four decimals", "the smallest unit is 0.0001 dollar")
    return int(exact)


def dollars_text(money: int) -> str:
    """1/10000 dollar as the plain number a trader writes: at least two decimals, a sign where negative."""
    whole, rest = divmod(abs(money), MONEY_PER_DOLLAR)
    decimals = f"{rest:04d}"
    decimals = decimals[:2] if decimals.endswith("00") else decimals.rstrip("0")
    return f"{'-' if money < 0 else ''}{whole}.{decimals}"


def duration(written: str | timedelta) -> timedelta:
    """`30s`, `5m`, `2h`, `1d`: a whole number and one unit."""
    if isinstance(written, timedelta):
        text, span = str(written), written
    else:
        text = str(written).strip()
        if text.startswith("-") and _DURATION.fullmatch(text[1:]):
            raise Unreadable(f"{text!r} is negative", f"a span of time cannot be: write {text[1:]}")
        match = _DURATION.fullmatch(text)
        if match is None:
            unit = f": write {text}s for seconds" if text.isdigit() else ""
            raise Unreadable(
                f"{text!r} is not a duration",
                f"write a whole number and one of s, m, h, d, such as 90s{unit}",
            )
        span = timedelta(seconds=min(int(match[1]) * _SECONDS[match[2]], 10**12))
    if span < timedelta(0):
        raise Unreadable(f"{text!r} is negative", "a span of time cannot be")
    if span > _LONGEST:
        raise Unreadable(f"{text!r} is longer than ten years", "write a shorter span")
    return span


def duration_text(span: timedelta) -> str:
    """The span in the largest unit that holds it whole: `90s`, `5m`, `2h`, `1d`."""
    seconds = span // timedelta(seconds=1)
    for unit in "dhm":
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def time_of_day(written: str | time) -> time:
    """`HH:MM` or `HH:MM:SS`, 00:00 to 23:59:59."""
    if isinstance(written, time):
        return written
    text = str(written).strip()
    match = _TIME.fullmatch(text)
    if match is None:
        if re.fullmatch(r"\d:[0-5]\d(:[0-5]\d)?", text):
            hint = f"write 0{text}"
        elif text.startswith("24:00"):
            hint = "midnight is 00:00"
        elif text.isdigit():
            hint = 'write HH:MM in quotes, such as "17:00"'
        else:
            hint = "write HH:MM or HH:MM:SS, such as 17:00"
        raise Unreadable(f"{text!r} is not a time of day", hint)
    return time(int(match[1]), int(match[2]), int(match[3] or 0))


def time_text(moment: time) -> str:
    """`HH:MM`, or `HH:MM:SS` where there are seconds."""
    return moment.isoformat("seconds" if moment.second else "minutes")


def weekday(written: str) -> str:
    """`mon` to `sun`; numbers are refused, because people count from 0 or 1, Sunday or Monday."""
    text = str(written).strip().lower()
    if text in WEEKDAYS:
        return text
    if text.lstrip("-").isdigit():
        raise Unreadable(f"{text!r} is a number, not a weekday", f"write one of {', '.join(WEEKDAYS)}")
    short = text[:3] if text[:3] in WEEKDAYS else ""
    raise Unreadable(
        f"{text!r} is not a weekday", f"write {short}" if short else f"write one of {', '.join(WEEKDAYS)}"
    )


def zone(written: str | ZoneInfo) -> ZoneInfo:
    """A zone of the IANA list, `Area/City` or `UTC`: abbreviations such as EST know no summer time."""
    if isinstance(written, ZoneInfo):
        return written
    text = str(written).strip()
    found = None
    if "/" in text or text == "UTC":
        try:
            found = ZoneInfo(text)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            found = None
    if found is None:
        near = close_match(text, zoneinfo.available_timezones())
        hint = f"did you mean {near}?" if near else "write an IANA name, such as America/Chicago"
        raise Unreadable(f"{text!r} is not a time zone", hint)
    return found


def share(written: str | Fraction) -> Fraction:
    """`80%`: more than nothing, at most the whole."""
    if isinstance(written, Fraction):
        part, text = written, str(written)
    else:
        text = str(written).strip()
        number = text[:-1].strip() if text.endswith("%") else ""
        if not _NUMBER.fullmatch(number):
            raise Unreadable(f"{text!r} is not a percentage", "write it with its sign, such as 80%, or null")
        part = Fraction(Decimal(number)) / 100
    if not 0 < part <= 1:
        raise Unreadable(f"{text!r} is outside 0% to 100%", "write a percentage such as 80%, or null")
    return part


def share_text(part: Fraction) -> str:
    """The fraction as the percentage that was written: `80%`."""
    percent = part * 100
    exact = Decimal(percent.numerator) / Decimal(percent.denominator)
    return f"{exact.normalize():f}%"


def calendar_date(written: str | date) -> date:
    """`YYYY-MM-DD`."""
    if isinstance(written, date) and not isinstance(written, datetime):
        return written
    text = str(written).strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise Unreadable(f"{text!r} is not in the calendar", "check month and day") from None
    raise Unreadable(f"{text!r} is not a date", "write YYYY-MM-DD, such as 2026-11-27")


def close_match(word: str, among: Iterable[str]) -> str:
    """The one of `among` that was probably meant, else an empty text."""
    by_lower = {known.lower(): known for known in among}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else ""
