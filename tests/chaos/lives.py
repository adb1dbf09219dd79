"""Actors that move one step at a time and can be struck at any boundary of a message.

A *site* is one boundary: which actor, its how-manieth message, and where in it. The plain run visits every
site once and writes it down; a run with faults strikes at the sites it was given.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal, Protocol

from msgspec import Struct

from actors.address import Envelope
from actors.worker import ChaosCrash, Home, Terms
from supervisor.driver import Supervisor
from supervisor.handle import Handle
from supervisor.stepped import Stepped

type Point = Literal["before_take", "after_take", "send", "before_ack", "after_ack", "start"]
type How = Literal["crash", "poison", "hang", "death"]
"""poison: crashes over the message, and over it again when it is tried once more."""


class Site(Struct, frozen=True, order=True):
    """A boundary of a message. `part` is the step of the script after which it comes, `message` counts what
    the address has taken since then, `nth` the sends within it."""

    part: int
    actor: str
    message: int
    point: Point
    nth: int = 0

    def __str__(self) -> str:
        nth = f".{self.nth}" if self.nth else ""
        return f"{self.part}@{self.actor}#{self.message}:{self.point}{nth}"


def site_of(text: str) -> Site:
    """The site that a report names."""
    part, rest = text.split("@", 1)
    actor, rest = rest.rsplit("#", 1)
    message, point = rest.split(":", 1)
    name, _, nth = point.partition(".")
    return Site(int(part), actor, int(message), name, int(nth or 0))  # type: ignore[arg-type]


class ProcessDied(BaseException):
    """The process ends in the middle of a handler."""


class Watcher(Protocol):
    """Who is told of every boundary, and says what is to happen there."""

    life: Life | None
    """Whose code runs just now."""

    def strikes(self, life: Life, point: Point, nth: int = 0) -> How | None: ...

    def took(self, life: Life, envelope: Envelope) -> None: ...

    def die(self) -> None: ...

    def stuck(self, life: Life, envelope: Envelope) -> None: ...


class Bell:
    """In place of the queue of tokens: whoever is told something gets ready to step."""

    __slots__ = ("_life", "_ready")

    def __init__(self, life: Life, ready: dict[Life, None]) -> None:
        self._life, self._ready = life, ready

    def put(self, token: None) -> None:
        del token
        self._ready[self._life] = None


class Life(Stepped):
    """One life of an actor under watch. `watcher` and `queue` are set in a subclass per process."""

    watcher: Watcher
    queue: dict[Life, None]

    def __init__(self, home: Home, epoch: int, terms: Terms, kept: object | None, boss: Any) -> None:
        super().__init__(home, epoch, terms, kept, boss)
        self.tokens = Bell(self, self.queue)  # type: ignore[assignment]  # all that is ever done is to put
        self.sends = 0
        self.stuck = False
        self.queue[self] = None

    def step(self) -> bool:
        if self.left or self.stuck:
            return False
        self.sends, self.watcher.life = 0, self
        try:
            return self._step()
        finally:
            self.watcher.life = None

    def _step(self) -> bool:
        home = self.home
        assert isinstance(home, Handle)
        if not self._is_open or not home.depth:
            return super().step()
        if self._struck("before_take"):
            return True
        envelope = self.begin_message()
        if envelope is None:
            return super().step()
        self.watcher.took(self, envelope)
        if self._struck("after_take", envelope):
            return True
        self.finish_message(envelope)
        if self.envelope is None and not self.left and self._struck("after_ack"):
            return True
        # Nothing left to do: the bell will say when there is.
        return bool(self.left or self.finished or self.stop_asked or home.depth)

    def resume(self, envelope: Envelope) -> None:
        """A thread that was held up wakes, and does what it had begun."""
        self.stuck, self.sends, self.watcher.life = False, 0, self
        try:
            self.finish_message(envelope)
        finally:
            self.watcher.life = None
        self.queue[self] = None

    def sending(self) -> None:
        """Called before each thing this life sends: here a handler may end."""
        self.sends += 1
        point: Point = "send" if self.envelope is not None else "start"
        self._strike_inside(self.watcher.strikes(self, point, self.sends))

    def acknowledging(self) -> None:
        self._strike_inside(self.watcher.strikes(self, "before_ack"))

    def _strike_inside(self, how: How | None) -> None:
        if how is None:
            return
        if how == "death":
            self.watcher.die()
            raise ProcessDied
        raise ChaosCrash("asked for")

    def _struck(self, point: Point, envelope: Envelope | None = None) -> bool:
        """Between two steps of its own: whatever is to happen here happens to it from outside."""
        match self.watcher.strikes(self, point):
            case None:
                return False
            case "death":
                self.watcher.die()
            case "hang" if envelope is not None:
                self.stuck = True
                self.watcher.stuck(self, envelope)
            case _:
                self.guarded(_crash)
        return True


def _crash() -> bool:
    raise ChaosCrash("asked for")


class Link(Handle):
    """An address that lets whoever sends be struck before the message is on its way."""

    watcher: Watcher

    def tell(self, message: object, *, urgent: bool = False) -> None:
        life = self.watcher.life
        if life is not None:
            life.sending()
        super().tell(message, urgent=urgent)

    def tell_latest(self, key: Hashable, message: object) -> None:
        life = self.watcher.life
        if life is not None:
            life.sending()
        super().tell_latest(key, message)

    def leave(self, message: object) -> None:
        life = self.watcher.life
        if life is not None:
            life.sending()
        super().leave(message)

    def leave_latest(self, key: Hashable, message: object) -> None:
        life = self.watcher.life
        if life is not None:
            life.sending()
        super().leave_latest(key, message)

    def acknowledge(self, incarnation: Any, kept: object | None) -> None:
        if self.incumbent is incarnation:
            incarnation.acknowledging()
        super().acknowledge(incarnation, kept)


class SteppedSupervisor(Supervisor):
    """The supervisor, with addresses under watch."""

    watcher: Watcher

    def new_handle(self, name: str) -> Handle:
        link = Link(
            name,
            self.clock,
            dead_letters=self.dead_letters,
            on_refused=lambda name, message: self.later(self.hooks.refused, name, message),
            on_ask=self.asks.append,
            on_beat=self.scan.watch_beat,
        )
        link.watcher = self.watcher
        return link
