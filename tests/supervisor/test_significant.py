"""Catalogue X: children whose own end ends the level. Names carry the identifiers."""
# ruff: noqa: N802

from __future__ import annotations

import pytest

from supervisor.child_spec import AutoShutdown, ChildSpec, Restart, Strategy
from supervisor.events import LevelEnded
from tests.supervisor.world import CRASH, KILLED, NORMAL, SHUTDOWN, World, level, worker

MODES: tuple[AutoShutdown, ...] = ("never", "any_significant", "all_significant")
ENDS = {"kill": KILLED, "crash": CRASH, "normal": NORMAL}


def significant(name: str, restart: Restart = "transient") -> ChildSpec:
    return worker(name, significant=True, restart=restart)


def has_ended(world: World) -> bool:
    return world.outcome == LevelEnded(SHUTDOWN)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("restart", ["temporary", "transient"])
@pytest.mark.parametrize("end", ["terminate", *ENDS])
def test_X01_an_insignificant_child_never_ends_the_level(
    mode: AutoShutdown, restart: Restart, end: str
) -> None:
    world = World(level("root", worker("a", restart=restart), worker("b"), auto_shutdown=mode)).boot()
    if end == "terminate":
        world.terminate("root", "a")
    else:
        world.die("a", ENDS[end])
    assert world.is_up()


@pytest.mark.parametrize("end", ENDS)
def test_X02_any_end_of_a_temporary_one_ends_the_level(end: str) -> None:
    tree = level("root", significant("a", "temporary"), worker("b"), auto_shutdown="any_significant")
    world = World(tree).boot()
    world.die("a", ENDS[end])
    assert has_ended(world)
    assert world.live == {}


def test_X02_terminating_it_does_not() -> None:
    tree = level("root", significant("a", "temporary"), worker("b"), auto_shutdown="any_significant")
    world = World(tree).boot()
    world.terminate("root", "a")
    assert world.is_up()


@pytest.mark.parametrize("end", ["kill", "crash"])
def test_X03_a_transient_one_that_failed_is_restarted(end: str) -> None:
    world = World(level("root", significant("a"), auto_shutdown="any_significant")).boot()
    world.die("a", ENDS[end])
    assert world.is_up()
    assert world.live == {"a": 2}


def test_X03_a_transient_one_that_is_done_ends_the_level() -> None:
    world = World(level("root", significant("a"), worker("b"), auto_shutdown="any_significant")).boot()
    world.die("a", NORMAL)
    assert has_ended(world)


@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_X04_with_all_the_last_one_ends_the_level(restart: Restart) -> None:
    tree = level(
        "root",
        significant("a", restart),
        significant("b", restart),
        worker("c"),
        auto_shutdown="all_significant",
    )
    world = World(tree).boot()
    world.die("b", NORMAL)
    assert world.is_up()
    world.die("a", NORMAL)
    assert has_ended(world)


@pytest.mark.parametrize(("mode", "deaths"), [("any_significant", 1), ("all_significant", 3)])
def test_X05_a_pool_of_significant_members(mode: AutoShutdown, deaths: int) -> None:
    tree = level("root", significant("w"), strategy="simple_one_for_one", auto_shutdown=mode)
    world = World(tree).boot()
    for _ in range(3):
        world.start_child("root")
    for number in range(1, deaths + 1):
        assert world.is_up()
        world.die(f"w/{number}", NORMAL)
    assert has_ended(world)


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one", "one_for_one"])
@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_X06_one_that_was_stopped_for_a_siblings_sake_does_not_count(
    strategy: Strategy, mode: AutoShutdown, restart: Restart
) -> None:
    tree = level("root", worker("a"), significant("s", restart), strategy=strategy, auto_shutdown=mode)
    world = World(tree).boot()
    world.die("a")
    assert world.is_up()
    assert "a" in world.live


@pytest.mark.parametrize("is_significant", [True, False])
def test_X07_the_end_travels_up_through_significant_levels(is_significant: bool) -> None:
    inner = level("inner", significant("a"), auto_shutdown="any_significant")
    child = inner.as_child(restart="transient", significant=is_significant)
    world = World(level("root", child, worker("b"), auto_shutdown="any_significant")).boot()
    world.die("a", NORMAL)
    assert has_ended(world) is is_significant
    assert ("b" in world.live) is not is_significant
