"""What strikes in the storm: every fault of the simulated gateway that a connection can suffer."""

from __future__ import annotations

from msgspec import Struct

from ops.demo.acts import Operation, Pause, Step, fault
from ops.simulator.faults import FAULTS, Bite

CLOSES = "Position/*lose*"
LATE_S = 2.0
"""Longer than a request may take in the storm."""
FROZEN_S = 4.0
"""Longer than it is from one read of the account to the next, shorter than a frozen hub is noticed."""
MEETS: dict[str, Operation] = {
    "delay": {"seconds": LATE_S},
    "refuse": {"code": 5},  # the closing order was rejected: market closed or no price
    "http_429": {"retry_after": 1},
}
WORDS: dict[str, str] = {
    "http_429": "answers 429",
    "delay": f"waits {LATE_S:g} seconds",
    "event_late": f"sent {LATE_S:g} seconds later",
    "hub_burst": "a thousand messages at once",
}
"""Where the simulator's own words speak of fields."""
LOST: dict[str, str] = {
    "negotiate_401": "hub_close",
    "negotiate_503": "hub_reset",
    "negotiate_drop": "hub_close_error",
}
"""By which fault the hubs are lost whose way back meets another one."""


class Strike(Struct, frozen=True):
    """Faults that strike together: what happens before the trade, and what is lifted after it."""

    names: tuple[str, ...]
    tells: str
    first: tuple[Step, ...]
    then: tuple[Step, ...] = ()


def _met_by_the_close(name: str) -> Strike:
    meets = fault(name, path=CLOSES, times=1) | MEETS.get(name, {})
    return Strike((name,), f"The gateway {_words(name)} when asked to close", (meets,))


def _on_the_way_back(name: str) -> Strike:
    lost = LOST[name]
    tells = f"Both hubs are lost ({_words(lost)}), and the way back fails: {_words(name)}"
    return Strike((lost, name), tells, (fault(name, times=2), fault(lost)))


def _in_the_stream(name: str) -> Strike:
    keys = {"seconds": LATE_S} if name == "event_late" else {}
    tells = f"Every event of the trade is {_words(name)}"
    return Strike((name,), tells, (fault(name, target="GatewayUser*", **keys),))


def _at_the_hubs(name: str) -> Strike:
    return Strike((name,), f"The hubs: {_words(name)}", (fault(name),))


def _words(name: str) -> str:
    return WORDS.get(name, FAULTS[name].what)


def _of(bite: Bite) -> list[str]:
    return [name for name, row in FAULTS.items() if row.bites is bite]


FROZEN = Strike(
    ("hub_freeze",),
    f"The hubs: {_words('hub_freeze')}",
    (fault("hub_freeze"),),
    (Pause(FROZEN_S), fault("hub_freeze", on=False)),
)
UNANSWERED = Strike(
    ("drop",),
    "The gateway closes, but its answer is lost",
    (fault("drop", path=CLOSES, times=1, executed=True),),
)
REVOKED = Strike(("revoke_tokens",), "Every token is revoked", (fault("revoke_tokens"),))
GONE = Strike(
    ("down",),
    "The gateway is gone for two seconds",
    (fault("down"),),
    (Pause(2.0), fault("down", on=False)),
)
STRIKES = (
    *map(_met_by_the_close, _of(Bite.REQUEST)),
    UNANSWERED,
    *map(_in_the_stream, _of(Bite.EVENT)),
    *map(_at_the_hubs, sorted(set(_of(Bite.SOCKET)) - {*LOST.values(), "hub_freeze"})),
    *map(_on_the_way_back, _of(Bite.NEGOTIATE)),
    REVOKED,
    GONE,
    FROZEN,
)
