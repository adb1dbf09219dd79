"""Too many trades earn a rest: trade_frequency_limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import AccountSnapshot, Lock, LockKind, OwnClose
from tests.builders import MORNING, Desk, Watching, a_rule

START = MORNING.astimezone(UTC)
RESET = datetime(2025, 11, 19, 23, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def frequency(**config: object) -> Watching:
    return a_rule("trade_frequency_limit", **config)


def traded(desk: Desk, *seconds: float) -> list[AccountSnapshot]:
    """One executed order at each of these seconds after ten o'clock, opening and closing in turn."""
    snapshots = []
    for second in seconds:
        desk.wait((at(second) - desk.now.wall).total_seconds())
        side = desk.sell if desk.snapshot().positions else desk.buy
        snapshots.append(side("MNQ", 1, 21000.0))
    return snapshots


def last_lock(rule: Watching, snapshots: list[AccountSnapshot]) -> Lock | None:
    return [rule.judge(snapshot).lock for snapshot in snapshots][-1]


def test_s39_the_fourth_trade_in_a_minute_rests_for_a_minute() -> None:
    rule, desk = frequency(), Desk()
    *three, fourth = traded(desk, 0, 15, 30, 45)
    quiet = [rule.judge(snapshot) for snapshot in three]

    judged = rule.judge(fourth)

    assert all(j.lock is None and not j.breaches for j in quiet)
    assert [b.id for b in judged.breaches] == ["2025-11-19/trade_frequency_limit/CON.F.US.MNQ.Z25/fill:4/1"]
    assert (judged.breaches[0].value, judged.breaches[0].limit) == ("4", "3")
    lock = judged.lock
    assert lock is not None
    assert (lock.kind, lock.since, lock.until, lock.flatten) == (LockKind.DURATION, at(45), at(105), True)


def test_s39_a_trade_after_the_rest_is_allowed_and_counts_one() -> None:
    rule, desk = frequency(), Desk()

    snapshots = traded(desk, 0, 15, 30, 45, 120)

    assert last_lock(rule, snapshots) is None
    figure = rule.rule.figure(rule.state, snapshots[-1])
    assert (figure.value, figure.limit) == ("5", "10")  # in the hour, of which more is used
    alone = frequency(per_hour=None, per_session=None)
    assert alone.rule.figure(alone.state, snapshots[-1]).value == "1"


def test_a_trade_exactly_a_minute_old_is_out() -> None:
    rule, desk = frequency(), Desk()

    assert last_lock(rule, traded(desk, 0, 20, 40, 60)) is None


def test_s41_of_several_rests_at_once_the_longest_holds() -> None:
    rule, desk = frequency(per_minute=3, per_hour=3), Desk()

    judged = [rule.judge(snapshot) for snapshot in traded(desk, 0, 15, 30, 45)][-1]

    assert judged.lock is not None
    assert judged.lock.until == at(45 + 1800)
    assert len(judged.breaches) == 1


def test_the_session_tier_rests_until_the_reset() -> None:
    rule, desk = frequency(per_minute=None, per_hour=None, per_session=2), Desk()

    lock = last_lock(rule, traded(desk, 0, 1000, 2000))

    assert lock is not None
    assert (lock.kind, lock.until) == (LockKind.UNTIL_RESET, RESET)


def test_s42_trades_during_the_rest_neither_shorten_nor_renew_it_while_the_count_is_above() -> None:
    rule, desk = frequency(), Desk()

    lock = last_lock(rule, traded(desk, 0, 15, 30, 45, 50, 55))

    assert lock is not None
    assert (lock.since, lock.until) == (at(45), at(105))


def test_a_count_that_fell_and_crossed_again_rests_again() -> None:
    rule, desk = frequency(), Desk()

    lock = last_lock(rule, traded(desk, 0, 10, 20, 30, 65))

    assert lock is not None
    assert (lock.since, lock.until) == (at(65), at(125))


def test_an_order_filled_in_parts_counts_once_at_its_first_fill() -> None:
    rule, desk = frequency(per_minute=1), Desk()
    first = rule.judge(desk.buy("MNQ", 1, 21000.0, order=77))
    desk.wait(1)

    second = rule.judge(desk.buy("MNQ", 2, 21000.0, order=77))

    assert (first.lock, second.lock) == (None, None)


@pytest.mark.parametrize("own", [OwnClose.REDUCE, OwnClose.LOCKOUT])
def test_closes_of_our_own_never_count(own: OwnClose) -> None:
    rule, desk = frequency(per_minute=1), Desk()
    rule.judge(desk.buy("MNQ", 1, 21000.0))

    judged = rule.judge(desk.sell("MNQ", 1, 21000.0, own=own))

    assert judged.lock is None


@pytest.mark.parametrize(("count", "value"), [("executions", "5"), ("entries", "4"), ("round_turns", "2")])
def test_what_counts_as_a_trade(count: str, value: str) -> None:
    """Open, increase, reverse, flat, open: five orders, four entries, two round turns."""
    rule, desk = frequency(count=count, per_minute=40, per_hour=40), Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.buy("MNQ", 1, 21000.0)
    desk.sell("MNQ", 3, 21000.0)
    desk.buy("MNQ", 1, 21000.0)
    snapshot = desk.buy("MNQ", 1, 21000.0)

    assert rule.rule.figure(rule.state, snapshot).value == value


def test_a_rest_found_late_and_over_is_recorded_once_and_locks_nothing() -> None:
    rule, desk = frequency(), Desk()
    traded(desk, 0, 15, 30, 45)

    late = rule.judge(desk.wait(100))
    again = rule.judge(desk.wait(1))

    assert [(b.cause, b.at) for b in late.breaches] == [("fill:4", at(45))]
    assert late.lock is None
    assert again.breaches == ()


def test_a_rest_found_late_but_still_running_ends_when_it_would_have() -> None:
    rule, desk = frequency(), Desk()
    traded(desk, 0, 15, 30, 45)

    lock = rule.judge(desk.wait(30)).lock

    assert lock is not None
    assert (lock.since, lock.until) == (at(45), at(105))


def test_the_breach_lasts_while_the_count_is_above_although_the_rest_is_over() -> None:
    rest = {"per_session": "30s"}
    rule, desk = frequency(per_minute=None, per_hour=None, per_session=2, cooldown=rest), Desk()
    during = [rule.judge(snapshot) for snapshot in traded(desk, 0, 1, 2)][-1]

    after = rule.judge(desk.wait(31))

    assert during.lock is not None
    assert after.lock is None
    assert after.breaches == during.breaches


def test_the_rest_ends_by_itself() -> None:
    rule, desk = frequency(), Desk()
    last_lock(rule, traded(desk, 0, 15, 30, 45))

    judged = rule.judge(desk.wait(60))

    assert (judged.breaches, judged.lock) == ((), None)


def test_a_shorter_rest_is_asked_for_beside_a_longer_one() -> None:
    """An admin may have ended the longer one, which the rule cannot know."""
    rule, desk = frequency(per_minute=3, per_hour=4), Desk()
    locks = [
        rule.judge(snapshot).lock for snapshot in traded(desk, 0, 100, 200, 300, 400, 600, 601, 602, 603)
    ]

    by_hour, by_minute = locks[4], locks[-1]

    assert by_hour is not None
    assert by_hour.until == at(400 + 1800)
    assert by_minute is not None
    assert by_minute.until == at(603 + 60)
    after = rule.judge(desk.wait(1)).lock
    assert after is not None
    assert after.until == at(400 + 1800)


def test_the_count_starts_at_zero_with_the_day() -> None:
    rule, desk = frequency(per_minute=3), Desk(datetime(2025, 11, 19, 16, 59, 30, tzinfo=MORNING.tzinfo))
    for _ in range(3):
        rule.judge(desk.buy("MNQ", 1, 21000.0))
    desk.wait(30)
    rule.judge(desk.reset())

    judged = rule.judge(desk.buy("MNQ", 1, 21000.0))

    assert judged.lock is None
    assert rule.rule.figure(rule.state, desk.snapshot()).value == "1"


def test_one_alert_per_tier_at_its_share() -> None:
    rule, desk = frequency(per_minute=5, per_hour=10), Desk()

    told = [[n.message for n in rule.judge(s).notices] for s in traded(desk, 0, 1, 2, 3, 4)]

    assert told == [[], [], [], ["4 of 5 executions in a minute"], []]


TIMES = st.lists(st.integers(0, 400), min_size=1, max_size=14).map(sorted)


@given(TIMES, st.sets(st.integers(0, 14)))
def test_looking_more_or_less_often_gives_the_same_rests(times: list[int], looked: set[int]) -> None:
    desk = Desk()
    snapshots = traded(desk, *times)
    often, rarely = frequency(), frequency()

    every = {b.id for s in snapshots for b in often.judge(s).breaches}
    some = [s for place, s in enumerate(snapshots) if place in looked] + snapshots[-1:]

    assert {b.id for s in some for b in rarely.judge(s).breaches} == every


@given(TIMES)
def test_an_order_of_arrival_does_not_matter(times: list[int]) -> None:
    desk = Desk()
    straight = traded(desk, *times)[-1]
    turned = msgspec.structs.replace(straight, fills=tuple(reversed(straight.fills)))

    assert frequency().judge(straight) == frequency().judge(turned)
