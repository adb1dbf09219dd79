"""What can be made to go wrong, and where it bites. Each entry was a real defect of a client somewhere.

A fault is switched by name with `fault {name, on, ...}`. Where it bites decides who looks for it:

- request    a REST request whose path matches `path` (a glob: `Order/*`), at most `times` times. With
             `executed` the broker does what was asked and only the answer suffers.
- negotiate  the negotiation of a hub connection
- socket     the hub connections there are, at once (`hub`: user, market or both)
- event      events on their way out whose target matches `target` (a glob: `GatewayUser*`)
- broker     the broker itself
"""

from collections.abc import Callable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

type HubName = Literal["user", "market", "both"]


class Bite(StrEnum):
    REQUEST = "request"
    NEGOTIATE = "negotiate"
    SOCKET = "socket"
    EVENT = "event"
    BROKER = "broker"


class Fault(msgspec.Struct, frozen=True):
    """One row of the table. A lasting fault stays on until switched off; the others happen once, at once."""

    bites: Bite
    what: str
    fields: tuple[str, ...] = ()
    lasting: bool = True


_REQUEST = ("path", "times", "executed")
_EVENT = ("target", "times")
_SOCKET = ("hub",)

FAULTS: dict[str, Fault] = {
    "http_401": Fault(Bite.REQUEST, "answers 401", _REQUEST),
    "http_429": Fault(Bite.REQUEST, "answers 429, with Retry-After if given", (*_REQUEST, "retry_after")),
    "http_500": Fault(Bite.REQUEST, "answers 500", _REQUEST),
    "http_503": Fault(Bite.REQUEST, "answers 503", _REQUEST),
    "html": Fault(Bite.REQUEST, "answers 200 with a web page", _REQUEST),
    "bad_json": Fault(Bite.REQUEST, "answers 200 with half a JSON document", _REQUEST),
    "drop": Fault(Bite.REQUEST, "drops the connection without an answer", _REQUEST),
    "delay": Fault(
        Bite.REQUEST, "waits before executing; with executed, before answering", (*_REQUEST, "seconds")
    ),
    "refuse": Fault(Bite.REQUEST, "answers 200 with a business error code", (*_REQUEST, "code", "message")),
    "negotiate_401": Fault(Bite.NEGOTIATE, "negotiation answers 401", ("hub", "times")),
    "negotiate_503": Fault(Bite.NEGOTIATE, "negotiation answers 503", ("hub", "times")),
    "negotiate_drop": Fault(Bite.NEGOTIATE, "negotiation drops the connection", ("hub", "times")),
    "hub_close": Fault(Bite.SOCKET, "WebSocket close frame", _SOCKET, lasting=False),
    "hub_reset": Fault(Bite.SOCKET, "TCP reset", _SOCKET, lasting=False),
    "hub_close_error": Fault(Bite.SOCKET, "SignalR close message with an error", _SOCKET, lasting=False),
    "hub_malformed": Fault(Bite.SOCKET, "a record that is not JSON", _SOCKET, lasting=False),
    "hub_unknown_type": Fault(Bite.SOCKET, "a record of an unknown message type", _SOCKET, lasting=False),
    "hub_unknown_key": Fault(
        Bite.SOCKET, "an invocation with an extra top-level key", _SOCKET, lasting=False
    ),
    "hub_unknown_target": Fault(Bite.SOCKET, "an invocation nobody registered for", _SOCKET, lasting=False),
    "hub_empty_arguments": Fault(Bite.SOCKET, "an event without arguments", _SOCKET, lasting=False),
    "hub_odd_payload": Fault(
        Bite.SOCKET, "an event with a text where an object belongs", _SOCKET, lasting=False
    ),
    "hub_completion_error": Fault(Bite.SOCKET, "a completion that reports an error", _SOCKET, lasting=False),
    "hub_logout": Fault(Bite.SOCKET, "GatewayLogout", _SOCKET, lasting=False),
    "hub_burst": Fault(
        Bite.SOCKET,
        "`count` quotes (or account events) flat out",
        ("hub", "count", "contract"),
        lasting=False,
    ),
    "hub_freeze": Fault(Bite.SOCKET, "silence: nothing sent, nothing answered, socket open", _SOCKET),
    "event_duplicate": Fault(Bite.EVENT, "sent twice", _EVENT),
    "event_reorder": Fault(Bite.EVENT, "sent after the event that follows it", _EVENT),
    "event_lost": Fault(Bite.EVENT, "not sent", _EVENT),
    "event_late": Fault(Bite.EVENT, "sent `seconds` later", (*_EVENT, "seconds")),
    "event_bare": Fault(Bite.EVENT, "sent without the action wrapper, as the documents show it", _EVENT),
    "event_nulls": Fault(Bite.EVENT, "sent with its null fields", _EVENT),
    "market_closed": Fault(Bite.BROKER, "no order is accepted or executed"),
    "bars_missing": Fault(Bite.BROKER, "retrieveBars answers an empty list", ("times",)),
    "stop_race": Fault(
        Bite.BROKER,
        "a working stop of the position fills `when` (before, after) the next close of it",
        ("when", "times"),
    ),
    "revoke_tokens": Fault(Bite.BROKER, "every token issued so far ends", lasting=False),
    "down": Fault(Bite.BROKER, "the gateway refuses connections; hubs are cut"),
}


class Switch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A fault as it was asked for. `times` counts down; None means until it is switched off."""

    name: str
    on: bool = True
    path: str = "*"
    target: str = "*"
    hub: HubName = "both"
    times: int | None = None
    executed: bool = False
    seconds: float = 1.0
    retry_after: int | None = None
    code: int = 1
    message: str | None = None
    count: int = 1000
    contract: str | None = None
    when: Literal["before", "after"] = "after"


class Faults:
    """The faults that are on."""

    def __init__(self) -> None:
        self._on: list[Switch] = []

    def switch(self, wanted: Switch) -> Fault:
        """Switches a lasting fault; raises ValueError for a name that is not in the table."""
        fault = FAULTS.get(wanted.name)
        if fault is None:
            raise ValueError(f"no fault {wanted.name}; there are {', '.join(FAULTS)}")
        for field in msgspec.structs.fields(wanted):
            given = getattr(wanted, field.name) != field.default
            if given and field.name not in ("name", "on", *fault.fields):
                raise ValueError(
                    f"{wanted.name} takes no {field.name}, but: {', '.join(fault.fields) or 'nothing'}"
                )
        if not wanted.on:
            self._on = [switch for switch in self._on if switch.name != wanted.name]
        elif fault.lasting:
            self._on.append(wanted)
        return fault

    def clear(self) -> None:
        self._on.clear()

    def on(self) -> list[str]:
        return [switch.name for switch in self._on]

    def matching(self, name: str) -> list[Switch]:
        """The switches of one name, not used up by looking."""
        return [switch for switch in self._on if switch.name == name]

    def request(self, path: str) -> list[Switch]:
        """The faults that meet a request to this path, oldest first; each is used up once."""
        return self._take(
            lambda s: FAULTS[s.name].bites is Bite.REQUEST and fnmatchcase(path.lower(), s.path.lower())
        )

    def negotiate(self, hub: str) -> Switch | None:
        found = self._take(lambda s: FAULTS[s.name].bites is Bite.NEGOTIATE and s.hub in (hub, "both"))
        return found[0] if found else None

    def event(self, target: str) -> list[Switch]:
        return self._take(lambda s: FAULTS[s.name].bites is Bite.EVENT and fnmatchcase(target, s.target))

    def broker(self, name: str) -> Switch | None:
        found = self._take(lambda s: s.name == name)
        return found[0] if found else None

    def _take(self, meant: Callable[[Switch], bool]) -> list[Switch]:
        found = [switch for switch in self._on if meant(switch)]
        for switch in found:
            if switch.times is not None:
                switch.times -= 1
        self._on = [switch for switch in self._on if switch.times is None or switch.times > 0]
        return found
