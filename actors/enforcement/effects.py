"""What a step of enforcement asks of its surroundings, beside the calls themselves.

Rows, alerts and views are made of these after the calls went out: nothing is formatted on the way.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from actors.messages import Breach, CloseSent, CloseVerified, Demand, Lockout, Mode, Notice

from .lockouts import Over, Refused
from .memory import OpenReceipt


class TellAccount(Struct, frozen=True, gc=False):
    message: CloseSent | CloseVerified


class AskRead(Struct, frozen=True, gc=False):
    """Read the account by REST now."""

    why: str


class BreachSeen(Struct, frozen=True, gc=False):
    """An episode began (or a restart made it new to us): recorded once under its id."""

    breach: Breach
    mode: Mode


class DemandRaised(Struct, frozen=True, gc=False):
    """Something must hold from now on; of a shadow rule: would have to."""

    rule: str
    demand: Demand
    at: datetime
    mode: Mode
    breaches: tuple[Breach, ...]
    receipt: str | None
    """None: of a shadow rule, nothing is done for it."""


class LockoutSet(Struct, frozen=True, gc=False):
    """A lockout is in force, or is now longer, stronger or smaller than before."""

    lockout: Lockout
    at: datetime
    new: bool
    """To be told to people: not only its frozen sizes followed a position down."""
    again: bool = False
    """In force since before a restart: whoever was not told of it then is told now."""


class LockoutOver(Struct, frozen=True, gc=False):
    over: Over
    lockout: Lockout
    """As it was."""


class ReceiptChanged(Struct, frozen=True, gc=False):
    receipt: OpenReceipt
    verified_at: datetime | None = None
    verified_ms: float | None = None
    """From the breach to the confirmation."""


class StateSaid(Struct, frozen=True, gc=False):
    """A rule's small state that came with its verdict, to be stored with the rest."""

    rule: str
    seq: int
    body: bytes


class Notify(Struct, frozen=True, gc=False):
    notice: Notice
    at: datetime


class Accepted(Struct, frozen=True, gc=False):
    """A command by hand is in force; the flatten it asked for is this receipt's (None: none asked)."""

    receipt: str | None
    text: str


class Denied(Struct, frozen=True, gc=False):
    """A command by hand changes nothing; why, and what would help."""

    text: str


class Unlocked(Struct, frozen=True, gc=False):
    """What an unlock ended and what it could not."""

    ended: tuple[str, ...]
    refused: tuple[Refused, ...]


type Reply = Accepted | Denied | Unlocked


class Answer(Struct, frozen=True, gc=False):
    """The reply to whoever asked; given once memory is safe."""

    value: Reply


type Effect = (
    TellAccount
    | AskRead
    | BreachSeen
    | DemandRaised
    | LockoutSet
    | LockoutOver
    | ReceiptChanged
    | StateSaid
    | Notify
    | Answer
)
