"""The rare states that a sweep must have met: what they are called, and how they are recognised.

A sweep that never saw one of them proves nothing about it and fails (`Swept.reached`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actors.connection.link import LinkView
from actors.enforcement.view import EnforcementView
from actors.messages import AccountSnapshot, DayReset, DeadLetter, HistoryKind, LinkState, Record

if TYPE_CHECKING:
    from tests.chaos.lives import How, Life
    from tests.chaos.world import Process, World

IN_FLIGHT = "an actor was replaced while a close was in flight"
BETWEEN = "the process died between journal and call"
UNSTORED = "the process died with rows not stored yet"
RESET_BLIND = "the day was reset while the link was lost"
BREACH_BLIND = "a breach was recorded while blind"
ONE_DEAD = "two rules breached on one event, one of them died over it"
FENCED = "an effect of a fenced actor was refused"
WOKE = "a thread that was given up woke and went on"
RECONCILED = "a dead letter was answered by a reconcile"
GIVEN_UP = "a rule was given up and its account locked"
AGAIN = "a process died while it recovered from a death"

ALL = (
    IN_FLIGHT,
    BETWEEN,
    UNSTORED,
    RESET_BLIND,
    BREACH_BLIND,
    ONE_DEAD,
    FENCED,
    WOKE,
    RECONCILED,
    GIVEN_UP,
    AGAIN,
)

OF_THE_STORY = (RESET_BLIND, BREACH_BLIND, GIVEN_UP)
"""Met by some scenarios without any fault."""


def struck(world: World, life: Life, how: How) -> None:
    """Something happens to a life just now."""
    world.met.update(meets(world, how))
    over = dies_over(world, life)
    if over is not None:
        world.died_over.append(over)


def meets(world: World, how: How) -> Iterator[str]:
    """The rare states that a strike just now meets."""
    view = world.guard.board.read(("enforcement", world.name), EnforcementView)
    if view is not None and view.in_flight:
        yield IN_FLIGHT
    if how == "death":
        if world.handing_over:
            yield BETWEEN
        if world.guard.store.backlog.count:
            yield UNSTORED
        if world.deaths and not world.guard.ready:
            yield AGAIN


def dies_over(world: World, life: Life) -> tuple[str, str] | None:
    """The rule that a strike just now ends over a snapshot, and the cause of that."""
    message, name = world.taking, life.home.id
    if "/rules/" in name and life.envelope is not None and isinstance(message, AccountSnapshot):
        return name.rsplit("/", 1)[1], message.cause
    return None


def was_of_two(world: World, over: tuple[str, str]) -> bool:
    """Whether the rule breached on what it died over, and another did as well."""
    if world.end is None:
        return False
    pairs = [tuple(line.split()[:3:2]) for line in world.end.breaches]
    return over in pairs and any(cause == over[1] and rule != over[0] for rule, cause in pairs)


def took(world: World, actor: str, message: object) -> None:
    """An actor takes a message."""
    match message:
        case DayReset():
            world.met[RESET_BLIND] += not _live(world)
        case Record(kind=HistoryKind.BREACH) if actor == "persistence":
            world.met[BREACH_BLIND] += not _live(world)
        case DeadLetter():
            world.met[RECONCILED] += 1


def process_over(world: World, process: Process) -> None:
    handles = process.supervisor.handles.values()
    world.met[FENCED] += sum(handle.fenced_sends + handle.fenced_results for handle in handles)
    world.met[GIVEN_UP] += world.reports["gave_up"]
    if world.end is not None:
        world.met[ONE_DEAD] += sum(was_of_two(world, over) for over in world.died_over)
        world.died_over.clear()


def _live(world: World) -> bool:
    link = world.guard.board.read(("link",), LinkView)
    return link is not None and link.state is LinkState.LIVE
