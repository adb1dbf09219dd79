"""`sweep nemesis`: real processes, everything breaks in an order that the seed picks, a trader trades on.

Ten minutes unless told otherwise. The outcome of every act, and at the end the gateway's books, the daemon's
status, its history and its receipts, must be those of a run in which nothing broke.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from msgspec import Struct

from ops import client
from ops.chaos.acts import RULES, acts
from ops.chaos.nemesis import Ended, Nemesis, Plan
from tests.chaos.outcome import Asked, Difference, Swept
from tests.ops.rig import KEY, A, B, guard

MINUTES = 10.0
DEADLINE_S = 5.0


def run(asked: Asked) -> Swept:
    """Break, trade, compare; for `minutes`."""
    ended = nemesis(asked, (MINUTES if asked.minutes is None else asked.minutes) * 60)
    return Swept(
        cases=sum(ended.done.values()),
        unit="things broken",
        seed=asked.seed,
        differences=tuple(Difference(f"seed {asked.seed}", text) for text in ended.differences),
        rows=tuple({"broken": what, "times": times} for what, times in ended.done.items()),
        facts={
            "acts of the trader, each to its one right end": ended.acts,
            "nothing there to break": ended.skipped,
            "number of the last daemon": ended.died,
            "states seen": ended.states,
        },
        reached=ended.reached,
    )


def nemesis(asked: Asked, seconds: float) -> Ended:
    """One guard of real processes, broken for so long."""
    with guard(RULES) as guarded:

        def ask(command: str, request: Struct) -> Any:
            return msgspec.msgpack.decode(client.call(guarded.home, command, request, deadline_s=DEADLINE_S))

        def control(operation: dict[str, Any]) -> Any:
            return guarded.simulator.control(operation)

        environment = dict(os.environ, PROJECT_X_API_KEY=KEY)
        pid = guarded.simulator.process.pid
        made = Nemesis(guarded.home, ask, control, pid, environment, asked.say)
        ended = made.run(Plan(asked.seed, seconds, acts(asked.seed, (A, B))))
        if ended.differences:
            asked.say(guarded.output())
        return ended
