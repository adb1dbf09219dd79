"""What `status` and its relatives answer: the contract's JSON, one Struct per object.

Money and prices are text with a sign where negative, instants aware UTC datetimes (JSON: ISO 8601 with
`Z`). The daemon fills them in, the command line prints them: nothing but msgspec may be imported here.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

SCHEMA = 1


class Reason(Struct, frozen=True):
    """Why the guard is not simply guarding."""

    code: str
    text: str
    since: datetime | None = None


class Note(Struct, frozen=True):
    """Worth knowing, but no less guarded for it."""

    code: str
    text: str


class Pending(Struct, frozen=True):
    """A loosening change that waits for its time."""

    id: str
    change: str
    effective_at: datetime


class DaemonFacts(Struct, frozen=True):
    pid: int
    started_at: datetime
    version: str
    restarts: int
    memory_mb: float
    cpu_percent: float


class WatchdogFacts(Struct, frozen=True):
    pid: int


class LinkFacts(Struct, frozen=True):
    state: str
    """live | blind | down"""
    since: datetime
    generation: int
    last_event_age_s: float | None


class RuleCounts(Struct, frozen=True):
    configured: int
    armed: int
    shadow: int
    off: int


class Percentiles(Struct, frozen=True):
    p50: float | None = None
    p99: float | None = None


class Latency(Struct, frozen=True):
    event_age_ms: Percentiles = Percentiles()
    breach_to_call_ms: Percentiles = Percentiles()


class Position(Struct, frozen=True):
    contract: str
    root: str
    size: int
    average_price: str | None
    mark: str | None
    unrealized: str | None
    notional: str | None
    protected: bool


class WorkingOrder(Struct, frozen=True):
    id: int
    contract: str
    type: str
    side: str
    """buy | sell"""
    size: int
    """As ordered, signed: a sell is negative."""
    stop_price: str | None
    limit_price: str | None
    status: str


class LockoutFacts(Struct, frozen=True):
    rule: str
    kind: str
    since: datetime
    until: datetime | None
    reason: str


class RuleStanding(Struct, frozen=True):
    """Where a rule stands and where it acts. Null where it has no figure."""

    rule: str
    mode: str
    state: str
    """ok | near | breached | locked | failed"""
    value: str | None
    limit: str | None
    used: float | None
    """Share of the limit."""
    headroom: str | None
    acts_at: str | None
    uncovered_ms: float


class Decision(Struct, frozen=True):
    at: datetime
    id: str
    rule: str
    text: str


class Account(Struct, frozen=True):
    id: int
    name: str
    state: str
    """halted | locked | reducing | active"""
    can_trade: bool | None
    realized: str
    unrealized: str
    net: str
    trades: int
    positions: tuple[Position, ...]
    orders: tuple[WorkingOrder, ...]
    lockouts: tuple[LockoutFacts, ...]
    rules: tuple[RuleStanding, ...]
    attempts: int
    last_decision: Decision | None


class Status(Struct, frozen=True):
    schema: int
    at: datetime
    state: str
    """down | safe_mode | blind | degraded | locked | guarding"""
    reasons: tuple[Reason, ...]
    notes: tuple[Note, ...]
    pending: tuple[Pending, ...]
    test_clock: str | None
    dead_letters: int
    daemon: DaemonFacts
    watchdog: WatchdogFacts | None
    link: LinkFacts
    rules: RuleCounts
    latency: Latency
    accounts: tuple[Account, ...]
