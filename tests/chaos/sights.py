"""The rare states that a sweep must have met: what they are called, and how they are recognised.

A sweep that never saw one of them proves nothing about it and fails (`Swept.reached`).
"""

from __future__ import annotations

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


def struck(world: World, life: Life, how: How) -> None:
    """Something happens to a life just now."""
    view = world.guard.board.read(("enforcement", world.name), EnforcementView)
    if view is not None and view.in_flight:
        world.met[IN_FLIGHT] += 1
    message, name = world.taking, life.home.id
    if "/rules/" in name and life.envelope is not None and isinstance(message, AccountSnapshot):
        world.died_over.append((name.rsplit("/", 1)[1], message.cause))
    if how == "death":
        world.met[BETWEEN] += world.handing_over
        world.met[UNSTORED] += bool(world.guard.store.backlog.count)
        world.met[AGAIN] += bool(world.deaths) and not world.guard.ready


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
        pairs = [tuple(line.split()[:3:2]) for line in world.end.breaches]
        for rule, cause in world.died_over:
            others = [other for other, of in pairs if of == cause and other != rule]
            world.met[ONE_DEAD] += bool(others) and (rule, cause) in pairs
        world.died_over.clear()


def _live(world: World) -> bool:
    link = world.guard.board.read(("link",), LinkView)
    return link is not None and link.state is LinkState.LIVE
