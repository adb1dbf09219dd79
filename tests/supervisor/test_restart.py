"""Catalogue R, G and I: who is restarted after what, and when a level gives up. Names carry the identifiers.

I02, I03, I07 and G08 end in `escalated` where OTP ends in `shutdown`, and failed starts spend a budget of
their own (C04, C06): those tests say so.
"""
# ruff: noqa: N802

from __future__ import annotations

import pytest

from supervisor.child_spec import Backoff, Budget, ChildSpec, Strategy, SupervisorSpec
from supervisor.events import LevelEnded, LevelReady
from tests.supervisor.world import CRASH, KILLED, NORMAL, REASONS, World, level, nobody, worker

STRATEGIES: tuple[Strategy, ...] = ("one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one")


def one_member_world(strategy: Strategy, child: ChildSpec, **flags: object) -> tuple[World, str]:
    """A level of that strategy with one child, or one member, up and running."""
    world = World(level("root", child, strategy=strategy, **flags)).boot()
    if strategy != "simple_one_for_one":
        return world, child.id
    return world, world.start_child("root").id


# Restart type and reason.


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("reason", REASONS)
def test_R01_a_permanent_child_always_comes_back_as_somebody_new(strategy: Strategy, reason: str) -> None:
    world, name = one_member_world(strategy, worker("w"))
    world.die(name, REASONS[reason])
    assert world.live == {name: 2}


@pytest.mark.parametrize("reason", ["normal", "shutdown", "shutdown(x)"])
def test_R02_a_transient_child_that_is_done_stays_down_and_can_be_started_again(reason: str) -> None:
    world = World(level("root", worker("a", restart="transient"))).boot()
    world.die("a", REASONS[reason])
    assert world.states() == {"a": "stopped"}
    assert world.closed.keys() == {"a"}
    assert world.restart("root", "a").refused is None
    assert world.states() == {"a": "running"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("reason", ["crash", "killed"])
def test_R03_a_transient_child_that_failed_comes_back(strategy: Strategy, reason: str) -> None:
    world, name = one_member_world(strategy, worker("w", restart="transient"))
    world.die(name, REASONS[reason])
    assert world.live == {name: 2}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("reason", REASONS)
def test_R04_a_temporary_child_is_gone_with_its_spec(strategy: Strategy, reason: str) -> None:
    world, name = one_member_world(strategy, worker("w", restart="temporary"))
    world.die(name, REASONS[reason])
    assert world.states() == {}
    assert world.start_child("root", worker("w", restart="temporary")).refused is None


def test_R05_what_a_temporary_child_was_started_with_is_not_kept() -> None:
    world, name = one_member_world("simple_one_for_one", worker("w", restart="temporary"))
    for number in range(100):
        big = world.start_child("root", None, "x" * 1_000, number).id
        world.die(big, CRASH)
    assert list(world.levels.cores["root"].children) == [name]
    assert list(world.levels.level_of) == [name]


# Strategies.


def test_G01_one_for_one_leaves_the_other_alone() -> None:
    world = World(level("root", worker("a"), worker("b"))).boot()
    world.die("a")
    assert world.live == {"a": 2, "b": 1}


def test_G02_one_for_all_replaces_everybody_in_order() -> None:
    world = World(level("root", *map(worker, "abc"), strategy="one_for_all")).boot()
    world.die("b")
    assert world.log[3:] == ["x b", "- c", "- a", "+ a", "+ b", "+ c"]
    assert world.live == {"a": 2, "b": 2, "c": 2}


def test_G03_rest_for_one_replaces_the_later_ones() -> None:
    world = World(level("root", *map(worker, "abcd"), strategy="rest_for_one")).boot()
    world.die("b")
    assert world.log[4:] == ["x b", "- d", "- c", "+ b", "+ c", "+ d"]
    assert world.live == {"a": 1, "b": 2, "c": 2, "d": 2}


def test_G04_a_pool_restarts_only_the_member_with_what_it_was_started_with() -> None:
    world = World(level("root", worker("w", args=(1,)), strategy="simple_one_for_one")).boot()
    world.start_child("root", None, 2)
    world.start_child("root", None, 3)
    world.die("w/1")
    assert world.live == {"w/1": 2, "w/2": 1}
    assert world.specs["w/1"].args == (1, 2)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_G05_a_temporary_bystander_is_not_brought_back(strategy: Strategy) -> None:
    world = World(level("root", worker("a"), worker("t", restart="temporary"), strategy=strategy)).boot()
    world.die("a")
    assert world.states() == {"a": "running"}
    assert world.is_up()


def test_G06_a_failing_sibling_undoes_the_whole_restart_and_all_is_tried_again() -> None:
    late = Backoff(min_s=1.0, max_s=1.0, jitter=0)
    world = World(level("root", worker("a"), worker("b", backoff=late), strategy="one_for_all")).boot()
    world.births["b"] = ["no disk", "no disk", "ready"]
    world.die("a")
    assert world.log[2:] == ["x a", "- b", "+ a", "+ b", "- a", "+ a", "+ b", "- a"]
    assert world.live == {}
    world.wait(1.0)
    assert world.log[10:] == ["+ a", "+ b"]
    assert world.states() == {"a": "running", "b": "running"}


def test_G07_a_failing_later_sibling_is_tried_again_without_the_earlier_ones() -> None:
    world = World(level("root", *map(worker, "abc"), strategy="rest_for_one")).boot()
    world.births["b"] = ["no disk", "no disk", "ready"]
    world.die("a")
    assert world.log[3:] == ["x a", "- c", "- b", "+ a", "+ b", "+ b", "+ b", "+ c"]
    assert world.live["a"] == 2


def test_G08_a_crash_stays_local_and_an_escalation_restarts_the_tree_without_what_was_added() -> None:
    """Differs from OTP: the sub-tree ends in `escalated`, not in `shutdown`."""
    sub = level("sub", worker("b"), intensity=1).as_child(crashes="supervisor")
    world = World(level("root", worker("a"), sub)).boot()
    world.start_child("sub", worker("added"))
    world.die("b")
    assert world.live == {"a": 1, "b": 2, "added": 1}
    world.die("b")
    assert world.live == {"a": 1, "b": 3}
    assert world.closed == {"added": "not started again with its level"}
    ended = [report.reason.kind for report in world.reports if report.id == "sub" and report.kind == "exited"]
    assert ended == ["escalated"]


def test_a_crash_of_a_bystander_while_it_waits_to_be_stopped_costs_nothing() -> None:
    world = World(level("root", *map(worker, "abc"), strategy="one_for_all", intensity=1)).boot()
    world.stops["c"] = 1.0
    world.die("a")
    world.die("b")
    world.wait(1.0)
    assert world.states() == {"a": "running", "b": "running", "c": "running"}


def test_an_earlier_crash_during_a_restart_widens_it() -> None:
    world = World(level("root", *map(worker, "abc"), strategy="rest_for_one")).boot()
    world.stops["c"] = 1.0
    world.die("b")
    world.die("a")
    world.wait(1.0)
    assert world.log[-3:] == ["+ a", "+ b", "+ c"]


# Intensity and escalation.


def crash_often(world: World, name: str, times: int, every_s: float = 0.0) -> None:
    for _ in range(times):
        world.die(name)
        world.wait(every_s)


def test_I01_crashes_wider_apart_than_the_period_go_on_for_ever() -> None:
    world = World(level("root", worker("a"), intensity=1, period_s=5.0)).boot()
    crash_often(world, "a", 40, every_s=5.001)
    assert world.is_up()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_I02_one_crash_too_many_ends_the_level(strategy: Strategy) -> None:
    """Differs from OTP: reason `escalated`, not `shutdown`."""
    world, name = one_member_world(strategy, worker("w"), intensity=3)
    crash_often(world, name, 3)
    assert world.is_up()
    world.die(name)
    assert isinstance(world.outcome, LevelEnded)
    assert world.outcome.reason.kind == "escalated"
    assert world.live == {}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_I03_starts_that_only_fail_end_the_level_too(strategy: Strategy) -> None:
    """Differs from OTP: they spend the budget for failed starts, with back-off, not the intensity."""
    child = worker("w", failed_starts=Budget(4, 60.0), backoff=Backoff(jitter=0))
    world, name = one_member_world(strategy, child, intensity=1)
    world.births[name] = "no disk"
    world.die(name)
    world.wait(0.34)
    assert world.is_up()
    world.wait(0.02)
    assert world.outcome.reason.kind == "escalated"
    assert [report.kind for report in world.reports].count("restart_failed") == 4


def test_I04_intensity_zero_does_not_forgive_the_first_crash() -> None:
    world = World(level("root", worker("a"), intensity=0)).boot()
    world.die("a")
    assert world.outcome.reason.kind == "escalated"


def test_I05_the_edge_of_the_window_belongs_to_it() -> None:
    for gap_s, alive in ((5.0, False), (5.001, True)):
        world = World(level("root", worker("a"), intensity=1, period_s=5.0)).boot()
        world.die("a")
        world.wait(gap_s)
        world.die("a")
        assert world.is_up() is alive, gap_s


@pytest.mark.parametrize(("inner", "outer"), [(3, 2), (1, 1), (0, 3), (2, 0)])
def test_I06_budgets_of_nested_levels_multiply_and_nothing_more(inner: int, outer: int) -> None:
    sub = level("sub", worker("a"), intensity=inner).as_child(crashes="supervisor", backoff=Backoff(0, 0))
    world = World(level("root", sub, intensity=outer)).boot()
    crashes = 0
    while world.outcome == LevelReady():
        world.die("a")
        crashes += 1
    assert crashes == (inner + 1) * (outer + 1)


@pytest.mark.parametrize("restart", ["permanent", "transient"])
def test_I07_an_escalated_transient_level_is_restarted_as_after_a_crash(restart: str) -> None:
    """Differs from OTP, where a transient level that gave up silently stays down."""
    sub = level("sub", worker("a"), intensity=0).as_child(restart=restart)
    world = World(level("root", sub)).boot()
    world.die("a")
    assert world.states() == {"sub": "running"}
    assert world.live == {"a": 2}


def test_a_temporary_level_that_escalates_is_gone_and_said_so() -> None:
    sub = level("sub", worker("a"), intensity=0).as_child(restart="temporary")
    world = World(level("root", sub)).boot()
    world.die("a")
    assert world.states() == {}
    assert world.closed == {"a": "escalated: a kept failing: crash: ValueError: boom"}
    assert "escalated" in world.kinds("a")


def test_killing_a_level_leaves_nothing_of_it() -> None:
    deep = level("deep", worker("b"))
    sub = level("sub", worker("a"), deep.as_child()).as_child(shutdown_s=1.0)
    world = World(level("root", sub)).boot()
    world.stops["b"] = 1_000.0
    world.terminate("root", "sub")
    world.wait(1.0)
    assert set(world.log[-2:]) == {"! a", "! b"}
    assert world.live == {}
    assert world.closed.keys() == {"a", "b"}
    assert world.restart("root", "sub").refused is None
    assert set(world.live) == {"a", "b"}


def test_the_reason_of_an_escalation_names_the_child_and_its_last_words() -> None:
    world = World(level("root", worker("a"), intensity=0)).boot()
    world.die("a", KILLED)
    assert world.outcome.reason.describe() == "escalated: a kept failing: killed"


def test_a_child_with_a_budget_of_its_own_does_not_touch_the_others() -> None:
    own = ChildSpec(id="a", factory=nobody, backoff=Backoff(0, 0), crashes=Budget(3, 10.0))
    world = World(level("root", own, worker("b"), intensity=0)).boot()
    crash_often(world, "a", 3)
    assert world.states() == {"a": "given_up", "b": "running"}
    assert world.kinds("a")[-1] == "gave_up"
    assert world.closed == {"a": "given up: crash: ValueError: boom"}


def test_a_child_that_escalates_on_its_own_budget_ends_the_level() -> None:
    own = ChildSpec(id="a", factory=nobody, backoff=Backoff(0, 0), crashes=Budget(1, 10.0), stance="escalate")
    world = World(level("root", own)).boot()
    world.die("a")
    assert world.outcome.reason.kind == "escalated"


def test_a_child_without_limit_never_gives_up() -> None:
    own = ChildSpec(id="a", factory=nobody, backoff=Backoff(0, 0), crashes="unlimited")
    world = World(level("root", own, intensity=0)).boot()
    crash_often(world, "a", 1_000)
    assert world.states() == {"a": "running"}


def test_a_crash_during_the_boot_is_mended_before_the_rest_starts() -> None:
    world = World(level("root", worker("a"), worker("b")))
    world.births["b"] = "hang"
    world.boot()
    world.die("a")
    assert world.live == {"a": 2, "b": 1}
    world.wait(10.0)
    assert world.outcome is not None
    assert world.outcome.reason.kind == "start_timeout"


def test_a_normal_end_of_a_transient_bystander_does_not_stop_a_restart() -> None:
    tree = level("root", worker("a"), worker("t", restart="transient"), strategy="one_for_all")
    world = World(tree).boot()
    world.stops["t"] = 1.0
    world.last_words["t"] = NORMAL
    world.die("a")
    world.wait(1.0)
    assert world.states() == {"a": "running", "t": "running"}


def test_a_level_may_be_empty_of_children_and_still_restart() -> None:
    world = World(level("root", SupervisorSpec(id="sub").as_child())).boot()
    assert world.recycle("root", "sub") is not None
    assert world.states() == {"sub": "running"}
