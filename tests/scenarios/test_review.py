"""Ways in which a rule could fall silent or a lockout leak, each of which once did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.scenarios import desk as place
from tests.scenarios.desk import A, Desk, chicago, desk

LOSS = {"daily_realized_loss": {"limit": -500}}


def set_clock(d: Desk, by: timedelta) -> None:
    """Set the machine's clock; the gateway's stays right."""
    right = d.clock.wall

    def wrong() -> object:
        return right() + by

    d.clock.wall = wrong  # type: ignore[method-assign, assignment]
    d.pass_time(1)
    d.settle()


def wait_for(d: Desk, holds: Callable[[], Any]) -> None:
    """Let time pass slowly, as backing off takes some, until something can be seen."""

    def seen() -> Any:
        d.pass_time(0.02)
        return holds()

    d.until(seen, "what was waited for")


def died_or_lives_again(d: Desk, actor: str, epoch: int) -> bool:
    return bool(d.guard.failures.given_up) or d.actor(actor)["epoch"] > epoch


def test_a_clock_set_forward_does_not_keep_a_lockout_from_being_set() -> None:
    """Given the machine's clock set a day ahead, when the day's limit is crossed, then it locks."""
    with desk(LOSS) as d:
        set_clock(d, timedelta(days=1, hours=8))
        d.book(-600)
        d.locked("daily_realized_loss")
        d.day("-600.00")


def test_a_clock_set_forward_before_a_restart_does_not_hide_the_days_loss() -> None:
    """Given a day at -400 and a clock set a day ahead, when the guard is restarted and -200 more is lost,
    then the day stands at -600 and is locked."""
    with desk(LOSS) as d:
        d.book(-400)
        d.day("-400.00")
        d.stop()
        set_clock(d, timedelta(days=1, hours=8))
        d.start()
        d.day("-400.00")
        d.book(-200)
        d.locked("daily_realized_loss")
        d.day("-600.00")


def test_an_account_that_inherits_nothing_is_judged_as_before() -> None:
    """Given an account actor that crashed three times in a row and so starts from nothing, when the limit is
    crossed, then it locks; the day, also a later one than that of the daemon's start, still counts."""
    with desk(LOSS) as d:
        d.sound = False
        d.tick(20)
        d.advance_to(chicago(2026, 3, 5, 10))
        d.book(-100)
        d.day("-100.00")
        name = f"account/{A}"
        epoch = d.actor(name)["epoch"]
        for _ in range(3):
            d.guard.supervisor.crash(name)
        wait_for(d, lambda: d.actor(name)["epoch"] >= epoch + 3 and d.actor(name)["state"] == "running")
        d.settle()
        d.day("-100.00")
        assert d.status()["link"]["state"] == "live"

        d.book(-450)
        d.locked("daily_realized_loss")
        d.day("-550.00")


def test_the_lock_for_a_rule_given_up_ends_when_a_restart_lets_it_run_again() -> None:
    """Given a rule that kept crashing and an account locked for it, when the guard is restarted and the rule
    runs, then the lock is over."""
    with desk(LOSS) as d:
        d.sound = False
        rule = f"account/{A}/rules/daily_realized_loss"
        for _ in range(6):
            epoch = d.actor(rule)["epoch"]
            d.guard.supervisor.crash(rule)
            wait_for(d, partial(died_or_lives_again, d, rule, epoch))
        d.locked("supervisor")
        d.stop()
        d.start()
        d.locked()


def test_in_safe_mode_no_rule_runs_and_new_risk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given an open position, when the guard is replaced in safe mode, then no rule has an actor, the
    position stays, and what is added to it is closed."""
    with desk(LOSS) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.stop()
        monkeypatch.setattr(place, "Guard", partial(place.Guard, safe_mode=True))
        d.start()
        d.locked("safe_mode")
        assert [name for name in d.actors() if "/rules/" in name] == []
        assert d.rule("daily_realized_loss")["state"] == "failed"
        assert d.status()["state"] == "safe_mode"

        d.buy("MNQ", 2)
        d.holds(MNQ=1)


def test_a_fill_between_two_ticks_counts_with_its_size() -> None:
    """Given a limit of 1, when 3 are filled at a price that is no tick, then 2 are closed, nothing dies."""
    with desk({"max_contracts": {"limit": 1}}) as d:
        order = d.order("buy", "MNQ", 3, kind="limit", price=20000)
        d.control(op="fill", order=order, size=3, price=20999.9)
        d.holds(MNQ=1)
        assert d.closes() == [("partial_close", "MNQ", 2)]


@pytest.mark.parametrize("days", [1, -1])
def test_a_first_start_by_a_wrong_clock_is_put_right_or_told(days: int) -> None:
    """Given a guard first started by a clock a day off, when the limit is crossed: by a clock that is fast it
    locks, once the gateway's time is known; by one that is slow people are told."""
    with desk(LOSS, start=False) as d:
        set_clock(d, timedelta(days=days))
        d.start()
        d.book(-600)
        d.tick(32)
        if days > 0:
            d.locked("daily_realized_loss")
            d.day("-600.00")
        else:
            assert "account" in [a["component"] for a in d.history("alert", level="critical")]
