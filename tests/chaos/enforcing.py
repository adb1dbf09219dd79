"""Enforcements on a gateway that fails: in virtual time, many in one life of the guard.

Each begins with a limit crossed (or an order to flatten) while requests are lost, refused, answered late or
not at all, stops fill beside closes and events go astray. After some seconds the gateway answers again, and
then the account must be where it was demanded to be.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from fractions import Fraction
from typing import Any

from msgspec import Struct

from ops.simulator.records import FINAL, OrderType
from tests.chaos.broker import ACCOUNT, FINE, Hitch, HitchEvent
from tests.chaos.disorder import CALLS, READS
from tests.chaos.scenarios import ENFORCEMENT, even_so, flatten_now
from tests.chaos.world import Act, Plain, Stuck, World

EACH = 10
"""Enforcements in one life of the guard."""
STORM_S, APART_S = 8.0, 15.0
LIMIT = 2
RULES: dict[str, Any] = {
    "max_contracts_per_instrument": {"default_limit": 3, "limits": {"MNQ": LIMIT}, "action": "reduce"},
    "daily_unrealized_loss": {"limit": -300, "scope": "position"},
}
FATES = ("lost", "unanswered", "late", "slow", "http_500", "executed_500", "http_401", "http_429", "refuse")
PARTIAL = "Position/partialCloseContract"
REFUSALS = {
    "Position/closeContract": (4, 5, 6, 7, 8, 77),
    PARTIAL: (4, 5, 6, 7, 8, 9, 77),
    "Order/cancel": (3, 4, 5),
    "Order/modify": (2, 3, 4, 5),
    "Order/place": (2, 5, 7),
}


class Enforced(Struct, frozen=True):
    """What one life came to."""

    done: int
    fates: dict[str, int]
    wrong: tuple[str, ...]


class Weather:
    """What befalls requests and events while the storm lasts."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.fates = Counter[str]()

    def request(self, path: str) -> Hitch:
        rng = self._rng
        if path in CALLS and rng.random() < 0.6:
            fate: Any = rng.choice(FATES)
            if path.startswith("Position/") and rng.random() < 0.2:
                race: Any = rng.choice(("before", "after"))
                self.fates[f"a stop fills {race} the close"] += 1
                return Hitch(race=race)
            self.fates[f"call {fate}"] += 1
            code = rng.choice(REFUSALS[path]) if fate == "refuse" else 0
            return Hitch(fate, code, rng.choice((0.1, 0.5, 1.5)))
        if path in READS and rng.random() < 0.1:
            fate = rng.choice(FATES[:-1])
            self.fates[f"read {fate}"] += 1
            return Hitch(fate, seconds=rng.choice((0.1, 0.5, 1.5)))
        return FINE

    def event(self, target: str) -> HitchEvent | None:
        if not target.startswith("GatewayUser") or self._rng.random() > 0.1:
            return None
        fate: Any = self._rng.choice(("lost", "twice", "late"))
        self.fates[f"event {fate}"] += 1
        return HitchEvent(fate, self._rng.choice((0.005, 0.05, 0.4)))


class Enforcements:
    """A script of them, and what was seen of each."""

    def __init__(self, seed: int, count: int = EACH) -> None:
        self._rng = random.Random(f"{seed}/enforcements")
        self._weather = Weather(random.Random(f"{seed}/weather"))
        self.count, self.wrong = count, list[str]()
        self.done = 0
        self._storming = False

    def script(self) -> tuple[tuple[float, Act], ...]:
        steps: list[tuple[float, Act]] = []
        for number in range(self.count):
            at = number * APART_S
            way = self._rng.choice((self._too_many, self._too_many, self._too_deep, self._flatten))
            steps += [(at, self._fresh), (at + 2, self._storm)]
            steps += [(at + 2, step) for step in way()]
            steps += [(at + 2 + STORM_S, self._look)]
        return tuple(steps)

    # ------------------------------------------------------------ what the trader does

    def _too_many(self) -> list[Act]:
        size = self._rng.choice((-7, -4, -3, 3, 4, 6))
        stop = self._rng.random() < 0.5
        return [even_so(lambda w: self._open(w, "MNQ", size, stop=stop))]

    def _too_deep(self) -> list[Act]:
        side = self._rng.choice((-1, 1))
        stop = self._rng.random() < 0.7

        def fall(world: World) -> None:
            world.broker.price(world.broker.contract_of("MNQ"), Fraction(21000 - 90 * side))

        return [even_so(lambda w: self._open(w, "MNQ", 2 * side, stop=stop, away=120)), even_so(fall)]

    def _flatten(self) -> list[Act]:
        mnq, es = self._rng.choice((-2, 1, 2)), self._rng.choice((-3, 2))
        stop = self._rng.random() < 0.5

        def both(world: World) -> None:
            self._open(world, "MNQ", mnq, stop=stop)
            self._open(world, "ES", es, stop=False)
            world.flat_asked = True

        return [even_so(both), even_so(lambda w: w.ask(ENFORCEMENT, lambda: flatten_now(w)))]

    def _open(self, world: World, root: str, size: int, *, stop: bool, away: int = 200) -> None:
        contract = world.broker.contract_of(root)
        world.broker.order(contract, size)
        if stop:
            side = 1 if size > 0 else -1
            world.broker.order(contract, -size, OrderType.STOP, Fraction(21000 - away * side))

    # ------------------------------------------------------------ weather, and the look afterwards

    def _fresh(self, world: World) -> None:
        """Flat, nothing resting, prices where they were: the trader tidies up before the next story."""
        world.flat_asked = False
        for order in list(world.broker.state.orders.values()):
            if order.status not in FINAL:
                world.broker.execute("Order/cancel", {"accountId": ACCOUNT, "orderId": order.id})
        for contract in [held.contract_id for held in world.broker.state.positions.values()]:
            world.broker.order(contract, -world.broker.size(contract))
        for root, price in (("MNQ", 21000), ("ES", 5800)):
            world.broker.price(world.broker.contract_of(root), Fraction(price))

    def _storm(self, world: World) -> None:
        self._began = world.guard.clock.wall()
        world.broker.faults.request = self._weather.request
        world.broker.faults.event = self._weather.event
        self._storming = True
        world.further_unrest = lambda: "there is a storm" if self._storming else ""
        world.agenda.after(STORM_S, lambda: self._over(world))

    def _over(self, world: World) -> None:
        world.broker.faults.request = lambda path: FINE
        world.broker.faults.event = lambda target: None
        self._storming = False

    def _look(self, world: World) -> None:
        self.done += 1
        for held in world.broker.state.positions.values():
            limit = 0 if world.flat_asked else LIMIT if "MNQ" in held.contract_id else 3
            if abs(held.size) > limit:
                self.wrong.append(f"{held.size} {held.contract_id} left where {limit} may be")
        self.wrong += turned(world, self._began)

    def played(self, seed: int) -> Enforced:
        world = World(RULES, (*self.script(), (self.count * APART_S, lambda w: None)), Plain(), seed=seed)
        try:
            world.play()
        except Stuck as stuck:
            self.wrong.append(str(stuck))
        except ExceptionGroup as group:
            self.wrong += [f"the run failed: {error}" for error in group.exceptions]
        return Enforced(self.done, dict(self._weather.fates), (*self.wrong, *world.failures))


def turned(world: World, since: datetime) -> list[str]:
    """Opposite positions that stand although nobody bought them: what a stop beside a close leaves."""
    found = []
    for held in world.broker.state.positions.values():
        first = next(
            order
            for order in world.broker.state.orders.values()
            if order.created >= since and order.contract_id == held.contract_id
        )
        if first.side.sign * held.size < 0:
            found.append(f"an opposite position of {held.size} {held.contract_id} stands")
    return found


def enforced(seed: int) -> Enforced:
    """One life of the guard with its enforcements."""
    return Enforcements(seed).played(seed)
