"""Sessions, holidays, blocked products, permission and link: S56-S66."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from supervisor.protocol import DoReload
from tests.scenarios.desk import A, chicago, desk
from tests.scenarios.traps import covers

SESSION = {"session_block_outside": {"session": "main"}}
NEW_YORK = ZoneInfo("America/New_York")


def sessions(start: str, end: str, zone: str = "America/Chicago") -> dict[str, Any]:
    days = ["mon", "tue", "wed", "thu", "fri"]
    return {"main": {"start": start, "end": end, "timezone": zone, "days": days}}


@covers("C16", "C17")
def test_S56_at_the_end_of_the_session_all_is_closed_until_the_next_start() -> None:
    """Given a session 08:30-15:00 and MNQ long 2, when it is 14:59:59 nothing happens, at 15:00:00 it is
    flattened and locked; at 08:29:59 the next day a trade is still closed, at 08:30:00 it is allowed."""
    with desk(SESSION, at=chicago(2026, 3, 4, 14, 59, 50)) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.advance_to(chicago(2026, 3, 4, 14, 59, 59))
        assert (d.acts(), d.lockouts()) == ([], {})

        d.advance_to(chicago(2026, 3, 4, 15))
        d.flat()
        lockout = d.locked("session_block_outside")["session_block_outside"]
        assert lockout["kind"] == "until_session_start"
        assert (lockout["since"], lockout["until"]) == (chicago(2026, 3, 4, 15), chicago(2026, 3, 5, 8, 30))
        assert d.acts() == [("close", "MNQ")]

        d.advance_to(chicago(2026, 3, 5, 8, 29, 59))
        d.buy("MNQ", 1)
        d.until(lambda: len(d.closes()) == 2, "the early fill is closed")
        d.flat()

        d.advance_to(chicago(2026, 3, 5, 8, 30))
        d.locked()
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        assert len(d.closes()) == 2


def test_S56_started_outside_the_session_the_guard_locks_and_flattens_what_is_open() -> None:
    """Given MNQ long 1 from before, when the guard starts at 20:00, then it is closed and locked until
    08:30."""
    with desk(SESSION, at=chicago(2026, 3, 4, 20), start=False) as d:
        d.control(op="position", account=A, contract="MNQ", side="buy", size=1, price=21000)
        d.start()
        d.flat()
        lockout = d.locked("session_block_outside")["session_block_outside"]
        assert lockout["until"] == chicago(2026, 3, 5, 8, 30)


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 2, 4), 17.5), ((2026, 2, 6), 65.5)],
    ids=["a Wednesday", "a Friday"],
)
def test_S57_the_lock_lasts_from_the_end_to_the_next_start(day: tuple[int, int, int], hours: float) -> None:
    """Given a session 09:30-16:00 in New York, when it ends, then the lock lasts 17.5 h, on a Friday 65.5
    h."""
    with desk(
        SESSION,
        at=chicago(*day, 14, 59, 58),
        sessions=sessions("09:30", "16:00", "America/New_York"),
    ) as d:
        d.advance(2)
        lockout = d.locked("session_block_outside")["session_block_outside"]
        assert lockout["until"] - lockout["since"] == timedelta(hours=hours)
        assert lockout["until"].astimezone(NEW_YORK).strftime("%a %H:%M") in ("Thu 09:30", "Mon 09:30")

        d.advance_to(lockout["until"] - timedelta(seconds=1))
        d.locked("session_block_outside")
        d.advance(1)
        d.locked()


@covers("C18")
@pytest.mark.parametrize(
    ("at", "close", "holidays"),
    [
        (chicago(2025, 11, 28, 11), chicago(2025, 11, 28, 12), {}),
        (
            chicago(2026, 3, 4, 11),
            chicago(2026, 3, 4, 12, 0),
            {"early_closes": [{"date": "2026-03-04", "close": "12:00", "reason": "a talk"}]},
        ),
    ],
    ids=["the exchange's", "the user's"],
)
def test_S61_an_early_close_shortens_the_session(at: Any, close: Any, holidays: dict[str, Any]) -> None:
    """Given a day that closes early, when that time comes, then the session is over: flat and locked to the
    next."""
    with desk(SESSION, at=at, holidays=holidays) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.advance_to(close - timedelta(seconds=1))
        assert (d.acts(), d.lockouts()) == ([], {})
        d.advance(1)
        d.flat()
        assert d.locked("session_block_outside")["session_block_outside"]["since"] == close


@covers("C18")
def test_S61_a_closed_date_has_no_session() -> None:
    """Given Good Friday 2026, when the guard starts at 10:00, then it is locked until Monday 08:30."""
    with desk(SESSION, at=chicago(2026, 4, 3, 10)) as d:
        lockout = d.locked("session_block_outside")["session_block_outside"]
        assert lockout["until"] == chicago(2026, 4, 6, 8, 30)


def test_S56_a_product_outside_its_own_session_is_closed_without_a_lock() -> None:
    """Given MNQ with a session of its own until 11:00, when it ends, then MNQ is closed and its orders
    cancelled, ES stays and the account is free."""
    both = {**sessions("08:30", "15:00"), "short": sessions("08:30", "11:00")["main"]}
    rules = {"session_block_outside": {"session": "main", "by_root": {"MNQ": "short"}}}
    with desk(rules, at=chicago(2026, 3, 4, 10, 59, 50), sessions=both) as d:
        d.buy("MNQ", 1)
        d.buy("ES", 1)
        order = d.order("buy", "MNQ", 1, kind="limit", price=20900)
        d.holds(MNQ=1, ES=1)
        d.advance(10)
        d.holds(ES=1)
        d.becomes({}, d.working)
        assert sorted(d.acts(), key=str) == [("cancel", order), ("close", "MNQ")]
        assert d.lockouts() == {}


def test_S56_within_the_grace_after_the_end_what_is_open_may_stay_but_not_grow() -> None:
    """Given 60 s of close_grace and MNQ long 1, when the session ends, then MNQ stays for 60 s, more is
    refused, and then all is closed."""
    rules = {"session_block_outside": {"session": "main", "close_grace": "60s"}}
    with desk(rules, at=chicago(2026, 3, 4, 14, 59, 59)) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.advance(1)
        d.locked("session_block_outside")
        d.holds(MNQ=1)
        d.buy("MNQ", 1)
        d.until(d.closes, "the excess is closed")
        d.holds(MNQ=1)
        d.advance(59)
        d.holds(MNQ=1)
        d.advance(1)
        d.flat()


@covers("L8")
def test_S63_an_order_in_a_blocked_product_is_cancelled_and_a_position_closed() -> None:
    """Given ES blocked, when ES and MES orders work and ES is bought, then the ES order is cancelled, the ES
    position closed, MES left alone and nothing locked."""
    rules = {"symbol_blocks": {"mode": "armed", "blocked": ["es"]}}
    with desk(rules, prices={"ES": 5800.0, "MES": 5800.0}) as d:
        blocked = d.order("buy", "ES", 1, kind="limit", price=5700)
        free = d.order("buy", "MES", 1, kind="limit", price=5700)
        d.becomes([free], lambda: list(d.working()))
        assert d.acts() == [("cancel", blocked)]

        d.buy("ES", 1)
        d.until(d.closes, "ES is closed")
        d.flat()
        d.buy("MES", 1)
        d.holds(MES=1)
        assert d.closes() == [("close", "ES")]
        assert d.lockouts() == {}


def test_S63_a_reload_that_blocks_a_product_closes_what_is_open_in_it() -> None:
    """Given ES long 1 and MNQ long 1, when a reload blocks ES, then ES is closed and MNQ stays."""
    rules: dict[str, Any] = {"symbol_blocks": {"mode": "armed", "blocked": ["CL"]}}
    with desk(rules) as d:
        d.buy("ES", 1)
        d.buy("MNQ", 1)
        d.holds(ES=1, MNQ=1)
        assert d.acts() == []

        d.write(rules={"symbol_blocks": {"mode": "armed", "blocked": ["CL", "ES"]}})
        d.ask("reload", DoReload())
        d.until(d.acts, "ES is closed")
        d.holds(MNQ=1)
        assert d.acts() == [("close", "ES")]
        assert d.lockouts() == {}


@covers("C14", "L16")
def test_S66_a_lost_link_is_told_and_closes_nothing() -> None:
    """Given MNQ long 1, when the gateway is gone, then there is a warning and the link is blind; nothing is
    closed or locked, and when it is back that is told too."""
    with desk({"auth_loss_guard": {}}) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.fault("down")
        d.until(lambda: d.status()["link"]["state"] != "live", "the link is lost")
        d.until(lambda: link_alerts(d, "warning"), "people are told")
        assert d.status()["state"] == "blind"
        assert (d.lockouts(), d.calls()) == ({}, [])

        d.fault("down", on=False)
        d.until(lambda: d.status()["link"]["state"] == "live", "the link is back")
        d.until(lambda: link_alerts(d, "info"), "that is told")
        d.holds(MNQ=1)
        assert (d.lockouts(), d.calls()) == ({}, [])


@covers("C14")
def test_S66_a_refused_login_is_an_error_and_closes_nothing() -> None:
    """Given MNQ long 1, when the gateway ends the token and refuses the login, then there is an error alert;
    nothing is closed or locked."""
    with desk({"auth_loss_guard": {}}) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.fault("refuse", path="Auth/*", code=3, message="Invalid credentials")
        d.fault("revoke_tokens")
        d.fault("hub_reset")
        d.until(lambda: link_alerts(d, "error"), "people are told")
        assert d.status()["state"] == "blind"
        assert (d.lockouts(), d.calls(), d.positions()) == ({}, [], {"MNQ": 1})


def link_alerts(d: Any, level: str) -> list[dict[str, Any]]:
    """Alerts of the auth guard on the link; they come of ticks."""
    d.pass_time(1)
    return [a for a in d.history("alert") if a["component"] == "link" and a["level"] == level]


@covers("C15", "C28")
def test_S66_an_account_that_may_not_trade_is_flattened_and_locked_until_it_may() -> None:
    """Given MNQ long 1, when canTrade turns false, then it is closed and locked without end; when it is true
    again the lock ends."""
    with desk({"auth_loss_guard": {}}) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.control(op="can_trade", account=A, value=False)
        d.flat()
        lockout = d.locked("auth_loss_guard")["auth_loss_guard"]
        assert (lockout["kind"], lockout["until"]) == ("condition", None)
        assert d.status(A)["state"] == "halted"

        d.control(op="can_trade", account=A, value=True)
        d.locked()
        assert d.status(A)["state"] == "active"
        assert d.history("unlock")[-1]["reason"] == "condition"


@covers("C15")
def test_S66_a_flip_of_canTrade_without_an_event_is_found_by_asking() -> None:
    """Given no event of it, when canTrade turns false at the broker, then it is found within 30 s and
    locked."""
    with desk({"auth_loss_guard": {}}) as d:
        d.fault("event_lost", target="GatewayUserAccount")
        d.control(op="can_trade", account=A, value=False)
        d.settle()
        d.pass_time(30)
        d.in_time(lambda: d.lockouts(), "it is found")
        d.locked("auth_loss_guard")
