"""Catalogue M, N and T: what may be asked of a level, and what it shows. Names carry the identifiers."""
# ruff: noqa: N802

from __future__ import annotations

import random
import sys

import pytest

from actors.clock import SystemClock
from supervisor.child_spec import Backoff, ChildSpec
from supervisor.driver import Supervisor
from supervisor.events import LevelReady, Report
from tests.supervisor.world import CRASH, KILLED, World, level, worker


def pool(**terms: object) -> World:
    return World(level("root", worker("w", **terms), strategy="simple_one_for_one")).boot()


def slow_to_restart(name: str = "a", **terms: object) -> ChildSpec:
    """A child whose second restart comes a second late."""
    late = Backoff(min_s=1.0, max_s=1.0, jitter=0.0)
    return worker(name, backoff=late, failed_starts="unlimited", **terms)


# Administration.


def test_M01_starting_what_runs_says_so() -> None:
    world = World(level("root", worker("a"))).boot()
    assert world.start_child("root", worker("a")).refused == "already_started"


def test_M02_terminate_keeps_the_spec_and_may_be_repeated() -> None:
    world = World(level("root", worker("a"), worker("b"))).boot()
    assert world.terminate("root", "a").refused is None
    assert world.counts() == {"specs": 2, "active": 1, "supervisors": 0, "workers": 2}
    assert [r.reason.kind for r in world.reports if r.kind == "exited"] == ["shutdown"]
    assert world.terminate("root", "a").refused is None
    assert world.terminate("root", "z").refused == "not_found"


def test_M03_a_terminated_child_is_present_and_can_be_restarted() -> None:
    world = World(level("root", worker("a"))).boot()
    first = world.live["a"]
    world.terminate("root", "a")
    assert world.start_child("root", worker("a")).refused == "already_present"
    assert world.restart("root", "a").refused is None
    assert world.live["a"] != first
    assert world.restart("root", "a").refused == "running"


def test_M04_only_a_stopped_child_can_be_deleted() -> None:
    world = World(level("root", worker("a"))).boot()
    assert world.delete("root", "a").refused == "running"
    world.terminate("root", "a")
    assert world.delete("root", "a").refused is None
    assert world.restart("root", "a").refused == "not_found"


def test_M05_a_level_that_is_gone_answers_at_once() -> None:
    world = World(level("root", worker("a"))).boot()
    world.stop()
    assert world.start_child("root", worker("b")).refused == "dead"
    assert world.terminate("root", "a").refused == "dead"
    world = World(level("root", worker("a", shutdown_s=9.0))).boot()
    world.stops["a"] = 5.0
    world.stop()
    assert world.terminate("root", "a").refused == "stopping"


def test_M06_pool_members_are_terminated_by_their_own_name_only() -> None:
    world = pool()
    name = world.start_child("root").id
    world.start_child("root")
    assert name == "w/1"
    assert world.terminate("root", "w").refused == "simple_one_for_one"
    assert world.terminate("root", "elsewhere/1").refused == "not_found"
    assert world.terminate("root", "w/99").refused == "not_found"
    assert world.states() == {"w/1": "running", "w/2": "running"}
    assert world.terminate("root", name).refused is None
    assert world.terminate("root", name).refused is None
    assert world.states() == {"w/2": "running"}


def test_M07_pool_members_cannot_be_restarted_or_deleted() -> None:
    world = pool()
    name = world.start_child("root").id
    assert world.restart("root", name).refused == "simple_one_for_one"
    assert world.delete("root", name).refused == "simple_one_for_one"
    assert world.restart("root", "w").refused == "simple_one_for_one"


def test_M08_a_child_between_two_lives_says_restarting_and_can_be_terminated() -> None:
    world = World(level("root", slow_to_restart())).boot()
    world.die("a")
    world.die("a")
    assert world.states() == {"a": "restarting"}
    assert world.start_child("root", worker("a")).refused == "already_present"
    assert world.restart("root", "a").refused == "restarting"
    assert world.delete("root", "a").refused == "restarting"
    assert world.terminate("root", "a").refused is None
    assert world.states() == {"a": "stopped"}
    world.wait(60)
    assert world.live == {}


def test_recycling_a_running_child_stops_it_in_good_order_and_starts_it_afresh() -> None:
    world = World(level("root", worker("a"), worker("b"))).boot()
    assert world.recycle("root", "a") is not None
    assert world.log[2:] == ["- a", "+ a"]
    assert world.states() == {"a": "running", "b": "running"}


def test_recycling_a_child_that_was_given_up_clears_what_it_had_used_up() -> None:
    world = World(level("root", ChildSpec(id="a", factory=worker("a").factory, backoff=Backoff(0, 0)))).boot()
    for _ in range(5):
        world.die("a")
    assert world.states() == {"a": "given_up"}
    assert world.recycle("root", "a").refused is None
    for _ in range(4):
        world.die("a")
    assert world.states() == {"a": "running"}


def test_recycling_waits_for_a_start_that_has_to_be_tried_again() -> None:
    world = World(level("root", slow_to_restart())).boot()
    world.births["a"] = ["no disk", "ready"]
    assert world.recycle("root", "a").refused == "start_failed"
    world.wait(1.0)
    assert world.states() == {"a": "running"}


def test_recycling_a_temporary_child_starts_it_once_more() -> None:
    world = World(level("root", worker("a", restart="temporary"))).boot()
    assert world.recycle("root", "a").refused is None
    assert world.states() == {"a": "running"}
    world.births["a"] = "no disk"
    assert world.recycle("root", "a").refused == "start_failed"
    assert world.states() == {}


def test_a_child_that_is_being_stopped_can_be_wanted_again() -> None:
    world = World(level("root", worker("a"))).boot()
    world.stops["a"] = 1.0
    world.terminate("root", "a")
    world.recycle("root", "a")
    world.wait(1.0)
    assert world.states() == {"a": "running"}
    assert world.last_answer.refused is None


def test_a_child_added_with_a_bad_spec_is_refused() -> None:
    world = World(level("root")).boot()
    assert world.start_child("root").refused == "bad_spec"
    assert world.start_child("root", worker("a", significant=True, restart="transient")).refused == "bad_spec"


def test_two_starts_of_one_child_are_answered_each() -> None:
    world = World(level("root")).boot()
    world.births["a"] = "hang"
    assert world.start_child("root", worker("a")) is None
    assert world.recycle("root", "a") is None
    assert world.answers[0].refused == "restarting"
    world.stop()
    assert world.last_answer.refused == "stopping"


# Failed restarts.


def test_T01_requests_are_answered_between_failing_starts() -> None:
    world = World(level("root", slow_to_restart(start_timeout_s=2.0), worker("b"))).boot()
    world.births["a"] = "hang"
    world.die("a")
    for _ in range(10):
        world.wait(0.7)
        assert world.start_child("root", worker("b")).refused == "already_started"


def test_T02_terminating_a_restarting_child_cancels_the_retry() -> None:
    world = World(level("root", slow_to_restart())).boot()
    world.births["a"] = "no disk"
    world.die("a")
    assert world.terminate("root", "a").refused is None
    world.wait(60)
    assert world.states() == {"a": "stopped"}
    world.births["a"] = "ready"
    assert world.restart("root", "a").refused is None
    assert world.states() == {"a": "running"}


def test_T03_while_the_middle_child_restarts_later_ones_are_stopped_and_earlier_ones_run() -> None:
    tree = level("root", worker("a"), slow_to_restart("b"), worker("c"), strategy="rest_for_one")
    world = World(tree).boot()
    world.births["b"] = ["no disk", "ready"]
    world.die("b")
    assert world.states() == {"a": "running", "b": "restarting", "c": "stopped"}
    assert world.restart("root", "c").refused == "restarting"
    assert world.delete("root", "c").refused == "restarting"
    world.wait(1.0)
    assert world.states() == {"a": "running", "b": "running", "c": "running"}


def test_T03_a_later_child_terminated_meanwhile_stays_down() -> None:
    tree = level("root", worker("a"), slow_to_restart("b"), worker("c"), strategy="rest_for_one")
    world = World(tree).boot()
    world.births["b"] = ["no disk", "ready"]
    world.die("b")
    assert world.terminate("root", "c").refused is None
    world.wait(1.0)
    assert world.states() == {"a": "running", "b": "running", "c": "stopped"}


def test_T04_counts_leave_a_restarting_child_out_of_the_active_ones() -> None:
    world = World(level("root", slow_to_restart(), worker("b"))).boot()
    world.births["a"] = ["no disk", "ready"]
    world.die("a")
    assert world.counts() == {"specs": 2, "active": 1, "supervisors": 0, "workers": 2}
    world.wait(1.0)
    assert world.counts()["active"] == 2


# Introspection and scale.


@pytest.mark.parametrize("size", [1_000, 2_000])
def test_N01_counts_are_right_for_large_pools(size: int) -> None:
    world = pool()
    for _ in range(size):
        world.start_child("root")
    assert world.counts() == {"specs": size, "active": size, "supervisors": 0, "workers": size}
    sub = level("s", worker("x")).as_child()
    world = World(level("root", worker("a"), sub)).boot()
    assert world.counts() == {"specs": 2, "active": 2, "supervisors": 1, "workers": 1}


def test_N02_a_killed_member_vanishes_from_the_counts_at_once() -> None:
    world = pool(restart="temporary")
    for _ in range(10):
        world.start_child("root")
    world.die("w/3", KILLED)
    assert world.counts()["active"] == 9
    assert "w/3" not in world.states()


def test_N03_the_spec_of_a_child_and_of_a_member_can_be_read() -> None:
    world = pool(restart="transient")
    world.start_child("root", None, 1, 2)
    core, child = world.levels.find("w/1")
    assert (core.spec.id, child.spec.restart, child.spec.args) == ("root", "transient", (1, 2))
    assert world.levels.find("w/2") is None


def test_N04_a_name_means_the_replacement_never_the_dead_one() -> None:
    world = World(level("root", worker("a"))).boot()
    first = world.live["a"]
    world.die("a", KILLED)
    assert world.live["a"] == first + 1


def test_N05_work_grows_in_proportion_to_the_number_of_children() -> None:
    def calls(size: int) -> int:
        """Function calls made by so many starts and one stop: effort without a clock."""
        count = 0

        def counting(frame: object, event: str, arg: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        world = pool(restart="temporary")
        before = sys.getprofile()
        sys.setprofile(counting)
        try:
            for _ in range(size):
                world.start_child("root")
            world.stop()
        finally:
            sys.setprofile(before)
        assert world.live == {}
        return count

    assert calls(2_000) < 12 * calls(200)


def test_N06_everything_that_happens_is_reported_with_fixed_fields() -> None:
    world = World(level("root", slow_to_restart("a", stance="escalate"))).boot()
    world.births["a"] = ["no disk", "ready"]
    world.wait(1.0)
    world.die("a")
    world.wait(2.0)
    assert world.kinds("a") == ["started", "exited", "restart_failed", "restarted"]
    exited = world.reports[1]
    assert (exited.supervisor, exited.id, exited.epoch) == ("root", "a", 1)
    assert (exited.reason, exited.restart, exited.shutdown_s, exited.expected) == (
        CRASH,
        "permanent",
        5.0,
        False,
    )
    assert world.reports[3].uncovered_ms == pytest.approx(1000)


def test_N06_a_report_is_one_line_of_ascii_and_is_cut_where_asked() -> None:
    world = World(level("root", worker("a"))).boot()
    world.die("a")
    report = next(r for r in world.reports if r.kind == "exited")
    line = report.line()
    assert line == "exited a#1 supervisor=root restart=permanent reason=crash: ValueError: boom"
    assert report.line(20) == "exited a#1 superv..."
    bad = Report("exited", "root", "ä", 1, "permanent", 5.0, reason=None)
    assert bad.line().isascii()


def test_a_tree_with_one_name_twice_is_refused() -> None:
    tree = level("root", worker("a"), level("sub", worker("a")).as_child())
    with pytest.raises(ValueError, match="duplicate_id"):
        Supervisor(tree, SystemClock(), chance=random.Random(1))


def test_booting_reports_ready_once() -> None:
    assert World(level("root", worker("a"))).boot().outcome == LevelReady()
