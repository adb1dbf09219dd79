"""The request budget: never more than the gateway allows, and always a slot for a protective call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.clock import SystemClock
from actors.connection.budget import Budget, Lane, Limits, reconcile_interval
from actors.connection.lanes import Gate

LIMITS = Limits(requests=20, per=60.0, reserved=5)
STEPS = st.lists(st.tuples(st.floats(0.0, 12.0), st.sampled_from(Lane), st.booleans()), max_size=120)


def admitted(budget: Budget, steps: list[tuple[float, Lane, bool]]) -> list[tuple[float, Lane]]:
    """Play requests that go at once or not at all."""
    now, sent = 100.0, []
    for pause, lane, bars in steps:
        now += pause
        if budget.wait(lane, now, bars=bars) <= 0:
            budget.take(now, bars=bars)
            sent.append((now, lane))
    return sent


@given(STEPS)
def test_budget_never_admits_more_than_allowed_in_any_window(steps: list[tuple[float, Lane, bool]]) -> None:
    sent = [at for at, _ in admitted(Budget(LIMITS), steps)]
    assert all(sum(at - 60.0 < other <= at for other in sent) <= 20 for at in sent)


@given(STEPS)
def test_reads_never_take_a_reserved_slot(steps: list[tuple[float, Lane, bool]]) -> None:
    sent = admitted(Budget(LIMITS), steps)
    for index, (at, lane) in enumerate(sent):
        if lane is not Lane.PROTECTIVE:
            assert sum(at - 60.0 < other for other, _ in sent[: index + 1]) <= 15


@given(STEPS, st.sampled_from(Lane))
def test_waiting_as_long_as_told_is_enough_and_not_a_moment_too_long(
    steps: list[tuple[float, Lane, bool]], lane: Lane
) -> None:
    budget = Budget(LIMITS)
    sent = admitted(budget, steps)
    now = (sent[-1][0] if sent else 100.0) + 0.5
    wait = budget.wait(lane, now)
    assert wait <= 0 or budget.wait(lane, now + wait * 0.99) > 0
    assert budget.wait(lane, now + wait) <= 0


def test_protective_call_goes_at_once_while_reads_have_used_all_they_may() -> None:
    budget = Budget(Limits())
    while budget.wait(Lane.REST, 10.0) <= 0:
        budget.take(10.0)
    assert budget.view(10.0, 0).used == 160
    assert budget.wait(Lane.PROTECTIVE, 10.0) == 0
    assert budget.wait(Lane.RECONCILE, 10.0) == 60.0


def test_bars_have_a_window_of_their_own() -> None:
    budget = Budget(Limits())
    for _ in range(50):
        budget.take(10.0, bars=True)
    assert budget.wait(Lane.REST, 10.0, bars=True) == 30.0
    assert budget.wait(Lane.REST, 10.0) == 0


def test_reads_stand_back_after_a_429_and_protective_calls_do_not() -> None:
    budget = Budget(Limits())
    assert budget.learn(10.0, 7.0) == 7.0
    assert budget.wait(Lane.RECONCILE, 10.0) == 7.0
    assert budget.wait(Lane.PROTECTIVE, 10.0) == 0
    assert budget.wait(Lane.RECONCILE, 17.0) <= 0


def test_429_again_without_a_word_doubles_the_wait_up_to_a_minute() -> None:
    budget, now, waits = Budget(Limits()), 10.0, []
    for _ in range(8):
        waits.append(budget.learn(now, None))
        now += waits[-1]
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert budget.learn(now + 1000.0, None) == 2.0


@pytest.mark.parametrize(("accounts", "interval"), [(1, 3.0), (2, 4.8), (5, 12.0), (10, 24.0)])
def test_steady_reads_are_stretched_to_half_of_the_budget(accounts: int, interval: float) -> None:
    assert reconcile_interval(3.0, accounts, 4, Limits()) == pytest.approx(interval)
    assert accounts * 4 * 60 / interval <= 100 + 1e-9


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
        assert gate.view().waiting == 240
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
