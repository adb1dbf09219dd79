"""What strikes in the storm: every fault of the simulated gateway that a connection can suffer."""

from __future__ import annotations

from msgspec import Struct

from ops.demo.acts import Operation, Pause, Step, fault
from ops.simulator.faults import FAULTS, Bite

CLOSES = "Position/*lose*"
LATE_S = 2.0
"""Longer than a request may take in the storm."""
HALF_S = 0.5
"""Half of what a request may take in the storm."""
FROZEN_S = 4.0
"""Longer than it is from one read of the account to the next, shorter than a frozen hub is noticed."""
NOTICED_S = 36.0
"""Longer than until a frozen hub is noticed."""
ENDINGS = ("hub_malformed", "hub_unknown_type", "hub_unknown_key")
"""What ends a hub without a word, beside the losses below."""
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
    bracket: dict[str, int] = {}
    """What the bought position has beside it."""
    executions: int = 2
    """What the trade and its close come to in the gateway's books."""
    unheard: bool = False
    """The stream does not tell of the trade, or not in time."""
    alone: bool = False
    """It ends the link: struck once that has lasted, as failures in a row are met with patience."""


def _met_by_the_close(name: str) -> Strike:
    meets = fault(name, path=CLOSES, times=1) | MEETS.get(name, {})
    return Strike((name,), f"The gateway {_words(name)} when asked to close", (meets,))


def _on_the_way_back(name: str) -> Strike:
    lost = LOST[name]
    tells = f"Both hubs are lost ({_words(lost)}), and the way back fails: {_words(name)}"
    return Strike((lost, name), tells, (fault(name, times=2), fault(lost)), alone=True)


def _in_the_stream(name: str) -> Strike:
    keys = {"seconds": LATE_S} if name == "event_late" else {}
    tells = f"Every event of the trade is {_words(name)}"
    unheard = name in ("event_lost", "event_late")
    return Strike((name,), tells, (fault(name, target="GatewayUser*", **keys),), unheard=unheard)


def _at_the_hubs(name: str) -> Strike:
    return Strike((name,), f"The hubs: {_words(name)}", (fault(name),), alone=name in ENDINGS)


def _words(name: str) -> str:
    return WORDS.get(name, FAULTS[name].what)


def _of(bite: Bite) -> list[str]:
    return [name for name, row in FAULTS.items() if row.bites is bite]


def _frozen(seconds: float) -> Strike:
    return Strike(
        ("hub_freeze",),
        f"The hubs: {_words('hub_freeze')}",
        (fault("hub_freeze"),),
        (Pause(seconds), fault("hub_freeze", on=False)),
        unheard=True,
        alone=True,
    )


UNANSWERED = Strike(
    ("drop",),
    "The gateway closes, but its answer is lost",
    (fault("drop", path=CLOSES, times=1, executed=True),),
)
REVOKED = Strike(("revoke_tokens",), "Every token is revoked", (fault("revoke_tokens"),), alone=True)
CLOSED = Strike(
    ("delay", "market_closed"),
    "The market closes while the close is on its way",
    (fault("delay", path=CLOSES, times=1, seconds=HALF_S),),
    (fault("market_closed"), Pause(2 * HALF_S), fault("market_closed", on=False)),
)
UNPRICED = Strike(("bars_missing",), "No bar is to be had", (fault("bars_missing"),))
GONE = Strike(
    ("down",),
    "The gateway is gone for two seconds",
    (fault("down"),),
    (Pause(2.0), fault("down", on=False)),
    alone=True,
)


def _race(when: str, executions: int) -> Strike:
    """`when` is seen from the close."""
    return Strike(
        ("stop_race",),
        f"The position's own stop fills {when} the close",
        (fault("stop_race", when=when, times=1),),
        bracket={"stop_loss_ticks": 400},
        executions=executions,
    )


STRIKES = (
    *map(_met_by_the_close, _of(Bite.REQUEST)),
    UNANSWERED,
    *map(_in_the_stream, _of(Bite.EVENT)),
    *map(_at_the_hubs, sorted(set(_of(Bite.SOCKET)) - {*LOST.values(), "hub_freeze"})),
    *map(_on_the_way_back, _of(Bite.NEGOTIATE)),
    CLOSED,
    UNPRICED,
    _race("before", 2),
    _race("after", 4),
    REVOKED,
    GONE,
)


def strikes(*, frozen_s: float = FROZEN_S) -> tuple[Strike, ...]:
    """All of them. Hubs frozen for more than half a minute are noticed, for less only read around."""
    return (*STRIKES, _frozen(frozen_s))
