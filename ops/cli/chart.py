"""The picture of a report as SVG, made with nothing but text. Readable in light and dark: the page's own
colours follow the reader's preference, and every mark differs by shape or word as well as by colour.

A day is its realized P&L (fees taken off) as steps over time, with the day's limits and where rules acted.
A week or month is one bar per day with the running total over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any, NamedTuple

from ops.cli import words

WIDTH, HEIGHT, FOOT_ROW = 860, 300, 16
LEFT, RIGHT, TOP, BOTTOM = 88, 24, 44, 32
LISTED = 8
"""What rules did, in words below a day."""
STYLE = """
  svg { --ink: #1c2128; --faint: #57606a; --rule: #d0d7de; --page: #ffffff;
        --line: #0969da; --gain: #1a7f37; --loss: #cf222e; --act: #8250df; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --faint: #9198a1; --rule: #3d444d; --page: #0d1117;
          --line: #58a6ff; --gain: #3fb950; --loss: #f85149; --act: #bc8cff; } }
  text { font: 12px system-ui, sans-serif; fill: var(--faint); }
  .title { font-size: 14px; font-weight: 600; fill: var(--ink); }
  .page { fill: var(--page); } .grid { stroke: var(--rule); } .zero { stroke: var(--faint); }
  .curve { fill: none; stroke: var(--line); stroke-width: 2; }
  .limit { stroke: var(--loss); stroke-dasharray: 6 4; }
  .target { stroke: var(--gain); stroke-dasharray: 6 4; }
  .act { fill: var(--act); stroke: var(--page); }
  .shadow { fill: none; stroke: var(--act); stroke-width: 2; }
  .gain { fill: var(--gain); } .fall { fill: var(--loss); }
  .gap { fill: none; stroke: var(--faint); stroke-dasharray: 3 3; }
"""


class Span(NamedTuple):
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float], room: float = 0.08) -> Span:
        found = list(values)
        low, high = min(found), max(found)
        spare = (high - low or 1.0) * room
        return cls(low - spare, high + spare)

    def part(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


class Frame:
    """One account's panel: dollars upward, time or days to the right."""

    def __init__(self, top: int, across: Span, up: Span) -> None:
        self.top, self._across, self.up = top, across, up

    def x(self, value: float) -> float:
        return round(LEFT + self._across.part(value) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(self.top + HEIGHT - BOTTOM - self.up.part(value) * (HEIGHT - TOP - BOTTOM), 1)

    def level(self, value: float, kind: str, text: str) -> str:
        y = self.y(value)
        line = f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        return line + f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(text)}</text>'

    def note(self, value: float, text: str) -> str:
        return f'<text x="{LEFT + 6}" y="{self.y(value) - 5}">{escape(text)}</text>'

    def foot(self, value: float, text: str, anchor: str = "middle") -> str:
        y = self.top + HEIGHT - BOTTOM + 18
        return f'<text x="{self.x(value)}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def drawn(answer: dict[str, Any]) -> str:
    """The whole picture, one panel per account below another."""
    accounts = list(dict.fromkeys(day["account"] for day in answer["days"]))
    parts, top = list[str](), 0
    for account in accounts:
        panel, height = (_day if answer["period"] == "day" else _days)(answer, account, top)
        parts += panel
        top += height
    if not accounts:
        parts, top = [_text(LEFT, TOP, "no trading day is recorded in this period")], 2 * TOP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" role="img">'
    title = f"<title>riskd report, {answer['period']} to {answer['last']}</title>"
    page = f'<rect class="page" width="{WIDTH}" height="{top}"/>'
    return "\n".join((head, title, f"<style>{STYLE}</style>", page, *parts, "</svg>", ""))


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}">{escape(text)}</text>'


def _dollars(value: object) -> float:
    return float(Decimal(str(value)))


def _seconds(at: object) -> float:
    found = words.parsed(at)
    assert found is not None
    return found.timestamp()


def _of(entries: Iterable[dict[str, Any]], account: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["account"] == account]


# ------------------------------------------------------------------ one day


def _day(answer: dict[str, Any], account: str, top: int) -> tuple[list[str], int]:
    curve, acts, limits = (_of(answer[name], account) for name in ("curve", "acts", "limits"))
    nets = [0.0, *(_dollars(point["net"]) for point in curve)]
    held = [_dollars(limit["limit"]) for limit in limits]
    now = _seconds(answer["at"])
    times = [now, *(_seconds(entry["at"]) for entry in (*curve, *acts))]
    frame = Frame(top, Span.over([min(times) - 60, *times], 0.02), Span.over([*nets, *held]))
    parts = [
        _text(LEFT, top + 24, f"{account}  {answer['last']}  {words.money(str(nets[-1]))} realized", "title")
    ]
    parts += _grid(frame, nets, held)
    for limit, value in zip(limits, held, strict=True):
        parts.append(frame.level(value, "limit" if value < 0 else "target", words.money(limit["limit"])))
        parts.append(frame.note(value, limit["rule"]))
    steps = [(_seconds(point["at"]), _dollars(point["net"])) for point in curve]
    parts.append(_steps(frame, [(min(times), 0.0), *steps, (now, nets[-1])]))
    parts += _acts(frame, acts, curve)
    parts += _hours(frame, min(times), max(times))
    listed = _listed(acts, top + HEIGHT)
    return parts + listed, HEIGHT + FOOT_ROW * len(listed) + (12 if listed else 0)


def _grid(frame: Frame, values: Sequence[float], named: Sequence[float]) -> list[str]:
    """Zero and the extremes reached, but where their figure would stand on that of a limit."""
    taken = [frame.y(value) for value in (0.0, *named)]
    rows = [frame.level(0.0, "zero", "$0.00")]
    extremes = sorted({min(values), max(values)} - {0.0, *named})
    free = [value for value in extremes if all(abs(frame.y(value) - y) >= FOOT_ROW for y in taken)]
    return [*rows, *(frame.level(value, "grid", words.money(f"{value:.2f}")) for value in free)]


def _steps(frame: Frame, points: Sequence[tuple[float, float]]) -> str:
    """The sum stays where it is until the next fill."""
    (first, level), *others = points
    path = [f"M{frame.x(first)},{frame.y(level)}"]
    for at, net in others:
        path.append(f"H{frame.x(at)}" + (f" V{frame.y(net)}" if net != level else ""))
        level = net
    return f'<path class="curve" d="{" ".join(path)}"/>'


def _acts(frame: Frame, acts: Sequence[dict[str, Any]], curve: Sequence[dict[str, Any]]) -> list[str]:
    """A diamond for a breach, a square for a lockout, hollow for a rule in shadow; the words on hovering."""
    parts = []
    for act in acts:
        at = _seconds(act["at"])
        before = [_dollars(p["net"]) for p in curve if _seconds(p["at"]) <= at]
        x, y = frame.x(at), frame.y(before[-1] if before else 0.0)
        size = 5 if act["kind"] == "lockout" else 6
        turn = "" if act["kind"] == "lockout" else f' transform="rotate(45 {x} {y})"'
        kind = "shadow" if act["mode"] == "shadow" else "act"
        box = f'x="{x - size:g}" y="{y - size:g}" width="{2 * size}" height="{2 * size}"'
        shape = f'<rect class="{kind}"{turn} {box}>'
        parts.append(f"{shape}<title>{escape(f'{act["rule"]}: {act["text"]}')}</title></rect>")
    return parts


def _hours(frame: Frame, first: float, last: float) -> list[str]:
    """Both ends of the axis, in local time."""
    ends = ((first, "start"), (last, "end")) if last - first > 1 else ((last, "end"),)
    return [frame.foot(at, _clock(at), anchor) for at, anchor in ends]


def _clock(seconds: float) -> str:
    local = datetime.fromtimestamp(seconds).astimezone()
    return f"{local:%H:%M:%S} {local:%Z}"


def _listed(acts: Sequence[dict[str, Any]], top: int) -> list[str]:
    lines = [f"{_clock(_seconds(a['at']))}  {a['kind']}  {a['rule']}: {a['text']}" for a in acts[:LISTED]]
    if len(acts) > LISTED:
        lines.append(f"and {len(acts) - LISTED} more: riskd history")
    return [_text(LEFT, top + 12 + FOOT_ROW * row, line) for row, line in enumerate(lines)]


# ------------------------------------------------------------------ a week or month


def _days(answer: dict[str, Any], account: str, top: int) -> tuple[list[str], int]:
    days = _of(answer["days"], account)
    whole = [day for day in days if not day["gap"]]
    results = [_dollars(day["realized"]) for day in whole]
    running = [_dollars(day["running"]) for day in whole]
    frame = Frame(top, Span(-0.6, len(days) - 0.4), Span.over([0.0, *results, *running]))
    last = words.money(whole[-1]["running"]) if whole else words.NONE
    title = f"{account}  {answer['first']} to {answer['last']}  {last} realized"
    parts = [_text(LEFT, top + 24, title, "title"), *_grid(frame, [0.0, *results, *running], ())]
    every = max(1, len(days) // 10)
    for place, day in enumerate(days):
        parts.append(_gap(frame, place) if day["gap"] else _bar(frame, place, day))
        if place % every == 0:
            parts.append(frame.foot(place, str(day["day"])[5:]))
    path = " ".join(
        f"{'L' if place else 'M'}{frame.x(days.index(day))},{frame.y(total)}"
        for place, (day, total) in enumerate(zip(whole, running, strict=True))
    )
    return [*parts, f'<path class="curve" d="{path}"><title>running total</title></path>'], HEIGHT


def _bar(frame: Frame, place: int, day: dict[str, Any]) -> str:
    value = _dollars(day["realized"])
    kind = "gain" if value >= 0 else "fall"
    return _box(frame, place, kind, 0.0, value, f"{day['day']}: {words.money(day['realized'])}")


def _gap(frame: Frame, place: int) -> str:
    low, high = frame.up
    return _box(frame, place, "gap", low, high, "not guarded")


def _box(frame: Frame, place: int, kind: str, one: float, other: float, told: str) -> str:
    x, right = frame.x(place - 0.3), frame.x(place + 0.3)
    top, bottom = sorted((frame.y(one), frame.y(other)))
    size = f'width="{round(right - x, 1)}" height="{round(bottom - top, 1)}"'
    return f'<rect class="{kind}" x="{x}" y="{top}" {size}><title>{escape(told)}</title></rect>'
