"""What each fault did: how soon it was noticed, how soon all was well again, what was lost or done twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from ops.cli.page import Page
from ops.demo.acts import Played
from ops.demo.look import number_of
from ops.demo.storm.faults import Strike

type Line = dict[str, Any]


class FaultRow(Struct, frozen=True):
    """One strike of the storm."""

    faults: tuple[str, ...]
    tells: str
    detected_ms: float | None
    """From the fault to the link that is no longer called live, or the call that is known to have failed, or
    the fill that a read brought. Null where there was nothing to notice."""
    live_ms: float | None
    """From there to the live link, or to the account seen to comply."""
    events_lost: int
    """Executions in the gateway's books that the guard never counted."""
    double_effects: int
    """Executions beyond those that the trade and one close of it make."""
    held: bool

    @property
    def good(self) -> bool:
        return self.held and not self.events_lost and not self.double_effects


def fault_rows(
    strikes: Sequence[Strike], played: Sequence[Played], links: Sequence[Line], accounts: Sequence[str]
) -> tuple[FaultRow, ...]:
    """`played` are the acts of `strikes`, in their order; `links` is the link's history, oldest first."""
    ends = [each.began for each in played[1:]]
    until = [*ends, datetime.max.replace(tzinfo=played[0].began.tzinfo)] if played else []
    pairs = zip(strikes, played, until, strict=False)
    return tuple(_row(strike, act, _within(links, act.began, end), accounts) for strike, act, end in pairs)


def _within(lines: Iterable[Line], since: datetime, until: datetime) -> list[Line]:
    return [line for line in lines if since <= _at(line) < until]


def _row(strike: Strike, played: Played, links: list[Line], accounts: Sequence[str]) -> FaultRow:
    detected_ms, live_ms = _link(played, links) or _reading(strike, played) or _call(played) or (None, None)
    before, after = played.books
    new = [row for row in after.get("trades", ()) if row["id"] not in {t["id"] for t in before["trades"]}]
    counted = {line["trade"] for line in played.history if line["kind"] == "fill"}
    struck, *others = (number_of(after, name) for name in accounts)
    beyond = sum(row["accountId"] == struck for row in new) - strike.executions
    elsewhere = sum(row["accountId"] in others for row in new)
    return FaultRow(
        faults=strike.names,
        tells=strike.tells,
        detected_ms=detected_ms,
        live_ms=live_ms,
        events_lost=sum(row["accountId"] == struck and row["id"] not in counted for row in new),
        double_effects=max(0, beyond) + elsewhere,
        held=played.held,
    )


def _link(played: Played, links: list[Line]) -> tuple[float | None, float | None] | None:
    """The link stopped being live, and was again."""
    blind = next((line for line in links if line["state"] != "live"), None)
    if blind is None:
        return None
    live = next((line for line in links if line["state"] == "live" and _at(line) >= _at(blind)), None)
    return _ms(_at(blind) - played.began), None if live is None else _ms(_at(live) - _at(blind))


def _reading(strike: Strike, played: Played) -> tuple[float | None, float | None] | None:
    """The stream did not tell in time: the first call shows when the guard knew."""
    receipt = _receipt(played)
    if not strike.unheard or receipt is None:
        return None
    known = min(_instant(call["at"]) for call in receipt["calls"])
    return _ms(known - played.began), _ms(_instant(receipt["verified_at"]) - known)


def _call(played: Played) -> tuple[float | None, float | None] | None:
    """A call failed, and the account was seen to comply after all."""
    receipt = _receipt(played)
    failed = [call for call in receipt["calls"] if call["outcome"] != "confirmed"] if receipt else []
    if receipt is None or not failed:
        return None
    known = _instant(failed[0]["at"]) + timedelta(milliseconds=failed[0]["took_ms"])
    return round(failed[0]["took_ms"], 1), _ms(_instant(receipt["verified_at"]) - known)


def _receipt(played: Played) -> Line | None:
    """The receipt of this act: one of the act before may be written down after this one has begun."""
    lines = (line for line in played.history if line["kind"] == "enforcement" and line["verified"])
    mine = (line for line in lines if line["account"] == played.act.account and line["calls"])
    return next((line for line in mine if _instant(line["calls"][0]["at"]) >= played.began), None)


def _at(line: Line) -> datetime:
    return _instant(line["at"])


def _instant(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _ms(span: timedelta) -> float:
    return round(span.total_seconds() * 1e3, 1)


# ---------------------------------------------------------------------- for people


def show_faults(page: Page, rows: Iterable[FaultRow]) -> None:
    page.line()
    page.table(
        ("FAULT", "DETECTED IN", "LIVE IN", "EVENTS LOST", "DOUBLE EFFECTS"),
        (
            (
                " + ".join(r.faults),
                _time(r.detected_ms),
                _time(r.live_ms),
                str(r.events_lost),
                str(r.double_effects),
            )
            for r in rows
        ),
    )


def _time(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"
