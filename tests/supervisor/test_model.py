"""Random trees, random deaths: a second opinion on who may die and who must come back.

The oracle knows nothing of the machine. It reads from the tree alone which actors a death may touch, and
after every step the world has to agree: nobody else died, and whoever had to come back is somebody new.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.address import Reason
from supervisor.child_spec import Backoff, ChildSpec, SupervisorSpec
from supervisor.core import Mode
from supervisor.events import LevelReady
from tests.supervisor.world import CRASH, KILLED, NORMAL, REASONS, SHUTDOWN, World, level, worker

STRATEGIES = st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])
RESTARTS = st.sampled_from(["permanent", "transient", "temporary"])


@st.composite
def trees(draw: st.DrawFn, name: str = "root", depth: int = 2) -> SupervisorSpec:
    """A tree of up to three levels whose budgets are never spent."""
    children: list[ChildSpec] = []
    for number in range(draw(st.integers(1, 4))):
        below = f"{name}/{number}"
        restart = draw(RESTARTS)
        if depth and draw(st.booleans()):
            children.append(draw(trees(below, depth - 1)).as_child(restart=restart, crashes="supervisor"))
        else:
            children.append(worker(below, restart=restart))
    return level(name, *children, strategy=draw(STRATEGIES), intensity=10_000)


class Oracle:
    """What a tree promises, worked out from its description."""

    def __init__(self, root: SupervisorSpec) -> None:
        self.levels: dict[str, SupervisorSpec] = {}
        self.home: dict[str, str] = {}
        self._read(root)

    def _read(self, spec: SupervisorSpec) -> None:
        self.levels[spec.id] = spec
        for child in spec.children:
            self.home[child.id] = spec.id
            if child.supervisor is not None:
                self._read(child.supervisor)

    def workers_below(self, child: ChildSpec) -> set[str]:
        """Workers that run wherever this child does, freshly started."""
        if child.supervisor is None:
            return {child.id}
        return {name for below in child.supervisor.children for name in self.workers_below(below)}

    def alive_below(self, child: ChildSpec, alive: set[str]) -> set[str]:
        return {name for name in alive if name == child.id or name.startswith(child.id + "/")}

    def after(
        self, alive: set[str], levels: set[str], name: str, reason: Reason
    ) -> tuple[set[str], set[str]]:
        """Who is alive after `name` died of `reason`, and who of them must be somebody new."""
        home = self.levels[self.home[name]]
        spec = next(child for child in home.children if child.id == name)
        comes_back = spec.restart == "permanent" or (spec.restart == "transient" and not reason.is_clean)
        if not comes_back:
            return alive - {name}, set()
        touched = self.touched(home, name)
        old = {who for child in touched for who in self.alive_below(child, alive)} | {name}
        new: set[str] = set()
        for child in touched:
            was_up = child.id == name or child.id in alive or child.id in levels
            if was_up and (child.id == name or child.restart != "temporary"):
                new |= self.workers_below(child)
        return (alive - old) | new, new

    def touched(self, home: SupervisorSpec, name: str) -> list[ChildSpec]:
        position = [child.id for child in home.children].index(name)
        match home.strategy:
            case "one_for_all":
                return list(home.children)
            case "rest_for_one":
                return list(home.children[position:])
            case _:
                return [home.children[position]]


def levels_up(world: World) -> set[str]:
    return {name for name, core in world.levels.cores.items() if core.mode is Mode.RUNNING}


@given(trees(), st.lists(st.tuples(st.integers(0, 1_000), st.sampled_from(list(REASONS))), max_size=12))
@settings(deadline=None, max_examples=150)
def test_model_after_any_sequence_of_deaths_the_tree_is_what_it_promises(
    root: SupervisorSpec, deaths: list[tuple[int, str]]
) -> None:
    world, oracle = World(root).boot(), Oracle(root)
    for pick, cause in deaths:
        if not world.live:
            break
        name = sorted(world.live)[pick % len(world.live)]
        before = world.epochs()
        expected, new = oracle.after(set(before), levels_up(world), name, REASONS[cause])
        world.die(name, REASONS[cause])
        assert set(world.live) == expected
        assert {who for who in expected if world.live[who] != before.get(who)} == new
    world.stop()
    assert world.live == {}


@given(trees(), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_model_the_same_seed_gives_the_same_run(root: SupervisorSpec, seed: int) -> None:
    def play() -> list[str]:
        chance = random.Random(seed)
        world = World(root, seed=seed).boot()
        for _ in range(10):
            if world.live:
                world.die(chance.choice(sorted(world.live)), chance.choice([CRASH, KILLED, NORMAL]))
            world.wait(chance.random())
        return world.log

    assert play() == play()


class Life(RuleBasedStateMachine):
    """Deaths, failing starts, slow and stuck stops, requests and the passing of time, in any order.

    Whatever happens: a request is answered once, nobody runs twice, and once the world is kind again the tree
    is complete.
    """

    @initialize(strategy=STRATEGIES, size=st.integers(1, 4), seed=st.integers(0, 99))
    def boot(self, strategy: str, size: int, seed: int) -> None:
        self.names = [f"w{number}" for number in range(size)]
        spec = {"backoff": Backoff(jitter=0.2), "failed_starts": "unlimited", "crashes": "unlimited"}
        children = [worker(name, start_timeout_s=1.0, shutdown_s=1.0, **spec) for name in self.names]
        self.world = World(level("root", *children, strategy=strategy), seed=seed).boot()
        self.asked = 0
        self.stopped = False

    @rule(pick=st.integers(0, 99), cause=st.sampled_from(list(REASONS)))
    def die(self, pick: int, cause: str) -> None:
        if self.world.live:
            self.world.die(sorted(self.world.live)[pick % len(self.world.live)], REASONS[cause])

    @rule(pick=st.integers(0, 3), how=st.sampled_from(["ready", "no disk", "hang"]))
    def change_births(self, pick: int, how: str) -> None:
        self.world.births[self.names[pick % len(self.names)]] = how

    @rule(pick=st.integers(0, 3), delay_s=st.sampled_from([0.0, 0.5, 60.0]))
    def change_stops(self, pick: int, delay_s: float) -> None:
        self.world.stops[self.names[pick % len(self.names)]] = delay_s

    @rule(pick=st.integers(0, 3), what=st.sampled_from(["terminate", "restart", "recycle"]))
    def ask(self, pick: int, what: str) -> None:
        self.asked += 1
        getattr(self.world, what)("root", self.names[pick % len(self.names)])

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @precondition(lambda self: not self.stopped)
    @rule()
    def stop(self) -> None:
        self.stopped = True
        self.world.stop()

    @invariant()
    def nobody_lives_outside_of_what_the_machine_knows(self) -> None:
        core = self.world.levels.cores.get("root")
        known = {} if core is None else {n: c.epoch for n, c in core.children.items() if c.has_process}
        assert self.world.live == known

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.births.clear()
        world.stops.clear()
        world.wait(120.0)
        if not self.stopped:
            assert world.outcome == LevelReady()
            for name in self.names:
                world.recycle("root", name)
                self.asked += 1
            world.wait(120.0)
            assert world.states() == dict.fromkeys(self.names, "running")
            world.stop()
            world.wait(120.0)
        assert world.live == {}
        assert world.outcome.reason == SHUTDOWN
        assert len(world.answers) == self.asked


Life.TestCase.settings = settings(deadline=None, max_examples=80, stateful_step_count=30)
TestLife = Life.TestCase
