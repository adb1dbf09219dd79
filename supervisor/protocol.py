"""How the command line and the daemon talk: frames, requests, replies, and one table of all commands.

A frame is four bytes of length (big endian) and one msgpack array, at most `MOST_BYTES`. The first
element is always the protocol version, so that two versions can at least tell each other so.
A reply carries the exit code of the command line: the daemon decides what an outcome is called.

The command line imports this page at every start: nothing heavier than msgspec may be imported here.
"""

from __future__ import annotations

import struct
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Literal

import msgspec
from msgspec import Struct

from config.errors import CallerMustAct

VERSION = 1
MOST_BYTES = 1 << 20
"""Longest frame in bytes, either way; a longer one is refused before it is read."""
LONGEST_DEADLINE_S = 120.0
_LENGTH = struct.Struct(">I")
LENGTH_BYTES = _LENGTH.size


class Exit(IntEnum):
    """What the command line answers to the shell."""

    GOOD = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    NOT_PERMITTED = 4
    DEGRADED = 5
    LOCKED = 6
    COOLING_OFF = 7
    UNKNOWN = 8
    """It was asked and the outcome is not known: look before asking again."""
    BAD_CONFIG = 78


class Access(StrEnum):
    """Who may run a command: each role may do what those before it may."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"


class Garbled(CallerMustAct, ValueError):
    """Bytes that are no frame of this protocol; `request_id` where it could still be read."""

    def __init__(self, why: str, request_id: str = "") -> None:
        super().__init__(why)
        self.request_id = request_id


class Refused(CallerMustAct):
    """The answer is no: the exit code, one line why, and what would help."""

    def __init__(self, code: Exit, why: str, hint: str = "") -> None:
        super().__init__(f"{why}. {hint}" if hint else why)
        self.code = code
        self.why = why
        self.hint = hint


class Request(Struct, frozen=True, gc=False, array_like=True):
    """One call. `id` is the caller's: asking again with the same id never acts twice."""

    version: int
    id: str
    command: str
    deadline_ms: int
    """The caller waits this long; measured from the moment the frame was read."""
    body: msgspec.Raw
    secret: str | None = None
    """The admin secret, where one is set and the command needs it."""


class Reply(Struct, frozen=True, gc=False, array_like=True):
    """The outcome of one call. `body` is the answer as the contract's JSON has it (msgpack null if none)."""

    version: int
    id: str
    exit: int
    error: str
    hint: str
    body: msgspec.Raw


# ---------------------------------------------------------------------- what a command is asked with


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A command that takes no arguments."""


class OfAccounts(Struct, frozen=True, forbid_unknown_fields=True):
    """Read for these accounts; none named means all that are guarded."""

    accounts: tuple[str, ...] = ()


class OfRules(Struct, frozen=True, forbid_unknown_fields=True):
    accounts: tuple[str, ...] = ()
    rule: str | None = None


class AskWhy(Struct, frozen=True, forbid_unknown_fields=True):
    """The chain of one breach, or of the last one."""

    account: str | None = None
    id: str | None = None


class AskHistory(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest `limit` lines, oldest first."""

    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    account: str | None = None
    limit: int = 200


class AskLogs(Struct, frozen=True, forbid_unknown_fields=True):
    file: Literal["riskd", "enforcement", "errors"] = "riskd"
    since: datetime | None = None
    level: str | None = None
    after: int | None = None
    """Byte offset to continue from; None: the last `limit` lines."""
    limit: int = 200


class AskReport(Struct, frozen=True, forbid_unknown_fields=True):
    period: Literal["day", "week", "month"]
    account: str | None = None


class AskExport(Struct, frozen=True, forbid_unknown_fields=True):
    """One page of an export; `next` of the answer is the `after` of the following one."""

    what: Literal["logs", "history", "trades", "audit"]
    since: datetime | None = None
    until: datetime | None = None
    after: str | None = None
    limit: int = 500
    mask: bool = False
    """Put `account-1`, `account-2` for the names of accounts."""


class AskActor(Struct, frozen=True, forbid_unknown_fields=True):
    id: str


class DoLock(Struct, frozen=True, forbid_unknown_fields=True):
    """Lock for `for_s` seconds, or until an instant, or (neither) until an admin lifts it."""

    account: str
    for_s: float | None = None
    until: datetime | None = None
    reason: str = ""


class DoFlatten(Struct, frozen=True, forbid_unknown_fields=True):
    account: str


class DoPanic(Struct, frozen=True, forbid_unknown_fields=True):
    reason: str = ""


class DoStop(Struct, frozen=True, forbid_unknown_fields=True):
    """End the guard. Refused while positions are open, unless `leave_open`."""

    leave_open: bool = False


class DoReload(Struct, frozen=True, forbid_unknown_fields=True):
    """Read the configuration again: these files, or those of the start."""

    files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()


class DoUnlock(Struct, frozen=True, forbid_unknown_fields=True):
    account: str
    rule: str | None = None


class DoReset(Struct, frozen=True, forbid_unknown_fields=True):
    account: str


class DoRuleMode(Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    mode: Literal["armed", "shadow", "off"]
    account: str | None = None


class DoRuleSet(Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    key: str
    value: str
    """As written in the configuration; read by the rule's own schema."""
    account: str | None = None


class AskConfig(Struct, frozen=True, forbid_unknown_fields=True):
    origin: bool = False


class DoCancelChange(Struct, frozen=True, forbid_unknown_fields=True):
    change: str


class DoTestAccount(Struct, frozen=True, forbid_unknown_fields=True):
    account: str | None = None
    trade: bool = False


class DoChaos(Struct, frozen=True, forbid_unknown_fields=True):
    """Break something on purpose: refused unless chaos is enabled and the gateway is loopback."""

    what: Literal["kill", "crash", "hang", "drop-link", "clock", "switch-interval"]
    id: str = ""
    for_s: float = 5.0
    """How long it hangs; seconds by which the machine's clock is moved (`clock`); the interpreter's switch
    interval."""


class DoRestore(Struct, frozen=True, forbid_unknown_fields=True):
    backup: str


# ---------------------------------------------------------------------- the one table of commands


class Command(Struct, frozen=True):
    access: Access
    request: type[Struct]
    acting: bool = False
    """It changes something: carried out once per request id, audited, and finished even if nobody waits."""


COMMANDS: dict[str, Command] = {
    "version": Command(Access.VIEWER, Nothing),
    "status": Command(Access.VIEWER, OfAccounts),
    "positions": Command(Access.VIEWER, OfAccounts),
    "orders": Command(Access.VIEWER, OfAccounts),
    "lockouts": Command(Access.VIEWER, OfAccounts),
    "rules": Command(Access.VIEWER, OfRules),
    "hours": Command(Access.VIEWER, OfAccounts),
    "why": Command(Access.VIEWER, AskWhy),
    "history": Command(Access.VIEWER, AskHistory),
    "logs": Command(Access.VIEWER, AskLogs),
    "report": Command(Access.VIEWER, AskReport),
    "config.show": Command(Access.VIEWER, AskConfig),
    "config.diff": Command(Access.VIEWER, Nothing),
    "account.list": Command(Access.VIEWER, Nothing),
    "actors.tree": Command(Access.VIEWER, Nothing),
    "actors.show": Command(Access.VIEWER, AskActor),
    "doctor": Command(Access.VIEWER, Nothing),
    "metrics": Command(Access.VIEWER, Nothing),
    "audit.verify": Command(Access.VIEWER, Nothing),
    "audit.show": Command(Access.VIEWER, AskHistory),
    "backup.list": Command(Access.VIEWER, Nothing),
    "lock": Command(Access.TRADER, DoLock, acting=True),
    "flatten": Command(Access.TRADER, DoFlatten, acting=True),
    "panic": Command(Access.TRADER, DoPanic, acting=True),
    "down": Command(Access.ADMIN, DoStop, acting=True),
    "service.uninstall": Command(Access.ADMIN, Nothing, acting=True),
    "restart": Command(Access.ADMIN, Nothing, acting=True),
    "reload": Command(Access.ADMIN, DoReload, acting=True),
    "unlock": Command(Access.ADMIN, DoUnlock, acting=True),
    "reset": Command(Access.ADMIN, DoReset, acting=True),
    "rules.mode": Command(Access.ADMIN, DoRuleMode, acting=True),
    "rules.set": Command(Access.ADMIN, DoRuleSet, acting=True),
    "config.cancel": Command(Access.ADMIN, DoCancelChange, acting=True),
    "account.test": Command(Access.ADMIN, DoTestAccount, acting=True),
    "actors.restart": Command(Access.ADMIN, AskActor, acting=True),
    "chaos": Command(Access.ADMIN, DoChaos, acting=True),
    "alerts.test": Command(Access.ADMIN, Nothing, acting=True),
    "backup.now": Command(Access.ADMIN, Nothing, acting=True),
    "backup.restore": Command(Access.ADMIN, DoRestore, acting=True),
    "export": Command(Access.ADMIN, AskExport),
}


# ---------------------------------------------------------------------- frames

_encoder = msgspec.msgpack.Encoder()
_request = msgspec.msgpack.Decoder(Request)
_reply = msgspec.msgpack.Decoder(Reply)
_anything = msgspec.msgpack.Decoder()
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, OverflowError, RecursionError)
"""What msgspec raises for bytes that somebody made up."""
NO_BODY = msgspec.Raw(_encoder.encode(None))


def frame(message: Request | Reply) -> bytes:
    """The message as it goes over the wire; ValueError where it is longer than a frame may be."""
    payload = _encoder.encode(message)
    if len(payload) > MOST_BYTES:
        raise ValueError(f"cannot send {len(payload)} bytes: a frame holds at most {MOST_BYTES}")
    return _LENGTH.pack(len(payload)) + payload


def length_of(head: bytes) -> int:
    """The payload's length from its four bytes; raises Garbled for one that no peer of ours sends."""
    (length,) = _LENGTH.unpack(head)
    if not 0 < length <= MOST_BYTES:
        raise Garbled(f"a frame of {length} bytes: 1 to {MOST_BYTES} are accepted")
    return int(length)


def read_request(payload: bytes) -> Request:
    """The request in a payload; raises Garbled for anything else."""
    try:
        request = _request.decode(payload)
    except UNREADABLE as error:
        raise _garbled(payload, error) from error
    if request.version != VERSION:
        raise _other_version(request.version, request.id)
    return request


def read_reply(payload: bytes) -> Reply:
    """The reply in a payload; raises Garbled for anything else."""
    try:
        reply = _reply.decode(payload)
    except UNREADABLE as error:
        raise _garbled(payload, error) from error
    if reply.version != VERSION:
        raise _other_version(reply.version, reply.id)
    return reply


def _garbled(payload: bytes, error: Exception) -> Garbled:
    try:
        parts = _anything.decode(payload)
    except UNREADABLE:
        return Garbled("not a message of riskd")
    if isinstance(parts, list) and parts and isinstance(parts[0], int) and parts[0] != VERSION:
        return _other_version(parts[0], parts[1] if len(parts) > 1 and isinstance(parts[1], str) else "")
    return Garbled(f"not a message of riskd: {error}")


def _other_version(version: int, request_id: str) -> Garbled:
    return Garbled(
        f"protocol version {version}: this is version {VERSION}, update the older side", request_id
    )


def body_of(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value))


def ask(request: Struct, command: str, request_id: str, deadline_s: float, secret: str | None) -> Request:
    """A request ready to be framed."""
    return Request(VERSION, request_id, command, round(deadline_s * 1000), body_of(request), secret)


def answer(request_id: str, body: object) -> Reply:
    return Reply(VERSION, request_id, int(Exit.GOOD), "", "", body_of(body))


def refusal(request_id: str, no: Refused) -> Reply:
    return Reply(VERSION, request_id, int(no.code), no.why, no.hint, NO_BODY)
