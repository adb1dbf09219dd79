"""`riskd report`: figures for people, one object for scripts, and a picture that any browser reads."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ops.cli import chart
from supervisor.protocol import AskReport
from tests.ops.cli.stand_in import Riskd, StandIn

AT = datetime(2026, 3, 4, 20, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def whole_day(day: str, realized: str, running: str, account: str = "PRAC-1") -> dict[str, Any]:
    return {
        "account": account, "day": day, "gap": False, "realized": realized, "trades": 4, "fees": "1.48",
        "wins": 1, "losses": 2, "win_rate": 0.3333, "average_win": "40.00", "average_loss": "-90.00",
        "running": running, "peak": "40.00", "drawdown": "-140.00",
    }  # fmt: skip


GAP = {"account": "PRAC-1", "day": "2026-03-03", "gap": True}
TOTAL = {k: v for k, v in whole_day("", "-100.00", "").items() if k not in ("day", "gap", "running")}
ACT = {
    "account": "PRAC-1", "at": "2026-03-04T16:00:00Z", "kind": "breach", "rule": "daily_realized_loss",
    "mode": "armed", "text": "the day lost <100> & more",
}  # fmt: skip
WEEK = {
    "schema": 1, "at": AT, "period": "week", "first": "2026-03-02", "last": "2026-03-04",
    "days": [whole_day("2026-03-02", "-140.00", "-140.00"), GAP, whole_day("2026-03-04", "40.00", "-100.00")],
    "totals": [TOTAL | {"days": 2}],
    "rules": [
        {"account": "PRAC-1", "rule": "daily_realized_loss", "breaches": 2, "lockouts": 1, "in_shadow": 3}
    ],
    "acts": [ACT, ACT | {"kind": "lockout"}, ACT | {"mode": "shadow"}],
    "limits": [{"account": "PRAC-1", "rule": "daily_realized_loss", "limit": "-500.00"}],
    "curve": [],
}  # fmt: skip
CURVE = [
    {"account": "PRAC-1", "at": "2026-03-04T15:00:00Z", "net": "40.00"},
    {"account": "PRAC-1", "at": "2026-03-04T16:00:00Z", "net": "-100.00"},
]
DAY = WEEK | {"period": "day", "days": [whole_day("2026-03-04", "-100.00", "-100.00")], "curve": CURVE}
NOTHING = WEEK | {"days": [], "totals": [], "rules": [], "acts": []}


def test_a_week_is_shown_day_by_day_with_its_gap_and_its_total(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["report"] = WEEK

    out = riskd("report", "week").out

    assert daemon.asked[-1] == ("report", AskReport("week"))
    rows = [line.split() for line in out.splitlines()]
    assert ["2026-03-03", "PRAC-1", "not", "guarded", *["-"] * 8] in rows
    assert "-$140.00" in out
    assert "win rate 33% (average win $40.00, loss -$90.00)" in out
    assert "deepest drawdown -$140.00 from a peak of $40.00" in out
    assert ["PRAC-1", "daily_realized_loss", "2", "1", "3"] in rows


def test_a_period_without_days_says_so(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["report"] = NOTHING

    assert riskd("report", "month").out == "no trading day is recorded in this period\n"


def test_json_is_the_answer_itself(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["report"] = DAY

    assert riskd("report", "--json").json["curve"] == CURVE


@pytest.mark.parametrize("answer", [DAY, WEEK, NOTHING, DAY | {"curve": [], "acts": []}])
def test_the_picture_is_well_formed_and_inside_its_frame(answer: dict[str, Any]) -> None:
    root = ElementTree.fromstring(chart.drawn(answer))

    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for shape in root.iter():
        for name, most in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height)):
            assert 0 <= float(shape.get(name, 0)) <= most, shape.attrib
    assert "prefers-color-scheme: dark" in str(root.findtext(f"{SVG}style"))


def test_the_picture_of_a_day_shows_limit_curve_and_where_rules_acted(
    daemon: StandIn, riskd: Riskd, tmp_path: Path
) -> None:
    daemon.answers["report"] = DAY
    file = tmp_path / "day.svg"

    ran = riskd("report", "day", "--picture", str(file))

    root = ElementTree.fromstring(file.read_text())
    kinds = [shape.get("class") for shape in root.iter()]
    assert ran.code == 0
    assert f"drawn to {file}" in ran.err
    assert kinds.count("act") == 2
    assert (kinds.count("shadow"), kinds.count("limit"), kinds.count("curve")) == (1, 1, 1)
    told = [title.text for title in root.iter(f"{SVG}title")]
    assert "daily_realized_loss: the day lost <100> & more" in told


@pytest.mark.parametrize(("file", "code"), [("day.png", 2), ("no/such/folder/day.svg", 1)])
def test_a_picture_that_cannot_be_written_is_one_line(
    daemon: StandIn, riskd: Riskd, tmp_path: Path, file: str, code: int
) -> None:
    daemon.answers["report"] = DAY

    ran = riskd("report", "--picture", str(tmp_path / file))

    assert ran.code == code
    assert ran.err.startswith("cannot ")
    assert len(ran.err.splitlines()) == 1
