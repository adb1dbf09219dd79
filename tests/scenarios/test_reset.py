"""The turn of the trading day, and what survives it or a restart: S60, S69, S71."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.scenarios.desk import A, Desk, chicago, desk
from tests.scenarios.traps import covers

LOSS = {"daily_realized_loss": {"limit": -500}}


@covers("L26", "C16", "C19")
@pytest.mark.parametrize(
    ("at", "reset", "hours"),
    [
        (chicago(2025, 3, 8, 20), chicago(2025, 3, 9, 17), 20),
        (chicago(2025, 11, 1, 20), chicago(2025, 11, 2, 17), 22),
        (chicago(2026, 2, 4, 20), chicago(2026, 2, 5, 17), 21),
    ],
    ids=["clocks go forward", "clocks go back", "any other day"],
)
def test_S60_the_reset_comes_once_at_17_local_time_whatever_the_clocks_do(
    at: datetime, reset: datetime, hours: int
) -> None:
    """Given a day locked at 20:00 the evening before, when the clocks change over night, then the lock ends
    and the day is reset once, at 17:00 local time."""
    with desk(LOSS, at=at) as d:
        d.book(-500)
        lockout = d.locked("daily_realized_loss")["daily_realized_loss"]
        assert lockout["until"] == reset
        assert (lockout["until"] - d.now) == timedelta(hours=hours)

        d.advance_to(reset - timedelta(seconds=1))
        d.locked("daily_realized_loss")
        assert resets(d) == []
        d.advance(1)
        d.locked()
        d.day("0.00")
        d.advance(3600)
        d.advance(3600)
        assert [line["cause"] for line in resets(d)] == ["scheduled"]


def resets(d: Desk) -> list[dict[str, Any]]:
    """Resets of A in its history."""
    return d.history("reset", A)


@covers("C20", "C16", "T6")
def test_S69_at_the_reset_the_day_starts_from_nothing_once() -> None:
    """Given 16:59:50, a day at -550 with 15 trades and a loss lock, when it is 17:00:00, then P&L and count
    are zero, the lock is gone, status says so and one row is written; a second tick does nothing."""
    rules = {**LOSS, "trade_frequency_limit": {"per_minute": None, "per_hour": None, "per_session": 50}}
    with desk(rules, at=chicago(2026, 3, 4, 16, 59, 40)) as d:
        for _ in range(7):
            d.book(-50)
        d.book(-200)
        d.locked("daily_realized_loss")
        d.day("-550.00")
        d.advance_to(chicago(2026, 3, 4, 16, 59, 59))
        d.locked("daily_realized_loss")
        assert d.status(A)["trades"] == 16

        d.advance(1)
        d.locked()
        d.day("0.00")
        assert (d.status(A)["trades"], d.rule("trade_frequency_limit")["value"]) == (0, "0")
        assert d.status(A)["state"] == "active"
        (row,) = resets(d)
        assert (row["day"], row["cause"]) == ("2026-03-05", "scheduled")
        (unlock,) = d.history("unlock")
        assert (unlock["rule"], unlock["reason"]) == ("daily_realized_loss", "reset")

        d.advance(1)
        d.advance(60)
        assert len(resets(d)) == 1
        d.book(-499)
        d.day("-499.00")
        assert d.lockouts() == {}


@covers("C20")
def test_S69_midnight_changes_nothing() -> None:
    """Given a day at -300, when midnight passes, then it is still at -300 and -200 more lock it."""
    with desk(LOSS, at=chicago(2026, 3, 4, 23, 59)) as d:
        d.book(-300)
        d.day("-300.00")
        d.advance(120)
        d.day("-300.00")
        d.book(-200)
        assert d.locked("daily_realized_loss")["daily_realized_loss"]["until"] == chicago(2026, 3, 5, 17)


def test_S69_trades_before_and_after_17_belong_to_different_days() -> None:
    """Given -400 at 16:59, when -400 follow at 17:01, then neither day is over its limit."""
    with desk(LOSS, at=chicago(2026, 3, 4, 16, 59)) as d:
        d.book(-400)
        d.day("-400.00")
        d.advance(120)
        d.book(-400)
        d.day("-400.00")
        assert (d.lockouts(), d.history("breach")) == ({}, [])


def test_S69_a_trade_that_arrives_late_corrects_its_own_day_and_locks_nothing() -> None:
    """Given the new day has begun, when a loss of the old day arrives, then today stays at zero and nothing
    locks."""
    with desk(LOSS, at=chicago(2026, 3, 4, 16, 59, 30)) as d:
        d.advance(60)
        d.book(-600, at="2026-03-04T22:59:40Z")
        d.settle()
        d.advance(5)
        assert d.status(A)["realized"] == "0.00"
        assert (d.lockouts(), d.history("breach")) == ({}, [])


@covers("C24")
def test_S71_locks_of_session_and_permission_survive_the_reset() -> None:
    """Given a session lock and a canTrade lock at 16:59, when the day is reset, then both still hold."""
    rules = {**LOSS, "session_block_outside": {"session": "main"}, "auth_loss_guard": {}}
    with desk(rules, at=chicago(2026, 3, 4, 16, 59)) as d:
        d.locked("session_block_outside")
        d.book(-500)
        d.control(op="can_trade", account=A, value=False)
        d.locked("session_block_outside", "auth_loss_guard", "daily_realized_loss")

        d.advance(60)
        d.locked("session_block_outside", "auth_loss_guard")
        d.day("0.00")
        d.advance_to(chicago(2026, 3, 5, 8, 30))
        d.locked("auth_loss_guard")


def test_S71_a_rest_survives_the_reset() -> None:
    """Given a rest of 15 minutes from 16:50, when the day is reset, then it lasts until 17:05."""
    tiers = [{"loss": -100, "cooldown": "15m"}]
    with desk({"cooldown_after_loss": {"tiers": tiers}}, at=chicago(2026, 3, 4, 16, 50)) as d:
        d.book(-100)
        d.locked("cooldown_after_loss")
        d.advance_to(chicago(2026, 3, 4, 17, 4, 59))
        d.locked("cooldown_after_loss")
        d.advance(1)
        d.locked()


@covers("C22")
def test_S69_a_reset_missed_while_the_guard_was_down_comes_at_its_start() -> None:
    """Given a day locked at -500 and the guard stopped at 16:00, when it is started at 18:00, then the day is
    reset once, as missed, and the account is free before anything is judged."""
    with desk(LOSS, at=chicago(2026, 3, 4, 16)) as d:
        d.book(-500)
        d.locked("daily_realized_loss")
        d.stop()
        d.advance_to(chicago(2026, 3, 4, 18))
        d.start()
        d.locked()
        d.day("0.00")
        assert [line["cause"] for line in resets(d)] == ["missed"]
        assert len(d.history("breach")) == 1
        d.stop()
        d.start()
        assert len(resets(d)) == 1


@covers("C25", "C26", "C27")
def test_S69_lockout_pnl_counts_and_deadlines_survive_a_restart() -> None:
    """Given a lock until the reset, a rest, and trades counted, when the guard is stopped and started, then
    all of it is as before and a fill is closed."""
    rules = {
        **LOSS,
        "cooldown_after_loss": {"tiers": [{"loss": -100, "cooldown": "5m"}]},
        "trade_frequency_limit": {"per_minute": None, "per_hour": None, "per_session": 50},
    }
    with desk(rules) as d:
        d.book(-500)
        before = d.locked("daily_realized_loss", "cooldown_after_loss")
        d.advance(60)
        count = d.rule("trade_frequency_limit")["value"]
        d.stop()
        d.advance(60)
        d.start()

        assert d.lockouts() == before
        d.day("-500.00")
        assert (d.status(A)["trades"], d.rule("trade_frequency_limit")["value"]) == (2, count)
        d.buy("MNQ", 1)
        d.until(d.closes, "the fill is closed")
        d.flat()
        assert d.closes() == [("close", "MNQ")]
        d.advance(180)
        d.locked("daily_realized_loss")
        assert len([b for b in d.history("breach") if b["rule"] == "daily_realized_loss"]) == 1
