"""Catalogue S and P: how levels start and stop. Names carry the catalogue's identifiers."""
# ruff: noqa: N802

from __future__ import annotations

import math

import pytest

from actors.address import Reason
from supervisor.child_spec import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    Restart,
    SpecError,
    Strategy,
    SupervisorSpec,
    check_specs,
    spec_from,
)
from supervisor.events import LevelEnded, LevelFailed, LevelReady
from tests.supervisor.world import CRASH, NORMAL, REASONS, SHUTDOWN, World, level, nobody, worker

ALL: tuple[Restart, ...] = ("permanent", "transient", "temporary")


def pool(**terms: object) -> SupervisorSpec:
    return level("root", worker("w", **terms), strategy="simple_one_for_one")


# Start.


def test_S01_empty_level_starts_and_stops() -> None:
    world = World(level("root")).boot()
    assert world.outcome == LevelReady()
    world.stop()
    assert world.outcome == LevelEnded(SHUTDOWN)


def test_S02_everything_ignored_leaves_nothing_behind() -> None:
    world = World(level("root", worker("a", restart="temporary")))
    world.births["a"] = "ignore"
    world.boot()
    assert world.outcome == LevelReady()
    assert world.states() == {}
    assert world.live == {}


def test_S03_a_start_that_returns_nonsense_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="'nonsense'") as error:
        ChildSpec(id="a", factory="nonsense")  # type: ignore[arg-type]
    assert error.value.name == "invalid_start"


def test_S04_a_start_that_raises_carries_the_original_cause() -> None:
    world = World(level("root", worker("a")))
    world.births["a"] = "no disk"
    world.boot()
    assert isinstance(world.outcome, LevelFailed)
    assert isinstance(world.outcome.reason.error, OSError)
    assert "a: OSError: no disk" in world.outcome.reason.describe()


def test_S05_children_start_in_the_order_written_each_after_the_one_before() -> None:
    names = ["c", "a", "e", "b", "d"]
    world = World(level("root", *map(worker, names)))
    world.births["e"] = "hang"
    world.boot()
    assert world.log == ["+ c", "+ a", "+ e"]
    world = World(level("root", *map(worker, names))).boot()
    assert world.log == [f"+ {name}" for name in names]


def test_S06_added_child_that_ignores_keeps_its_spec() -> None:
    world = World(level("root")).boot()
    world.births["a"] = "ignore"
    answer = world.start_child("root", worker("a"))
    assert answer is not None
    assert answer.refused is None
    assert world.counts() == {"specs": 1, "active": 0, "supervisors": 0, "workers": 1}


def test_S07_temporary_child_that_ignores_at_first_leaves_no_spec() -> None:
    world = World(level("root", worker("a", restart="temporary"), worker("b")))
    world.births["a"] = "ignore"
    world.boot()
    assert world.states() == {"b": "running"}


def test_S08_temporary_child_that_ignores_when_added_leaves_no_spec() -> None:
    world = World(level("root", worker("b"))).boot()
    world.births["a"] = "ignore"
    assert world.start_child("root", worker("a", restart="temporary")).refused is None
    assert world.states() == {"b": "running"}


@pytest.mark.parametrize("restart", ["temporary", "permanent"])
def test_S09_pool_member_that_ignores_leaves_no_entry(restart: Restart) -> None:
    world = World(pool(restart=restart)).boot()
    world.births["w/1"] = "ignore"
    assert world.start_child("root").refused is None
    assert world.states() == {}
    world.stop()
    assert world.outcome == LevelEnded(SHUTDOWN)


def test_S10_added_child_that_fails_leaves_nothing() -> None:
    world = World(level("root")).boot()
    world.births["a"] = "no disk"
    answer = world.start_child("root", worker("a"))
    assert (answer.refused, str(answer.reason.error)) == ("start_failed", "no disk")
    assert world.states() == {}
    assert world.is_up()


def test_S11_pool_member_that_fails_leaves_nothing() -> None:
    world = World(pool()).boot()
    world.births["w/1"] = "no disk"
    assert world.start_child("root").refused == "start_failed"
    assert world.states() == {}


def test_S12_one_failing_start_undoes_the_others_in_reverse() -> None:
    world = World(level("root", *map(worker, "abcd")))
    world.births["c"] = "no disk"
    world.boot()
    assert world.log == ["+ a", "+ b", "+ c", "- b", "- a"]
    assert isinstance(world.outcome, LevelFailed)
    assert "c" in world.outcome.reason.text
    assert isinstance(world.outcome.reason.error, OSError)


def test_S13_manual_restart_that_fails_is_not_retried() -> None:
    world = World(level("root", worker("a"))).boot()
    world.terminate("root", "a")
    world.births["a"] = "no disk"
    assert world.restart("root", "a").refused == "start_failed"
    world.wait(3600)
    assert world.log.count("+ a") == 2
    assert world.states() == {"a": "stopped"}


def test_S14_start_info_is_passed_through() -> None:
    world = World(level("root")).boot()
    world.info["a"] = {"port": 4711}
    assert world.start_child("root", worker("a")).info == {"port": 4711}
    world.terminate("root", "a")
    assert world.restart("root", "a").info == {"port": 4711}
    world.die("a")
    assert world.states() == {"a": "running"}


def test_S15_defaults_are_those_of_otp_where_otp_has_one() -> None:
    child, tree = ChildSpec(id="a", factory=nobody), SupervisorSpec(id="t")
    assert (child.restart, child.type, child.stop_wait_s) == ("permanent", "worker", 5.0)
    assert child.significant is False
    assert tree.as_child().stop_wait_s == math.inf
    assert tree.as_child().type == "supervisor"
    assert (tree.strategy, tree.intensity, tree.period_s) == ("one_for_one", 1, 5.0)
    assert tree.auto_shutdown == "never"


BAD_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"factory": nobody}, "missing_id"),
    ({"id": "a"}, "missing_start"),
    ({"id": "a", "factory": None}, "missing_start"),
    ({"id": "", "factory": nobody}, "invalid_id"),
    ({"id": 7, "factory": nobody}, "invalid_id"),
    ({"id": "a", "factory": "no"}, "invalid_start"),
    ({"id": "a", "supervisor": "no"}, "invalid_start"),
    ({"id": "a", "supervisor": SupervisorSpec(id="b")}, "invalid_id"),
    ({"id": "a", "factory": nobody, "restart": "always"}, "invalid_restart"),
    ({"id": "a", "factory": nobody, "shutdown_s": -1}, "invalid_shutdown"),
    ({"id": "a", "factory": nobody, "shutdown_s": "soon"}, "invalid_shutdown"),
    ({"id": "a", "factory": nobody, "significant": "yes"}, "invalid_significant"),
    ({"id": "a", "factory": nobody, "handler_deadline_s": 0}, "invalid_handler_deadline_s"),
    ({"id": "a", "factory": nobody, "start_timeout_s": -1}, "invalid_start_timeout_s"),
    ({"id": "a", "factory": nobody, "max_attempts": 0}, "invalid_max_attempts"),
    ({"id": "a", "factory": nobody, "mailbox_limit": 0}, "invalid_mailbox_limit"),
    ({"id": "a", "factory": nobody, "crashes": 5}, "invalid_budget"),
    ({"id": "a", "factory": nobody, "failed_starts": "supervisor"}, "invalid_budget"),
    ({"id": "a", "factory": nobody, "backoff": 1.0}, "invalid_backoff"),
    ({"id": "a", "factory": nobody, "stance": "panic"}, "invalid_stance"),
]


@pytest.mark.parametrize(("fields", "name"), BAD_FIELDS)
def test_S16_each_bad_field_has_an_error_of_its_own(fields: dict[str, object], name: str) -> None:
    for attempt in (lambda: spec_from(fields), lambda: check_specs([fields])):
        with pytest.raises(SpecError) as error:
            attempt()
        assert error.value.name == name


def test_S16_what_is_no_spec_is_refused_and_unknown_keys_are_ignored() -> None:
    with pytest.raises(SpecError) as error:
        check_specs([42])
    assert error.value.name == "not_a_spec"
    assert spec_from({"id": "a", "factory": nobody, "colour": "red"}).id == "a"


@pytest.mark.parametrize("restart", ALL)
@pytest.mark.parametrize("shutdown", [None, 0, 2.5, math.inf, "brutal"])
@pytest.mark.parametrize("kind", ["worker", "supervisor"])
@pytest.mark.parametrize("significant", [False, True])
@pytest.mark.parametrize("auto", ["never", "any_significant", "all_significant"])
def test_S17_every_combination_is_accepted_or_refused_as_it_should(
    restart: Restart, shutdown: object, kind: str, significant: bool, auto: AutoShutdown
) -> None:
    legal = not significant or (restart != "permanent" and auto != "never")

    def build() -> SupervisorSpec:
        what = {"factory": nobody} if kind == "worker" else {"supervisor": SupervisorSpec(id="a")}
        child = ChildSpec(id="a", restart=restart, shutdown_s=shutdown, significant=significant, **what)  # type: ignore[arg-type]
        return SupervisorSpec(id="root", children=(child,), auto_shutdown=auto)

    if legal:
        assert build().children[0].restart == restart
    else:
        with pytest.raises(SpecError) as error:
            build()
        assert error.value.name == "invalid_significant"


def test_S18_double_ids_and_pools_without_exactly_one_template_are_refused() -> None:
    with pytest.raises(SpecError) as error:
        level("root", worker("a"), worker("a"))
    assert error.value.name == "duplicate_id"
    for children in ((), (worker("a"), worker("b"))):
        with pytest.raises(SpecError) as error:
            level("root", *children, strategy="simple_one_for_one")
        assert error.value.name == "pool_needs_one_template"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"id": ""}, "invalid_id"),
        ({"strategy": "all"}, "invalid_strategy"),
        ({"intensity": -1}, "invalid_intensity"),
        ({"intensity": 1.5}, "invalid_intensity"),
        ({"intensity": math.inf}, "invalid_intensity"),
        ({"period_s": 0}, "invalid_period"),
        ({"period_s": math.inf}, "invalid_period"),
        ({"auto_shutdown": "maybe"}, "invalid_auto_shutdown"),
        ({"children": ("a",)}, "not_a_spec"),
    ],
)
def test_S19_each_bad_flag_has_an_error_of_its_own(flags: dict[str, object], name: str) -> None:
    with pytest.raises(SpecError) as error:
        SupervisorSpec(**{"id": "root", **flags})  # type: ignore[arg-type]
    assert error.value.name == name


# Stop.


def test_P01_infinite_shutdown_waits_as_long_as_it_takes() -> None:
    sub = level("sub", worker("b", shutdown_s=math.inf)).as_child()
    world = World(level("root", worker("a", shutdown_s=math.inf), sub)).boot()
    world.stops = {"a": 500.0, "b": 900.0}
    world.stop()
    world.wait(1399)
    assert world.outcome == LevelReady()
    world.wait(1)
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert "!" not in "".join(world.log)


def test_P02_stuck_child_is_killed_at_its_timeout_and_the_others_stop_in_order() -> None:
    world = World(level("root", worker("a"), worker("b", shutdown_s=2.0), worker("c"))).boot()
    world.stops["b"] = math.inf
    world.stop()
    world.wait(1.999)
    assert world.outcome == LevelReady()
    world.wait(0.001)
    assert world.log[3:] == ["- c", "- b", "! b", "- a"]
    exits = {report.id: report.reason.kind for report in world.reports if report.kind == "exited"}
    assert exits == {"a": "shutdown", "b": "killed", "c": "shutdown"}


def test_P03_brutal_child_is_killed_without_being_asked() -> None:
    world = World(level("root", worker("a", shutdown_s="brutal"))).boot()
    world.stop()
    assert world.log == ["+ a", "! a"]


def test_P04_pool_stops_in_parallel_and_kills_only_the_stuck_one() -> None:
    world = World(pool(shutdown_s=2.0)).boot()
    for _ in range(10):
        world.start_child("root")
    world.stops = {f"w/{n}": 1.9 for n in range(1, 11)} | {"w/4": math.inf}
    world.stop()
    world.wait(2.0)
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert [line for line in world.log if line[0] == "!"] == ["! w/4"]


def test_P05_brutal_pool_kills_all_at_once() -> None:
    world = World(pool(shutdown_s="brutal")).boot()
    for number in range(1, 11):
        world.start_child("root")
        world.stops[f"w/{number}"] = math.inf
    world.stop()
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert world.live == {}


@pytest.mark.parametrize("restart", ALL)
@pytest.mark.parametrize("reason", REASONS)
def test_P06_children_that_end_by_themselves_during_the_stop_are_not_restarted(
    restart: Restart, reason: str
) -> None:
    world = World(level("root", *(worker(name, restart=restart) for name in "abc"))).boot()
    world.stops["c"] = 1.0
    world.stop()
    world.die("b", REASONS[reason])
    world.die("a", REASONS[reason])
    world.wait(1.0)
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert world.log.count("+ a") == 1
    exits = {report.id: report.reason for report in world.reports if report.kind == "exited"}
    assert exits["a"] == exits["b"] == REASONS[reason]


def test_P07_odd_last_words_in_a_pool_do_not_change_how_the_level_ends() -> None:
    world = World(pool()).boot()
    for _ in range(4):
        world.start_child("root")
    world.last_words = {"w/1": CRASH, "w/2": NORMAL, "w/3": Reason("killed")}
    world.stop()
    assert world.outcome == LevelEnded(SHUTDOWN)


def test_P08_stop_is_the_exact_reverse_of_start() -> None:
    world = World(level("root", *map(worker, "cab"), level("sub", *map(worker, "yx")).as_child())).boot()
    started = [line[2:] for line in world.log]
    world.stop()
    assert [line[2:] for line in world.log[5:]] == started[::-1]


def test_P09_child_that_does_not_answer_cannot_hang_the_level() -> None:
    world = World(level("root", worker("a", shutdown_s=1.0))).boot()
    world.stops["a"] = math.inf
    assert world.terminate("root", "a") is None
    world.wait(1.0)
    assert world.last_answer.refused is None
    assert world.states() == {"a": "stopped"}


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all", "simple_one_for_one"])
@pytest.mark.parametrize("birth", ["no disk", "hang"])
def test_P10_stop_gets_through_while_a_child_keeps_failing_to_start(strategy: Strategy, birth: str) -> None:
    child = worker("w", start_timeout_s=2.0, failed_starts="unlimited", backoff=Backoff())
    world = World(level("root", child, strategy=strategy)).boot()
    name = "w"
    if strategy == "simple_one_for_one":
        name = "w/1"
        world.start_child("root")
    world.births[name] = birth
    world.die(name)
    if birth == "hang":
        world.wait(3.0)
    world.stops[name] = math.inf
    world.stop()
    world.wait(5.0)
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert world.live == {}
