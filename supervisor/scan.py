"""Looks over all actors: who is overdue, whose thread is gone.

It only reads. It suspects itself first: when it comes late (the machine slept, something held the
interpreter), what it was late by is granted to every handler that was busy then.
"""

import math
from collections import deque
from collections.abc import Iterable

from actors.worker import Beat
from supervisor.handle import Handle

SCAN_S = 0.05
LATE_S = 0.01
"""A scan later than this counts as a pause of the whole process."""
SWEEP = 128
"""So many threads are checked for life per scan; checking all of a thousand each time would cost too much."""


class Scan:
    """The look-over; `handles` is replaced when actors come or go."""

    def __init__(self) -> None:
        self.count = 0
        self.late_s = 0.0
        self._handles: list[Handle] = []
        self._beats: deque[Beat] = deque()
        self._pauses: deque[tuple[float, float]] = deque(maxlen=64)
        self._expected = math.inf
        self._swept = 0

    def watch(self, handles: Iterable[Handle]) -> None:
        self._handles = list(handles)

    def watch_beat(self, beat: Beat) -> None:
        self._beats.append(beat)

    def is_due(self, now: float) -> bool:
        return now >= self.next_due()

    def next_due(self) -> float:
        return -math.inf if self.count == 0 else self._expected

    def begin(self, now: float) -> None:
        """Note how late this scan is."""
        self.count += 1
        self.late_s = max(0.0, now - self._expected)
        if self.late_s > LATE_S:
            self._pauses.append((now, self.late_s))
        self._expected = now + SCAN_S

    def overdue(self, now: float) -> list[Handle]:
        """Handlers past their deadline, the process's own pauses not counted."""
        late = [handle for handle in self._handles if handle.due < now]
        return [handle for handle in late if self._stays_overdue(handle, now)] if late else late

    def vanished(self) -> list[Handle]:
        """Actors whose thread is gone without a word."""
        batch = self._handles[self._swept : self._swept + SWEEP]
        self._swept = self._swept + SWEEP if self._swept + SWEEP < len(self._handles) else 0
        return [handle for handle in batch if handle.has_lost_its_thread()]

    def silent(self, now: float) -> list[Beat]:
        """Threads that should have beaten; those of incarnations that are over are not asked any more."""
        silent = []
        for _ in range(len(self._beats)):
            beat = self._beats.popleft()
            if beat.incarnation.left or beat.incarnation.home.incumbent is not beat.incarnation:
                continue
            if beat.due + self._granted(beat.due - beat.deadline_s) < now:
                silent.append(beat)
            else:
                self._beats.append(beat)
        return silent

    def _stays_overdue(self, handle: Handle, now: float) -> bool:
        incarnation, due = handle.incumbent, handle.due
        if incarnation is None:
            return False
        return due + self._granted(due - incarnation.deadline_s) < now

    def _granted(self, began: float) -> float:
        """What the process lost in pauses since then."""
        return sum(late for at, late in self._pauses if at >= began)
