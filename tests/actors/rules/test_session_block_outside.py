"""Trading only inside a session: session_block_outside."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from actors.messages import AccountFlat, AtMost, Flat, LockKind, OrderGone
from tests.builders import CHICAGO, MAIN_SESSION, Desk, Watching, a_rule

MNQ, E6, CL = "CON.F.US.MNQ.Z25", "CON.F.US.6E.Z25", "CON.F.US.CL.Z25"
NIGHT = {"start": "17:00", "end": "16:00", "overnight": True, "days": ["sun", "mon", "tue", "wed", "thu"]}
NEW_YORK = {"start": "09:30", "end": "16:00", "timezone": "America/New_York"}
LATE = {"start": "09:00", "end": "15:30"}


def chicago(day: str, time: str) -> datetime:
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=CHICAGO)


def block(sessions: dict[str, object] | None = None, **config: object) -> Watching:
    return a_rule("session_block_outside", sessions=sessions or {"main": MAIN_SESSION}, **config)


S56 = [
    pytest.param("14:59:59", False, id="S56 a second before the end"),
    pytest.param("15:00:00", True, id="S56 the end is outside"),
    pytest.param("08:30:00", False, id="S56 the start is inside"),
    pytest.param("08:29:59", True, id="S56 a second before the start"),
]


@pytest.mark.parametrize(("time", "outside"), S56)
def test_start_is_inside_and_end_is_not(time: str, outside: bool) -> None:
    rule, desk = block(), Desk(chicago("2025-11-19", time))

    judged = rule.judge(desk.buy("MNQ", 2, 21000.0))

    assert judged.demands == ((AccountFlat(),) if outside else ())
    assert (judged.lock is not None) == outside


def test_s56_at_the_end_everything_is_closed_and_locked_until_the_next_start() -> None:
    rule, desk = block(), Desk(chicago("2025-11-19", "14:00:00"))
    inside = rule.judge(desk.buy("MNQ", 2, 21000.0))
    end = chicago("2025-11-19", "15:00:00")

    judged = rule.judge(desk.until(end))

    assert inside.due == end
    lock = judged.lock
    assert lock is not None
    assert (lock.kind, lock.since, lock.until) == (
        LockKind.UNTIL_SESSION_START,
        end,
        chicago("2025-11-20", "08:30:00"),
    )
    assert lock.flatten
    assert [(b.id, b.at) for b in judged.breaches] == [("2025-11-19/session_block_outside/*/time/1", end)]


S57 = [
    pytest.param("2025-11-19", 17.5, id="S57 a weekday"),
    pytest.param("2025-11-21", 65.5, id="S57 Friday to Monday"),
]


@pytest.mark.parametrize(("day", "hours"), S57)
def test_the_lock_lasts_until_the_session_starts_again(day: str, hours: float) -> None:
    rule, desk = block({"main": NEW_YORK}), Desk(chicago(day, "15:00:00"))

    lock = rule.judge(desk.snapshot("time")).lock

    assert lock is not None
    assert lock.until is not None
    assert lock.until - lock.since == timedelta(hours=hours)


def test_s61_an_early_close_ends_the_session_earlier() -> None:
    """The Friday after Thanksgiving 2025 closes at noon, by the earliest source."""
    rule, desk = block(), Desk(chicago("2025-11-28", "12:20:00"))

    lock = rule.judge(desk.snapshot("time")).lock

    assert lock is not None
    assert lock.since == chicago("2025-11-28", "12:00:00")
    assert lock.until == chicago("2025-12-01", "08:30:00")


def test_holidays_may_be_left_out_of_the_session() -> None:
    rule, desk = block(respect_holidays=False), Desk(chicago("2025-11-28", "12:20:00"))

    assert rule.judge(desk.snapshot("time")).lock is None


def test_a_closed_date_has_no_session() -> None:
    rule, desk = block(), Desk(chicago("2025-12-25", "10:00:00"))

    lock = rule.judge(desk.snapshot("time")).lock

    assert lock is not None
    assert lock.until == chicago("2025-12-26", "08:30:00")


def test_a_lock_found_late_begins_at_the_end_of_the_session() -> None:
    rule, desk = block(), Desk(chicago("2025-11-22", "11:00:00"))

    lock = rule.judge(desk.snapshot("reborn")).lock

    assert lock is not None
    assert lock.since == chicago("2025-11-21", "15:00:00")
    assert lock.until == chicago("2025-11-24", "08:30:00")


def test_s71_the_daily_reset_changes_nothing() -> None:
    rule, desk = block(), Desk(chicago("2025-11-19", "16:59:59"))
    before = rule.judge(desk.snapshot("time"))
    desk.wait(1)

    after = rule.judge(desk.reset())

    assert (after.lock, after.breaches) == (before.lock, before.breaches)


def test_the_next_start_ends_it() -> None:
    rule, desk = block(), Desk(chicago("2025-11-20", "08:29:59"))
    rule.judge(desk.snapshot("time"))

    judged = rule.judge(desk.wait(1))

    assert (judged.lock, judged.breaches, judged.demands) == (None, (), ())


# ------------------------------------------------------------------------------ close_grace


def test_during_the_grace_risk_is_frozen_and_then_all_is_closed() -> None:
    rule, desk = block(close_grace="5m"), Desk(chicago("2025-11-19", "14:59:00"))
    rule.judge(desk.buy("MNQ", 2, 21000.0))
    at_end = rule.judge(desk.until(chicago("2025-11-19", "15:00:00")))

    at_grace = rule.judge(desk.until(chicago("2025-11-19", "15:05:00")))

    assert at_end.lock is not None
    assert not at_end.lock.flatten
    assert at_end.demands == ()
    assert at_end.due == chicago("2025-11-19", "15:05:00")
    assert at_grace.lock is not None
    assert at_grace.lock.flatten
    assert at_grace.demands == (AccountFlat(),)
    assert (at_grace.lock.since, at_grace.lock.until) == (at_end.lock.since, at_end.lock.until)


# ------------------------------------------------------------------------------ by_root


def by_root(**config: object) -> Watching:
    sessions: dict[str, object] = {"main": MAIN_SESSION, "night": NIGHT}
    return block(sessions, by_root={"6E": "night"}, **config)


def test_outside_the_default_session_only_its_products_are_closed_while_another_is_open() -> None:
    rule, desk = by_root(), Desk(chicago("2025-11-19", "14:00:00"))
    desk.buy("MNQ", 1, 21000.0)
    desk.buy("6E", 1, 1.15)
    entry = desk.place("MNQ", 1, limit=20900.0)
    desk.place("MNQ", -1, stop=20900.0)
    rule.judge(desk.snapshot())

    judged = rule.judge(desk.until(chicago("2025-11-19", "15:00:00")))

    assert judged.demands == (Flat(MNQ), OrderGone(entry.id, MNQ))
    assert judged.lock is None
    assert [b.contract for b in judged.breaches] == [MNQ]


def test_orders_of_a_closed_product_are_cancelled_without_a_position() -> None:
    rule, desk = by_root(), Desk(chicago("2025-11-19", "15:10:00"))
    order = desk.place("CL", 1, limit=60.0)
    desk.place("6E", 1, limit=1.1)

    judged = rule.judge(desk.snapshot())

    assert judged.demands == (OrderGone(order.id, CL),)


def test_the_account_is_locked_once_no_session_is_open_until_the_first_starts() -> None:
    rule, desk = by_root(), Desk(chicago("2025-11-19", "16:10:00"))

    lock = rule.judge(desk.snapshot("time")).lock

    assert lock is not None
    assert lock.since == chicago("2025-11-19", "16:00:00")
    assert lock.until == chicago("2025-11-19", "17:00:00")


def test_in_the_grace_of_one_product_nothing_is_added_to_it() -> None:
    rule, desk = by_root(close_grace="5m"), Desk(chicago("2025-11-19", "14:59:59"))
    desk.buy("MNQ", 2, 21000.0)
    rule.judge(desk.snapshot())
    kept = rule.judge(desk.until(chicago("2025-11-19", "15:00:00")))
    desk.wait(1)
    more = rule.judge(desk.buy("MNQ", 1, 21000.0))
    new = rule.judge(desk.buy("CL", 1, 60.0))
    desk.sell("MNQ", 2, 21000.0)
    less = rule.judge(desk.snapshot())
    back = rule.judge(desk.buy("MNQ", 1, 21000.0))

    over = rule.judge(desk.until(chicago("2025-11-19", "15:05:00")))

    assert kept.demands == ()
    assert more.demands == (AtMost(MNQ, 2),)
    assert set(new.demands) == {AtMost(MNQ, 2), Flat(CL)}
    assert less.demands == (Flat(CL),)
    assert set(back.demands) == {AtMost(MNQ, 1), Flat(CL)}
    assert set(over.demands) == {Flat(MNQ), Flat(CL)}


def test_sessions_that_follow_one_another_never_lock() -> None:
    """Round the clock there is nothing the rule could prove, and nothing it could do."""
    day, rest = {"start": "06:00", "end": "18:00"}, {"start": "18:00", "end": "06:00", "overnight": True}
    every = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    sessions: dict[str, object] = {"main": {**day, **every}, "rest": {**rest, **every}}
    rule = block(sessions, by_root={"6E": "rest"}, respect_holidays=False)
    desk = Desk(chicago("2025-11-19", "19:00:00"))

    assert rule.judge(desk.snapshot("time")).lock is None
    assert rule.rule.probe(desk.now).breach == ()


def test_figures_say_when_the_session_ends() -> None:
    rule, desk = block(), Desk(chicago("2025-11-19", "10:00:00"))
    snapshot = desk.snapshot()

    assert rule.rule.figure(rule.judge(snapshot).state, snapshot).acts_at == "2025-11-19T21:00:00Z"


@pytest.mark.parametrize("time", ["10:00:00", "20:00:00"])
def test_late_session_of_a_product_keeps_the_account_open(time: str) -> None:
    sessions: dict[str, object] = {"main": MAIN_SESSION, "late": LATE}
    rule, desk = block(sessions, by_root={"6E": "late"}), Desk(chicago("2025-11-19", time))
    desk.until(chicago("2025-11-20", "15:10:00"))

    assert rule.judge(desk.snapshot("time")).lock is None
