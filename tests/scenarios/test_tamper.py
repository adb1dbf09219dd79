"""The trader's own worst hour: what loosens has to be asked for in time, and never happens by itself."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from supervisor.cooling import knows_time
from supervisor.protocol import (
    DoCancelChange,
    DoLock,
    DoReload,
    DoReset,
    DoRuleMode,
    DoRuleSet,
    DoStop,
    DoUnlock,
    Exit,
    Nothing,
    Refused,
)
from tests.scenarios.desk import A, B, chicago, desk

LOSS = {"daily_realized_loss": {"limit": -500}}
HALF_AN_HOUR = {"loosen_after": "30m"}


def refused(d, command: str, request: object) -> str:
    with pytest.raises(Refused) as error:
        d.ask(command, request)
    assert error.value.code is Exit.COOLING_OFF
    return error.value.hint


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        pytest.param("down", DoStop(leave_open=True), id="down"),
        pytest.param("unlock", DoUnlock(A, "daily_realized_loss"), id="unlock"),
        pytest.param("reset", DoReset(A), id="reset"),
        pytest.param("service.uninstall", Nothing(), id="service uninstall"),
    ],
)
def test_what_loosens_is_refused_first_and_names_the_time(command: str, request_: object) -> None:
    """Given loosen_after 30m and a lock, when it is asked for, then exit 7 names the time."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        d.book(-600)
        d.until(d.lockouts, "locked")
        assert "16:30:00" in refused(d, command, request_)
        d.advance(20 * 60)
        assert "16:30:00" in refused(d, command, request_)
        assert "daily_realized_loss" in d.lockouts()


def test_a_reset_is_accepted_within_an_hour_of_its_time_and_only_once() -> None:
    """Given it was asked for at 10:00, then at 10:30 it is carried out, and the next one waits again."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        d.book(-100)
        d.until(lambda: d.status(A)["realized"] == "-100.00", "counted")
        refused(d, "reset", DoReset(A))
        d.advance(30 * 60)
        d.ask("reset", DoReset(A))
        d.until(lambda: d.status(A)["realized"] == "0.00", "zero")
        refused(d, "reset", DoReset(A))


def test_a_time_that_was_let_pass_has_to_be_waited_for_again() -> None:
    """Given it was asked for at 10:00, then after 11:30 it is refused and the time begins anew."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        refused(d, "reset", DoReset(A))
        d.advance(91 * 60)
        assert "18:01:00" in refused(d, "reset", DoReset(A))


def test_an_unlock_asked_for_before_the_lockout_is_worth_nothing() -> None:
    """Given unlock was asked for before the lockout, or a shorter one, then it has to be asked for again."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        with pytest.raises(Refused, match="not locked"):
            d.ask("unlock", DoUnlock(A))
        d.ask("lock", DoLock(A, for_s=7200.0))
        d.until(d.lockouts, "locked by hand")
        refused(d, "unlock", DoUnlock(A))
        d.advance(20 * 60)
        d.ask("lock", DoLock(A, for_s=9000.0))
        d.advance(11 * 60)
        refused(d, "unlock", DoUnlock(A))
        d.advance(31 * 60)
        d.ask("unlock", DoUnlock(A))
        d.until(lambda: not d.lockouts(), "asked for in time")


def test_a_wait_by_a_clock_that_was_slow_ends_by_the_gateways_time() -> None:
    """Given a clock that is 20 minutes slow, when the gateway is heard, then 30 minutes pass by its time."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        assert not knows_time(d.guard)
        refused(d, "reset", DoReset(A))
        d.clock.jump(20 * 60)
        d.book(1)
        d.until(lambda: knows_time(d.guard), "the gateway's time is known")
        d.until(lambda: not d.guard.unsure_waits, "borne out")
        d.advance(15 * 60)
        refused(d, "reset", DoReset(A))
        d.advance(16 * 60)
        d.ask("reset", DoReset(A))


# ------------------------------------------------------------------------------ limits


LIMIT = {"max_contracts": {"limit": 2}}


def test_a_laxer_limit_waits_and_a_stricter_one_acts_at_once() -> None:
    """Given loosen_after 30m and a limit of 2, when it is set to 3, then 2 acts until 30 minutes later."""
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        answer = d.ask("rules.set", DoRuleSet("max_contracts", "limit", "3"))
        assert (answer["effective_at"] - d.now).total_seconds() // 60 == 30
        (pending,) = d.status()["pending"]
        assert (pending["id"], pending["change"]) == (answer["change"], "rules.max_contracts.limit: 2 -> 3")
        d.buy("MNQ", 3)
        d.holds(MNQ=2)

        d.advance(29 * 60)
        assert d.status()["pending"]
        d.advance(61)
        d.until(lambda: not d.status()["pending"], "the change has taken effect")
        d.buy("MNQ", 2)
        d.holds(MNQ=3)

        assert "effective_at" not in d.ask("rules.set", DoRuleSet("max_contracts", "limit", "1"))
        d.holds(MNQ=1)


def test_a_change_that_waits_can_be_withdrawn() -> None:
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        d.ask("rules.set", DoRuleSet("max_contracts", "limit", "9"))
        (pending,) = d.status()["pending"]
        d.ask("config.cancel", DoCancelChange(pending["id"]))
        assert not d.status()["pending"]
        with pytest.raises(Refused, match="no such change"):
            d.ask("config.cancel", DoCancelChange(pending["id"]))
        d.advance(40 * 60)
        d.buy("MNQ", 3)
        d.holds(MNQ=2)


def test_a_reload_tightens_now_and_loosens_later() -> None:
    """Given MNQ 2 and ES 1, when a file says MNQ 1 and ES 2, then MNQ 1 and ES 1 act."""
    each = "max_contracts_per_instrument"
    with desk({each: {"limits": {"MNQ": 2, "ES": 1}}}, tamper=HALF_AN_HOUR) as d:
        d.write(rules={each: {"limits": {"MNQ": 1, "ES": 2}}})
        answer = d.ask("reload", DoReload())
        assert len(answer["pending"]) == 1
        d.buy("MNQ", 2)
        d.buy("ES", 2)
        d.holds(MNQ=1, ES=1)


def test_what_waits_survives_a_restart_and_keeps_its_time() -> None:
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        d.book(1)
        d.until(lambda: knows_time(d.guard), "the gateway's time is known")
        d.ask("rules.set", DoRuleSet("max_contracts", "limit", "3"))
        before = d.status()["pending"]
        d.advance(10 * 60)
        d.stop()
        d.start()
        assert d.status()["pending"] == before
        d.advance(21 * 60)
        d.until(lambda: not d.status()["pending"], "in force")
        d.buy("MNQ", 3)
        d.settle()
        d.holds(MNQ=3)


def test_a_wait_that_the_gateway_never_bore_out_begins_anew_with_a_restart() -> None:
    """Given no time of the gateway's, when the guard restarts after 20 minutes, then 30 more have to pass."""
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        assert not knows_time(d.guard)
        d.ask("rules.set", DoRuleSet("max_contracts", "limit", "3"))
        d.advance(20 * 60)
        d.stop()
        d.start()
        d.advance(25 * 60)
        assert d.status()["pending"]
        d.advance(6 * 60)
        d.until(lambda: not d.status()["pending"], "in force")


def test_a_file_edited_while_the_guard_is_down_is_not_looser_before_its_time() -> None:
    """Given a limit of 2, when the file says 9 at the next up, then 2 acts for 30 minutes more."""
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        d.stop()
        d.write(rules={"max_contracts": {"limit": 9}}, tamper={})
        d.starts = 0
        d.start()
        d.buy("MNQ", 3)
        d.holds(MNQ=2)
        changes = {pending["change"] for pending in d.status()["pending"]}
        assert changes == {"rules.max_contracts.limit: 2 -> 9", "tamper.loosen_after: 30m -> null"}
        d.advance(31 * 60)
        d.until(lambda: not d.status()["pending"], "in force")
        d.buy("MNQ", 2)
        d.settle()
        d.holds(MNQ=4)


def test_at_up_the_limit_that_locked_an_account_stays_until_the_lock_ends() -> None:
    """Given no loosen_after and a loss lock until 17:00, when the file is laxer at up, then 17:00."""
    with desk(LOSS) as d:
        d.book(-600)
        d.until(d.lockouts, "locked")
        d.stop()
        d.write(rules={"daily_realized_loss": {"limit": -5000}, **LIMIT})
        d.starts = 0
        d.start()
        assert list(d.lockouts()) == ["daily_realized_loss"]
        assert [p["change"].split(":")[0] for p in d.status()["pending"]] == [
            "rules.daily_realized_loss.limit"
        ]
        d.advance_to(chicago(2026, 3, 4, 17, 0, 1))
        d.until(lambda: not d.status()["pending"], "the lock is over")


def test_an_account_is_added_while_guarding_and_removed_later() -> None:
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        d.write(accounts=[{"name": A}, {"name": B}])
        d.ask("reload", DoReload())
        assert {account["name"] for account in d.status()["accounts"]} == {A, B}
        d.write(accounts=[{"name": A}])
        answer = d.ask("reload", DoReload())
        assert [p["change"] for p in answer["pending"]] == [f"accounts.{B}: guarded -> not guarded"]
        d.buy("MNQ", 3, account=B)
        d.holds(B, MNQ=2)
        d.advance(31 * 60)
        d.until(lambda: len(d.status()["accounts"]) == 1, "B is let go")


def test_a_demand_ends_with_the_rule_that_made_it() -> None:
    """Given closes that fail, when the rule is switched off, then nothing is closed when they work again."""
    with desk(LIMIT) as d:
        d.fault("refuse", path="Position/*lose*", code=6, message="Account rejected")
        d.buy("MNQ", 3)
        d.until(d.acts, "a close is tried")
        d.ask("rules.mode", DoRuleMode("max_contracts", "off"))
        d.fault("all", on=False)
        d.advance(60)
        d.holds(MNQ=3)


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_asked_for_the_limit_in_force_is_never_laxer_before_its_time(seed: int) -> None:
    """Commands, reloads, restarts, files put in at `up` and clocks that jump, in a seeded order.

    A limit is allowed that was wished for 30 minutes ago and ever since, or is no laxer than the one before.
    """
    chance = random.Random(seed)
    with desk(LIMIT, tamper=HALF_AN_HOUR) as d:
        wished, since, before = 2, d.now, 2
        for _ in range(10):
            number, was = chance.randint(1, 5), wished
            match chance.choice(["set", "reload", "restart", "up", "wait", "wait"]):
                case "set":
                    d.ask("rules.set", DoRuleSet("max_contracts", "limit", str(number)))
                    wished = number
                case "reload":
                    d.write(rules={"max_contracts": {"limit": number}})
                    d.ask("reload", DoReload())
                    wished = number
                case "restart":
                    d.stop()
                    d.start()
                case "up":
                    d.stop()
                    d.write(rules={"max_contracts": {"limit": number}})
                    d.starts = 0
                    d.start()
                    wished = number
                case _:
                    d.advance(chance.choice([5, 20, 31]) * 60)
            since = since if was == wished else d.now
            now = int(d.rule("max_contracts")["limit"])
            if now > before:
                assert now <= wished
                assert d.now - since >= timedelta(minutes=30), f"seed {seed}: {before} -> {now} too early"
            before = now
