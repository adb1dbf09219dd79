"""The address of an actor: everything of it that outlives a crash.

A `Handle` owns the mailbox, the message in work, the attempts, the kept state and the counters. Incarnations
come and go; at most one is the incumbent. To fence one is to let it be the incumbent no longer: from then on
it gets no message, its sends are refused and its results are not taken.

Mailbox: three lanes and one token per message, on which an idle incarnation sleeps. `control` is never full
and always first; `normal` is bounded and in order; `latest` keeps the newest message per key. The tokens lie
in a queue of the incarnation's own, so that nobody takes the one that was to wake somebody else; a new one is
given as many as there are messages. A token too many does no harm.

A message that is only left brings no token. It is served when something else wakes the actor, and gives the
token that it was served for back.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Hashable
from queue import SimpleQueue

import msgspec

from actors.address import ActorDied, Address, Answer, Down, Envelope, Reason
from actors.clock import Clock
from actors.worker import Beat, Incarnation, Order

IDLE = math.inf
LATEST_SHARE = 16
"""After so many messages of the normal lane one of the latest lane is served, so that quotes never starve."""
POISONED_AFTER = 3
"""From this many crashes in a row without a handled message the kept state is not handed on any more."""


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A message nobody could handle: to whom it was sent, after how many attempts it was set aside, and why.

    `poison` tells a message that was tried and failed from one that met no actor at all.
    """

    id: str
    message: object
    attempts: int
    cause: str
    poison: bool


class DeadLetters:
    """The last `limit` dead letters, and how many there were. `listen` is called for each."""

    def __init__(self, limit: int = 1_000, listen: Callable[[DeadLetter], None] | None = None) -> None:
        self.kept: deque[DeadLetter] = deque(maxlen=limit)
        self.count = 0
        self._listen = listen
        self._lock = threading.Lock()

    def add(self, letter: DeadLetter) -> None:
        with self._lock:
            self.count += 1
            self.kept.append(letter)
        if self._listen is not None:
            self._listen(letter)


class Handle:
    """A stable address and its mailbox. Senders use `tell`, `tell_latest`, `ask`; the rest is machinery."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        limit: int = 10_000,
        max_attempts: int = 2,
        dead_letters: DeadLetters | None = None,
        on_refused: Callable[[str, object], None] | None = None,
        on_ask: Callable[[Answer], None] | None = None,
        on_beat: Callable[[Beat], None] | None = None,
    ) -> None:
        self.id = name
        self.limit = limit
        self.max_attempts = max_attempts
        self.dead_letters = DeadLetters() if dead_letters is None else dead_letters
        self.due = IDLE  # instant by which the handler in work must be done; the scan reads only this
        self.incumbent: Incarnation | None = None
        self.latest_incarnation: Incarnation | None = None
        self.kept: object | None = None
        self.handled = 0
        self.refused = 0
        self.fenced_sends = 0
        self.fenced_results = 0
        self.crashes_in_a_row = 0
        self.closed: str | None = None  # why nobody will come here any more
        self._on_refused = on_refused
        self._on_ask = on_ask
        self._on_beat = on_beat
        self._mono = clock.mono
        self._lock = threading.Lock()
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._control: deque[Envelope] = deque()
        self._normal: deque[Envelope] = deque()
        self._latest: dict[Hashable, Envelope] = {}
        self._left: dict[Hashable, Envelope] = {}
        self._served_in_a_row = 0
        self._watches = 0
        self._watchers: dict[int, Address] = {}

    def __repr__(self) -> str:
        return f"<Handle {self.id}>"

    # What senders use.

    def tell(self, message: object, *, urgent: bool = False) -> None:
        if urgent:
            self._control.append(Envelope(message, self._mono(), "control"))
        elif len(self._normal) < self.limit:
            self._normal.append(Envelope(message, self._mono()))
        else:
            self._refuse(message)
            return
        self._tokens.put(None)
        if self.closed is not None:
            self._bury()

    def tell_latest(self, key: Hashable, message: object) -> None:
        with self._lock:
            fresh = key not in self._latest
            full = fresh and len(self._latest) >= self.limit
            if not full and self.closed is None:
                self._latest[key] = Envelope(message, self._mono(), "latest", key=key)
        if full or self.closed is not None:
            self._refuse(message)
        elif fresh:
            self._tokens.put(None)

    def leave(self, message: object) -> None:
        if len(self._normal) >= self.limit:
            self._refuse(message)
            return
        self._normal.append(Envelope(message, self._mono(), quiet=True))
        if self.closed is not None:
            self._bury()

    def leave_latest(self, key: Hashable, message: object) -> None:
        with self._lock:
            full = key not in self._left and len(self._left) >= self.limit
            if not full and self.closed is None:
                self._left[key] = Envelope(message, self._mono(), "left", key=key, quiet=True)
        if full or self.closed is not None:
            self._refuse(message)

    def rouse(self) -> None:
        self._tokens.put(None)

    def ask(self, message: object, timeout_s: float, *, urgent: bool = False) -> Answer:
        now = self._mono()
        answer = Answer(self.id, now + timeout_s, self._mono)
        incumbent = self.incumbent
        if self.closed is not None:
            answer.fail(ActorDied(f"cannot ask {self.id}: {self.closed}"))
        elif incumbent is not None and incumbent.thread is threading.current_thread():
            answer.fail(ActorDied(f"cannot ask {self.id}: it would wait for itself. Use tell."))
        elif not urgent and len(self._normal) >= self.limit:
            self._refuse(message)
            answer.fail(ActorDied(f"cannot ask {self.id}: its mailbox is full"))
        else:
            if self._on_ask is not None:
                self._on_ask(answer)
            lane = self._control if urgent else self._normal
            lane.append(Envelope(message, now, "control" if urgent else "normal", answer=answer))
            self._tokens.put(None)
            if self.closed is not None:
                self._bury()
        return answer

    def watch(self, watcher: Address) -> int:
        """Have `watcher` told, exactly once, when the present incarnation is over; the watch's number."""
        with self._lock:
            self._watches += 1
            number = self._watches
            if self.incumbent is not None:
                self._watchers[number] = watcher
                return number
        watcher.tell(Down(self.id, number, Reason("noproc")), urgent=True)
        return number

    def unwatch(self, number: int) -> None:
        with self._lock:
            self._watchers.pop(number, None)

    # What the present incarnation uses. `take` and `acknowledge` run for every message: there the lock is
    # taken by hand, which costs a third of what `with` does.

    def take(self, incarnation: Incarnation) -> Envelope | None:
        """The next message, waiting for it; None when this incarnation is to end."""
        wait, normal, lock = incarnation.tokens.get, self._normal, self._lock
        while True:
            wait()
            lock.acquire()
            try:
                if self.incumbent is not incarnation or (
                    incarnation.stop_asked and self._may_stop(incarnation)
                ):
                    return None
                # By far most messages are plain tells with nothing before them: no detour for those.
                special = self._control or self._latest or self._left
                if normal and not special and normal[0].answer is None:
                    envelope = incarnation.envelope = normal.popleft()
                    if envelope.quiet:
                        incarnation.tokens.put(None)
                    self.due = self._mono() + incarnation.deadline_s
                    return envelope
                chosen = self._next(incarnation)
            finally:
                lock.release()
            if chosen is not None:
                return chosen

    def take_now(self, incarnation: Incarnation) -> Envelope | None:
        """As `take` without waiting; None also when nothing is queued."""
        with self._lock:
            return None if self._must_end(incarnation) else self._next(incarnation)

    def must_end(self, incarnation: Incarnation) -> bool:
        with self._lock:
            return self._must_end(incarnation)

    def acknowledge(self, incarnation: Incarnation, kept: object | None) -> None:
        """The message in work is done; what the actor keeps goes with it, in one step."""
        lock = self._lock
        lock.acquire()
        try:
            if self.incumbent is not incarnation:
                self.fenced_results += 1
                return
            incarnation.envelope = None
            self.due = IDLE
            self.handled += 1
            self.crashes_in_a_row = 0
            if kept is not None:
                self.kept = kept
        finally:
            lock.release()

    def shield(self, incarnation: Incarnation) -> bool:
        with self._lock:
            incarnation.shielded = self.incumbent is incarnation
            return incarnation.shielded

    def unshield(self, incarnation: Incarnation) -> None:
        with self._lock:
            incarnation.shielded = False

    def watch_beat(self, incarnation: Incarnation, deadline_s: float) -> Beat:
        beat = Beat(incarnation, deadline_s, self._mono)
        if self._on_beat is not None:
            self._on_beat(beat)
        return beat

    def ask_stop(self, incarnation: Incarnation, *, drain: bool = False) -> None:
        incarnation.drains = drain
        incarnation.stop_asked = True
        incarnation.tokens.put(None)

    def vacate(self, incarnation: Incarnation, reason: Reason) -> bool:
        """The incarnation ends by itself; what it had in work goes back or to the dead letters."""
        with self._lock:
            if self.incumbent is not incarnation:
                return False
            self._release(incarnation, reason)
        self._settle(incarnation, reason)
        return True

    # What the supervisor uses.

    def admit(self, incarnation: Incarnation) -> None:
        """Make this the incumbent, before its thread starts."""
        with self._lock:
            self.incumbent = self.latest_incarnation = incarnation
            self.closed = None
            # First the queue, then the count: better one token twice than one not at all.
            self._tokens = incarnation.tokens
            for _ in range(self.depth):
                self._tokens.put(None)

    def fence(self, incarnation: Incarnation, reason: Reason, overdue_at: float | None = None) -> bool:
        """Give the incarnation up. With `overdue_at` only if its handler is still late at that instant."""
        with self._lock:
            if self.incumbent is not incarnation:
                return False
            if overdue_at is not None and self.due >= overdue_at:
                return False
            self._release(incarnation, reason)
        self._settle(incarnation, reason)
        return True

    def interrupt(self, incarnation: Incarnation) -> bool:
        """Try to end the thread of a fenced incarnation; False when it must not be disturbed just now."""
        with self._lock:
            if incarnation.shielded or self.incumbent is incarnation:
                return False
            return incarnation.interrupt(but=__file__)

    def close(self, why: str) -> None:
        """Nobody will come here any more: what is queued and what is still sent goes to the dead letters."""
        self.closed = why
        self.kept = None
        self._bury()

    def has_lost_its_thread(self) -> bool:
        """The incumbent's thread was started and is gone, and nothing was said about it."""
        incarnation = self.incumbent
        if incarnation is None:
            return False
        thread = incarnation.thread
        return thread is not None and thread.ident is not None and not thread.is_alive()

    # What the status shows.

    @property
    def depth(self) -> int:
        """Messages waiting, the one in work not counted."""
        return len(self._control) + len(self._normal) + len(self._latest) + len(self._left)

    def oldest_s(self) -> float:
        """Age in seconds of the message waiting longest; 0 when none is."""
        if not self.depth:
            return 0.0
        with self._lock:
            heads = [lane[0].at for lane in (self._control, self._normal) if lane]
            heads.extend(envelope.at for envelope in self._latest.values())
        return max(0.0, self._mono() - min(heads)) if heads else 0.0

    def busy_s(self) -> float:
        """How long in seconds the handler in work has been running; 0 when idle."""
        incarnation, due = self.incumbent, self.due
        if incarnation is None or due == IDLE:
            return 0.0
        return max(0.0, self._mono() - (due - incarnation.deadline_s))

    def waiting(self) -> list[object]:
        """The queued messages in the order they would be served."""
        with self._lock:
            lanes = [*self._control, *self._left.values(), *self._normal, *self._latest.values()]
        return [envelope.message for envelope in lanes]

    # Inside; callers of the first group hold the lock.

    def _must_end(self, incarnation: Incarnation) -> bool:
        return self.incumbent is not incarnation or (incarnation.stop_asked and self._may_stop(incarnation))

    def _may_stop(self, incarnation: Incarnation) -> bool:
        return not (incarnation.drains and self.depth)

    def _next(self, incarnation: Incarnation) -> Envelope | None:
        while (envelope := self._pop()) is not None:
            answer = envelope.answer
            now = self._mono()
            if answer is None or not (answer.done() or answer.expires_at <= now):
                incarnation.envelope = envelope
                self.due = now + incarnation.deadline_s
                if envelope.quiet:
                    incarnation.tokens.put(None)
                return envelope
            answer.expire()
        return None

    def _pop(self) -> Envelope | None:
        if self._control:
            return self._control.popleft()
        if self._left:
            return self._left.pop(next(iter(self._left)))
        if self._latest and (not self._normal or self._served_in_a_row >= LATEST_SHARE):
            self._served_in_a_row = 0
            return self._latest.pop(next(iter(self._latest)))
        if self._normal:
            self._served_in_a_row += 1
            return self._normal.popleft()
        return None

    def _release(self, incarnation: Incarnation, reason: Reason) -> None:
        self.incumbent = None
        self.due = IDLE
        if reason.kind in ("normal", "shutdown"):
            self.crashes_in_a_row = 0
            return
        self.crashes_in_a_row += 1
        if self.crashes_in_a_row >= POISONED_AFTER:
            self.kept = None

    def _settle(self, incarnation: Incarnation, reason: Reason) -> None:
        envelope, incarnation.envelope = incarnation.envelope, None
        for answer in incarnation.deferred:
            answer.fail(ActorDied(f"cannot get an answer from {self.id}: {reason.describe()}"))
        if envelope is not None:
            self._put_back(envelope, reason)
        incarnation.tokens.put(None)  # wakes one that was fenced while it was idle
        with self._lock:
            watchers, self._watchers = self._watchers, {}
        for number, watcher in watchers.items():
            watcher.tell(Down(self.id, number, reason), urgent=True)

    def _put_back(self, envelope: Envelope, reason: Reason) -> None:
        if envelope.answer is not None:
            error = reason.error if isinstance(reason.error, Exception) else None
            envelope.answer.fail(error or ActorDied(f"cannot ask {self.id}: {reason.describe()}"))
        elif envelope.attempt >= self.max_attempts or isinstance(envelope.message, Order):
            self._dead(envelope, reason.describe(), poison=True)
        else:
            again = msgspec.structs.replace(envelope, attempt=envelope.attempt + 1)
            with self._lock:
                self._requeue(again)

    def _requeue(self, envelope: Envelope) -> None:
        match envelope.lane:
            case "control":
                self._control.appendleft(envelope)
            case "normal":
                self._normal.appendleft(envelope)
            case "latest":
                # Before all else, as any message that was in work: its first try may have told others of it.
                if envelope.key not in self._latest:
                    self._normal.appendleft(envelope)
            case "left":
                if envelope.key not in self._left:
                    self._normal.appendleft(envelope)

    def _refuse(self, message: object) -> None:
        self.refused += 1
        if self._on_refused is not None:
            self._on_refused(self.id, message)

    def _bury(self) -> None:
        why = self.closed or "closed"
        while True:
            with self._lock:
                if self.closed is None:  # somebody moved in again meanwhile: the rest is theirs
                    return
                self._latest.clear()
                self._left.clear()
                envelope = self._pop()
            if envelope is None:
                return
            if envelope.answer is not None:
                envelope.answer.fail(ActorDied(f"cannot ask {self.id}: {why}"))
            else:
                self._dead(envelope, why, poison=False)

    def _dead(self, envelope: Envelope, cause: str, *, poison: bool) -> None:
        if isinstance(envelope.message, Order):  # it was for that incarnation, not for the actor
            return
        attempts = envelope.attempt if poison else envelope.attempt - 1
        self.dead_letters.add(DeadLetter(self.id, envelope.message, attempts, cause, poison))
