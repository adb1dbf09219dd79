"""What every actor of the program is: one thread, one mailbox, one message at a time.

An `Actor` is written as plain methods. It is hosted by an `Incarnation`, a pykka ThreadingActor with its own
loop over a mailbox that belongs to the *address*: when an incarnation dies the queue, the message in work and
the last kept state stay with the address and the next incarnation goes on from there.

Around the whole life of an incarnation stands one exit capture. Whatever ends it (an exception on a tell or
on an ask, SystemExit, a failing start) ends this actor only and is reported once, with its reason.
"""

import concurrent.futures
import contextlib
import ctypes
import math
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar, Protocol

import msgspec
import pykka
from pykka._envelope import Envelope as PykkaEnvelope
from pykka.messages import _ActorStop

from actors.address import ActorDied, Address, Answer, Envelope, Reason, ReasonKind

__all__ = [
    "Actor",
    "ActorDied",
    "Address",
    "Answer",
    "Beat",
    "ChaosCrash",
    "Envelope",
    "Home",
    "Ignore",
    "Incarnation",
    "Reason",
    "ReasonKind",
]

PYKKA_ASK_S = 60.0
"""An ask through pykka's own reference carries no deadline; ours must."""
SHARED_CODE = (str(Path(threading.__file__).parent), "<frozen")


class Ignore(Exception):
    """Raised from `started()`: there is nothing to do for this actor; it is not an error and not retried."""


class Fenced(BaseException):
    """Sent into a thread that was given up, so that it ends if Python code is what it is busy with."""


class ChaosCrash(Exception):
    """A crash that `chaos crash` asked for."""


class Order(msgspec.Struct, frozen=True):
    """To the incarnation itself, not to its actor: crash as a handler would, or hang for so long (chaos)."""

    hang_s: float | None = None

    def carry_out(self) -> None:
        if self.hang_s is None:
            raise ChaosCrash("asked for")
        threading.Event().wait(self.hang_s)


class Ready(msgspec.Struct, frozen=True):
    """The actor is initialised and serves; `info` is whatever `started()` returned."""

    info: object = None


class Ignored(msgspec.Struct, frozen=True):
    """The actor said there is nothing to do for it."""


class Failed(msgspec.Struct, frozen=True):
    """The actor could not be initialised."""

    reason: Reason


class Exited(msgspec.Struct, frozen=True):
    """The actor had been serving and has ended."""

    reason: Reason


Notice = Ready | Ignored | Failed | Exited
Boss = Callable[["Incarnation", Notice], None]


class Beat:
    """Proof of life of a further thread an actor owns (an event loop); late, it makes the actor hung."""

    def __init__(self, incarnation: "Incarnation", deadline_s: float, mono: Callable[[], float]) -> None:
        self.incarnation = incarnation
        self.deadline_s = deadline_s
        self._mono = mono
        self.due = mono() + deadline_s

    def beat(self) -> None:
        """Say "alive"; at least once every `deadline_s`, from the thread in question."""
        self.due = self._mono() + self.deadline_s


class Home(Address, Protocol):
    """The mailbox side of an address, as its present incarnation uses it (supervisor/handle.py)."""

    incumbent: "Incarnation | None"
    fenced_sends: int

    def admit(self, incarnation: "Incarnation") -> None:
        """Make this the incumbent."""
        ...

    def take(self, incarnation: "Incarnation") -> Envelope | None:
        """The next message, waiting for it; None when this incarnation is to end."""
        ...

    def acknowledge(self, incarnation: "Incarnation", kept: object | None) -> None:
        """The message in work is done, and this is what the actor keeps."""
        ...

    def vacate(self, incarnation: "Incarnation", reason: Reason) -> bool:
        """The incarnation ends; False when it had been fenced before, so that nobody cares any more."""
        ...

    def shield(self, incarnation: "Incarnation") -> bool:
        """Keep a kill from interrupting a notice; False when the incarnation is fenced already."""
        ...

    def unshield(self, incarnation: "Incarnation") -> None: ...

    def ask_stop(self, incarnation: "Incarnation", *, drain: bool = False) -> None:
        """Ask for an orderly end, ahead of what is queued; with `drain` after it."""
        ...

    def watch_beat(self, incarnation: "Incarnation", deadline_s: float) -> Beat: ...

    def interrupt(self, incarnation: "Incarnation") -> bool:
        """Try to end the thread of a fenced incarnation; False when it must not be disturbed just now."""
        ...


class Actor:
    """Base of all actors. Everything runs in the actor's own thread, one call at a time.

    Subclasses implement `receive`, and where needed `started`, `stopping` and `keep`. An exception that
    leaves any of them ends this incarnation; the supervisor starts the next one.
    """

    deadline_s: ClassVar[float] = 0.25
    """A handler busy for longer is declared hung, fenced and replaced."""

    _at: "Incarnation | None" = None

    def started(self) -> object:
        """Initialise: rebuild state, subscribe. The actor is ready when this returns; may raise `Ignore`."""
        return None

    def receive(self, message: object) -> None:
        """Handle one message."""
        raise NotImplementedError

    def stopping(self) -> None:
        """Last words on an orderly stop; not called after a crash, a kill or a hang."""

    def keep(self) -> object | None:
        """Immutable state for the next incarnation; asked after every handled message, so keep it cheap."""
        return None

    @property
    def me(self) -> Address:
        return self._host.home

    @property
    def epoch(self) -> int:
        """Number of this incarnation, growing with every start at this address."""
        return self._host.epoch

    @property
    def attempt(self) -> int:
        """Which attempt at the current message this is; 2 means the first ended in a crash or a hang."""
        envelope = self._host.envelope
        return 1 if envelope is None else envelope.attempt

    @property
    def fenced(self) -> bool:
        """True once this incarnation was given up; check it before every effect outside the program."""
        return self._host.home.incumbent is not self._at

    def reply(self, value: object) -> None:
        """Answer the ask in work; without an asker nothing happens."""
        envelope = self._host.envelope
        if envelope is not None and envelope.answer is not None:
            envelope.answer.resolve(value)

    def defer(self) -> Answer | None:
        """Take the ask in work along, to `.resolve(value)` later; it fails if this actor ends first."""
        return self._host.defer()

    def send(self, address: Address, message: object, *, urgent: bool = False) -> None:
        """Tell somebody; refused and counted once this incarnation is fenced."""
        host = self._host
        if host.home.incumbent is host:
            address.tell(message, urgent=urgent)
        else:
            host.home.fenced_sends += 1

    def leave(self, address: Address, message: object) -> None:
        """As `send`, without waking the other: something else does soon."""
        host = self._host
        if host.home.incumbent is host:
            address.leave(message)
        else:
            host.home.fenced_sends += 1

    def send_latest(self, address: Address, key: object, message: object) -> None:
        """As `send`, on the lane where only the newest per key matters."""
        host = self._host
        if host.home.incumbent is host:
            address.tell_latest(key, message)
        else:
            host.home.fenced_sends += 1

    def finish(self) -> None:
        """End of its own accord after this message, with reason `normal`."""
        self._host.finished = True

    def beats(self, deadline_s: float) -> Beat:
        """Have a further thread of this actor watched: it must call `.beat()` every `deadline_s` seconds."""
        return self._host.home.watch_beat(self._host, deadline_s)

    @property
    def _host(self) -> "Incarnation":
        if self._at is None:
            raise RuntimeError(f"cannot use {type(self).__name__} yet: it is not hosted before started()")
        return self._at


class Terms(msgspec.Struct, frozen=True):
    """How one incarnation is to be run; drawn from its child spec."""

    factory: Callable[..., Actor]
    args: tuple[object, ...] = ()
    deadline_s: float | None = None
    drain: bool = False


class Incarnation(pykka.ThreadingActor):
    """One life of an actor: built, started, serving, ended. Never restarted; the next life is a new object.

    pykka gives the registry, the reference and the actor contract; inbox, loop and teardown are our own,
    because pykka's lose the mailbox at a crash, let an actor live on after a crashed ask, and stop every
    actor of the process when one of them meets a SystemExit.
    """

    use_daemon_thread = True

    def __init__(self, home: Home, epoch: int, terms: Terms, kept: object | None, boss: Boss) -> None:
        super().__init__()
        self.home = home
        self.epoch = epoch
        self.terms = terms
        self.boss = boss
        self.actor: Actor | None = None
        self.deadline_s = terms.deadline_s or Actor.deadline_s
        self.envelope: Envelope | None = None  # the message in work, until it is acknowledged
        self.thread: threading.Thread | None = None
        self.tokens: SimpleQueue[None] = SimpleQueue()  # one per message waiting for this incarnation
        self.ready = False
        self.stop_asked = False
        self.drains = False  # a stop waits for the mailbox to be empty
        self.finished = False
        self.shielded = False  # in the middle of a notice to the supervisor: must not be interrupted
        self.left = False  # nothing of the actor's own code runs any more
        self.fenced_at = math.inf
        self.interrupted = False
        self.deferred: list[Answer] = []
        self._kept = kept
        self._keeps = False
        self.actor_inbox.incarnation = self  # type: ignore[attr-defined]  # the Door made below

    @staticmethod
    def _create_actor_inbox() -> "Door":
        return Door()

    def _start_actor_loop(self) -> None:
        name = f"{self.home.id}#{self.epoch}"
        self.thread = threading.Thread(target=self._actor_loop, name=name, daemon=True)
        self.home.admit(self)
        self.thread.start()

    def _actor_loop(self) -> None:
        try:
            with contextlib.suppress(Fenced):
                if self.guarded(self.open):
                    self.guarded(self._serve_all)
        finally:
            self.left = True

    def is_at_work(self) -> bool:
        """Whether the thread may still run code of the actor."""
        return not self.left and self.thread is not None and self.thread.is_alive()

    def strike_off(self) -> None:
        """Out of the registry: for pykka this actor is dead."""
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()

    def interrupt(self, *, but: str) -> bool:
        """Try to end a fenced thread that is busy with code of its own; False when it is not.

        Inside the standard library, or the mailbox (the file `but`), it may be in the middle of a lock that
        others share; interrupted there it would leave that lock taken for good, which is worse than a thread.
        """
        thread = self.thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return False
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is None or frame.f_code.co_filename.startswith((*SHARED_CODE, but)):
            return False
        ident = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Fenced))
        return True

    def guarded(self, part: Callable[[], bool]) -> bool:
        """The exit capture. It catches everything, and swallows nothing: what it catches is the reason."""
        try:
            return part()
        except BaseException as error:  # noqa: BLE001
            if self.ready:
                self._leave(Exited(Reason("crash", error=error)))
            elif isinstance(error, Ignore):
                self._leave(Ignored())
            else:
                self._leave(Failed(Reason("start_failed", error=error)))
            return False

    def open(self) -> bool:
        """Build the actor and initialise it; True when it is ready to serve."""
        actor = self.terms.factory(self._kept, *self.terms.args)
        self._kept = None
        if not isinstance(actor, Actor):
            raise TypeError(f"cannot host {actor!r}: the factory of {self.home.id} must return an Actor")
        self.actor = actor
        actor._at = self
        self._keeps = type(actor).keep is not Actor.keep
        self.deadline_s = self.terms.deadline_s or actor.deadline_s
        info = actor.started()
        self.ready = True
        if self.home.shield(self):
            self.boss(self, Ready(info))
            self.home.unshield(self)
        return True

    def serve(self, envelope: Envelope) -> None:
        """Handle one message and acknowledge it."""
        actor, message = self.actor, envelope.message
        assert actor is not None
        if type(message) is Order:
            message.carry_out()
        else:
            actor.receive(message)
        if envelope.answer is not None and envelope.answer not in self.deferred:
            envelope.answer.resolve(None)
        self.home.acknowledge(self, actor.keep() if self._keeps else None)

    def close(self) -> bool:
        """The orderly end: last words, then leave."""
        if self.actor is not None and self.home.incumbent is self:
            self.actor.stopping()
        self._leave(Exited(Reason("normal" if self.finished else "shutdown")))
        return False

    def defer(self) -> Answer | None:
        envelope = self.envelope
        if envelope is None or envelope.answer is None:
            return None
        self.deferred = [answer for answer in self.deferred if not answer.done()]
        self.deferred.append(envelope.answer)
        return envelope.answer

    def _serve_all(self) -> bool:
        take, serve = self.home.take, self.serve
        while not self.finished and (envelope := take(self)) is not None:
            serve(envelope)
        return self.close()

    def _leave(self, notice: Notice) -> None:
        self.strike_off()
        self.left = True
        reason = notice.reason if isinstance(notice, Exited | Failed) else Reason("normal")
        if self.home.vacate(self, reason):
            self.boss(self, notice)


class Door:
    """What pykka takes for the inbox: passes on what comes through pykka's own references to the address."""

    incarnation: Incarnation

    def put(self, envelope: PykkaEnvelope[object], /) -> None:
        home = self.incarnation.home
        if isinstance(envelope.message, _ActorStop):
            home.ask_stop(self.incarnation)
        elif envelope.reply_to is None:
            home.tell(envelope.message)
        else:
            home.ask(envelope.message, PYKKA_ASK_S).add_done_callback(partial(pass_on, envelope.reply_to))
            return
        if envelope.reply_to is not None:
            envelope.reply_to.set(None)

    def get(self) -> PykkaEnvelope[object]:
        raise NotImplementedError("the loop reads the mailbox of the address")

    def empty(self) -> bool:
        return True


def pass_on(reply_to: pykka.Future[object], answer: concurrent.futures.Future[object]) -> None:
    error = answer.exception()
    if error is None:
        reply_to.set(answer.result())
    else:
        reply_to.set_exception((type(error), error, error.__traceback__))
