"""The tree as the operator sees it (`actors tree`, contract section 4), and its pulse for the watchdog."""

from collections.abc import Iterable

import msgspec

from actors.worker import Incarnation
from supervisor.child import Child
from supervisor.core import Core
from supervisor.handle import Handle
from supervisor.levels import Levels


class Node(msgspec.Struct, frozen=True):
    """One actor or level. `state` adds to the states of a child: `overdue`, a handler past its deadline.

    `mailbox` counts waiting messages, `oldest_ms` is the age of the one waiting longest, `busy_ms` how long
    the handler in work has been running.
    """

    id: str
    type: str
    state: str
    epoch: int
    restarts: int
    mailbox: int
    oldest_ms: float
    busy_ms: float
    children: "list[Node]"


def tree(levels: Levels, handles: dict[str, Handle], now: float) -> Node:
    """The root and everything below it. The caller sees to it that nothing changes meanwhile."""
    core = levels.cores.get(levels.root.id)
    children = [] if core is None else below(core, levels, handles, now)
    state = "down" if core is None else str(core.mode)
    return Node(levels.root.id, "supervisor", state, 1, 0, 0, 0.0, 0.0, children)


def below(core: Core, levels: Levels, handles: dict[str, Handle], now: float) -> list[Node]:
    return [node(child, levels, handles, now) for child in core.children.values()]


def node(child: Child, levels: Levels, handles: dict[str, Handle], now: float) -> Node:
    name, state = child.spec.id, str(child.state)
    if child.spec.supervisor is not None:
        core = levels.cores.get(name)
        children = [] if core is None else below(core, levels, handles, now)
        return Node(name, "supervisor", state, child.epoch, child.restarts, 0, 0.0, 0.0, children)
    handle = handles[name]
    if handle.due < now:
        state = "overdue"
    oldest_ms, busy_ms = handle.oldest_s() * 1000, handle.busy_s() * 1000
    return Node(name, "worker", state, child.epoch, child.restarts, handle.depth, oldest_ms, busy_ms, [])


class Pulse(msgspec.Struct, frozen=True):
    """The state of the whole tree in a few figures; ages in milliseconds.

    `oldest`/`oldest_ms`: the actor with the message that has been waiting longest. `slowest`/`slowest_ms`:
    the actor that is longest in its handler. `zombies`: threads given up that still run.
    """

    scans: int
    oldest: str
    oldest_ms: float
    slowest: str
    slowest_ms: float
    zombies: int


def pulse(scans: int, handles: Iterable[Handle], zombies: list[Incarnation]) -> Pulse:
    oldest, slowest = ("", 0.0), ("", 0.0)
    for handle in handles:
        if handle.depth and (age_s := handle.oldest_s()) > oldest[1]:
            oldest = (handle.id, age_s)
        if (busy_s := handle.busy_s()) > slowest[1]:
            slowest = (handle.id, busy_s)
    return Pulse(scans, oldest[0], oldest[1] * 1000, slowest[0], slowest[1] * 1000, len(zombies))
