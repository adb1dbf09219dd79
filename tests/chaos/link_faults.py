"""The link fails a thousand times over, in one life of the guard: it must recover each time and lose nothing.

Hubs are cut, fall silent, cannot be opened, tokens are revoked, REST is gone, requests and events go astray,
while somebody trades. At the end of each, books equal the broker's, and nothing grows.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.connection.link import LinkView
from actors.messages import LinkState
from tests.chaos import invariants
from tests.chaos.broker import FINE, Hitch, HitchEvent
from tests.chaos.disorder import READS
from tests.chaos.gateway import SimHubs
from tests.chaos.scenarios import price
from tests.chaos.world import Act, Plain, Stuck, World

RULES: dict[str, Any] = {"max_contracts": {"limit": 50}}
LOOK_S = 0.05


class Linked(Struct, frozen=True):
    """What one sequence came to."""

    faults: dict[str, int]
    live_s: tuple[float, ...]
    """Virtual seconds from the fault's end (when the gateway could be reached) to a live link."""
    early: dict[str, int]
    late: dict[str, int]
    """What is counted for growth: early in the sequence, and at its end."""
    wrong: tuple[str, ...]


class LinkFaults:
    """A script of link faults with trades in between."""

    def __init__(self, seed: int, count: int) -> None:
        self._rng = random.Random(f"{seed}/link")
        self.count = count
        self.faults = Counter[str]()
        self.live_s = list[float]()
        self.wrong = list[str]()
        self.early: dict[str, int] = {}
        self.late: dict[str, int] = {}
        self._seen = 0
        self._suffering = False

    def script(self) -> tuple[tuple[float, Act], ...]:
        steps: list[tuple[float, Act]] = [(0.0, price("MNQ", 21000))]
        for number in range(self.count):
            steps += [(1 + number, self._suffer), (1 + number, self._look)]
        return (*steps, (2.0 + self.count, lambda world: None))

    def _suffer(self, world: World) -> None:
        world.further_unrest = lambda: "the link suffers" if self._suffering else ""
        self._suffering = world.may_be_blind = True
        way = self._rng.choice(WAYS)
        self.faults[way.__name__.strip("_").replace("_", " ")] += 1
        way(self, world)
        contract, size = world.broker.contract_of("MNQ"), self._rng.choice((-2, -1, 1, 2))
        world.agenda.after(self._rng.uniform(0, 1), lambda: void(world.broker.order(contract, size)))

    def _ends(self, world: World, seconds: float) -> None:
        world.agenda.after(seconds, lambda: self._over(world))

    def _over(self, world: World) -> None:
        """The gateway can be reached again; how long until the link is live?"""
        world.broker.scripted = lambda path: FINE
        world.broker.faults.event = lambda target: None
        world.broker.down = world.may_be_blind = False
        self._wait_live(world, world.clock.mono())

    def _wait_live(self, world: World, since: float) -> None:
        link = world.guard.board.read(("link",), LinkView)
        if link is not None and link.state is LinkState.LIVE:
            self.live_s.append(world.clock.mono() - since)
            self._suffering = False
        else:
            world.agenda.after(LOOK_S, lambda: self._wait_live(world, since))

    def _look(self, world: World) -> None:
        self._seen += 1
        self.wrong += [f"after fault {self._seen}: {text}" for text in invariants.books(world, world.guard)]
        if self._seen == max(1, self.count // 10):
            self.early = sizes(world)
        self.late = sizes(world)

    # ------------------------------------------------------------ the ways

    def _hubs_cut(self, world: World) -> None:
        world.broker.cut("the connection was reset")
        self._ends(world, 0.0)

    def _hubs_cut_and_refused(self, world: World) -> None:
        fate: Any = self._rng.choice(("http_500", "http_401", "lost"))
        world.broker.scripted = lambda path: Hitch(fate) if path == "hubs" else FINE
        world.broker.cut("the connection was reset")
        self._ends(world, self._rng.uniform(0.5, 6))

    def _hubs_silent(self, world: World) -> None:
        for hubs in world.broker.connections:
            if isinstance(hubs, SimHubs):
                hubs.frozen_at = world.clock.mono()
        world.agenda.after(33.0, lambda: self._over(world))

    def _tokens_revoked(self, world: World) -> None:
        world.broker.tokens.clear()
        self._ends(world, 0.0)

    def _gateway_down(self, world: World) -> None:
        world.broker.down = True
        world.broker.cut("the gateway is gone")
        self._ends(world, self._rng.uniform(1, 8))

    def _reads_fail(self, world: World) -> None:
        fate: Any = self._rng.choice(("http_500", "http_429", "lost", "unanswered", "http_401"))
        world.broker.scripted = lambda path: Hitch(fate) if path in READS else FINE
        self._ends(world, self._rng.uniform(0.5, 5))

    def _events_astray(self, world: World) -> None:
        fate: Any = self._rng.choice(("lost", "twice", "late"))
        seconds = self._rng.choice((0.01, 0.3))
        world.broker.faults.event = lambda target: (
            HitchEvent(fate, seconds) if target.startswith("GatewayUser") else None
        )
        self._ends(world, self._rng.uniform(0.5, 3))


WAYS: tuple[Callable[[LinkFaults, World], None], ...] = (
    LinkFaults._hubs_cut,
    LinkFaults._hubs_cut_and_refused,
    LinkFaults._hubs_silent,
    LinkFaults._tokens_revoked,
    LinkFaults._gateway_down,
    LinkFaults._reads_fail,
    LinkFaults._events_astray,
)


def void(value: object) -> None:
    del value


def sizes(world: World) -> dict[str, int]:
    """What must not grow with the number of faults."""
    loop = world.guard.stepped.stepped
    return {
        "tasks": len(asyncio.all_tasks(loop)),
        "threads": threading.active_count(),
        "connections at the broker": len(world.broker.connections),
        "actors": len(world.ready) + len(world.guard.supervisor.zombies),
        "messages waiting": sum(handle.depth for handle in world.guard.supervisor.handles.values()),
    }


def suffered(job: tuple[int, int]) -> Linked:
    """One sequence of link faults: its seed, and how many."""
    seed, count = job
    faults = LinkFaults(seed, count)
    world = World(RULES, faults.script(), Plain(), seed=seed, wakes=4000 * count + 100_000)
    try:
        world.play()
    except Stuck as stuck:
        faults.wrong.append(str(stuck))
    except ExceptionGroup as group:
        faults.wrong += [f"the run failed: {error}" for error in group.exceptions]
    wrong = [*faults.wrong, *world.failures]
    for name, count_late in faults.late.items():
        if count_late > faults.early[name] + 3:
            wrong.append(f"{name} grew from {faults.early[name]} to {count_late}")
    return Linked(dict(faults.faults), tuple(faults.live_s), faults.early, faults.late, tuple(wrong))
