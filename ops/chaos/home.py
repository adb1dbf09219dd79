"""The nemesis over a guard that somebody has started: what `riskd chaos run` breaks."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from ops.chaos.acts import wander
from ops.chaos.hands import Ask, Control
from ops.chaos.nemesis import Ended, Nemesis, Plan, Say
from ops.simulator.remote import control as at_the_door
from ops.start import environment_of
from supervisor.home import Home
from supervisor.identity import recorded
from supervisor.protocol import Exit, OfAccounts, Refused


class Door(Struct):
    """The part of HOME/run/simulator.json that leads to the simulator's control."""

    pid: int
    control_url: str = ""


def over(home: Home, ask: Ask, seed: int, seconds: float, say: Say) -> Ended:
    """Break the running guard of a home for so long. Raises Refused where that is not allowed."""
    daemon = recorded(home.daemon)
    if daemon is None:
        raise Refused(Exit.NOT_RUNNING, f"riskd is not running in {home.folder}", "riskd up")
    accounts = [one["name"] for one in ask("status", OfAccounts())["accounts"]]
    door = _door(home)
    control: Control | None = None
    if door is not None:
        url = door.control_url

        def control(operation: dict[str, Any]) -> Any:
            return at_the_door(url, operation)

    else:
        say("  the gateway is no simulator of this home: nobody trades, and only the guard is looked at")
    made = Nemesis(home, ask, control, door.pid if door else None, environment_of(daemon), say)
    return made.run(Plan(seed, seconds, wander(seed, accounts)))


def _door(home: Home) -> Door | None:
    if recorded(home.simulator) is None:
        return None
    with suppress(OSError, msgspec.DecodeError):
        found = msgspec.json.decode(home.simulator.read_bytes(), type=Door)
        return found if found.control_url else None
    return None
