"""One breach per rule against real processes: `riskd up`, the gateway's control door, `riskd ... --json`.

One guard serves the whole file. Account A keeps what counts money, size and trades; B keeps what needs
positions to stay open a while. After each test the account is flat, free and at zero again.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.identity import recorded
from tests.scenarios.desk import A, B
from tests.scenarios.house import House, house
from tests.scenarios.traps import covers

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("processes")]

DAILY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
OFF = {"mode": "off"}
OF_MONEY: dict[str, dict[str, Any]] = {
    "max_contracts": {"limit": 5},
    "max_contracts_per_instrument": {"default_limit": None, "limits": {"MNQ": 2}},
    "daily_realized_loss": {"limit": -500},
    "daily_unrealized_loss": {"limit": -300},
    "max_unrealized_profit": {"target": 400},
    "trade_frequency_limit": {"per_minute": 6, "per_hour": 10, "per_session": 50},
    "cooldown_after_loss": {"tiers": [{"loss": -100, "cooldown": "5m"}]},
    "daily_realized_profit": {"target": 1000},
    "loss_streak": {"mode": "armed", "losses": 3},
}
OF_POSITIONS: dict[str, dict[str, Any]] = {
    "no_stop_loss_grace": {"mode": "armed", "grace": "2s"},
    "session_block_outside": {"session": "always", "respect_holidays": False, "by_root": {"CL": "moment"}},
    "trade_management": {"mode": "armed", "trailing": {"after_ticks": 4, "distance_ticks": 2}},
}
OF_BOTH: dict[str, dict[str, Any]] = {
    "auth_loss_guard": {},
    "symbol_blocks": {"mode": "armed", "blocked": ["GC"]},
}
DOCUMENT: dict[str, Any] = {
    "version": 1,
    # A file of breaches comes near what the gateway allows in a minute: no steady reads beside them.
    "gateway": {"kind": "simulator", "reconcile_every": "60s"},
    "chaos": {"enabled": True},
    "accounts": [
        {"name": A, "rules": dict.fromkeys(OF_POSITIONS, OFF)},
        {"name": B, "rules": dict.fromkeys(OF_MONEY, OFF)},
    ],
    "sessions": {
        "always": {"start": "00:00", "end": "00:00", "overnight": True, "days": DAILY},
        # One second of the year's shortest day: never now, but a session all the same.
        "moment": {"start": "03:33:33", "end": "03:33:34", "days": ["sun"]},
    },
    "rules": {**OF_MONEY, **OF_POSITIONS, **OF_BOTH},
}
PRICES = {"MNQ": 21000, "ES": 5800, "NQ": 21000, "CL": 70, "GC": 2500}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("home"), DOCUMENT) as made:
        yield made


@pytest.fixture
def guard(running: House) -> Iterator[House]:
    """The guard with its accounts as at the start of a day."""
    for contract, price in PRICES.items():
        running.control(op="price", contract=contract, price=price)
    yield running
    for account in (A, B):
        running.tidy(account)
        assert (running.locks(account), running.positions(account)) == (set(), {})


def closed_and_locked(guard: House, rule: str, account: str = A) -> dict[str, Any]:
    """Wait until the account is flat and locked by the rule; the lockout."""
    guard.until(lambda: rule in guard.locks(account), f"{account} is locked by {rule}")
    guard.becomes({}, lambda: guard.positions(account))
    return guard.lockout(account, rule)


def last_breach(guard: House, rule: str) -> dict[str, Any]:
    """The newest breach of a rule in `riskd history`."""
    breaches = [line for line in guard.lines("history", "--kind", "breach") if line["rule"] == rule]
    return breaches[-1]


def test_max_contracts_cuts_the_newest_excess(guard: House) -> None:
    """Given 5 at most, when ES 3 and NQ 3 are open, then one NQ is closed and nothing is locked."""
    guard.order(A, "buy", "ES", 3)
    guard.becomes({"ES": 3}, lambda: guard.positions(A))
    guard.order(A, "buy", "NQ", 3)
    guard.becomes({"ES": 3, "NQ": 2}, lambda: guard.positions(A))
    assert last_breach(guard, "max_contracts")["value"] == "6"
    assert guard.locks(A) == set()


@covers("T5")
def test_max_contracts_per_instrument_cuts_to_the_limit(guard: House) -> None:
    """Given 2 MNQ at most, when 3 are bought, then one is closed, and `why` tells the chain to the
    receipt."""
    guard.order(A, "buy", "MNQ", 3)
    guard.becomes({"MNQ": 2}, lambda: guard.positions(A))
    guard.until(lambda: guard.account(A)["state"] == "active", "it is verified")
    why = guard.asked("why", "--last", "-a", A)
    assert why["breach"]["rule"] == "max_contracts_per_instrument"
    assert why["enforcement"]["verified"]
    assert [call["call"] for call in why["enforcement"]["calls"]] == ["partial_close"]


def test_daily_realized_loss_ends_the_day(guard: House) -> None:
    """Given -500 at most and ES long 1, when a trade loses 600, then ES is closed and the account locked
    until the reset; `status --check` says 6."""
    guard.order(A, "buy", "ES", 1)
    guard.becomes({"ES": 1}, lambda: guard.positions(A))
    guard.control(op="trade", account=A, contract="MNQ", pnl=-600)
    lockout = closed_and_locked(guard, "daily_realized_loss")
    assert lockout["kind"] == "until_reset"
    assert guard.riskd("status", "--check", expect=None).returncode in (5, 6)
    assert last_breach(guard, "daily_realized_loss")["value"] == "-600.00"


def test_daily_unrealized_loss_closes_the_position(guard: House) -> None:
    """Given -300 at most, when NQ long 1 falls 20 points, then it is closed."""
    guard.order(A, "buy", "NQ", 1)
    guard.order(A, "buy", "ES", 1)
    guard.becomes({"NQ": 1, "ES": 1}, lambda: guard.positions(A))
    guard.control(op="price", contract="NQ", price=20984)
    guard.until(lambda: "NQ" not in guard.positions(A), "NQ is closed")
    assert last_breach(guard, "daily_unrealized_loss")["value"] == "-320.00"


def test_max_unrealized_profit_takes_it(guard: House) -> None:
    """Given a target of 400, when NQ long 1 gains 20 points, then it is closed and nothing locked."""
    guard.order(A, "buy", "NQ", 1)
    guard.becomes({"NQ": 1}, lambda: guard.positions(A))
    guard.control(op="price", contract="NQ", price=21020)
    guard.becomes({}, lambda: guard.positions(A))
    assert last_breach(guard, "max_unrealized_profit")["value"] == "400.00"
    assert guard.locks(A) == set()


def test_trade_frequency_limit_rests(guard: House) -> None:
    """Given 6 trades a minute, when 8 are made, then the account rests for a while."""
    for _ in range(4):
        guard.control(op="trade", account=A, contract="ES", pnl=1)
    lockout = closed_and_locked(guard, "trade_frequency_limit")
    assert lockout["kind"] == "duration"


def test_cooldown_after_loss_rests(guard: House) -> None:
    """Given a rest of 5 minutes after -100, when a trade loses 120, then the account rests; `unlock` ends
    it."""
    guard.control(op="trade", account=A, contract="ES", pnl=-120)
    assert closed_and_locked(guard, "cooldown_after_loss")["kind"] == "duration"
    guard.order(A, "buy", "ES", 1)
    guard.until(lambda: guard.account(A).get("attempts"), "the attempt is counted")
    guard.becomes({}, lambda: guard.positions(A))
    guard.riskd("unlock", "-a", A, "cooldown_after_loss")
    assert guard.locks(A) == set()


def test_daily_realized_profit_ends_the_day(guard: House) -> None:
    """Given a target of 1000, when a trade wins 1000, then the account is locked until the reset."""
    guard.control(op="trade", account=A, contract="ES", pnl=1000)
    assert closed_and_locked(guard, "daily_realized_profit")["kind"] == "until_reset"


def test_loss_streak_locks(guard: House) -> None:
    """Given three losses in a row at most, when three trades lose 10, then the account is locked."""
    for _ in range(3):
        guard.control(op="trade", account=A, contract="ES", pnl=-10)
    closed_and_locked(guard, "loss_streak")


def test_no_stop_loss_grace_closes_the_naked_position(guard: House) -> None:
    """Given 2 s of grace, when MNQ is open without a stop and ES with one, then MNQ alone is closed."""
    guard.order(B, "buy", "ES", 1, bracket={"stop_loss_ticks": 20})
    guard.order(B, "buy", "MNQ", 1)
    guard.becomes({"ES": 1}, lambda: guard.positions(B))
    assert last_breach(guard, "no_stop_loss_grace")["contract"].split(".")[3] == "MNQ"


def test_session_block_outside_closes_a_product_outside_its_session(guard: House) -> None:
    """Given CL with a session that is not now, when CL is bought, then it is closed and the account stays
    free."""
    guard.order(B, "buy", "CL", 1)
    guard.until(lambda: guard.control(op="calls")["calls"], "something is done")
    guard.becomes({}, lambda: guard.positions(B))
    assert last_breach(guard, "session_block_outside")["rule"] == "session_block_outside"
    assert guard.locks(B) == set()


def test_auth_loss_guard_locks_while_the_broker_forbids_trading(guard: House) -> None:
    """Given ES long 1, when canTrade turns false, then it is closed and locked; when it is true the lock
    ends."""
    guard.order(B, "buy", "ES", 1, bracket={"stop_loss_ticks": 20})
    guard.becomes({"ES": 1}, lambda: guard.positions(B))
    guard.control(op="can_trade", account=B, value=False)
    try:
        lockout = closed_and_locked(guard, "auth_loss_guard", B)
        assert (lockout["kind"], lockout["until"]) == ("condition", None)
    finally:
        guard.control(op="can_trade", account=B, value=True)
    guard.becomes(set(), lambda: guard.locks(B))


def test_symbol_blocks_cancels_and_closes(guard: House) -> None:
    """Given GC blocked, when a GC order works and GC is bought, then the order is cancelled and the position
    closed."""
    guard.order(A, "buy", "GC", 1, "limit", price=2400)
    guard.becomes([], lambda: guard.working(A))
    guard.order(A, "buy", "GC", 1)
    guard.until(lambda: last_breach(guard, "symbol_blocks")["value"] == "+1", "the breach is recorded")
    guard.becomes({}, lambda: guard.positions(A))
    assert guard.locks(A) == set()


def test_trade_management_trails_the_stop(guard: House) -> None:
    """Given a trail of 2 ticks after 4, when ES long at 5800 trades at 5801, then a stop works at 5800.50."""
    guard.order(B, "buy", "ES", 1)
    guard.control(op="price", contract="ES", price=5801)
    guard.becomes([5800.5], lambda: [o["stopPrice"] for o in guard.working(B)])
    assert guard.positions(B) == {"ES": 1}


def test_a_killed_daemon_comes_back_with_its_lock(guard: House) -> None:
    """Given a locked account, when the daemon is killed, then the watchdog brings it back, the lock holds and
    a fill is closed."""
    guard.control(op="trade", account=A, contract="ES", pnl=-600)
    before = closed_and_locked(guard, "daily_realized_loss")
    daemon = recorded(guard.home.daemon)
    assert daemon is not None
    os.kill(daemon.pid, signal.SIGKILL)
    guard.until(
        lambda: (now := recorded(guard.home.daemon)) is not None and now.pid != daemon.pid, "a new daemon"
    )
    guard.until(lambda: guard.account(A), "it answers")
    assert guard.lockout(A, "daily_realized_loss") == before
    guard.order(A, "buy", "ES", 1)
    guard.until(lambda: guard.account(A).get("attempts"), "the fill was met")
    guard.becomes({}, lambda: guard.positions(A))


def test_S87_a_daemon_that_hangs_is_replaced(guard: House) -> None:
    """Given a guard whose daemon stops beating, when its deadline has passed, then the watchdog replaces it
    and it guards again."""
    daemon = recorded(guard.home.daemon)
    assert daemon is not None
    os.kill(daemon.pid, signal.SIGSTOP)
    guard.until(
        lambda: (now := recorded(guard.home.daemon)) is not None and now.pid != daemon.pid, "a new daemon"
    )
    guard.until(lambda: guard.account(A), "it answers")
    assert guard.asked("status")["daemon"]["restarts"] >= 1


def test_S96_the_logs_tell_the_eight_checkpoints_and_no_secret(guard: House) -> None:
    """Given a guard that acted, when its logs are read, then all eight checkpoints are there and the key is
    not."""
    guard.control(op="trade", account=A, contract="ES", pnl=-600)
    closed_and_locked(guard, "daily_realized_loss")
    guard.order(A, "buy", "ES", 1)
    guard.until(lambda: guard.account(A)["attempts"], "an attempt is met")
    key = "demo-key-1234567890"

    def told() -> set[int]:
        lines = (guard.home.logs / "riskd.log").read_text() + (
            guard.home.logs / "enforcement.log"
        ).read_text()
        assert key not in lines
        return {
            entry["checkpoint"] for line in lines.splitlines() if "checkpoint" in (entry := json.loads(line))
        }

    guard.until(lambda: told() >= set(range(1, 9)), "all eight checkpoints")
    one_name_leads_from_the_event_to_the_lockout(guard)
    # The simulator's own key lies where a key belongs: in a file of its own.
    own = ("simulator.json", "simulator.key")
    files = [path for path in guard.home.folder.rglob("*") if path.is_file() and path.name not in own]
    assert [path.name for path in files if key.encode() in path.read_bytes()] == []


def one_name_leads_from_the_event_to_the_lockout(guard: House) -> None:
    lines = [json.loads(line) for line in (guard.home.logs / "riskd.log").read_text().splitlines()]
    breach = next(line["breach"] for line in lines if line["event"] == "enforcement.locked")
    (cause,) = [part for part in breach.split("/") if part.startswith("fill:")]
    assert [line["what"] for line in lines if line.get("checkpoint") == 6 and line["cause"] == cause] == [
        "Filled"
    ]
    assert any(line.get("checkpoint") == 7 and breach in line["breaches"] for line in lines)
    reads = [line for line in lines if line.get("what") == "BrokerSnapshot" and line["account"] == A]
    served = guard.control(op="state")["requests"]["Position/searchOpen"]
    assert len(reads) < served, "a read that brings nothing new leaves no line"


def test_S82_a_refused_key_ends_the_start_with_a_hint_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Given a wrong key, when `riskd up` starts, then it ends with 1, says what to check, and no process is
    left."""
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("not-the-key")
    gateway = {"kind": "simulator", "username": "demo-user", "api_key": {"file": str(key)}}
    made = House(tmp_path, {**DOCUMENT, "gateway": gateway})
    try:
        ended = made.riskd("up", expect=1)
        assert "login" in ended.stderr
        assert "gateway.api_key" in ended.stderr
        for left in (made.home.watchdog, made.home.daemon, made.home.simulator):
            made.until(lambda left=left: recorded(left) is None, f"{left.name} is not running")
    finally:
        made.end()
