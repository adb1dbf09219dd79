"""Trusted time: no setting of the clock ends a lock early, and no lock stays because of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.timers.trusted import AHEAD, Trust, restored, saved, seen, trusted

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


class World:
    """The true time, a wall clock that may be set, and what the program believes."""

    def __init__(self, trust: Trust | None = None) -> None:
        self.true, self.mono, self.error = NOW, 100.0, timedelta(0)
        self.trust = Trust() if trust is None else trust

    def passes(self, seconds: float) -> datetime:
        self.true += s(seconds)
        self.mono += seconds
        return self.now()

    def now(self) -> datetime:
        self.trust, now = trusted(self.trust, self.wall, self.mono)
        return now

    @property
    def wall(self) -> datetime:
        return self.true + self.error

    def hear_gateway(self, latency_s: float = 0.0) -> datetime:
        self.trust = seen(self.trust, self.true - s(latency_s), self.mono, self.wall)
        return self.now()

    def restart(self, *, machine: bool) -> None:
        """Everything in memory is gone; of a restarted machine the monotonic clock too."""
        body = saved(self.trust, "boot 1")
        self.trust = restored(body, "boot 2" if machine else "boot 1")
        self.mono = 3.0 if machine else self.mono


def test_an_honest_clock_is_trusted_as_it_is() -> None:
    world = World()

    assert world.now() == NOW
    world.hear_gateway()
    assert world.passes(60) == world.wall


@pytest.mark.parametrize("contact", [True, False])
def test_a_clock_set_forward_is_at_most_two_seconds_ahead(contact: bool) -> None:
    world = World()
    world.now()
    if contact:
        world.hear_gateway()
    world.error = HOUR

    assert world.passes(10) == world.true + AHEAD


def test_a_clock_set_back_does_not_stop_time() -> None:
    world = World()
    world.hear_gateway()
    world.error = -HOUR

    assert world.passes(10) == world.true
    assert world.passes(3_600) == world.true


def test_a_clock_set_forward_and_back_again_ends_where_it_began() -> None:
    world = World()
    world.hear_gateway()
    for error in (HOUR, -HOUR, timedelta(0)):
        world.error = error
        world.passes(5)

    assert abs(world.passes(5) - world.true) <= AHEAD


def test_time_that_the_machine_slept_counts_once_the_gateway_is_heard() -> None:
    """Asleep, the wall clock goes on and the monotonic one does not."""
    world = World()
    world.hear_gateway()
    world.true += HOUR

    assert world.now() == NOW + AHEAD
    assert world.hear_gateway() == world.true


def test_after_a_restart_of_the_program_the_gateways_time_is_still_known() -> None:
    world = World()
    world.hear_gateway()
    world.passes(600)
    world.restart(machine=False)
    world.error = HOUR

    assert world.passes(60) == world.true + AHEAD


def test_after_a_restart_of_the_machine_time_stands_until_the_gateway_is_heard() -> None:
    world = World()
    world.hear_gateway()
    world.passes(600)
    known = world.true
    world.restart(machine=True)

    assert world.passes(7_200) <= known + AHEAD
    assert not world.trust.contact
    assert world.hear_gateway() == world.true
    assert world.trust.contact


def test_old_timestamps_prove_nothing() -> None:
    world = World()
    world.hear_gateway()
    world.passes(60)
    for latency in (1.0, 60.0, 86_400.0):
        world.hear_gateway(latency)

    assert world.now() == world.wall


def test_a_single_stamp_from_the_future_is_doubted_and_a_second_believed() -> None:
    world = World()
    world.hear_gateway()
    world.error = timedelta(days=365)

    world.trust = seen(world.trust, world.true + timedelta(days=400), world.mono, world.wall)
    assert world.now() <= world.true + AHEAD

    world.passes(1)
    world.trust = seen(world.trust, world.true + timedelta(days=400), world.mono, world.wall)
    assert world.now() == world.wall


def test_a_monotonic_clock_that_runs_fast_is_corrected_by_the_gateway() -> None:
    world = World()
    world.hear_gateway()
    world.error = HOUR
    for _ in range(100):
        world.true += s(700)
        world.mono += 700.5
        world.hear_gateway()

    assert world.now() <= world.true + AHEAD


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pass", "set", "hear", "old", "sleep", "restart program"]),
        st.floats(0, 5_000, allow_nan=False),
        st.booleans(),
    ),
    max_size=40,
)


@given(STEPS)
def test_whatever_is_done_to_the_clock_no_lock_ends_early(steps: list[tuple[str, float, bool]]) -> None:
    """Never more than two seconds ahead of the true time, and never behind it by what was set back."""
    world = World()
    world.hear_gateway()
    for what, amount, negative in steps:
        match what:
            case "pass":
                world.passes(amount)
            case "set":
                world.error = s(-amount if negative else amount)
            case "hear":
                world.hear_gateway(amount % 3)
            case "old":
                world.hear_gateway(amount)
            case "sleep":
                world.true += s(amount)
            case _:
                world.restart(machine=False)
        assert world.now() <= world.true + AHEAD + s(1e-3)


@given(STEPS)
def test_without_sleep_time_never_stands_still(steps: list[tuple[str, float, bool]]) -> None:
    world = World()
    world.hear_gateway()
    for what, amount, negative in steps:
        match what:
            case "pass":
                world.passes(amount)
            case "set":
                world.error = s(-amount if negative else amount)
            case "hear" | "old":
                world.hear_gateway(amount)
            case _:
                continue
        assert world.now() >= world.true - s(1e-3)


@given(STEPS)
def test_after_a_restart_of_the_machine_no_step_moves_time_before_contact(
    steps: list[tuple[str, float, bool]],
) -> None:
    world = World()
    world.hear_gateway()
    world.passes(100)
    known = world.true
    world.restart(machine=True)
    for what, amount, negative in steps:
        match what:
            case "pass":
                world.passes(amount)
            case "set":
                world.error = s(-amount if negative else amount)
            case "sleep":
                world.true += s(amount)
            case _:
                continue
        assert world.now() <= known + AHEAD
