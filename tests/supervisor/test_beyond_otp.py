"""Catalogue C, the part that is decided without threads. Names carry the identifiers."""
# ruff: noqa: N802

from __future__ import annotations

import itertools

import pytest

from actors.address import Reason
from supervisor.child_spec import Backoff, Budget, ChildSpec, SpecError
from supervisor.events import ChildExited, LevelEnded, LevelReady, Report, StartChild, TerminateChild
from supervisor.hooks import ReportGate
from tests.supervisor.world import CRASH, KILLED, SHUTDOWN, World, level, nobody, worker


def own(name: str, **terms: object) -> ChildSpec:
    """A child as the program has them: with a budget and a back-off of its own."""
    return ChildSpec(**{"id": name, "factory": nobody, **terms})  # type: ignore[arg-type]


def test_C04_an_outage_of_ten_seconds_is_waited_out_with_growing_delays() -> None:
    world = World(level("root", own("a", backoff=Backoff(jitter=0)), own("b"))).boot()
    world.births["a"] = "no disk"
    world.die("a")
    while world.now < 10.0:
        world.wait(0.5)
        assert world.start_child("root", own("b")).refused == "already_started"
    gaps = [later - earlier for earlier, later in itertools.pairwise(world.started_at["a"][1:])]
    assert gaps == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
    world.births["a"] = "ready"
    world.wait(5.0)
    assert world.states() == {"a": "running", "b": "running"}
    assert "escalated" not in world.kinds()
    assert "gave_up" not in world.kinds()


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.5, 1.0])
def test_C04_jitter_spreads_a_delay_by_its_share(chance: float) -> None:
    backoff = Backoff(min_s=1.0, max_s=4.0, factor=2.0, jitter=0.2)
    assert backoff.delay(0, chance) == 0.0
    assert backoff.delay(1, chance) == pytest.approx(1.0 * (0.8 + 0.4 * chance))
    assert (
        backoff.delay(3, chance)
        == backoff.delay(1_000_000, chance)
        == pytest.approx(4 * (0.8 + 0.4 * chance))
    )


@pytest.mark.parametrize("terms", [{"min_s": -1.0}, {"max_s": 0.01}, {"factor": 0.5}, {"jitter": 2.0}])
def test_C04_a_back_off_that_cannot_work_is_refused(terms: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="invalid_backoff"):
        Backoff(**terms)


def test_C04_a_stable_time_makes_the_next_restart_immediate_again() -> None:
    world = World(level("root", own("a", crashes="unlimited"))).boot()
    for _ in range(5):
        world.die("a")
        world.wait(6.0)
    assert world.log.count("+ a") == 6
    world.die("a")
    assert "a" not in world.live
    world.wait(6.0 + 30.0)
    world.die("a")
    assert "a" in world.live


def test_C04_failed_starts_have_a_budget_and_then_the_declared_stance() -> None:
    world = World(level("root", own("a", failed_starts=Budget(3, 60.0)))).boot()
    world.births["a"] = "no disk"
    world.die("a")
    world.wait(60.0)
    assert world.states() == {"a": "given_up"}
    assert world.kinds("a") == ["started", "exited", *["restart_failed"] * 3, "gave_up"]


def test_C05_the_first_restart_is_immediate() -> None:
    world = World(level("root", own("a"))).boot()
    world.die("a")
    assert world.live == {"a": 2}
    assert world.reports[-1].uncovered_ms == 0.0


@pytest.mark.parametrize("restart", ["permanent", "transient"])
def test_C06_giving_up_is_never_a_clean_end(restart: str) -> None:
    sub = level("sub", worker("a"), intensity=0).as_child(restart=restart, crashes="supervisor")
    world = World(level("root", sub, intensity=1)).boot()
    world.die("a")
    assert world.live == {"a": 2}
    world.die("a")
    assert isinstance(world.outcome, LevelEnded)
    assert not world.outcome.reason.is_clean
    assert Reason("shutdown").is_clean


def test_C10_a_child_that_stops_slowly_holds_nobody_up() -> None:
    world = World(level("root", worker("slow"), worker("b"), worker("c"))).boot()
    world.stops["slow"] = 4.9
    assert world.terminate("root", "slow") is None
    world.die("b")
    assert world.live["b"] == 2
    assert world.start_child("root", worker("d")).refused is None
    assert world.terminate("root", "c").refused is None
    world.wait(4.9)
    assert world.states()["slow"] == "stopped"


def test_C19_a_stop_during_a_restart_wins() -> None:
    world = World(level("root", *map(worker, "abc"), strategy="one_for_all")).boot()
    world.stops["b"] = 1.0
    world.die("a")
    world.stop()
    world.wait(1.0)
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert world.log.count("+ a") == 1


def test_C19_a_crash_during_the_stop_is_not_restarted() -> None:
    world = World(level("root", *map(worker, "abc"), strategy="rest_for_one")).boot()
    world.stops["c"] = 1.0
    world.stop()
    world.die("a")
    world.die("b")
    world.wait(1.0)
    assert world.outcome == LevelEnded(SHUTDOWN)
    assert world.live == {}


def test_C19_a_replacement_killed_while_it_initialises_is_replaced_again() -> None:
    world = World(level("root", own("a"))).boot()
    world.births["a"] = ["hang", "hang", "ready"]
    world.die("a")
    world.die("a", KILLED)
    world.wait(1.0)
    world.die("a", KILLED)
    world.wait(1.0)
    assert world.live == {"a": 4}
    assert world.states() == {"a": "running"}


def test_C19_a_start_that_never_ends_is_given_up_at_its_timeout() -> None:
    world = World(level("root", own("a", start_timeout_s=2.0))).boot()
    world.births["a"] = ["hang", "ready"]
    world.die("a")
    world.wait(2.0)
    world.wait(0.1)
    assert world.states() == {"a": "running"}
    assert world.log == ["+ a", "x a", "+ a", "! a", "+ a"]


def test_C19_news_of_a_life_that_is_over_is_ignored() -> None:
    world = World(level("root", own("a"))).boot()
    world.live["a"] = 99
    world.die("a")
    assert world.states() == {"a": "running"}


@pytest.mark.parametrize("birth", ["ready", "ignore", "no disk"])
def test_C19_a_child_asked_to_stop_before_it_is_ready_stays_down(birth: str) -> None:
    world = World(level("root"))
    world.boot()
    world.births["a"] = birth
    world.stops["a"] = 1.0
    world.tell_both("root", StartChild("start", worker("a")), TerminateChild("stop", "a"))
    world.wait(2.0)
    assert world.live == {}
    assert world.is_up()
    assert world.answers["start"].refused is not None
    assert world.answers["stop"].refused is None


def test_C18_a_storm_of_restarts_is_cut_down_to_a_bounded_number_of_reports() -> None:
    gate = ReportGate()
    reports = [Report("exited", "root", "a", n, "permanent", 5.0, CRASH) for n in range(1_000)]
    passed = [kept for n, report in enumerate(reports) if (kept := gate.admit(n / 1_000, report))]
    assert len(passed) == 20
    end = gate.admit(1.0, Report("gave_up", "root", "a", 1_001, "permanent", 5.0, CRASH))
    assert end is not None
    assert end.suppressed == 980
    assert "suppressed=980" in end.line()
    assert gate.admit(1.0, Report("exited", "root", "b", 1, "permanent", 5.0)) is not None


def test_C20_every_gap_is_measured_and_added_up() -> None:
    slow = Backoff(min_s=2.0, max_s=2.0, jitter=0)
    world = World(level("root", own("a", backoff=slow))).boot()
    world.die("a")
    world.wait(10.0)
    world.die("a")
    world.wait(5.0)
    gaps = [report.uncovered_ms for report in world.reports if report.kind == "restarted"]
    assert gaps == [0.0, 2000.0]
    world.die("a")
    world.wait(1.0)
    child = world.levels.cores["root"].children["a"]
    assert child.uncovered_s(world.now) == 3.0


def test_C20_a_hang_counts_from_when_the_handler_began() -> None:
    world = World(level("root", own("a"))).boot()
    world.wait(10.0)
    epoch = world.live.pop("a")
    world.tell("root", ChildExited("a", epoch, Reason("hung"), since=9.7))
    assert world.reports[-1].uncovered_ms == pytest.approx(300)


def test_booting_is_over_only_when_the_last_child_is_ready() -> None:
    world = World(level("root", worker("a"), level("sub", worker("b")).as_child()))
    world.births["b"] = "hang"
    world.boot()
    assert world.outcome is None
    world = World(level("root", worker("a"), level("sub", worker("b")).as_child())).boot()
    assert world.outcome == LevelReady()
