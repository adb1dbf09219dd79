"""A gateway that fails, a link that drops, parts of the guard that die: S73-S93."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from supervisor.protocol import AskActor, DoLock, DoReload, DoReset, DoStop, DoUnlock, Exit, Refused
from supervisor.roles import AdminSecret
from tests.scenarios.desk import A, B, Desk, desk
from tests.scenarios.traps import covers

LOSS = {"daily_realized_loss": {"limit": -500}}
CLOSE = "Position/closeContract"


@covers("L25", "C10")
def test_S73_a_close_that_fails_twice_is_repeated_and_the_lock_is_there_before() -> None:
    """Given a day at -480 and ES long 1, when a trade makes it -530 and the close meets a 500, then no
    answer, then works, then the account was locked all along and the third attempt closed it."""
    with desk(LOSS, gateway={"request_timeout": "1s"}) as d:
        d.book(-480)
        d.buy("ES", 1)
        d.holds(ES=1)
        d.fault("http_500", path=CLOSE, times=1)
        d.fault("delay", path=CLOSE, times=2, seconds=1.5)
        d.book(-50)
        d.until(d.acts, "a close on its way")
        assert "daily_realized_loss" in d.lockouts()
        d.in_time(lambda: not d.positions(), "it is closed in the end")
        d.fault("all", on=False)
        d.flat()
        outcomes = [call["outcome"] for call in d.receipts()[0]["calls"] if call["call"] == "close"]
        assert outcomes[:2] == ["unknown", "unknown"]
        assert d.receipts()[0]["verified"]


@covers("L16", "T6")
def test_S74_while_every_attempt_fails_the_account_is_locked_and_nobody_claims_success() -> None:
    """Given closes that are refused for good, when the day is over, then the account is locked, people get a
    critical alert, attempts go on and no receipt is verified until it works again."""
    with desk(LOSS) as d:
        d.buy("ES", 1)
        d.holds(ES=1)
        d.fault("refuse", path=CLOSE, code=6, message="Account rejected")
        d.book(-500)
        d.until(d.acts, "a close is tried")
        for _ in range(12):
            d.pass_time(5)
            d.settle(reducing=True)
        assert set(d.lockouts()) == {"daily_realized_loss"}
        assert len(d.closes()) >= 4
        assert [a for a in d.history("alert") if a["level"] == "critical" and a["component"] == "enforcement"]
        assert not any(receipt["verified"] for receipt in d.receipts())

        d.fault("refuse", path=CLOSE, on=False)
        d.fault("all", on=False)
        d.in_time(lambda: not d.positions(), "it is closed", 10)
        d.flat()
        assert d.receipts()[-1]["verified"]


def test_S78_a_position_that_is_gone_already_is_done_once_it_was_seen() -> None:
    """Given MNQ that the broker closed without a word, when it breaks its limit, then the close finds
    nothing, the account is read, and the receipt is verified."""
    with desk({"daily_unrealized_loss": {"limit": -300}}, gateway={"reconcile_every": "60s"}) as d:
        d.buy("MNQ", 3)
        d.holds(MNQ=3)
        d.control(op="close", account=A, contract="MNQ", silent=True)
        d.price("MNQ", 20900)
        d.until(d.acts, "a close is tried")
        d.flat()
        (receipt,) = d.receipts()
        assert receipt["verified"]
        assert len(receipt["calls"]) == 1


@covers("L10")
def test_S80_after_a_drop_everything_is_read_again_and_nothing_is_done_twice() -> None:
    """Given a locked account and ES long 1 in another, when the stream drops, the first reconnect fails and
    ES is closed meanwhile, then ES is gone from the books, a missed fill is counted and nothing is enforced
    again."""
    with desk(LOSS, accounts=[{"name": A}, {"name": B}]) as d:
        d.book(-500)
        d.locked("daily_realized_loss")
        d.buy("ES", 1, account=B)
        d.holds(account=B, ES=1)
        generation = d.status()["link"]["generation"]

        d.fault("negotiate_503", times=1)
        d.fault("hub_reset")
        d.price("ES", 5798)
        d.control(op="close", account=B, contract="ES", silent=True)
        d.until(lambda: d.status()["link"]["generation"] > generation, "a new link")
        d.until(lambda: d.status()["link"]["state"] == "live", "it is live")
        d.flat(B)
        d.day("-100.00", account=B)

        d.price("ES", 5797)
        d.buy("ES", 1, account=B)
        d.holds(account=B, ES=1)
        assert d.calls() == []
        assert len(d.history("breach")) == 1
        assert len(d.history("lockout")) == 1


def test_S83_a_token_is_renewed_at_half_its_life_without_a_gap() -> None:
    """Given a token that lives 2 s, when it is renewed twice, then a new pair of hubs took over each time,
    the link was never lost, and every trade in between counts once."""
    far = {"daily_realized_loss": {"limit": -500000}}  # five hundred trades fit into two renewals
    with desk(far, gateway_settings={"token_life": timedelta(seconds=2)}) as d:
        first, before = d.status()["link"]["generation"], len(d.history("link"))
        trades = 0
        while d.status()["link"]["generation"] < first + 2:
            d.book(-1)
            trades += 1
            d.until(lambda count=trades: d.status(A)["trades"] == 2 * count, "the trade is counted")
            assert d.status()["link"]["state"] == "live"
        d.day(f"{-trades}.00")
        assert {line["state"] for line in d.history("link")[before:]} == {"live"}


ACTORS = ("connection", "persistence", "timers", "notices")
OF_ACCOUNT = ("", "/enforcement", "/rules/max_contracts_per_instrument", "/rules/daily_realized_loss")
EVERYBODY = (*ACTORS, *(f"account/{A}{part}" for part in OF_ACCOUNT))
BOTH = {**LOSS, "max_contracts_per_instrument": {"limits": {"MNQ": 2}}}


@covers("L5", "C10")
def test_S85_any_actor_may_die_at_rest_and_nothing_is_lost() -> None:
    """Given -300, MNQ long 2 and every actor, when each is killed and each crashes in turn, then positions,
    P&L and counts are as before, and limits still act, once."""
    with desk(BOTH) as d:
        d.book(-300)
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        for actor in EVERYBODY:
            d.kill(actor)
        for actor in EVERYBODY:
            d.crash(actor)
        d.settle()
        d.holds(MNQ=2)
        d.day("-300.00")
        assert (d.calls(), d.history("breach"), d.lockouts()) == ([], [], {})
        assert len(d.history("restart")) == 2 * len(EVERYBODY)

        d.buy("MNQ", 1)
        d.until(d.acts, "one is closed")
        d.holds(MNQ=2)
        assert d.acts() == [("partial_close", "MNQ", 1)]
        d.book(-200, contract="ES")
        d.flat()
        d.locked("daily_realized_loss")
        assert len(d.history("breach")) == 2


@covers("L5", "L10", "C8")
@pytest.mark.parametrize("actor", EVERYBODY)
def test_S85_any_actor_may_die_in_the_middle_of_a_breach(actor: str) -> None:
    """Given a close of one MNQ on its way to a slow gateway, when an actor is killed, then one contract is
    closed, once, one breach is recorded, and the guard goes on."""
    with desk(BOTH) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.fault("delay", path="Position/*Close*", times=1, seconds=0.15)
        d.buy("MNQ", 1)
        d.until(d.calls, "the close is on its way")
        d.kill(actor)
        d.holds(MNQ=2)
        d.in_time(lambda: all(r["verified"] for r in d.receipts()), "it is verified")
        d.settle()
        assert d.acts() == [("partial_close", "MNQ", 1)]
        assert [b["rule"] for b in d.history("breach")] == ["max_contracts_per_instrument"]
        assert d.lockouts() == {}


@pytest.mark.parametrize("actor", EVERYBODY)
def test_S85_any_actor_may_die_in_the_middle_of_a_lockout(actor: str) -> None:
    """Given a flatten on its way to a slow gateway, when an actor is killed, then the lock stands, set once,
    the position is closed and nothing of the guard's opens another."""
    with desk(BOTH) as d:
        d.buy("ES", 1)
        d.holds(ES=1)
        d.fault("delay", path=CLOSE, times=1, seconds=0.15)
        d.book(-500)
        d.until(d.calls, "the close is on its way")
        d.kill(actor)
        d.flat()
        d.locked("daily_realized_loss")
        assert len(d.history("lockout")) == 1
        assert {b["rule"] for b in d.history("breach")} == {"daily_realized_loss"}
        assert d.calls("place") == []


@covers("C10")
def test_S86_a_rule_that_keeps_crashing_locks_its_account_until_it_runs_again() -> None:
    """Given MNQ long 1, when a rule crashes five times in 30 s, then its account is flattened and locked by
    the supervisor, people are told, and the lock ends when the rule runs again."""
    with desk(BOTH, accounts=[{"name": A}, {"name": B}]) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        rule = f"account/{A}/rules/daily_realized_loss"
        d.wear_out(rule)
        d.until(lambda: d.lockouts(), "the account is locked")
        d.flat()
        lockout = d.locked("supervisor")["supervisor"]
        assert (lockout["kind"], lockout["until"]) == ("condition", None)
        assert d.lockouts(B) == {}
        assert d.rule("daily_realized_loss")["state"] == "failed"
        assert [a for a in d.history("alert") if a["level"] == "critical" and rule in a["message"]]

        d.ask("actors.restart", AskActor(rule))
        d.locked()
        assert d.rule("daily_realized_loss")["state"] == "ok"


def test_S86_a_shadow_rule_that_keeps_crashing_only_alerts() -> None:
    """Given a rule in shadow, when it crashes five times, then people are told and nothing is locked or
    closed."""
    with desk({"daily_realized_loss": {"mode": "shadow", "limit": -500}}) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        rule = f"account/{A}/rules/daily_realized_loss"
        d.wear_out(rule)
        d.until(lambda: [a for a in d.history("alert") if rule in a["message"]], "people are told")
        d.settle()
        assert (d.calls(), d.lockouts(), d.positions()) == ([], {}, {"MNQ": 1})


@covers("L24", "L25")
def test_S89_a_guard_that_stops_between_breach_and_close_closes_once_when_it_is_back() -> None:
    """Given a gateway that refuses to close, when the day is over and the guard stops and starts twice, then
    the lock is there at once, and when closes work again the position is closed, once."""
    with desk(LOSS) as d:
        d.buy("ES", 1)
        d.holds(ES=1)
        d.fault("refuse", path=CLOSE, code=6, message="Account rejected")
        d.book(-500)
        d.until(lambda: d.lockouts() and d.acts(), "locked, and a close was tried")
        d.settle(reducing=True)
        before = d.lockouts()
        d.stop()
        d.start(settle=False)
        assert d.lockouts() == before
        d.stop()
        d.fault("all", on=False)
        d.start(settle=False)
        d.in_time(lambda: not d.positions(), "it is closed")
        d.flat()

        assert d.lockouts() == before
        assert [call["code"] for call in d.calls("closeContract")].count(0) == 1
        assert len(d.history("breach")) == 1
        assert len(d.history("lockout")) == 1
        d.day("-500.00")


def test_S89_two_restarts_in_a_row_change_nothing() -> None:
    """Given a lock, an open count and a stop's grace, when the guard is restarted twice, then status is the
    same."""
    rules = {**LOSS, "no_stop_loss_grace": {"mode": "armed", "grace": "10m"}}
    with desk(rules) as d:
        d.buy("MNQ", 1)
        d.book(-100, contract="ES")
        d.holds(MNQ=1)
        d.day("-100.00")
        d.advance(60)
        before = standing(d)
        for _ in range(2):
            d.stop()
            d.start()
            assert standing(d) == before
        assert (d.calls(), d.history("breach")) == ([], [])


def standing(d: Desk) -> dict[str, object]:
    """What of the account's status must survive a restart."""
    account = d.status(A)
    return {key: account[key] for key in ("realized", "trades", "lockouts", "state", "attempts")} | {
        "positions": [(p["root"], p["size"], p["average_price"]) for p in account["positions"]],
        "rules": [(r["rule"], r["value"], r["acts_at"]) for r in account["rules"]],
    }


def test_S88_a_damaged_database_is_set_aside_and_rebuilt_from_the_broker() -> None:
    """Given a day at -300, when the database is damaged while the guard is down, then it starts, a copy is
    kept, the day is read from the broker again, and people are told."""
    with desk(LOSS) as d:
        d.book(-300)
        d.day("-300.00")
        d.stop()
        database = Path(d.home.database)
        database.write_bytes(b"not a database" * 1000)
        d.start()
        d.day("-300.00")
        assert [p for p in database.parent.rglob("*") if p.is_file() and b"not a database" in p.read_bytes()]
        assert [a for a in d.history("alert") if "rebuilt" in a["message"] or "damaged" in a["message"]]
        d.book(-200)
        d.locked("daily_realized_loss")


@covers("L21", "L22", "C11", "T6")
def test_S93_status_counts_the_rules_that_really_run() -> None:
    """Given three rules armed and one in shadow, when status is asked, then it counts those, each with its
    figure, and a rule that was given up makes it degraded with the reason."""
    rules = {**BOTH, "auth_loss_guard": {}, "symbol_blocks": {"mode": "shadow", "blocked": ["CL"]}}
    with desk(rules) as d:
        assert d.status()["rules"] == {"configured": 4, "armed": 3, "shadow": 1, "off": 10}
        assert {r["rule"] for r in d.status(A)["rules"]} == set(rules)
        assert {r["state"] for r in d.status(A)["rules"]} == {"ok"}

        rule = f"account/{A}/rules/symbol_blocks"
        d.wear_out(rule)
        d.until(lambda: d.rule("symbol_blocks")["state"] == "failed", "it is shown as failed")
        assert d.status()["rules"]["shadow"] == 0
        d.until(lambda: d.status()["state"] == "degraded", "the guard is degraded")
        assert [reason for reason in d.status()["reasons"] if "symbol_blocks" in reason["text"]]


def test_S77_a_rate_limit_is_waited_for_and_protective_calls_pass_reads() -> None:
    """Given a gateway that answers 429 to every read and once to the close, when the day is over, then the
    close is sent again within its wait and the position is closed while reads stand back."""
    with desk(LOSS) as d:
        d.buy("ES", 1)
        d.holds(ES=1)
        d.fault("http_429", path="*/search*", retry_after=60)
        d.fault("http_429", path="Order/v2/query", retry_after=60)
        d.fault("http_429", path=CLOSE, times=1, retry_after=1)
        d.book(-500)
        d.until(d.acts, "a close is tried")
        d.in_time(lambda: not d.positions(), "it is closed")
        assert [call["status"] for call in d.calls()] == [429, 200]
        assert not any(receipt["verified"] for receipt in d.receipts())

        d.fault("all", on=False)
        d.in_time(lambda: d.receipts()[0]["verified"], "it is verified once reads work", 5)


def test_S92_a_bad_reload_changes_nothing_and_a_good_one_applies() -> None:
    """Given -500 a day, when the file is broken and reloaded, then that is refused with 78 and -500 still
    holds; when it says -200, then -200 holds."""
    with desk(LOSS) as d:
        d.write(rules={"daily_realized_loss": {"limit": 500}})
        with pytest.raises(Refused) as refused:
            d.ask("reload", DoReload())
        assert refused.value.code is Exit.BAD_CONFIG
        d.book(-199)
        d.day("-199.00")
        assert d.rule("daily_realized_loss")["limit"] == "-500.00"

        d.write(rules={"daily_realized_loss": {"limit": -200}})
        d.ask("reload", DoReload())
        d.becomes("-200.00", lambda: d.rule("daily_realized_loss")["limit"])
        assert d.lockouts() == {}
        d.book(-1)
        d.locked("daily_realized_loss")


def test_S94_what_loosens_needs_the_admin_secret_and_is_audited_either_way() -> None:
    """Given an admin secret and a locked account, when someone unlocks, resets or stops without it, then each
    is refused with 4; with it a reset is done; all of it is in the history."""
    with desk(LOSS) as d:
        AdminSecret(d.home.admin_secret).set("correct horse")
        d.book(-500)
        d.locked("daily_realized_loss")
        for command, request in (("unlock", DoUnlock(A)), ("reset", DoReset(A)), ("down", DoStop(True))):
            for secret in (None, "wrong horse"):
                with pytest.raises(Refused) as refused:
                    d.ask(command, request, secret=secret)
                assert refused.value.code is Exit.NOT_PERMITTED
        d.locked("daily_realized_loss")

        d.advance(1)
        d.ask("reset", DoReset(A), secret="correct horse")
        d.ask("unlock", DoUnlock(A), secret="correct horse")
        d.locked()
        audited = [line["command"] for line in d.history("admin")]
        assert audited.count("unlock") == 3
        assert audited.count("down") == 2


def test_S94_never_means_never() -> None:
    """Given `admin_unlock: never`, when the day's lock is to be lifted or the day reset, then both are
    refused with 7; a lock by hand without end can be lifted."""
    with desk(LOSS, tamper={"admin_unlock": "never"}) as d:
        d.ask("lock", DoLock(A, reason="a break"))
        d.locked("manual")
        d.ask("unlock", DoUnlock(A))
        d.locked()
        d.book(-500)
        d.locked("daily_realized_loss")
        for command, request in (("unlock", DoUnlock(A)), ("reset", DoReset(A))):
            with pytest.raises(Refused) as refused:
                d.ask(command, request)
            assert refused.value.code is Exit.COOLING_OFF
        d.locked("daily_realized_loss")
