"""How long each step of a start took, from the first moment of the process until it guards: for the log."""

from __future__ import annotations

import sys
import time

import psutil


class Phases:
    """The steps so far. Instants are monotonic seconds."""

    def __init__(self, began: float, first: str) -> None:
        self._began = began
        self._steps: list[tuple[str, float]] = [(first, began)]

    def begin(self, step: str, now: float) -> None:
        """Another step begins, and so the one before is over."""
        self._steps.append((step, now))

    def told(self, now: float) -> dict[str, object]:
        """Milliseconds in all, and by step; a step that came twice counts together."""
        took: dict[str, float] = {}
        ends = [began for _, began in self._steps[1:]] + [now]
        for (step, began), end in zip(self._steps, ends, strict=True):
            took[step] = round(took.get(step, 0.0) + (end - began) * 1e3, 1)
        return {"total_ms": round((now - self._began) * 1e3, 1), "phases_ms": took}


def age_s() -> float:
    """Seconds since this process was started; 0 for one that stood by, which waited and had nothing to do."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is None or spec.name != "supervisor.__main__":
        return 0.0
    # A span by the machine's own clock: a test clock moves neither end of it.
    return max(0.0, time.time() - psutil.Process().create_time())
