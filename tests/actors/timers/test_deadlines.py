"""What falls due when: resets exactly once, over clock changes, restarts and closed dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.clock import SystemClock
from actors.timers.deadlines import ArmDue, Armed, due_reset, holiday_notice, next_edge
from actors.timers.jumps import Jump, JumpKind, Reading, jump
from actors.trading_day import TradingCalendar
from supervisor.handle import Handle
from tests.actors.timers.calendars import calendar

CHICAGO = calendar()
WHO = Handle("who", SystemClock())


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "now", "day", "missed"),
    [
        ("2026-03-01T23:00:00", "2026-03-02T22:59:59", None, None),
        ("2026-03-01T23:00:00", "2026-03-02T23:00:00", "2026-03-03", False),
        ("2026-03-01T23:00:00", "2026-03-02T23:00:04", "2026-03-03", False),
        ("2026-03-01T23:00:00", "2026-03-02T23:10:00", "2026-03-03", True),
        ("2026-03-02T23:00:00", "2026-03-02T23:10:00", None, None),  # already done
        ("2026-02-19T23:00:00", "2026-03-02T12:00:00", "2026-03-02", True),  # ten days down: one reset
        ("2026-03-04T23:00:00", "2026-03-02T12:00:00", None, None),  # the clock was set back
        (None, "2026-03-02T12:00:00", None, None),  # guarded for the first time
        # 2026-03-08 02:00: the clocks go forward, 17:00 is an hour earlier in UTC
        ("2026-03-06T23:00:00", "2026-03-07T23:00:00", "2026-03-08", False),
        ("2026-03-07T23:00:00", "2026-03-08T21:59:59", None, None),
        ("2026-03-07T23:00:00", "2026-03-08T22:00:00", "2026-03-09", False),
        # 2026-11-01 02:00: and back
        ("2026-10-31T22:00:00", "2026-11-01T22:59:59", None, None),
        ("2026-10-31T22:00:00", "2026-11-01T23:00:00", "2026-11-02", False),
    ],
)
def test_a_reset_is_due_when_the_day_turned_and_it_was_not_done(
    last: str | None, now: str, day: str | None, missed: bool | None
) -> None:
    reset = due_reset(CHICAGO, None if last is None else utc(last), utc(now))

    assert (None if reset is None else (reset.day.isoformat(), reset.missed)) == (
        None if day is None else (day, missed)
    )


def test_a_reset_stands_at_the_instant_it_was_due_however_late_it_is_done() -> None:
    reset = due_reset(CHICAGO, utc("2026-02-19T23:00:00"), utc("2026-03-02T12:00:00"))

    assert reset is not None
    assert reset.at == utc("2026-03-01T23:00:00")


@given(
    start=st.sampled_from(["2026-03-06T00:00:00", "2026-10-30T00:00:00", "2025-12-23T00:00:00"]),
    steps=st.lists(st.floats(1, 40_000), min_size=5, max_size=60),
)
def test_however_the_program_wakes_and_sleeps_a_day_is_reset_once_and_in_order(
    start: str, steps: list[float]
) -> None:
    now = utc(start)
    last = CHICAGO.previous_reset(now)
    done: list[date] = []
    for seconds in steps:
        now += timedelta(seconds=seconds)
        for _ in range(2):
            reset = due_reset(CHICAGO, last, now)
            if reset is not None:
                last = reset.at
                done.append(reset.day)

    assert done == sorted(set(done))
    assert last == CHICAGO.previous_reset(now)


def test_on_a_closed_date_no_reset_happens() -> None:
    shut = calendar(closed=(date(2026, 3, 3),))
    last = utc("2026-03-02T23:00:00")

    assert due_reset(shut, last, utc("2026-03-03T23:00:00")) is None
    assert due_reset(CHICAGO, last, utc("2026-03-03T23:00:00")) is not None
    assert due_reset(shut, last, utc("2026-03-04T23:00:00")) is not None


def test_a_date_declared_closed_while_its_day_runs_causes_no_reset() -> None:
    """The running day gets another name; it has not begun again."""
    shut = calendar(closed=(date(2026, 3, 3),))
    now = utc("2026-03-03T15:00:00")
    assert shut.trading_day(now) != CHICAGO.trading_day(now)

    assert due_reset(shut, CHICAGO.previous_reset(now), now) is None


@pytest.mark.parametrize(
    ("now", "edge"),
    [
        ("2026-03-02T12:00:00", "2026-03-02T14:30:00"),  # the session starts
        ("2026-03-02T14:30:00", "2026-03-02T21:00:00"),  # it ends
        ("2026-03-02T21:00:00", "2026-03-02T23:00:00"),  # the day turns
        ("2026-03-02T23:00:00", "2026-03-03T14:30:00"),
        ("2026-03-06T23:00:00", "2026-03-07T23:00:00"),  # at a weekend only the day turns
    ],
)
def test_the_next_edge_is_a_reset_or_a_session_edge(now: str, edge: str) -> None:
    assert next_edge(CHICAGO, utc(now)) == utc(edge)


def test_an_instant_armed_again_under_its_key_replaces_the_first() -> None:
    first, second, third = (utc(f"2026-03-02T12:00:0{n}") for n in (1, 2, 3))
    armed = Armed().arm(ArmDue(WHO, first, "a")).arm(ArmDue(WHO, second, "b")).arm(ArmDue(WHO, third, "a"))

    nothing, _ = armed.due(first)
    assert nothing == ()
    ripe, rest = armed.due(third)
    assert [due.at for due in ripe] == [second, third]
    assert rest == Armed()


@given(st.dictionaries(st.text("abc", max_size=2), st.integers(0, 50)), st.lists(st.integers(0, 60)))
def test_every_armed_instant_falls_due_once_and_not_before(at: dict[str, int], looks: list[int]) -> None:
    zero = utc("2026-03-02T12:00:00")
    armed = Armed()
    for key, second in at.items():
        armed = armed.arm(ArmDue(WHO, zero + timedelta(seconds=second), key))
    seen: list[tuple[str, int]] = []
    for look in [*sorted(looks), 61]:
        ripe, armed = armed.due(zero + timedelta(seconds=look))
        assert all(at[due.key] <= look for due in ripe)
        seen += [(due.key, at[due.key]) for due in ripe]

    assert sorted(seen) == sorted(at.items())


@pytest.mark.parametrize(
    ("wall", "mono", "found"),
    [
        (0.05, 0.05, None),
        (0.9, 0.05, None),
        (1.2, 0.05, JumpKind.FORWARD),
        (3600, 0.05, JumpKind.FORWARD),
        (-3600, 0.05, JumpKind.BACK),
        (2.9, 2.9, None),
        (30, 30, JumpKind.STALLED),
        (3630, 30, JumpKind.FORWARD),
    ],
)
def test_a_clock_that_was_set_and_a_program_that_stood_still_are_told_apart(
    wall: float, mono: float, found: JumpKind | None
) -> None:
    before = Reading(utc("2026-03-02T12:00:00"), 100.0)
    now = Reading(before.wall + timedelta(seconds=wall), 100.0 + mono)

    happened = jump(before, now)
    assert (None if happened is None else happened.kind) == found


@pytest.mark.parametrize("kind", JumpKind)
def test_every_jump_has_words(kind: JumpKind) -> None:
    assert "12.5 s" in Jump(kind, 12.5).text()


def table_end(known: TradingCalendar) -> date:
    day = date(2026, 1, 1)
    while known.covers(day + timedelta(days=1)):
        day += timedelta(days=1)
    return day


def test_the_end_of_the_holiday_table_is_told_in_time_and_then_daily() -> None:
    end = table_end(CHICAGO)
    tuesday = end - timedelta(days=30)
    tuesday -= timedelta(days=(tuesday.weekday() - 1) % 7)

    assert holiday_notice(CHICAGO, end - timedelta(days=120), first_look=True) is None
    assert holiday_notice(CHICAGO, tuesday, first_look=False) is None
    for day, first in ((tuesday, True), (tuesday - timedelta(days=1), False)):
        found = holiday_notice(CHICAGO, day, first_look=first)
        assert found is not None
        assert "ends within 90 days" in found[1]
    keys = set()
    for after in (1, 2):
        found = holiday_notice(CHICAGO, end + timedelta(days=after), first_look=False)
        assert found is not None
        keys.add(found[2])
    assert len(keys) == 2
