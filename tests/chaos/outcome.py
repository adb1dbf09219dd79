"""What a sweep found, in the one shape in which all of them print it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

Say = Callable[[str], None]


class Asked(Struct, frozen=True):
    """What the caller wants. `seed` picks the cases; `minutes` ends it early (None: its own length)."""

    seed: int
    minutes: float | None
    say: Say
    """Progress, for people."""


class Difference(Struct, frozen=True):
    """One case that did not end as the fault-free run: how to play it again, and what differed."""

    case: str
    text: str


class Swept(Struct, frozen=True):
    """The end of a sweep. It holds only with no difference and no rare state left unseen."""

    cases: int
    unit: str
    seed: int
    differences: tuple[Difference, ...]
    rows: tuple[dict[str, object], ...] = ()
    """A table for people: every row has the same keys."""
    facts: dict[str, object] = {}
    """Single figures, such as steps per second."""
    reached: dict[str, int] = {}
    """How often each rare state was met; one that stays at zero proves nothing and fails the sweep."""

    @property
    def unseen(self) -> tuple[str, ...]:
        return tuple(name for name, times in self.reached.items() if times == 0)

    @property
    def holds(self) -> bool:
        return not self.differences and not self.unseen and self.cases > 0
