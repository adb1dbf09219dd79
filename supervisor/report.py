"""The figures of past trading days, from what is stored of them alone. Pure.

A day of which nothing is stored was not guarded: it is a gap, shown as one and left out of every sum. Running
total, peak and drawdown begin at zero with the period's first day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from actors.messages import HistoryKind, Money
from actors.money import money_text
from actors.persistence.queries import DayReport
from config.values import dollars

SATURDAY = 5
MOST_POINTS = 1000
MOST_ACTS = 500


def first_day(period: str, last: date) -> date:
    """The first trading day of the period that `last` ends: a trading week begins with Monday's day."""
    match period:
        case "day":
            return last
        case "week":
            return last - timedelta(days=last.weekday())
        case "month":
            return last.replace(day=1)
        case _:
            raise ValueError(f"cannot report by {period}")


def days_of(stored: Iterable[DayReport], today: date) -> list[dict[str, object]]:
    """One entry per account and day, oldest first; gaps stand between stored days and before today."""
    by_account: dict[str, dict[date, DayReport]] = {}
    for day in stored:
        by_account.setdefault(day.account, {})[day.day] = day
    shown = [entry for name in sorted(by_account) for entry in _account_days(name, by_account[name], today)]
    return sorted(shown, key=lambda entry: (str(entry["day"]), str(entry["account"])))


def _account_days(name: str, stored: Mapping[date, DayReport], today: date) -> Iterable[dict[str, object]]:
    running: Money = 0
    peak: Money = 0
    day, last = min(stored), max(max(stored), today - timedelta(days=1))
    while day <= last:
        if found := stored.get(day):
            running += found.realized
            peak = max(peak, running)
            yield _day(found) | _at(running, peak)
        elif day.weekday() < SATURDAY:
            yield {"account": name, "day": day.isoformat(), "gap": True}
        day += timedelta(days=1)


def _day(day: DayReport) -> dict[str, object]:
    return {
        "account": day.account,
        "day": day.day.isoformat(),
        "gap": False,
        "realized": money_text(day.realized),
        "trades": day.trades,
        "fees": money_text(day.fees),
        **_results(day.wins, day.losses, day.won, day.lost),
    }


def _at(running: Money, peak: Money) -> dict[str, object]:
    return {
        "running": money_text(running),
        "peak": money_text(peak),
        "drawdown": money_text(running - peak),
    }


def _results(wins: int, losses: int, won: Money, lost: Money) -> dict[str, object]:
    """Closes that won or lost; a scratch is neither. Averages before fees, null where there is none."""
    return {
        "wins": wins,
        "losses": losses,
        "win_rate": round(wins / (wins + losses), 4) if wins + losses else None,
        "average_win": _average(won, wins),
        "average_loss": _average(lost, losses),
    }


def _average(total: Money, count: int) -> str | None:
    """To the cent, half away from zero."""
    if not count:
        return None
    cents = (2 * abs(total) + 100 * count) // (200 * count)
    return money_text(cents * 100 if total >= 0 else -cents * 100)


def totals_of(stored: Iterable[DayReport]) -> list[dict[str, object]]:
    """One entry per account over the whole period."""
    by_account: dict[str, list[DayReport]] = {}
    for day in stored:
        by_account.setdefault(day.account, []).append(day)
    return [_total(name, sorted(days, key=lambda d: d.day)) for name, days in sorted(by_account.items())]


def _total(name: str, days: list[DayReport]) -> dict[str, object]:
    running = peak = deepest = 0
    for day in days:
        running += day.realized
        peak = max(peak, running)
        deepest = min(deepest, running - peak)
    wins, losses = sum(d.wins for d in days), sum(d.losses for d in days)
    return {
        "account": name,
        "days": len(days),
        "realized": money_text(running),
        "trades": sum(d.trades for d in days),
        "fees": money_text(sum(d.fees for d in days)),
        "peak": money_text(peak),
        "drawdown": money_text(deepest),
        **_results(wins, losses, sum(d.won for d in days), sum(d.lost for d in days)),
    }


def rules_of(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Breaches and lockouts by account and rule; what a rule in shadow would have done is counted apart."""
    breaches, shadow, lockouts = (Counter[tuple[str, str]]() for _ in range(3))
    for line in lines:
        key = (str(line["account"]), str(line["rule"]))
        if line["kind"] == HistoryKind.LOCKOUT:
            lockouts[key] += 1
        elif line.get("mode") == "shadow":
            shadow[key] += 1
        else:
            breaches[key] += 1
    return [
        {
            "account": account,
            "rule": rule,
            "breaches": breaches[account, rule],
            "in_shadow": shadow[account, rule],
            "lockouts": lockouts[account, rule],
        }
        for account, rule in sorted({*breaches, *shadow, *lockouts})
    ]


def curve_of(fills: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """The day's realized P&L after each fill, fees taken off, by account."""
    running: dict[str, Money] = {}
    points = list[dict[str, object]]()
    for fill in fills:
        account = str(fill["account"])
        gained = _money(fill.get("pnl")) - _money(fill.get("fees"))
        running[account] = running.get(account, 0) + gained
        points.append({"account": account, "at": fill["at"], "net": money_text(running[account])})
    return thinned(points, MOST_POINTS)


def thinned[T](points: list[T], most: int) -> list[T]:
    """At most so many of them, evenly, the last one always among them."""
    if len(points) <= most:
        return points
    step = -(-len(points) // most)
    return points[(len(points) - 1) % step :: step]


def acts_of(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """When rules acted: each breach and lockout in the words it was told in."""
    acts = [
        {
            "account": line["account"],
            "at": line["at"],
            "kind": line["kind"],
            "rule": line["rule"],
            "mode": line.get("mode", "armed"),
            "text": line.get("text") or line.get("reason"),
        }
        for line in lines
    ]
    return acts[-MOST_ACTS:]


def _money(text: object) -> Money:
    return 0 if text is None else dollars(str(text))
