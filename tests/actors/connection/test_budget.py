"""The request budget: never more than the gateway allows, and always a slot for a protective call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.clock import SystemClock
from actors.connection.budget import PACE, Budget, Lane, Limits, reconcile_interval
from actors.connection.lanes import Gate, NoSlot

LIMITS = Limits(requests=20, per=60.0, reserved=5)
STEPS = st.lists(st.tuples(st.floats(0.0, 12.0), st.sampled_from(Lane), st.booleans()), max_size=120)


def admitted(budget: Budget, steps: list[tuple[float, Lane, bool]]) -> list[tuple[float, Lane]]:
    """Play requests that go at once or not at all."""
    now, sent = 100.0, []
    for pause, lane, bars in steps:
        now += pause
        if budget.wait(lane, now, bars=bars) <= 0:
            budget.take(lane, now, bars=bars)
            sent.append((now, lane))
    return sent


def in_any_window(sent: list[tuple[float, Lane]], most: Callable[[Lane], bool]) -> list[int]:
    """How many of these lanes were sent within the 60 s up to each of theirs."""
    stamps = [at for at, lane in sent if most(lane)]
    return [sum(at - 60.0 < other <= at for other in stamps) for at in stamps]


@given(STEPS)
def test_reads_never_take_a_reserved_slot(steps: list[tuple[float, Lane, bool]]) -> None:
    sent = admitted(Budget(LIMITS), steps)
    assert all(count <= 15 for count in in_any_window(sent, lambda lane: lane.rationed))
    for index, (at, lane) in enumerate(sent):
        if lane.rationed:
            assert sum(at - 60.0 < other for other, _ in sent[: index + 1]) <= 15


@given(STEPS)
def test_reconcile_never_eats_the_share_of_verifications(steps: list[tuple[float, Lane, bool]]) -> None:
    sent = admitted(Budget(LIMITS), steps)
    mine = 15 - LIMITS.for_verifying
    assert all(count <= mine for count in in_any_window(sent, lambda lane: lane > Lane.VERIFY))


@given(STEPS, st.sampled_from((Lane.PROTECTIVE, Lane.LOGIN)))
def test_protective_call_never_waits_for_our_own_estimate(
    steps: list[tuple[float, Lane, bool]], lane: Lane
) -> None:
    budget = Budget(LIMITS)
    sent = admitted(budget, [*steps, *[(0.0, Lane.PROTECTIVE, False)] * 30])
    assert budget.wait(lane, sent[-1][0]) == 0


@given(STEPS, st.sampled_from(Lane), st.integers(1, 5))
def test_waiting_as_long_as_told_is_enough_and_not_a_moment_too_long(
    steps: list[tuple[float, Lane, bool]], lane: Lane, wanted: int
) -> None:
    budget = Budget(LIMITS)
    sent = admitted(budget, steps)
    now = (sent[-1][0] if sent else 100.0) + 0.5
    wait = budget.wait(lane, now, wanted=wanted)
    assert wait <= 0 or budget.wait(lane, now + wait * 0.99, wanted=wanted) > 0
    assert budget.wait(lane, now + wait + 1e-9, wanted=wanted) <= 0


@given(STEPS, st.sampled_from(Lane), st.one_of(st.none(), st.integers(0, 90)))
def test_429_holds_back_who_met_it_and_all_who_come_after_but_nobody_before(
    steps: list[tuple[float, Lane, bool]], met: Lane, retry_after: int | None
) -> None:
    budget = Budget(Limits(requests=10_000, reserved=0))
    sent = admitted(budget, steps)
    now = sent[-1][0] if sent else 100.0
    hold = budget.learn(met, now, retry_after)
    for lane in Lane:
        wait = budget.wait(lane, now)
        if lane < min(met, Lane.VERIFY):
            assert wait == 0
        elif lane.rationed or retry_after is not None:
            assert wait == pytest.approx(hold)
        else:
            assert wait == pytest.approx(PACE)
    assert hold <= 60.0


@pytest.mark.parametrize(
    ("lane", "used_by", "sent", "wait"),
    [
        (Lane.PROTECTIVE, Lane.REST, 130, 0.0),
        (Lane.PROTECTIVE, Lane.PROTECTIVE, 500, 0.0),
        (Lane.LOGIN, Lane.PROTECTIVE, 500, 0.0),
        (Lane.VERIFY, Lane.RECONCILE, 130, 0.0),
        (Lane.VERIFY, Lane.VERIFY, 159, 0.0),
        (Lane.VERIFY, Lane.VERIFY, 160, 60.0),
        (Lane.RECONCILE, Lane.REST, 129, 0.0),
        (Lane.RECONCILE, Lane.REST, 130, 60.0),
        (Lane.RECONCILE, Lane.PROTECTIVE, 160, 60.0),
    ],
)
def test_who_waits_for_what_of_the_default_budget(lane: Lane, used_by: Lane, sent: int, wait: float) -> None:
    budget = Budget(Limits())
    for _ in range(sent):
        budget.take(used_by, 10.0)
    assert budget.wait(lane, 10.0) == wait


def test_fifteen_breaches_a_minute_can_be_verified_beside_the_steady_reads() -> None:
    budget = Budget(Limits())
    for second in range(60):
        for _ in range(5):  # more than the steady reads take: as much as they may have
            if budget.wait(Lane.RECONCILE, float(second)) <= 0:
                budget.take(Lane.RECONCILE, float(second))
        if second % 4 == 0:
            assert budget.wait(Lane.VERIFY, float(second), wanted=2) == 0
            budget.take(Lane.VERIFY, float(second))
            budget.take(Lane.VERIFY, float(second))


def test_bars_have_a_window_of_their_own() -> None:
    budget = Budget(Limits())
    for _ in range(50):
        budget.take(Lane.REST, 10.0, bars=True)
    assert budget.wait(Lane.REST, 10.0, bars=True) == 30.0
    assert budget.wait(Lane.REST, 10.0) == 0


def test_reads_stand_back_after_a_429_and_protective_calls_do_not() -> None:
    budget = Budget(Limits())
    assert budget.learn(Lane.RECONCILE, 10.0, 7.0) == 7.0
    assert budget.wait(Lane.RECONCILE, 10.0) == 7.0
    assert budget.wait(Lane.PROTECTIVE, 10.0) == 0
    assert budget.wait(Lane.RECONCILE, 17.0) <= 0


def test_429_again_without_a_word_doubles_the_wait_up_to_a_minute() -> None:
    budget, now, waits = Budget(Limits()), 10.0, []
    for _ in range(8):
        waits.append(budget.learn(Lane.REST, now, None))
        now += waits[-1]
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert budget.learn(Lane.REST, now + 1000.0, None) == 2.0


@pytest.mark.parametrize(("accounts", "interval"), [(1, 3.0), (2, 4.8), (5, 12.0), (10, 24.0)])
def test_steady_reads_are_stretched_to_half_of_the_budget(accounts: int, interval: float) -> None:
    assert reconcile_interval(3.0, accounts, 4, Limits()) == pytest.approx(interval)
    assert accounts * 4 * 60 / interval <= 100 + 1e-9


@pytest.mark.parametrize(
    ("verifying", "interval"), [(0, 4.8), (20, 6.0), (60, 12.0), (100, 12.0), (160, 12.0)]
)
def test_steady_reads_make_room_for_verifications(verifying: int, interval: float) -> None:
    assert reconcile_interval(3.0, 2, 4, Limits(), verifying) == pytest.approx(interval)
    steady = 2 * 4 * 60 / interval
    assert steady + verifying <= 100 + 1e-9 or steady == pytest.approx(40)


def test_reserve_as_large_as_the_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot reserve"):
        Budget(Limits(requests=10, reserved=10))


# ---------------------------------------------------------------- the gate on the loop


def run[T](work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_gate_lets_a_protective_call_pass_while_reads_queue() -> None:
    async def play() -> float:
        gate = Gate(Limits(requests=200, per=60.0, reserved=40), SystemClock())
        reads = [asyncio.create_task(gate.enter(Lane.REST)) for _ in range(400)]
        await asyncio.sleep(0)
        assert gate.view().waiting == 270
        waited = await gate.enter(Lane.PROTECTIVE)
        gate.close()
        await asyncio.gather(*reads, return_exceptions=True)
        return waited

    assert run(play()) <= 0.010


def test_gate_admits_by_lane_and_then_by_arrival() -> None:
    async def play() -> list[str]:
        gate, order = Gate(Limits(requests=2, per=0.05, reserved=0), SystemClock()), []

        async def enter(name: str, lane: Lane) -> None:
            await gate.enter(lane)
            order.append(name)

        names = [
            ("first", Lane.REST),
            ("second", Lane.REST),
            ("rest", Lane.REST),
            ("reconcile 1", Lane.RECONCILE),
            ("reconcile 2", Lane.RECONCILE),
            ("protective", Lane.PROTECTIVE),
        ]
        async with asyncio.TaskGroup() as group:
            for name, lane in names:
                group.create_task(enter(name, lane))
        return order

    expected = ["first", "second", "protective", "reconcile 1", "reconcile 2", "rest"]
    assert run(play()) == expected


def test_gate_forgets_a_request_that_was_given_up_while_it_waited() -> None:
    async def play() -> None:
        gate = Gate(Limits(requests=1, per=0.05, reserved=0), SystemClock())
        await gate.enter(Lane.REST)
        given_up = asyncio.create_task(gate.enter(Lane.REST))
        after = asyncio.create_task(gate.enter(Lane.REST))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await after > 0
        assert gate.view().waiting == 0

    run(play())


def test_gate_sends_no_acting_call_later_than_its_patience() -> None:
    async def play() -> float:
        gate = Gate(Limits(), SystemClock())
        gate.learn(Lane.PROTECTIVE, 30.0)
        with pytest.raises(NoSlot) as refused:
            await gate.enter(Lane.PROTECTIVE, patience=1.5)
        assert gate.view().used == 0
        gate.close()
        return refused.value.wait_s

    assert 29.0 < run(play()) <= 30.0


def test_gate_gives_up_a_call_that_waits_in_vain_and_forgets_it() -> None:
    async def play() -> int:
        gate = Gate(Limits(requests=1, per=0.2, reserved=0), SystemClock())
        await gate.enter(Lane.REST)
        waiting = asyncio.create_task(gate.enter(Lane.RECONCILE))
        await asyncio.sleep(0)
        with pytest.raises(NoSlot):
            await gate.enter(Lane.REST, patience=0.25)
        await waiting
        await gate.enter(Lane.REST)
        return gate.view().waiting

    assert run(play()) == 0


def test_gate_tells_a_read_when_all_its_requests_may_go_and_takes_none_of_them() -> None:
    async def play() -> tuple[int, float]:
        clock = SystemClock()
        gate = Gate(Limits(requests=4, per=0.1, reserved=0), clock)
        await gate.enter(Lane.VERIFY)
        began = clock.mono()
        await gate.ready(Lane.VERIFY, 4)
        return gate.view().used, clock.mono() - began

    used, waited = run(play())
    assert used == 0
    assert waited >= 0.09
