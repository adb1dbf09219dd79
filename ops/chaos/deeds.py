"""What can be broken, and the order in which a seed breaks it. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

DEATHS_APART_S = 33.0
"""Deaths of the daemon closer together add up to safe mode, in which no rule is judged."""
DEATHS = ("kill daemon", "stop daemon", "kill both")


class Deed(Struct, frozen=True):
    """One thing to break. `pause_s` follows it; `for_s` is how long it lasts where it lasts."""

    what: str
    target: str = ""
    for_s: float = 0.0
    pause_s: float = 1.0


FAULTS = (
    "hub_close",
    "hub_reset",
    "hub_close_error",
    "hub_malformed",
    "event_duplicate",
    "event_reorder",
    "event_lost",
    "http_500",
    "http_429",
    "drop",
    "delay",
    "negotiate_503",
)
"""Of the simulator's own (`riskd simulator`): each bites once or twice and is over."""

WEIGHTS = {
    "kill actor": 14,
    "crash actor": 14,
    "hang actor": 6,
    "drop link": 5,
    "gateway fault": 14,
    "gateway down": 2,
    "stop gateway": 2,
    "kill daemon": 5,
    "stop daemon": 2,
    "kill both": 1,
    "kill watchdog": 4,
    "stop watchdog": 2,
    "disk full": 4,
    "clock jump": 4,
    "switch interval": 3,
}
OF_THE_GATEWAY = ("gateway fault", "gateway down", "stop gateway")
LASTS = {
    "hang actor": (0.3, 2.0),
    "gateway down": (0.5, 3.0),
    "stop gateway": (0.5, 3.0),
    "disk full": (1.0, 4.0),
    "clock jump": (1.0, 4.0),
    "switch interval": (3.0, 10.0),
}
PAUSE_S = (0.2, 2.0)


def deeds(seed: int, actors: Sequence[str], *, has_gateway: bool = True) -> Iterator[Deed]:
    """Without end; the same seed and actors give the same deeds. Time is counted in the deeds' own pauses."""
    chance = random.Random(seed)
    kinds = [what for what in WEIGHTS if has_gateway or what not in OF_THE_GATEWAY]
    now, died = 0.0, -DEATHS_APART_S
    while True:
        open_ = [what for what in kinds if what not in DEATHS or now - died >= DEATHS_APART_S]
        what = chance.choices(open_, [WEIGHTS[one] for one in open_])[0]
        deed = Deed(
            what,
            _target(chance, what, actors),
            round(chance.uniform(*LASTS[what]), 2) if what in LASTS else 0.0,
            round(chance.uniform(*PAUSE_S), 2),
        )
        died = now if what in DEATHS else died
        now += deed.pause_s + (0.0 if what == "switch interval" else deed.for_s)
        yield deed


def _target(chance: random.Random, what: str, actors: Sequence[str]) -> str:
    match what:
        case "kill actor" | "crash actor" | "hang actor":
            return chance.choice(actors)
        case "gateway fault":
            return chance.choice(FAULTS)
        case "clock jump":
            return chance.choice(("+3600", "-3600"))
        case _:
            return ""
