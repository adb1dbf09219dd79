"""Actors without threads: the same code, one step at a time, in the order the caller chooses.

For exhaustive schedules, where every interleaving of messages, crashes and restarts is to be tried and a seed
has to give the same run again. Hand `incarnation=Stepped` to a Supervisor with a ManualClock.
"""

from functools import partial
from typing import Any, Self

import pykka

from actors.address import Envelope
from actors.worker import Incarnation
from supervisor.handle import Handle


class Stepped(Incarnation):
    """One life of an actor that moves only when it is told to."""

    _is_open = False

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """As pykka's, but without an entry in its registry: that is for actors that run by themselves."""
        life = cls(*args, **kwargs)
        life.home.admit(life)
        return life.actor_ref

    def is_at_work(self) -> bool:
        return False

    def step(self) -> bool:
        """Do the next thing: initialise, handle one message, end. False when there is nothing to do."""
        if self.left:
            return False
        if not self._is_open:
            self._is_open = True
            self.guarded(self.open)
            return True
        envelope = self.begin_message()
        if envelope is not None:
            self.finish_message(envelope)
        elif self.is_to_end():
            self.guarded(self.close)
        else:
            return False
        return True

    def begin_message(self) -> Envelope | None:
        """Only take the next message, as a thread that is held up before its handler does anything."""
        home = self.home
        assert isinstance(home, Handle)
        return None if self.left or self.finished else home.take_now(self)

    def finish_message(self, envelope: Envelope) -> None:
        """Handle what `begin_message` took; also after being fenced, as a hung thread that wakes up does."""
        self.guarded(partial(self._serve_one, envelope))

    def is_to_end(self) -> bool:
        home = self.home
        assert isinstance(home, Handle)
        return self.finished or home.must_end(self)

    def _serve_one(self, envelope: Envelope) -> bool:
        self.serve(envelope)
        return True
