"""The guard's life as its operator sees it: real processes, through the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ops.simulator.remote import RemoteSimulator
from supervisor.identity import identity_of
from tests.ops.rig import ROOT, A, B, Guard, Rig, free_port, gateway, guard, projectx, projectx_at, rig

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

RULES: dict[str, Any] = {
    "max_contracts_per_instrument": {"mode": "armed", "default_limit": 3, "limits": {"MNQ": 2}},
    "daily_realized_loss": {"mode": "armed", "limit": -500},
    "daily_unrealized_loss": {"mode": "armed", "limit": -300},
}
CHECKPOINTS = (
    "service start",
    "config loaded",
    "gateway connected",
    "rules armed",
    "loop running",
    "event received",
    "rule evaluated",
    "enforcement triggered",
)


@pytest.fixture(scope="module")
def guarding() -> Iterator[Guard]:
    """One running guard, shared by tests that leave it guarding."""
    began = time.monotonic()
    with guard(RULES) as made:
        print(f"\nguarding {time.monotonic() - began:.1f} s after the gateway was started")
        yield made


@pytest.fixture(scope="module")
def simulator() -> Iterator[RemoteSimulator]:
    with gateway() as started:
        yield started


@pytest.fixture
def bare() -> Iterator[Rig]:
    """A home in which nothing runs yet."""
    with rig() as made:
        yield made


# ---------------------------------------------------------------------- enforced, seen, explained


def open_too_many(guard: Guard) -> None:
    guard.buy("MNQ", 3, 21000)


def lose_on_paper(guard: Guard) -> None:
    guard.buy("NQ", 1, 21000)
    guard.price("NQ", 20984.75)


def lose_the_day(guard: Guard) -> None:
    guard.buy("ES", 1, 5800, account=B)
    guard.price("ES", 5795)  # -250 dollars, and then for good
    guard.control(op="close", account=B, contract="ES")
    guard.buy("RTY", 1, 2000, account=B)
    guard.price("RTY", 1995)  # another -250


BREACHES = [
    ("max_contracts_per_instrument", A, open_too_many, "partial_close", {"MNQ": 2}, None),
    ("daily_unrealized_loss", A, lose_on_paper, "close", {}, None),
    ("daily_realized_loss", B, lose_the_day, "close", {}, "until_reset"),
]


@pytest.mark.parametrize(
    ("rule", "account", "breach", "call", "left", "lock"), BREACHES, ids=[row[0] for row in BREACHES]
)
def test_breach_at_a_gateway_reached_by_its_urls_is_enforced_recorded_and_explained(
    guarding: Guard, rule: str, account: str, breach: Any, call: str, left: dict[str, int], lock: str | None
) -> None:
    number = 1001 if account == A else 1002
    guarding.control(op="reset_calls")
    breach(guarding)

    def receipt() -> dict[str, Any]:
        lines = guarding.history("enforcement", account)
        return next((line for line in lines if rule in line["rules"] and line["verified"]), {})

    found = guarding.until(receipt, f"a verified receipt of {rule}")
    assert [(one["call"], one["outcome"]) for one in found["calls"]] == [(call, "confirmed")]
    assert len(guarding.calls("lose")) == 1
    assert {root: guarding.held(number).get(root, 0) for root in left} == left
    (line,) = [line for line in guarding.history("breach", account) if line["rule"] == rule]
    why = guarding.riskd("why", line["id"], "-a", account, "--json").json
    assert why["breach"]["id"] == line["id"]
    assert why["enforcement"]["id"] == found["id"]
    status = guarding.status(account)
    assert {one["rule"]: one["kind"] for one in status["lockouts"]} == ({} if lock is None else {rule: lock})
    if lock is not None:
        assert why["lockout"]["rule"] == rule
    for root in left:
        guarding.control(op="close", account=account, contract=root)


def test_eight_checkpoints_appear_in_order(guarding: Guard) -> None:
    guarding.buy("MNQ", 3, 21000)
    guarding.until(lambda: guarding.held().get("MNQ") == 2, "the excess is closed")
    guarding.control(op="close", account=A, contract="MNQ")

    def first_seen() -> dict[int, dict[str, Any]]:
        first: dict[int, dict[str, Any]] = {}
        for line in guarding.log():
            if "checkpoint" in line:
                first.setdefault(line["checkpoint"], line)
        return first if len(first) == len(CHECKPOINTS) else {}

    first = guarding.until(first_seen, "all eight checkpoints")
    assert list(first) == list(range(1, 9))
    for number, event in enumerate(CHECKPOINTS, start=1):
        assert first[number]["event"].startswith(event)
    took = datetime.fromisoformat(first[6]["at"]) - guarding.began
    print(f"\nup to the first gateway event: {took.total_seconds():.1f} s")
    assert took.total_seconds() < 60


def test_malformed_event_is_counted_and_reconciled_and_crashes_nothing(guarding: Guard) -> None:
    pid, reads = guarding.daemon_pid, guarding.control(op="state")["requests"]["Position/searchOpen"]
    for fault in ("hub_odd_payload", "hub_malformed", "hub_unknown_type", "hub_empty_arguments"):
        guarding.control(op="fault", name=fault, hub="user")

    def read_again() -> bool:
        return bool(guarding.control(op="state")["requests"]["Position/searchOpen"] > reads)

    guarding.until(read_again, "a reconcile")
    lines = guarding.until(
        lambda: [line for line in guarding.log() if line["event"] == "gateway.payload_not_read"],
        "the unreadable event counted",
    )
    assert lines[-1]["count"] >= 1
    guarding.until(lambda: guarding.status()["link"]["state"] == "live", "a live link")
    assert guarding.daemon_pid == pid
    guarding.buy("MNQ", 3, 21000)
    guarding.until(lambda: guarding.held().get("MNQ") == 2, "the excess is closed")
    guarding.control(op="close", account=A, contract="MNQ")


def test_second_daemon_on_the_same_home_is_refused(guarding: Guard) -> None:
    pid = guarding.daemon_pid

    again = guarding.riskd("up")
    beside = subprocess.run(
        [sys.executable, "-m", "supervisor", "--home", str(guarding.home.folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert again.code == 1
    assert "runs there already" in again.err
    assert beside.returncode == 1
    assert f"another daemon (pid {pid})" in beside.stderr
    assert guarding.daemon_pid == pid
    assert guarding.status()["state"] in ("guarding", "locked")


def test_second_home_on_the_same_account_is_refused_and_told_who_has_it(guarding: Guard, bare: Rig) -> None:
    urls = guarding.simulator.urls
    section = projectx(urls.api_url, urls.user_hub_url, urls.market_hub_url)
    bare.configure({"gateway": section, "accounts": [{"name": A}], "rules": RULES})

    ran = bare.riskd("up")

    assert ran.code == 1
    assert f"pid {guarding.daemon_pid} guards it from {guarding.home.folder}" in ran.err
    bare.until(lambda: not bare.running(), "nothing left running")


# ---------------------------------------------------------------------- killed


@pytest.fixture(scope="module")
def mortal() -> Iterator[Guard]:
    """A running guard whose daemon may be killed: its tests leave another one guarding."""
    with guard(RULES) as made:
        yield made


def test_killed_daemon_comes_back_with_its_lockout_day_and_position(mortal: Guard) -> None:
    mortal.buy("MES", 2, 5800)
    lose_the_day(mortal)
    mortal.until(lambda: mortal.lockouts(B) and not mortal.held(1002), "the lockout, and flat")
    mortal.until(lambda: mortal.status(B)["realized"] == "-502.44", "the day's loss, fees included")
    mortal.until(lambda: mortal.positions(), "the position")
    before = {name: mortal.status(name) for name in (A, B)}

    killed = mortal.kill_daemon()
    began = time.monotonic()
    status = mortal.returned(killed)

    print(f"\nguarding again {time.monotonic() - began:.1f} s after kill -9")
    after = {one["name"]: one for one in status["accounts"]}
    for name in (A, B):
        for key in ("realized", "lockouts", "trades"):
            assert after[name][key] == before[name][key], f"{key} of {name}"
    assert mortal.positions() == mortal.held() == {"MES": 2}
    last = mortal.riskd("history", "--kind", "restart", "--json").lines[-1]
    assert (last["actor"], last["cause"]) == ("daemon", "ended by signal 9")
    assert last["uncovered_ms"] > 0
    mortal.control(op="close", account=A, contract="MES")


def test_broken_file_and_a_crash_do_not_keep_the_guard_down(mortal: Guard) -> None:
    written, before = mortal.file.read_text("utf-8"), mortal.status()["rules"]
    try:
        mortal.file.write_text("rules: {max_contracts: {mode: armed, limit: -", "utf-8")
        killed = mortal.kill_daemon()

        status = mortal.returned(killed)

        assert status["rules"] == before
        assert status["accounts"][0]["state"] in ("active", "locked")
    finally:
        mortal.file.write_text(written, "utf-8")


def test_daemon_killed_between_breach_and_close_closes_once_and_reverses_nothing(mortal: Guard) -> None:
    mortal.buy("MGC", 2, 2600)
    mortal.control(op="reset_calls")
    # The gateway has the request and carries it out later, when nobody waits for its answer any more.
    mortal.control(op="fault", name="delay", path="Position/*lose*", seconds=2.0, times=1)
    mortal.buy("NQ", 1, 21000)
    mortal.price("NQ", 20984.75)
    mortal.until(lambda: mortal.calls("lose"), "the close is on its way")

    killed = mortal.kill_daemon()

    assert mortal.held() == {"MGC": 2, "NQ": 1}, "not closed yet"
    mortal.returned(killed)
    mortal.until(lambda: mortal.held() == {"MGC": 2}, "closed")
    mortal.until(lambda: mortal.calls("lose")[0]["code"] is not None, "the delayed close is answered")
    mortal.until(lambda: mortal.positions() == {"MGC": 2}, "the guard knows")
    assert [call["code"] for call in mortal.calls("lose")].count(0) == 1, "closed once"
    assert mortal.held() == {"MGC": 2}, "never reversed"
    mortal.control(op="close", account=A, contract="MGC")


def test_down_asks_while_positions_are_open_and_then_ends_both_processes() -> None:
    with guard(RULES) as guarded:
        guarded.buy("MNQ", 1, 21000)
        guarded.until(lambda: guarded.positions() == {"MNQ": 1}, "the position")

        refused = guarded.riskd("down")

        assert refused.code != 0
        assert "--leave-open" in refused.err
        assert guarded.daemon_pid
        assert guarded.watchdog_pid
        ended = guarded.riskd("down", "--leave-open")
        assert ended.code == 0, ended
        assert f"left open: {A} MNQ +1" in ended.out
        assert guarded.running() == []
        asked = guarded.riskd("status", "--json")
        assert (asked.code, asked.json["state"]) == (3, "down")
        assert guarded.held() == {"MNQ": 1}

        alerts = guarded.riskd("history", "--kind", "alert", "--json").lines
        assert [line for line in alerts if "MNQ +1" in line["message"]], "read without a daemon"
        assert guarded.riskd("audit", "verify").code == 0
        assert guarded.riskd("backup", "now").code == 0


def close_under_way(guarded: Guard, seconds: float) -> None:
    """A breach whose close the gateway takes so long to carry out; beside it a position that may stay."""
    guarded.buy("MGC", 2, 2600)
    guarded.until(lambda: guarded.positions() == {"MGC": 2}, "the position that may stay")
    guarded.control(op="fault", name="delay", path="Position/*lose*", seconds=seconds, times=1)
    guarded.control(op="reset_calls")
    guarded.buy("NQ", 1, 21000)
    guarded.price("NQ", 20984.75)
    guarded.until(lambda: guarded.calls("lose"), "the close is on its way")


def ended(guarded: Guard) -> dict[str, Any]:
    """How the guard said it ended, once nothing of it runs."""
    guarded.until(lambda: not guarded.running(), "nothing left running")
    said: dict[str, Any] = json.loads(guarded.home.ended.read_bytes())
    return said


def test_sigterm_lets_a_close_finish_refuses_new_work_and_tells_what_stays_open() -> None:
    with guard(RULES) as guarded:
        close_under_way(guarded, 2.0)
        os.kill(guarded.watchdog_pid, signal.SIGTERM)
        guarded.until(
            lambda: "the guard is ending" in guarded.riskd("lock", "-a", A).err, "new work is refused"
        )

        said = ended(guarded)

        assert guarded.held() == {"MGC": 2}
        assert [call["code"] for call in guarded.calls("lose")] == [0]
        assert said["left_open"] == [f"{A} MGC +2"]
        store = sqlite3.connect(f"file:{guarded.home.database}?mode=ro", uri=True)
        with contextlib.closing(store):
            kinds = store.execute("SELECT kind, body FROM history ORDER BY at").fetchall()
        assert [1 for kind, body in kinds if kind == "alert" and "MGC +2" in body], "it is recorded"
        receipts = [json.loads(body) for kind, body in kinds if kind == "enforcement"]
        assert receipts[-1]["verified"], "the close was seen to be through"


def test_second_signal_ends_at_once_and_says_what_is_left() -> None:
    with guard(RULES) as guarded:
        close_under_way(guarded, 20.0)
        daemon, watchdog = guarded.daemon_pid, guarded.watchdog_pid
        os.kill(watchdog, signal.SIGTERM)
        guarded.until(lambda: "program.ends" in [line["event"] for line in guarded.log()], "it is ending")

        def interrupted() -> bool:
            with contextlib.suppress(ProcessLookupError):
                os.kill(watchdog, signal.SIGINT)  # those that come too close together count as one
            return identity_of(daemon) is None

        guarded.until(interrupted, "the daemon gone")

        assert guarded.calls("lose")[0]["code"] is None, "it did not wait for the close"
        said = ended(guarded)
        assert "at once" in said["why"]
        assert sorted(said["left_open"]) == [f"{A} MGC +2", f"{A} NQ +1"]


def test_sigterm_of_the_daemon_alone_is_a_failure_that_the_watchdog_makes_good(mortal: Guard) -> None:
    gone = mortal.daemon_pid
    os.kill(gone, signal.SIGTERM)

    mortal.returned(gone)

    last = mortal.riskd("history", "--kind", "restart", "--json").lines[-1]
    assert last["cause"] == "ended with exit code 143"


def test_killed_or_suspended_watchdog_comes_back_and_the_daemon_is_not_disturbed(mortal: Guard) -> None:
    daemon = mortal.daemon_pid
    for deadly in (signal.SIGKILL, signal.SIGSTOP):
        watchdog = mortal.watchdog_pid
        os.kill(watchdog, deadly)
        mortal.until(lambda gone=watchdog: mortal.watchdog_pid not in (0, gone), "another watchdog")
        mortal.until(lambda gone=watchdog: identity_of(gone) is None, "the old one gone")
    mortal.until(lambda: mortal.status()["watchdog"], "status knows it")
    assert mortal.daemon_pid == daemon

    killed = mortal.kill_daemon()

    status = mortal.returned(killed)
    assert status["watchdog"]["pid"] == mortal.watchdog_pid, "the new watchdog adopted the daemon"


def test_daemon_that_keeps_dying_ends_in_safe_mode_which_restart_leaves(mortal: Guard) -> None:
    mortal.buy("MES", 1, 5800)
    mortal.until(lambda: mortal.positions() == {"MES": 1}, "the position")
    for _ in range(5):
        mortal.until(lambda: identity_of(mortal.started_pid), "another one started")
        os.kill(mortal.started_pid, signal.SIGKILL)
        mortal.until(lambda gone=mortal.started_pid: mortal.started_pid != gone, "replaced")

    mortal.until(lambda: mortal.status().get("state") == "safe_mode", "safe mode")

    assert mortal.riskd("status", "--check").code == 5
    for account in (A, B):
        mortal.until(lambda name=account: "safe_mode" in mortal.lockouts(name), f"{account} is locked")
        assert mortal.lockouts(account)["safe_mode"]["kind"] == "condition"
    mortal.buy("NQ", 1, 21000)
    mortal.until(lambda: mortal.held() == {"MES": 1}, "new risk is refused, what was open stays")
    alerts = mortal.riskd("history", "--kind", "alert", "--json").lines
    assert [line for line in alerts if line["message"].startswith("safe mode")]
    assert mortal.riskd("restart").code == 0
    assert "safe_mode" not in mortal.lockouts()
    mortal.control(op="close", account=A, contract="MES")


def test_both_killed_at_once_leave_a_socket_that_keeps_nobody_out() -> None:
    with guard(RULES) as guarded:
        guarded.buy("MNQ", 2, 21000)
        for pid in (guarded.watchdog_pid, guarded.daemon_pid):
            os.kill(pid, signal.SIGKILL)
        guarded.until(lambda: not guarded.running(), "nothing left, the one that stood by included")
        assert guarded.home.socket_to_call().exists(), "the socket is left behind"
        assert guarded.riskd("status").code == 3

        guarded.up()

        assert guarded.status()["state"] == "guarding"
        assert guarded.positions() == {"MNQ": 2}


# ---------------------------------------------------------------------- refused


def test_every_mistake_is_reported_with_its_place_and_nothing_is_started(bare: Rig) -> None:
    bare.file.write_text(
        "version: 1\n"
        "gateway: {kind: simulator}\n"
        "accounts: [{name: PRAC-V2-1001}]\n"
        "rules:\n"
        "  daily_realized_loss: {mode: armed, limit: 500}\n"
        "  max_contracts: {mode: armed, limitt: 3}\n"
        "  daily_unrealised_loss: {mode: armed}\n",
        "utf-8",
    )

    ran = bare.riskd("up")

    assert ran.code == 78
    for place in (":5:", ":6:", ":7:"):
        assert f"{bare.file}{place}" in ran.err, ran.err
    assert "daily_unrealized_loss" in ran.err, "a close match is named"
    assert bare.running() == []


def test_wrong_key_ends_the_start_with_the_reason(bare: Rig, simulator: RemoteSimulator) -> None:
    port = int(simulator.urls.api_url.rsplit(":", 1)[1].split("/")[0])
    bare.configure({"gateway": projectx_at(port), "accounts": "all", "rules": RULES})

    ran = bare.riskd("up", PROJECT_X_API_KEY="not-the-key-at-all")

    assert ran.code == 1
    assert "refused the login" in ran.err
    assert "not-the-key-at-all" not in ran.err + ran.out + bare.output()
    bare.until(lambda: not bare.running(), "nothing left running")


def test_unreachable_gateway_leaves_the_guard_up_and_blind_until_it_answers(bare: Rig) -> None:
    port = free_port()
    bare.configure({"gateway": projectx_at(port), "accounts": "all", "rules": RULES})

    ran = bare.riskd("up")

    assert ran.code == 5, ran
    assert bare.status()["state"] == "blind"
    assert bare.riskd("status", "--check").code == 5
    with gateway(port):
        bare.until(lambda: bare.status()["state"] == "guarding", "guarding once the gateway answers")
        assert {one["name"] for one in bare.status()["accounts"]} == {A, B}
        assert bare.riskd("down").code == 0
        assert bare.running() == []


def test_home_that_cannot_be_written_is_refused_in_one_line(bare: Rig, tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file", "utf-8")
    bare.configure({"gateway": {"kind": "simulator"}, "accounts": "all", "rules": RULES})

    ran = bare.riskd("up", "--home", str(occupied / "home"))

    assert ran.code == 1
    assert "cannot use" in ran.err
    assert "Traceback" not in ran.err


def test_simulator_whose_port_is_taken_says_so(bare: Rig) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = bare.riskd("simulator", "--port", str(port))

    assert ran.code == 1
    assert "cannot run the simulator" in ran.err
    assert "Traceback" not in ran.err


def test_commands_without_a_daemon_answer_in_one_line(bare: Rig) -> None:
    bare.configure({"gateway": {"kind": "simulator"}, "accounts": "all", "rules": RULES})

    for command in (("status",), ("positions",), ("down",), ("lock", "-a", A)):
        ran = bare.riskd(*command)
        assert ran.code == 3, (command, ran)
        assert len(ran.err.strip().splitlines()) <= 1, ran.err
