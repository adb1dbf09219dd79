"""How a run ended: what must be the same whatever happened on the way (design: invariant 3)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from actors.enforcement.view import EnforcementView
from actors.messages import AccountSnapshot, OwnClose
from ops.simulator.records import FINAL, OrderType

if TYPE_CHECKING:
    from tests.chaos.world import Process, World


class End(Struct, frozen=True):
    """The outcome. Every field is compared; times are those of events, never those of the run."""

    breaches: tuple[str, ...]
    lockouts: tuple[str, ...]
    positions: tuple[str, ...]
    orders: tuple[str, ...]
    money: tuple[str, ...]
    counters: tuple[str, ...]

    def differs(self, other: End) -> str:
        """What is not the same, in words; empty when nothing is."""
        found = []
        for name in self.__struct_fields__:
            mine, theirs = Counter(getattr(self, name)), Counter(getattr(other, name))
            if mine != theirs:
                missing = ", ".join((mine - theirs).elements())
                added = ", ".join((theirs - mine).elements())
                found.append(f"{name}: without faults [{missing}], with faults [{added}]")
        return "; ".join(found)


def ended(world: World, process: Process) -> End:
    snapshot = process.board.read(("snapshot", world.name), AccountSnapshot)
    view = process.board.read(("enforcement", world.name), EnforcementView)
    assert snapshot is not None and view is not None, "the guard never saw its account"
    return End(
        breaches=tuple(sorted(_breaches(world))),
        lockouts=tuple(sorted(_lockouts(world))),
        positions=tuple(sorted(_positions(world))),
        orders=tuple(sorted(_orders(world))),
        money=(f"realized {snapshot.realized}", f"unrealized {snapshot.unrealized}"),
        counters=(
            f"trades {sum(b.own is OwnClose.NO for b in snapshot.fills)}",
            f"closed by us {sorted(_closed(snapshot).items())}",
            f"attempts {view.attempts}",
            f"resets {sorted(_rows(world, 'SELECT day, cause FROM resets'))}",
        ),
    )


def _rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    return world.db.execute(sql).fetchall()


def _closed(snapshot: AccountSnapshot) -> Counter[str]:
    """Contracts that closes of ours closed, by what for; in how many calls is nobody's promise."""
    closed = Counter[str]()
    for booked in snapshot.fills:
        if booked.own is not OwnClose.NO:
            closed[f"{booked.own} {booked.fill.contract}"] += booked.closed
    return closed


def _breaches(world: World) -> Iterable[str]:
    for (text,) in _rows(world, "SELECT body FROM history WHERE kind = 'breach'"):
        body = json.loads(text)
        contract = body["contract"] or "account"
        if _came_and_went(world, body["cause"]):
            continue
        yield f"{body['rule']} {contract} {body['cause']} {body['mode']}"


def _came_and_went(world: World, cause: str) -> bool:
    """A market order works for no longer than it takes to tell of it: as with a price that came and went,
    whether it was still seen at work is nobody's promise. Its fill is."""
    kind, _, number = cause.partition(":")
    order = world.broker.state.orders.get(int(number)) if kind == "order" else None
    return order is not None and order.type is OrderType.MARKET


def _lockouts(world: World) -> Iterable[str]:
    """A duration counts from the trade that it is for, which a script that had to wait makes later."""
    for rule, kind, since, until, ended_by in _rows(
        world, "SELECT rule, kind, since, until, ended_by FROM lockouts"
    ):
        if kind == "duration":
            until = f"for {datetime.fromisoformat(until) - datetime.fromisoformat(since)}"
        yield f"{rule} {kind} until {until} ended by {ended_by}"


def _positions(world: World) -> Iterable[str]:
    for held in world.broker.state.positions.values():
        yield f"{held.size} {held.contract_id} at {held.average}"


def _orders(world: World) -> Iterable[str]:
    for order in world.broker.state.orders.values():
        if order.status not in FINAL:
            price = order.stop_price if order.stop_price is not None else order.limit_price
            yield f"{order.type.name} {order.side.name} {order.size} {order.contract_id} at {price}"
