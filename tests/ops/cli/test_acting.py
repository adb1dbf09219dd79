"""Commands that act: what they ask the daemon, what they print, with which exit code."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from supervisor.home import Home
from supervisor.protocol import (
    AskActor,
    AskExport,
    DoChaos,
    DoFlatten,
    DoLock,
    DoPanic,
    DoReload,
    DoReset,
    DoRuleMode,
    DoRuleSet,
    DoStop,
    DoUnlock,
    Exit,
    Refused,
)
from supervisor.roles import AdminSecret
from tests.ops.cli.stand_in import Riskd, StandIn

AT = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
ONE = {"accounts": [{"name": "PRAC-1"}]}
TWO = {"accounts": [{"name": "PRAC-1"}, {"name": "PRAC-2"}]}


def last(daemon: StandIn) -> tuple[str, Any]:
    return daemon.asked[-1]


# ---------------------------------------------------------------------- towards safety


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("--for", "2h"), DoLock("PRAC-1", for_s=7200.0)),
        (("--for", "90s", "--reason", "enough"), DoLock("PRAC-1", for_s=90.0, reason="enough")),
        (("--until", "2026-03-02T23:00:00Z"), DoLock("PRAC-1", until=datetime(2026, 3, 2, 23, tzinfo=UTC))),
        ((), DoLock("PRAC-1")),
    ],
)
def test_lock_is_for_a_while_until_an_instant_or_until_lifted(
    daemon: StandIn, riskd: Riskd, argv: tuple[str, ...], asked: DoLock
) -> None:
    daemon.answers["lock"] = {"account": "PRAC-1", "text": "locked until 23:00"}

    ran = riskd("lock", "-a", "PRAC-1", *argv)

    assert (ran.code, ran.out) == (0, "PRAC-1: locked until 23:00\n")
    assert last(daemon) == ("lock", asked)


def test_lock_until_a_time_of_day_means_the_next_one(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers |= {"lock": {"account": "PRAC-1"}, "version": {"at": AT}}
    local = AT.astimezone()
    for shift in (timedelta(minutes=1), timedelta(minutes=-1)):
        written = (local + shift).strftime("%H:%M")
        riskd("lock", "-a", "PRAC-1", "--until", written)
        until = last(daemon)[1].until
        assert until.astimezone().strftime("%H:%M") == written
        assert AT < until <= AT + timedelta(days=1, hours=1)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--for", "soon"), "write a whole number and one of s, m, h, d"),
        (("--until", "teatime"), "write HH:MM"),
        (("--for", "1h", "--until", "17:00"), "give one of them"),
    ],
)
def test_lock_refuses_a_time_it_cannot_read(
    daemon: StandIn, riskd: Riskd, argv: tuple[str, ...], said: str
) -> None:
    ran = riskd("lock", "-a", "PRAC-1", *argv)

    assert ran.code == Exit.USAGE
    assert said in ran.err
    assert not daemon.asked


def test_only_account_need_not_be_named_and_one_of_several_must(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers |= {"status": ONE, "flatten": {"accounts": [{"account": "PRAC-1", "verified": True}]}}
    assert riskd("flatten").code == 0
    assert last(daemon) == ("flatten", DoFlatten("PRAC-1"))

    daemon.answers["status"] = TWO
    ran = riskd("flatten")
    assert (ran.code, ran.err) == (
        2,
        "cannot flatten: which account? Guarded: PRAC-1, PRAC-2. name it with -a\n",
    )


def test_flatten_that_is_not_confirmed_says_so_and_fails(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["flatten"] = {"accounts": [{"account": "PRAC-1", "verified": False}]}

    ran = riskd("flatten", "-a", "PRAC-1")

    assert ran.code == 1
    assert "PRAC-1: NOT flat yet" in ran.out
    assert "it goes on trying" in ran.err


def test_outcome_unknown_is_exit_8(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["flatten"] = Refused(Exit.UNKNOWN, "not verified flat yet: PRAC-1", "riskd status")

    assert riskd("flatten", "-a", "PRAC-1").code == 8


def test_panic_names_every_account(daemon: StandIn, riskd: Riskd) -> None:
    entries = [{"account": name, "verified": True, "locked": True} for name in ("PRAC-1", "PRAC-2")]
    daemon.answers["panic"] = {"accounts": entries}

    ran = riskd("panic", "--yes")

    assert ran.out == "".join(
        f"{name}: locked until an admin lifts it, flat\n" for name in ("PRAC-1", "PRAC-2")
    )
    assert last(daemon) == ("panic", DoPanic("panic"))
    assert riskd("panic", "--json").json == {"accounts": entries}


# ---------------------------------------------------------------------- admin


@pytest.mark.parametrize(
    ("argv", "command", "asked"),
    [
        (("unlock", "-a", "A"), "unlock", DoUnlock("A")),
        (("unlock", "-a", "A", "loss_streak"), "unlock", DoUnlock("A", "loss_streak")),
        (("reset", "-a", "A", "--yes"), "reset", DoReset("A")),
        (("rules", "enable", "loss_streak"), "rules.mode", DoRuleMode("loss_streak", "armed")),
        (("rules", "disable", "loss_streak", "-a", "A"), "rules.mode", DoRuleMode("loss_streak", "off", "A")),
        (("rules", "shadow", "loss_streak"), "rules.mode", DoRuleMode("loss_streak", "shadow")),
        (("rules", "set", "max_contracts", "limit=4"), "rules.set", DoRuleSet("max_contracts", "limit", "4")),
        (("actors", "restart", "timers"), "actors.restart", AskActor("timers")),
        (("chaos", "kill", "timers"), "chaos", DoChaos("kill", "timers")),
        (("chaos", "hang", "timers", "--for", "3s"), "chaos", DoChaos("hang", "timers", 3.0)),
        (("chaos", "drop-link"), "chaos", DoChaos("drop-link")),
        (("reload",), "reload", DoReload()),
    ],
)
def test_admin_command_is_one_call(
    daemon: StandIn, riskd: Riskd, argv: tuple[str, ...], command: str, asked: object
) -> None:
    daemon.answers[command] = {}

    ran = riskd(*argv)

    assert ran.code == 0, ran.err
    assert last(daemon) == (command, asked)
    assert ran.out


def test_set_rule_writes_the_file_as_its_caller_with_its_comments(
    daemon: StandIn, riskd: Riskd, home: Home
) -> None:
    home.config.write_text("rules:\n  max_contracts: {limit: 5}  # mine\n")
    daemon.answers["rules.set"] = {}

    ran = riskd("rules", "set", "max_contracts", "limit=4")

    assert home.config.read_text() == "rules:\n  max_contracts: {limit: 4}  # mine\n"
    assert f"written to {home.config}" in ran.err


def test_refused_change_leaves_the_file_alone(daemon: StandIn, riskd: Riskd, home: Home) -> None:
    home.config.write_text("rules:\n  max_contracts: {limit: 5}\n")
    daemon.answers["rules.set"] = Refused(Exit.FAILED, "cannot set limit: not greater than 0")

    assert riskd("rules", "set", "max_contracts", "limit=0").code == 1
    assert "limit: 5" in home.config.read_text()


def test_loosening_that_waits_says_until_when(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["rules.set"] = {"effective_at": AT, "change": "c1"}

    assert "waits until" in riskd("rules", "set", "max_contracts", "limit=9").out


def test_cooling_off_is_exit_7(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["unlock"] = Refused(Exit.COOLING_OFF, "cannot unlock yet", "from 17:00 for one hour")

    assert riskd("unlock", "-a", "A").code == 7


def test_admin_secret_is_read_from_the_named_file_and_never_shown(
    daemon: StandIn, riskd: Riskd, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AdminSecret(home.admin_secret).set("open sesame")
    daemon.answers |= {"reset": {}, "lock": {"account": "A"}}
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115 - closed with the test

    refused = riskd("reset", "-a", "A", "--yes")
    (tmp_path / "wrong").write_text("open simsim\n")
    monkeypatch.setenv("RISKD_ADMIN_SECRET_FILE", str(tmp_path / "wrong"))
    wrong = riskd("reset", "-a", "A", "--yes")
    (tmp_path / "right").write_text("open sesame\n")
    monkeypatch.setenv("RISKD_ADMIN_SECRET_FILE", str(tmp_path / "right"))

    assert (refused.code, wrong.code) == (4, 4)
    assert "RISKD_ADMIN_SECRET_FILE" in refused.err
    assert riskd("reset", "-a", "A", "--yes").code == 0
    assert riskd("lock", "-a", "A").code == 0
    assert "sesame" not in refused.err + wrong.err + repr(daemon.audit)


def test_secret_is_set_from_a_file_and_the_old_one_is_asked_for(
    riskd: Riskd, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115 - closed with the test
    assert riskd("secret", "set", "admin").code == Exit.USAGE
    for number, text in enumerate(("first secret", "second secret")):
        (tmp_path / str(number)).write_text(text)

    monkeypatch.setenv("RISKD_ADMIN_SECRET_FILE", str(tmp_path / "0"))
    assert riskd("secret", "set", "admin").code == 0
    monkeypatch.setenv("RISKD_ADMIN_SECRET_FILE", str(tmp_path / "1"))
    assert riskd("secret", "set", "admin").code == Exit.NOT_PERMITTED

    assert AdminSecret(home.admin_secret).is_right("first secret")


# ---------------------------------------------------------------------- down


def positions(*held: dict[str, object]) -> dict[str, object]:
    return {"schema": 1, "at": AT, "positions": list(held)}


def test_down_asks_while_positions_are_open(
    daemon: StandIn, riskd: Riskd, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers |= {"positions": positions({"account": "A", "root": "MNQ", "size": 2}), "down": {}}
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: PTH123, SIM115 - closed with the test

    ran = riskd("down")
    assert ran.code == Exit.USAGE
    assert "A MNQ +2 open" in ran.err
    assert "add --leave-open" in ran.err
    assert last(daemon)[0] == "positions"

    for option in ("--leave-open", "--yes"):
        assert riskd("down", option).code == 0
        assert last(daemon) == ("down", DoStop(leave_open=True))


def test_down_of_a_flat_account_does_not_ask(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers |= {"positions": positions(), "down": {}}

    assert riskd("down").out == "the guard has ended\n"
    assert last(daemon) == ("down", DoStop(leave_open=False))


# ---------------------------------------------------------------------- files


def test_config_check_reports_every_mistake_with_its_place(riskd: Riskd, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("version: 1\nrulez: {}\nrules:\n  max_contracts: {limit: -1}\n")

    people, script = riskd("config", "check", str(file)), riskd("config", "check", str(file), "--json")

    assert people.code == script.code == 78
    assert f"{file}:2:1" in people.out
    places = [(m["line"], m["key"]) for m in script.json["mistakes"]]
    assert (2, "rulez") in places
    assert (4, "rules.max_contracts.limit") in places
    assert set(script.json["mistakes"][0]) == {"file", "line", "column", "key", "text", "hint"}


def test_config_init_writes_an_example_that_has_no_mistake(
    riskd: Riskd, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_X_USERNAME", "anna")
    assert riskd("config", "init").code == 0
    again = riskd("config", "init")
    assert (again.code, "it exists" in again.err) == (1, True)

    assert riskd("config", "check").code == 0
    assert riskd("config", "show").out.splitlines()[0].startswith("accounts")


def test_export_writes_page_after_page_and_leaves_no_half_file(
    daemon: StandIn, riskd: Riskd, tmp_path: Path
) -> None:
    def page(request: AskExport) -> object:
        if request.after is None:
            return {"lines": [{"id": 1, "price": "21000.00"}], "next": "1"}
        return {"lines": [{"id": 2, "pnl": None}], "next": None}

    daemon.answers["export"] = page
    file = tmp_path / "out.jsonl"

    assert riskd("export", "history", str(file)).out == f"2 lines in {file}\n"
    assert [msgspec.json.decode(line)["id"] for line in file.read_bytes().splitlines()] == [1, 2]
    riskd("export", "history", str(file), "--format", "csv")
    assert file.read_text().splitlines() == ["id,price,pnl", "1,21000.00,", "2,,"]

    daemon.answers["export"] = Refused(Exit.NOT_PERMITTED, "no")
    assert riskd("export", "history", str(tmp_path / "other")).code == 4
    assert not (tmp_path / "other").exists()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.jsonl"]


def test_broken_audit_chain_is_a_failure(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["audit.verify"] = {"entries": 3, "head": "ab", "broken_at": None}
    assert riskd("audit", "verify").out == "unbroken: 3 in the chain, head ab\n"

    daemon.answers["audit.verify"] = {"entries": 3, "head": "ab", "broken_at": 2}
    assert riskd("audit", "verify").code == 1
