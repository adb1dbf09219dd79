"""The storm: every fault of the simulated gateway has its row, and the row tells what came of it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.checks import settings_from
from ops.demo import perform
from ops.demo.acts import Act, Played
from ops.demo.report import report
from ops.demo.screen import Teller
from ops.demo.script import FAST, FULL, Script, Tempo
from ops.demo.storm import CALM, STORM, rows, storm, story, strikes_of
from ops.demo.storm.faults import Strike
from ops.demo.storm.table import FaultRow, fault_rows
from ops.simulator.faults import FAULTS

NOW = datetime(2026, 3, 4, 16, tzinfo=UTC)
ACCOUNTS = [{"id": 1, "name": STORM}, {"id": 2, "name": CALM}]
PLAIN = Strike(("http_500",), "x", ())


@pytest.mark.parametrize("tempo", [FAST, FULL], ids=["fast", "full"])
def test_every_fault_of_the_gateway_strikes(tempo: Tempo) -> None:
    struck = {name for strike in strikes_of(tempo) for name in strike.names}

    assert struck == set(FAULTS)


def test_configuration_is_valid_and_every_strike_has_an_act() -> None:
    told = storm(FAST)

    settings_from(told.configuration)
    assert len([act for act in told.acts if act.rule]) == len(strikes_of(FAST))


# ---------------------------------------------------------------------- a row


def trade(number: int, account: int = 1) -> dict[str, int]:
    return {"id": number, "accountId": account}


def fill(number: int) -> dict[str, Any]:
    return {"kind": "fill", "trade": number, "account": STORM}


def call(outcome: str, at_s: float, took_ms: float) -> dict[str, Any]:
    return {"at": NOW + timedelta(seconds=at_s), "outcome": outcome, "took_ms": took_ms}


def receipt(*calls: dict[str, Any], verified_s: float) -> dict[str, Any]:
    at = (NOW + timedelta(seconds=verified_s)).isoformat()
    return {"kind": "enforcement", "account": STORM, "verified": True, "calls": calls, "verified_at": at}


def link(state: str, at_s: float) -> dict[str, Any]:
    return {"state": state, "at": NOW + timedelta(seconds=at_s)}


def row(
    *history: dict[str, Any],
    strike: Strike = PLAIN,
    trades: tuple[dict[str, int], ...] = (),
    links: tuple[dict[str, Any], ...] = (),
    missed: tuple[tuple[str, str], ...] = (),
) -> FaultRow:
    before = {"accounts": ACCOUNTS, "trades": [trade(1)]}
    after = {"accounts": ACCOUNTS, "trades": [trade(1), *trades]}
    act = Act(tells="x", account=STORM)
    played = Played(act=act, began=NOW, took_s=1.0, missed=missed, history=[*history], books=(before, after))
    (found,) = fault_rows((strike,), (played,), links, (STORM, CALM))
    return found


def test_link_that_was_lost_gives_the_times_from_fault_to_blind_to_live() -> None:
    found = row(links=(link("live", -1), link("blind", 0.004), link("down", 0.01), link("live", 0.05)))
    assert (found.detected_ms, found.live_ms) == (4.0, 46.0)


def test_call_that_failed_gives_what_it_took_and_the_time_to_compliance() -> None:
    calls = (call("unknown", 0.010, 20.0), call("confirmed", 0.040, 5.0))
    found = row(receipt(*calls, verified_s=0.06))
    assert (found.detected_ms, found.live_ms) == (20.0, 30.0)


def test_trade_that_no_event_told_gives_the_time_until_something_was_done_about_it() -> None:
    unheard = Strike(("event_lost",), "x", (), unheard=True)
    found = row(receipt(call("confirmed", 2.0, 5.0), verified_s=2.1), strike=unheard)
    assert (found.detected_ms, found.live_ms) == (2000.0, 100.0)


def test_fault_that_nobody_could_notice_has_no_times() -> None:
    found = row(receipt(call("confirmed", 0.001, 5.0), verified_s=0.01))
    assert (found.detected_ms, found.live_ms, found.good) == (None, None, True)


@pytest.mark.parametrize(
    ("counted", "trades", "lost", "doubled"),
    [
        ((2, 3), (trade(2), trade(3)), 0, 0),
        ((2,), (trade(2), trade(3)), 1, 0),
        ((2, 3, 4), (trade(2), trade(3), trade(4)), 0, 1),
        ((2, 3), (trade(2), trade(3), trade(4, account=2)), 0, 1),
        ((2,), (trade(2),), 0, 0),
    ],
)
def test_executions_are_compared_with_the_books_of_the_gateway(
    counted: tuple[int, ...], trades: tuple[dict[str, int], ...], lost: int, doubled: int
) -> None:
    found = row(*map(fill, counted), trades=trades)
    assert (found.events_lost, found.double_effects) == (lost, doubled)
    assert found.good is (lost == doubled == 0)


def test_lines_of_the_link_belong_to_the_act_in_which_they_fell() -> None:
    books = ({"accounts": ACCOUNTS, "trades": []}, {"accounts": ACCOUNTS, "trades": []})
    acts = [
        Played(act=Act(tells="x", account=STORM), began=NOW + timedelta(seconds=s), took_s=1.0, books=books)
        for s in (0, 10)
    ]
    links = [link("blind", 11), link("live", 12)]
    first, second = fault_rows((PLAIN, PLAIN), acts, links, (STORM, CALM))
    assert (first.detected_ms, second.detected_ms) == (None, 1000.0)


def test_report_with_a_lost_event_is_not_good() -> None:
    script = Script("storm", FAST, (), ())
    good = row()
    assert report(script, [], [], 1.0, None, (good,)).good
    assert not report(script, [], [], 1.0, None, (row(trades=(trade(2),)),)).good


# ---------------------------------------------------------------------- played


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.timeout(120)
def test_some_of_the_storm_is_weathered() -> None:
    """Three of its strikes on a running guard; all of them take a minute: `riskd demo --scenario storm`."""
    wanted = {("http_500",), ("hub_malformed",), ("stop_race",)}
    struck = tuple(strike for strike in strikes_of(FAST) if strike.names in wanted)

    told = perform(story(struck, FAST), Teller(), struck)

    assert told.good, told
    assert [row.faults for row in told.faults] == [strike.names for strike in struck]
    assert all(row.detected_ms is not None for row in told.faults if row.faults != ("stop_race",))
    assert rows(struck, [], []) == ()
