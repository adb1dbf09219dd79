"""Reading commands over a real control socket: words for people, JSON for scripts, exit codes for both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ops.cli import main
from supervisor.answers import (
    Account,
    DaemonFacts,
    Decision,
    Latency,
    LinkFacts,
    LockoutFacts,
    Note,
    Position,
    Reason,
    RuleCounts,
    RuleStanding,
    Status,
    WatchdogFacts,
    WorkingOrder,
)
from supervisor.home import Home
from supervisor.protocol import AskHistory, AskWhy, Exit, OfAccounts, OfRules, Refused
from tests.ops.cli.stand_in import Riskd, StandIn

AT = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
POSITION = Position("CON.F.US.MNQ.H26", "MNQ", 2, "21000.00", "20990.00", "-40.00", "83960.00", True)
ORDER = WorkingOrder(7, "CON.F.US.MNQ.H26", "stop", "sell", -2, "20950.00", None, "open")
LOCKOUT = LockoutFacts(
    "daily_realized_loss", "until_reset", AT, AT + timedelta(hours=2.5), "day loss -550.00"
)
RULE = RuleStanding(
    "daily_realized_loss", "armed", "near", "-412.50", "-500.00", 0.825, "87.50", "-500.00", 0.0
)
GRACE = RuleStanding("no_stop_loss_grace", "armed", "ok", "1", None, None, None, "2026-03-02T20:30:42Z", 0.0)
DECISION = Decision(AT, "breach/x", "max_contracts", "closed 1 MNQ")
ACCOUNT = Account(
    1001, "PRAC-1", "active", True, "-372.50", "-40.00", "-412.50", 4,
    (POSITION,), (ORDER,), (), (RULE,), 0, DECISION,
)  # fmt: skip
STATUS = Status(
    schema=1,
    at=AT,
    state="guarding",
    reasons=(),
    notes=(Note("no_admin_secret", "no admin secret is set"),),
    pending=(),
    test_clock=None,
    dead_letters=0,
    daemon=DaemonFacts(4711, AT - timedelta(hours=3, minutes=12), "0.1.0", 0, 80.0, 1.0),
    watchdog=WatchdogFacts(4710),
    link=LinkFacts("live", AT, 3, 0.4),
    rules=RuleCounts(13, 12, 1, 1),
    latency=Latency(),
    accounts=(ACCOUNT,),
)


def with_state(state: str, **changes: object) -> Status:
    return msgspec.structs.replace(STATUS, state=state, **changes)


LOCKED = with_state(
    "locked",
    reasons=(Reason("locked", "PRAC-1 is locked by daily_realized_loss", AT),),
    accounts=(msgspec.structs.replace(ACCOUNT, state="locked", lockouts=(LOCKOUT,)),),
)


# ---------------------------------------------------------------------- status


def test_status_says_at_one_glance_how_it_stands(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["status"] = STATUS

    ran = riskd("status")

    first, head, row, note = ran.out.splitlines()
    assert ran.code == 0
    assert (
        "GUARDING  1 account | 12 rules armed, 1 in shadow | link live, last event 0.4s ago | up 3h 12m"
        in first
    )
    assert head.split() == (
        [
            "ACCOUNT",
            "STATE",
            "DAY",
            "P&L",
            "REALIZED",
            "OPEN",
            "POSITIONS",
            "NEAREST",
            "LIMIT",
            "LAST",
            "DECISION",
        ]
    )
    for cell in ("PRAC-1", "active", "-$412.50", "MNQ +2 (stop)", "daily_realized_loss 82%", "closed 1 MNQ"):
        assert cell in row
    assert "no admin secret is set" in note


def test_status_of_a_locked_account_says_until_when_and_where_to_ask_why(
    daemon: StandIn, riskd: Riskd
) -> None:
    daemon.answers["status"] = LOCKED

    out = riskd("status").out

    assert "PRAC-1 locked by daily_realized_loss" in out
    assert "(in 2h 30m). day loss -550.00" in out
    assert "riskd why --last -a PRAC-1" in out


def test_status_json_is_the_answer_itself_with_instants_in_utc(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["status"] = STATUS

    ran = riskd("status", "--json")

    assert ran.json == msgspec.json.decode(msgspec.json.encode(STATUS))
    assert ran.json["at"] == "2026-03-02T20:30:00Z"
    assert ran.out.count("\n") == 1


@pytest.mark.parametrize(
    ("state", "code"),
    [("guarding", 0), ("locked", 6), ("degraded", 5), ("blind", 5), ("safe_mode", 5)],
)
@pytest.mark.parametrize("json", [False, True])
def test_status_check_lets_the_exit_code_tell(
    daemon: StandIn, riskd: Riskd, state: str, code: int, json: bool
) -> None:
    daemon.answers["status"] = with_state(state)
    options = ("--json",) if json else ()

    assert riskd("status", "--check", *options).code == code
    assert riskd("status", *options).code == 0


def test_status_without_a_daemon_is_one_line_and_exit_3(riskd: Riskd, home: Home) -> None:
    ran = riskd("status")

    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"riskd is not running in {home.folder}. start it with riskd up\n"


def test_status_json_without_a_daemon_says_down(riskd: Riskd) -> None:
    ran = riskd("status", "--json", "--check")

    assert ran.code == 3
    assert ran.json["state"] == "down"
    assert list(ran.json) == ["schema", "at", "state"]


def test_account_option_is_repeatable_and_reaches_the_daemon(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["status"] = STATUS
    riskd("status", "-a", "A", "--account", "B")

    assert daemon.asked == [("status", OfAccounts(("A", "B")))]


def test_unknown_account_is_one_clear_line(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["status"] = Refused(Exit.FAILED, "cannot show NOPE: no such account", "guarded: PRAC-1")
    ran = riskd("status", "-a", "NOPE")

    assert (ran.code, ran.err) == (1, "cannot show NOPE: no such account. guarded: PRAC-1\n")


def test_colour_only_when_asked_for_without_a_terminal(
    daemon: StandIn, riskd: Riskd, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["status"] = STATUS

    assert "\x1b[" not in riskd("status").out
    assert "\x1b[32mGUARDING" in riskd("--color", "always", "status").out
    assert "\x1b[" not in riskd("status", "--color=never").out


# ---------------------------------------------------------------------- the other lists


def entries(name: str, entry: object) -> dict[str, object]:
    return {"schema": 1, "at": AT, name: [{"account": "PRAC-1", **msgspec.structs.asdict(entry)}]}


@pytest.mark.parametrize(
    ("name", "entry", "cells"),
    [
        ("positions", POSITION, ["PRAC-1", "CON.F.US.MNQ.H26", "+2", "21000.00", "-$40.00", "protected"]),
        ("orders", ORDER, ["7", "sell", "-2", "stop", "20950.00", "open"]),
        ("lockouts", LOCKOUT, ["daily_realized_loss", "until_reset", "(in 2h 30m)", "day loss -550.00"]),
        ("rules", RULE, ["daily_realized_loss", "armed", "near", "-412.50", "82%", "87.50"]),
    ],
)
def test_list_is_a_table_for_people_and_the_answer_as_json(
    daemon: StandIn, riskd: Riskd, name: str, entry: object, cells: list[str]
) -> None:
    daemon.answers[name] = entries(name, entry)

    shown = riskd(name).out
    assert all(cell in shown for cell in cells)
    assert riskd(name, "--json").json[name][0]["account"] == "PRAC-1"


@pytest.mark.parametrize(
    ("name", "said"),
    [("positions", "flat: no open position"), ("orders", "no working order"), ("lockouts", "no lockout")],
)
def test_empty_list_is_said_in_words(daemon: StandIn, riskd: Riskd, name: str, said: str) -> None:
    daemon.answers[name] = {"schema": 1, "at": AT, name: []}

    assert riskd(name).out == said + "\n"
    assert riskd(name, "--json").json[name] == []


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("rules",), OfRules()),
        (("rules", "list", "-a", "A"), OfRules(("A",))),
        (("rules", "show", "max_contracts"), OfRules((), "max_contracts")),
    ],
)
def test_rules_may_be_listed_or_one_shown(
    daemon: StandIn, riskd: Riskd, argv: tuple[str, ...], asked: OfRules
) -> None:
    daemon.answers["rules"] = entries("rules", RULE)

    assert riskd(*argv).code == 0
    assert daemon.asked == [("rules", asked)]


def test_version_tells_both_and_needs_no_daemon(riskd: Riskd, home: Home) -> None:
    assert riskd("version").out.startswith("riskd ")
    assert riskd("--version").out == riskd("version").out


# ---------------------------------------------------------------------- why, history


BREACH = {
    "id": "breach/PRAC-1/x",
    "at": "2026-03-02T20:30:00Z",
    "kind": "breach",
    "account": "PRAC-1",
    "rule": "daily_realized_loss",
    "contract": None,
    "value": "-512.50",
    "limit": "-500.00",
    "mark": "20990.00",
    "mode": "armed",
    "cause": "fill:77",
    "text": "the day stands at -512.50, the limit is -500.00",
}
RECEIPT = {
    "calls": [
        {
            "at": "2026-03-02T20:30:00Z",
            "call": "close",
            "contract": "CON.F.US.MNQ.H26",
            "size": 2,
            "outcome": "refused",
            "code": 5,
            "text": "market closed",
            "took_ms": 12.4,
        },
        {
            "at": "2026-03-02T20:30:01Z",
            "call": "close",
            "contract": "CON.F.US.MNQ.H26",
            "size": 2,
            "outcome": "confirmed",
            "code": 0,
            "text": "",
            "took_ms": 9.8,
        },
    ],
    "verified": True,
    "verified_at": "2026-03-02T20:30:02Z",
    "rounds": 2,
}
WHY = {
    "schema": 1,
    "at": AT,
    "account": "PRAC-1",
    "breach": BREACH,
    "inputs": {"realized": "-472.50", "unrealized": "-40.00"},
    "demand": [{"target": "account flat", "contract": None}],
    "enforcement": RECEIPT,
    "lockout": {"rule": "daily_realized_loss", "until": "2026-03-02T23:00:00Z", "reason": "loss limit"},
}


def test_why_reads_as_a_chain_of_sentences(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["why"] = WHY

    lines = riskd("why", "--last", "-a", "PRAC-1").out.splitlines()

    assert daemon.asked == [("why", AskWhy("PRAC-1", None))]
    told = [
        "PRAC-1: the day stands at -512.50, the limit is -500.00",
        "It was seen with fill 77, and breaks daily_realized_loss with -512.50 against -500.00 at a mark of",
        "It was worked out from: realized -472.50, unrealized -40.00.",
        "The rule demands: account flat.",
        "It locked the account (rule daily_realized_loss) until ",
        "close 2 CON.F.US.MNQ.H26: refused (code 5: market closed) in 12 ms.",
        "close 2 CON.F.US.MNQ.H26: confirmed in 10 ms.",
        "The account showed it done at",
    ]
    assert len(lines) == len(told)
    for part, line in zip(told, lines, strict=True):
        assert part in line


def test_why_of_what_is_not_confirmed_says_so(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["why"] = WHY | {"enforcement": RECEIPT | {"verified": False}}

    assert "The account has NOT shown it done yet." in riskd("why").out


def test_why_of_a_shadow_rule_says_that_nothing_was_done(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["why"] = WHY | {
        "breach": BREACH | {"mode": "shadow"},
        "enforcement": None,
        "lockout": None,
    }
    out = riskd("why", "breach/PRAC-1/x").out

    assert "in shadow: nothing was done" in out
    assert "no call" not in out


LINES = [
    ({"kind": "fill", "side": "buy", "size": 1, "contract": "MNQ", "price": "21000.00", "pnl": None},
     "buy 1 MNQ at 21000.00"),
    ({"kind": "fill", "side": "sell", "size": 1, "contract": "M", "price": "1", "pnl": "-20.00", "own": True},
     "sell 1 M at 1, result -$20.00 (own close)"),
    ({"kind": "demand", "rule": "max_contracts", "target": "at most 5", "contract": "MNQ"},
     "max_contracts: at most 5 (MNQ)"),
    ({"kind": "enforcement", "demand": "account flat", "calls": [{}], "verified": True},
     "account flat: 1 call, confirmed"),
    ({"kind": "unlock", "rule": "manual", "reason": "admin"}, "manual: admin"),
    ({"kind": "alert", "level": "warning", "message": "link lost"}, "warning: link lost"),
    ({"kind": "admin", "command": "down", "by": "anna", "role": "admin", "outcome": "done"},
     "down by anna as admin: done"),
    ({"kind": "restart", "actor": "timers", "cause": "killed", "uncovered_ms": 1.5},
     "timers: killed, uncovered for 1.5 ms"),
    ({"kind": "link", "state": "live", "generation": 2}, "live (generation 2)"),
    ({"kind": "reset", "day": "2026-03-03", "cause": "scheduled"}, "day 2026-03-03, cause scheduled"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), LINES)
def test_history_line_is_told_in_words(
    daemon: StandIn, riskd: Riskd, line: dict[str, object], said: str
) -> None:
    whole = {"id": "1", "at": "2026-03-02T20:30:00Z", "account": "PRAC-1", **line}
    daemon.answers["history"] = {"schema": 1, "at": AT, "history": [whole]}

    assert riskd("history").out.rstrip().endswith(f"PRAC-1 {said}")
    assert msgspec.json.decode(riskd("history", "--json").out) == whole


def test_history_is_asked_for_a_span_and_kind(daemon: StandIn, riskd: Riskd) -> None:
    daemon.answers["history"] = {"schema": 1, "at": AT, "history": []}

    riskd("history", "--since", "2026-03-02T08:00:00Z", "--kind", "fill", "-a", "A", "--limit", "9")

    since = datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert daemon.asked == [("history", AskHistory(since, None, "fill", "A", 9))]


@pytest.mark.parametrize("argv", [("--since", "soon"), ("--kind", "tea")])
def test_history_refuses_what_it_cannot_read(riskd: Riskd, argv: tuple[str, str]) -> None:
    ran = riskd("history", *argv)

    assert ran.code == Exit.USAGE
    assert argv[1] in ran.err


# ---------------------------------------------------------------------- watch


def test_watch_once_draws_bars_headroom_countdown_and_keys(daemon: StandIn, riskd: Riskd) -> None:
    line = {"at": AT, "kind": "lockout", "account": "PRAC-1", "rule": "daily_realized_loss", "reason": "lost"}
    routine = line | {"kind": "fill"}
    elsewhere = line | {"account": "PRAC-2"}
    daemon.answers |= {
        "status": with_state(
            "locked", accounts=(msgspec.structs.replace(LOCKED.accounts[0], rules=(RULE, GRACE)),)
        ),
        "history": {"at": AT, "history": [line, routine, elsewhere]},
    }

    out = riskd("watch", "--once", "-a", "PRAC-1").out

    assert "(in 42s)" in out, "the grace counts down"
    assert out.count("PRAC-1 lockout: daily_realized_loss: lost") == 1
    assert "PRAC-2" not in out

    for part in ("LOCKED", "PRAC-1", "-$412.50", "stop in place", "################....", "82%", "87.50"):
        assert part in out
    assert "(in 2h 30m)" in out
    assert "closed 1 MNQ" in out
    assert "q quit" in out
    assert "\x1b[" not in out


# ---------------------------------------------------------------------- the line itself


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("stauts",), "Did you mean status?"),
        (("status", "--frobnicate"), "No such option"),
        (("lock", "--for"), "requires an argument"),
    ],
)
def test_mistake_on_the_line_is_exit_2_and_says_what_is_meant(
    riskd: Riskd, argv: tuple[str, ...], said: str
) -> None:
    ran = riskd(*argv)

    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_options_that_stand_anywhere_may_stand_anywhere(
    daemon: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.answers["status"] = STATUS
    folder = str(daemon.home.folder)

    for argv in (
        ["--home", folder, "status", "--json"],
        ["status", "--home", folder, "--json"],
        ["status", "--json", f"--home={folder}"],
    ):
        assert main(argv) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_home_may_be_named_by_the_environment(
    daemon: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["status"] = STATUS
    monkeypatch.setenv("RISKD_HOME", str(daemon.home.folder))

    assert main(["status", "--json"]) == 0


def test_every_command_has_help(riskd: Riskd) -> None:
    from ops.cli.table import TABLE

    root = riskd("--help").out
    for name in TABLE:
        assert f"  {name} " in root


def test_every_command_of_the_table_can_be_called(riskd: Riskd) -> None:
    from ops.cli.table import TABLE

    for name in set(TABLE) - {"simulator", "demo"}:
        assert riskd(name, "--help").code == 0, name
