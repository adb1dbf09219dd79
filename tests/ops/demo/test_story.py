"""The story as data: what it configures, that it covers every rule, and what its sights take for seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from config.checks import settings_from
from config.settings import Rules
from ops.demo.acts import Act, Played
from ops.demo.day import day
from ops.demo.look import Look
from ops.demo.report import report
from ops.demo.script import FAST, FULL, Script, Tempo
from ops.demo.sights import Attempted, Free, Holds, Judged, Locked, Managed, Unlocked, WorkingStop
from supervisor.answers import Status

NOW = datetime(2026, 3, 4, 16, tzinfo=UTC)
A = "DEMO-A"
EMPTY: dict[str, Any] = {"accounts": [{"id": 1, "name": A}], "positions": [], "orders": []}
DAEMON = {"pid": 7, "started_at": NOW, "version": "1", "restarts": 0, "memory_mb": 1, "cpu_percent": 0}


@pytest.fixture(params=[FAST, FULL], ids=["fast", "full"])
def script(request: pytest.FixtureRequest) -> Script:
    tempo: Tempo = request.param
    return day(tempo)


# ---------------------------------------------------------------------- the day


def test_day_arms_every_rule_there_is_and_has_an_act_in_which_it_fires(script: Script) -> None:
    every = {rule.name for rule in Rules().each()}

    assert set(script.rules) == every
    assert {act.rule for act in script.acts if act.rule} == every


def test_day_configuration_is_valid_with_its_hours(script: Script) -> None:
    instants = script.instants(script.clock, slowness=1.0)
    document = dict(script.configuration)
    for setting in script.hours(instants):
        key, _, value = setting.partition("=")
        section, *keys = key.split(".")
        _put(document, [section, *keys], value)

    settings = settings_from(document)

    assert settings.sessions["day"].end > settings.sessions["day"].start
    for part in script.parts:
        armed = {rule.name for rule in settings.for_account(part.account).each() if rule.mode == "armed"}
        assert armed == set(part.rules)


def _put(document: dict[str, Any], keys: list[str], value: str) -> None:
    *path, last = keys
    for key in path:
        document = document.setdefault(key, {})
    document[last] = value


@pytest.mark.parametrize("slowness", [1.0, 3.0, 50.0])
def test_hours_fall_into_the_run_however_slow_the_machine(slowness: float) -> None:
    fast = day(FAST)
    instants = fast.instants(fast.clock, slowness)

    assert fast.clock < instants["session_end"] < instants["reset"] < fast.clock + timedelta(seconds=45)


def test_full_day_ends_within_five_minutes_even_if_every_act_is_read() -> None:
    full = day(FULL)
    instants = full.instants(full.clock, slowness=50.0)
    after = full.acts[[act.tells for act in full.acts].index("The session ends.") :]

    assert (instants["reset"] - full.clock).total_seconds() + len(after) * full.tempo.pause_s < 300


def test_every_account_trades_products_of_its_own(script: Script) -> None:
    products = [root for part in script.parts for root in part.prices]

    assert len(products) == len(set(products)), "one account's market would move another's"


# ---------------------------------------------------------------------- sights


def status(**account: Any) -> Status:
    shown: dict[str, Any] = {
        "id": 1, "name": A, "state": "active", "can_trade": True, "realized": "0.00", "unrealized": "0.00",
        "net": "0.00", "trades": 0, "positions": [], "orders": [], "lockouts": [], "rules": [],
        "attempts": 0, "last_decision": None, **account,
    }  # fmt: skip
    whole: dict[str, Any] = {
        "schema": 1, "at": NOW, "state": "guarding", "reasons": [], "notes": [], "pending": [],
        "test_clock": None, "dead_letters": 0, "watchdog": None, "latency": {},
        "daemon": DAEMON,
        "link": {"state": "live", "since": NOW, "generation": 1, "last_event_age_s": None},
        "rules": {"configured": 1, "armed": 1, "shadow": 0, "off": 0},
        "accounts": [shown],
    }  # fmt: skip
    return msgspec.convert(whole, Status, strict=False)


def look(*history: dict[str, Any], gateway: dict[str, Any] | None = None, **account: Any) -> Look:
    lines = [{"account": A, **line} for line in history]
    return Look(status(**account), lines, {**EMPTY, **(gateway or {})})


def held(size: int, type_: int = 1) -> dict[str, Any]:
    contract = "CON.F.US.ENQ.H26"
    return {"positions": [{"accountId": 1, "contractId": contract, "size": size, "type": type_}]}


def known(size: int) -> list[dict[str, Any]]:
    return [
        {"contract": "CON.F.US.ENQ.H26", "root": "NQ", "size": size, "average_price": "1", "mark": None,
         "unrealized": None, "notional": None, "protected": False}
    ]  # fmt: skip


def lock(rule: str, kind: str) -> list[dict[str, Any]]:
    return [{"rule": rule, "kind": kind, "since": NOW, "until": None, "reason": "x"}]


def receipt(rule: str, call: str, outcome: str = "confirmed", verified: bool = True) -> dict[str, Any]:
    return {
        "kind": "enforcement", "rules": [rule], "verified": verified,
        "calls": [{"call": call, "outcome": outcome, "size": 1, "contract": "CON.F.US.ENQ.H26"}],
        "breach_to_call_ms": 1.5, "breach_to_verified_ms": 20.0,
    }  # fmt: skip


def stop_at(price: str) -> list[dict[str, Any]]:
    return [
        {"id": 1, "contract": "CON.F.US.ENQ.H26", "type": "stop", "side": "sell", "size": -1,
         "stop_price": price, "limit_price": None, "status": "open"}
    ]  # fmt: skip


BREACH = {"kind": "breach", "rule": "r", "text": "too much"}

SEEN = [
    (
        "both know the position",
        Holds(account=A, positions={"NQ": 2}),
        look(gateway=held(2), positions=known(2)),
    ),
    ("a short one", Holds(account=A, positions={"NQ": -2}), look(gateway=held(2, 2), positions=known(-2))),
    (
        "a lock in force",
        Locked(account=A, rule="r", kind="until_reset"),
        look(lockouts=lock("r", "until_reset")),
    ),
    (
        "a short lock that is over",
        Locked(account=A, rule="r", kind="duration"),
        look({"kind": "lockout", "rule": "r"}),
    ),
    (
        "the end of a lock",
        Unlocked(account=A, rule="r", reason="reset"),
        look({"kind": "unlock", "rule": "r", "reason": "reset"}),
    ),
    ("a free account", Free(account=A, realized="-5.00"), look(realized="-5.00")),
    ("an attempt", Attempted(account=A, attempts=1), look(attempts=1)),
    ("a verified call", Managed(account=A, rule="r", calls=("place",)), look(receipt("r", "place"))),
    ("breach and close", Judged(account=A, rule="r", calls=("close",)), look(BREACH, receipt("r", "close"))),
    ("a stop, however written", WorkingStop(account=A, root="NQ", at="5.50"), look(orders=stop_at("5.5"))),
]

NOT_SEEN = [
    ("the guard knows nothing of it", Holds(account=A, positions={"NQ": 2}), look(gateway=held(2))),
    (
        "one contract too many",
        Holds(account=A, positions={"NQ": 2}),
        look(gateway=held(3), positions=known(3)),
    ),
    (
        "a lock of another rule",
        Locked(account=A, rule="r", kind="until_reset"),
        look(lockouts=lock("q", "until_reset")),
    ),
    (
        "a lock that was to last",
        Locked(account=A, rule="r", kind="until_reset"),
        look({"kind": "lockout", "rule": "r"}),
    ),
    (
        "another lock is left",
        Unlocked(account=A, rule="r", reason="reset"),
        look({"kind": "unlock", "rule": "r", "reason": "reset"}, lockouts=lock("q", "manual")),
    ),
    (
        "lifted by an admin",
        Unlocked(account=A, rule="r", reason="reset"),
        look({"kind": "unlock", "rule": "r", "reason": "admin"}),
    ),
    ("a close without a breach", Judged(account=A, rule="r", calls=("close",)), look(receipt("r", "close"))),
    (
        "a refused close",
        Judged(account=A, rule="r", calls=("close",)),
        look(BREACH, receipt("r", "close", "refused")),
    ),
    (
        "a close that nobody verified",
        Judged(account=A, rule="r", calls=("close",)),
        look(BREACH, receipt("r", "close", verified=False)),
    ),
    ("a stop elsewhere", WorkingStop(account=A, root="NQ", at="5.50"), look(orders=stop_at("5.25"))),
]


@pytest.mark.parametrize(("what", "sight", "at"), SEEN, ids=[row[0] for row in SEEN])
def test_sight_is_seen(what: str, sight: Holds, at: Look) -> None:
    assert sight.holds(at)


@pytest.mark.parametrize(("what", "sight", "at"), NOT_SEEN, ids=[row[0] for row in NOT_SEEN])
def test_sight_is_not_seen_and_says_what_is(what: str, sight: Holds, at: Look) -> None:
    assert not sight.holds(at)
    assert sight.expected()
    assert sight.seen(at)


def test_sight_is_not_seen_while_no_daemon_answers() -> None:
    nobody = Look(None, [], EMPTY)

    assert not any(sight.holds(nobody) for _, sight, _ in SEEN)


# ---------------------------------------------------------------------- the report


def test_report_takes_times_and_action_from_the_receipt() -> None:
    act = Act(tells="x", account=A, rule="r", sees=(Holds(account=A, positions={}),))
    lines = look(BREACH, receipt("r", "close")).history
    script = Script("day", FAST, (), (act,))

    told = report(script, [Played(act=act, began=NOW, took_s=0.2, history=lines)], [], 1.0, None)

    assert told.good
    fired = told.rules[0]
    assert (fired.trigger, fired.action) == ("too much", "close 1 NQ")
    assert (fired.breach_to_order_ms, fired.breach_to_verified_ms) == (1.5, 20.0)


@pytest.mark.parametrize(
    ("missed", "acts_played", "trouble"),
    [((("this", "that"),), 1, None), ((), 0, None), ((), 1, "cannot start")],
    ids=["an expectation missed", "an act never played", "trouble on the way"],
)
def test_report_is_not_good_where(missed: Any, acts_played: int, trouble: str | None) -> None:
    act = Act(tells="x", account=A, rule="r")
    script = Script("day", FAST, (), (act,))
    played = [Played(act=act, began=NOW, took_s=0.2, missed=missed)] * acts_played

    assert not report(script, played, [], 1.0, trouble).good


def test_report_names_configured_rules_that_never_acted(script: Script) -> None:
    told = report(script, [], [], 1.0, None)

    assert set(told.silent) == {rule.name for rule in Rules().each()}
    assert not told.good
