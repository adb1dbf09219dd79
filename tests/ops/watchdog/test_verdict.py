"""What the watchdog decides, as tables and properties; a watch is told look by look, in plain seconds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.watchdog.verdict import (
    Adopted,
    AskToStop,
    Dump,
    End,
    Kill,
    Limits,
    Look,
    Stage,
    Start,
    Step,
    View,
    begin,
    judge,
    pause,
)
from supervisor.heartbeat import Beat, Phase

LIMITS = Limits()
LOOK_S = 0.1


class Watch:
    """A watchdog's view over time. Beats are given; everything else is well unless said otherwise."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.now = 1000.0
        self.view, self.steps = begin(self.now)
        self.counter = 0

    def look(
        self, *, after: float = LOOK_S, beats: bool = True, phase: Phase = Phase.READY, **seen: Any
    ) -> tuple[Step, ...]:
        self.now += after
        self.counter += beats
        beat = Beat(self.counter, 7, 7, self.now, phase=phase, oldest_ms=seen.pop("oldest_ms", 0.0))
        look = Look(self.now, seen.pop("alive", True), beat=beat if self.counter else None, **seen)
        self.view, self.steps = judge(self.view, look, self.limits, 0.5)
        return self.steps

    def looks(self, seconds: float, **seen: Any) -> list[Step]:
        """Look after look for so long; every step that was taken."""
        return [step for _ in range(round(seconds / LOOK_S)) for step in self.look(**seen)]

    def dies(self, code: int | None = -9, **seen: Any) -> tuple[Step, ...]:
        return self.look(alive=False, exit_code=code, beats=False, **seen)

    def live(self) -> Watch:
        self.look()
        assert self.view.stage is Stage.LIVE
        return self


def test_first_start_is_an_ordinary_one() -> None:
    assert Watch().steps == (Start(0, False, ""),)


def test_beating_daemon_is_left_alone() -> None:
    assert Watch().live().looks(300) == []


def test_daemon_without_a_beat_has_its_grace_and_no_more() -> None:
    watch = Watch()

    assert watch.looks(59, beats=False) == []
    assert watch.looks(2, beats=False) == [Kill("no heartbeat 60 s after the start")]


def test_standing_counter_brings_stacks_at_half_time_and_death_at_full() -> None:
    watch = Watch().live()

    assert watch.looks(1.4, beats=False) == []
    assert watch.looks(0.3, beats=False) == [Dump()]
    assert watch.looks(1.2, beats=False) == []
    assert watch.looks(0.3, beats=False) == [Kill("no heartbeat for 3 s")]


def test_counter_that_moves_again_is_pardoned_and_may_be_dumped_again() -> None:
    watch = Watch().live()
    watch.looks(2.0, beats=False)
    watch.look()

    assert watch.looks(1.4, beats=False) == []
    assert watch.looks(0.3, beats=False) == [Dump()]


def test_suspended_daemon_is_killed_within_a_second() -> None:
    watch = Watch().live()

    assert watch.look(suspended=True, beats=False) == ()
    assert watch.looks(0.5, suspended=True, beats=False) == [Kill("suspended")]


def test_short_suspension_is_forgiven() -> None:
    watch = Watch().live()
    for _ in range(20):
        watch.look(suspended=True)
        assert watch.look() == ()


def test_beating_daemon_whose_messages_wait_is_stalled() -> None:
    watch = Watch().live()

    assert watch.looks(2.9, oldest_ms=15_001) == []
    (kill,) = watch.looks(0.4, oldest_ms=16_000)[:1]
    assert isinstance(kill, Kill)
    assert kill.why.startswith("stalled")


def test_grown_daemon_is_asked_to_stop_and_replaced_at_once() -> None:
    watch = Watch().live()

    assert watch.look(memory_mb=501) == (AskToStop("memory of 501 MB: the limit is 500"),)
    last_beat = watch.now
    assert watch.dies(143) == (Start(1, False, "memory of 501 MB: the limit is 500", last_beat),)


# ---------------------------------------------------------------------- its own suspicion first


def test_watchdog_that_was_itself_away_grants_a_full_period() -> None:
    watch = Watch().live()
    watch.looks(2.0, beats=False)

    assert watch.look(after=600, beats=False) == ()
    assert watch.looks(1.4, beats=False) == []
    assert [type(step) for step in watch.looks(2.0, beats=False)] == [Dump, Kill]


def test_watchdog_that_was_itself_away_still_replaces_a_dead_daemon() -> None:
    watch = Watch().live()

    assert watch.look(after=600, alive=False, exit_code=-9, beats=False) == (
        Start(1, False, "ended by signal 9", watch.now),
    )


# ---------------------------------------------------------------------- how a daemon may end


@pytest.mark.parametrize(
    ("code", "ready", "restart", "outcome"),
    [
        pytest.param(0, True, 0, End(0, "stopped"), id="told to end"),
        pytest.param(1, False, 0, End(1, "refused to start"), id="login refused at the first start"),
        pytest.param(78, False, 0, End(78, "refused to start"), id="bad configuration at the first start"),
        pytest.param(1, True, 0, "ended with exit code 1", id="1 once it was ready is a crash"),
        pytest.param(1, False, 1, "ended with exit code 1", id="1 of a restarted daemon is a crash"),
        pytest.param(78, False, 1, "ended with exit code 78", id="78 of a restarted daemon is a crash"),
        pytest.param(143, True, 0, "ended with exit code 143", id="somebody else's SIGTERM"),
        pytest.param(75, True, 0, "restart asked for", id="replace me"),
        pytest.param(75, False, 0, "restart asked for", id="replace me, before it was ready"),
        pytest.param(-9, True, 0, "ended by signal 9", id="killed"),
        pytest.param(None, True, 0, "ended", id="adopted, so nobody knows how"),
    ],
)
def test_end_of_a_daemon(code: int | None, ready: bool, restart: int, outcome: End | str) -> None:
    watch = Watch()
    watch.look(phase=Phase.READY if ready else Phase.STARTING)
    watch.view = msgspec.structs.replace(watch.view, restart=restart)

    (step,) = watch.dies(code)

    if isinstance(outcome, End):
        assert step == outcome
    else:
        assert step == Start(restart + 1, False, outcome, watch.now)


def test_daemon_that_says_it_stops_has_its_time_and_is_not_replaced() -> None:
    watch = Watch().live()
    watch.look(phase=Phase.STOPPING)

    assert watch.looks(9.5, beats=False) == []
    assert watch.looks(0.6, beats=False) == [Kill("did not stop within 10 s")]
    assert watch.dies() == (End(0, "stopped"),)


@pytest.mark.parametrize("code", [75, -11, 1, 143, None])
def test_daemon_that_says_it_restarts_is_replaced_however_it_ends(code: int) -> None:
    watch = Watch().live()
    watch.look(phase=Phase.RESTARTING)
    last_beat = watch.now

    assert watch.dies(code) == (Start(1, False, "restart asked for", last_beat),)


@pytest.mark.parametrize("code", [143, 70, -9, None])
def test_daemon_that_says_it_fails_is_replaced_and_counted(code: int | None) -> None:
    watch = Watch().live()
    watch.look(phase=Phase.FAILING)

    (start,) = watch.dies(code)

    assert isinstance(start, Start)
    assert start.cause not in ("", "restart asked for")
    assert len(watch.view.failures) == 1


def test_daemon_that_is_suspended_while_it_stops_is_not_waited_for() -> None:
    watch = Watch().live()
    watch.look(phase=Phase.STOPPING)

    assert watch.looks(0.6, suspended=True, beats=False) == [Kill("suspended")]
    assert watch.dies() == (End(0, "stopped"),)


def test_daemon_that_stood_by_has_a_shorter_grace() -> None:
    watch = Watch()

    assert watch.looks(9, beats=False, warm=True) == []
    assert watch.looks(2, beats=False, warm=True)[:1] == [Kill("no heartbeat 10 s after the start")]


def test_second_signal_is_passed_on_until_it_is_heeded_but_never_so_soon_that_two_look_like_one() -> None:
    watch = Watch().live()
    watch.look(told_to_stop=True)

    assert watch.looks(0.4, told_to_stop=True, told_again=True) == []
    asked = watch.looks(2.1, told_to_stop=True, told_again=True)
    assert set(asked) == {AskToStop("told again")}
    assert 4 <= len(asked) <= 5


# ---------------------------------------------------------------------- what a new watchdog goes on from


def test_adopted_daemon_keeps_its_number_and_its_safe_mode() -> None:
    view, steps = begin(1000.0, Adopted(Beat(5, 7, 7, 999.0), restart=6, safe_mode=True))

    assert steps == ()
    view, steps = judge(view, Look(1000.1, alive=False), LIMITS, 0.5)
    assert steps == (Start(7, True, "ended", 1000.1),)


def test_first_daemon_under_a_service_is_a_restarted_one() -> None:
    view, steps = begin(1000.0, restarted=True)

    assert steps == (Start(1, False, "started by the service"),)
    _, steps = judge(view, Look(1000.1, alive=False, exit_code=78), LIMITS, 0.5)
    assert isinstance(steps[0], Start)


def test_daemon_that_says_it_stops_and_ends_with_a_failure_is_replaced() -> None:
    watch = Watch().live()
    watch.look(phase=Phase.STOPPING)

    assert isinstance(watch.dies(1)[0], Start)


def test_watchdog_told_to_stop_asks_the_daemon_waits_and_ends() -> None:
    watch = Watch().live()

    assert watch.look(told_to_stop=True) == (AskToStop("told to stop"),)
    assert watch.looks(5, told_to_stop=True) == []
    assert watch.dies(143, told_to_stop=True) == (End(0, "stopped"),)


def test_watchdog_told_to_stop_between_two_starts_ends_at_once() -> None:
    watch = Watch().live()
    watch.dies()
    watch.live().dies()
    assert watch.view.stage is Stage.WAITING

    assert watch.dies(told_to_stop=True) == (End(0, "told to stop"),)


# ---------------------------------------------------------------------- pauses, tally, safe mode


def crash(watch: Watch) -> Start:
    """Let the running daemon die and wait out the pause; the start that follows."""
    steps = list(watch.dies())
    while not steps:
        steps += watch.dies()
    assert isinstance(steps[0], Start)
    return steps[0]


def test_first_restart_is_immediate_and_the_next_ones_wait_longer_and_longer() -> None:
    watch, waits = Watch().live(), []
    for _ in range(4):
        before = watch.now
        crash(watch)
        waits.append(watch.now - before)
        watch.look()

    assert waits[0] == pytest.approx(LOOK_S)
    assert waits == sorted(waits)
    assert waits[3] > 0.75


def test_tally_of_failures_leads_to_safe_mode_and_only_a_restart_leaves_it() -> None:
    watch = Watch()
    starts = []
    for _ in range(6):
        watch.look()
        starts.append(crash(watch).safe_mode)
    assert starts == [False, False, False, False, True, True]

    watch.looks(200)
    watch.counter += 1
    assert crash(watch).safe_mode
    watch.look()
    assert watch.dies(75) == (Start(watch.view.restart, False, "restart asked for", watch.view.down_since),)


def test_safe_mode_is_left_after_ten_minutes_without_a_crash() -> None:
    watch = Watch()
    for _ in range(5):
        watch.look()
        crash(watch)
    assert watch.view.safe_mode

    watch.looks(300)
    crash(watch)
    steps = watch.looks(599)
    assert steps == []
    (asked,) = watch.looks(2)
    assert asked == AskToStop("10 minutes in safe mode without a crash")
    (start,) = watch.dies(143)
    assert start == Start(watch.view.restart, False, asked.why, watch.view.down_since)
    assert watch.view.failures == ()


def test_failures_are_forgotten_once_it_was_ready_for_long_enough() -> None:
    watch = Watch()
    for _ in range(10):
        watch.looks(61)
        before = watch.now
        assert not crash(watch).safe_mode
        assert watch.now - before == pytest.approx(LOOK_S)


def test_time_nobody_guards_counts_from_the_last_beat_until_it_is_ready_again() -> None:
    watch = Watch().live()
    last_beat = watch.now
    watch.looks(3.2, beats=False)
    assert crash(watch).down_since == pytest.approx(last_beat)

    watch.look(phase=Phase.STARTING)
    assert crash(watch).down_since == pytest.approx(last_beat)

    watch.look(phase=Phase.READY)
    died = watch.now + LOOK_S
    assert crash(watch).down_since == pytest.approx(died)


@given(failures=st.integers(0, 10_000), chance=st.floats(0, 1))
def test_pause_is_bounded_and_the_first_is_none(failures: int, chance: float) -> None:
    waited = pause(failures, LIMITS, chance)

    assert 0 <= waited <= LIMITS.longest_pause_s
    assert (waited == 0) == (failures <= 1)
    assert pause(failures + 2, LIMITS, 0.0) >= pause(failures + 1, LIMITS, 1.0) / 2


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "after": st.sampled_from([0.05, 0.1, 1.0, 5.0, 100.0]),
                "alive": st.booleans(),
                "beats": st.booleans(),
                "suspended": st.booleans(),
                "exit_code": st.sampled_from([None, 0, 1, 75, 78, 143, -9]),
                "phase": st.sampled_from(list(Phase)),
                "told_to_stop": st.booleans(),
                "memory_mb": st.sampled_from([10.0, 900.0]),
            }
        ),
        max_size=60,
    )
)
def test_whatever_is_seen_there_is_one_daemon_and_it_is_never_given_up(looks: list[dict[str, Any]]) -> None:
    watch, running, told = Watch(), 1, False
    for seen in looks:
        alive = seen.pop("alive") and running == 1
        told = seen.pop("told_to_stop") or told
        running = int(alive)
        for step in watch.look(**seen, alive=alive, told_to_stop=told):
            match step:
                case Start():
                    assert running == 0
                    assert not told
                    running = 1
                case End():
                    assert running == 0
                    assert told or seen["exit_code"] in (0, 1, 78) or watch.view.stage is Stage.ENDING
                    return
                case Kill() | AskToStop() | Dump():
                    assert running == 1
        assert running == 1 or watch.view.stage is Stage.WAITING
        assert isinstance(watch.view, View)
