"""What may be asked of the store, and its answers. Asked by the control plane and by tree assembly, never
by the path.

`Store` answers them directly before the persistence actor runs; from then on they are asks of that actor.
"""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct

from actors.messages import (
    AccountId,
    Alert,
    Contract,
    Fill,
    FillId,
    HistoryKind,
    Lockout,
    OwnClose,
    Receipt,
)

# ---------------------------------------------------------------------------------------- recovery


class RecoverAccount(Struct, frozen=True, gc=False, tag=True):
    """Ask: everything an account needs to go on, with fills from `fills_since` on; gives `Recovered`."""

    account: AccountId
    fills_since: datetime


class StoredFill(Struct, frozen=True, gc=False):
    fill: Fill
    day: date
    own: OwnClose


class StoredState(Struct, frozen=True, gc=False):
    seq: int
    body: bytes


class Recovered(Struct, frozen=True):
    """One account as the store knows it."""

    account: AccountId
    lockouts: tuple[Lockout, ...]
    """In force, whatever the clock says: whether one has expired is enforcement's decision."""
    rule_states: dict[str, StoredState]
    fills: tuple[StoredFill, ...]
    open_receipts: tuple[Receipt, ...]
    """Asked for, not yet verified."""
    last_reset: datetime | None
    """The instant of the last reset that was carried out."""
    first_guarded: datetime | None
    baseline: datetime | None
    last_seq: int
    """The highest number any rule state was stored with: the account must number on from here."""

    def owners(self) -> dict[FillId, OwnClose]:
        return {stored.fill.id: stored.own for stored in self.fills}


class ReadMeta(Struct, frozen=True, gc=False, tag=True):
    """Ask: the value kept under a name (bytes), or None."""

    key: str


class ContractsQuery(Struct, frozen=True, gc=False, tag=True):
    """Ask: every contract record kept, as a tuple of `StoredContract`."""


class StoredContract(Struct, frozen=True, gc=False):
    contract: Contract
    read_at: datetime


class Doubt(Struct, frozen=True):
    """Lockouts may be missing from the store: since when that is known, and why."""

    at: datetime
    why: str


class AskWitness(Struct, frozen=True, gc=False, tag=True):
    """Ask: does this store know what the witness saw, `store` and `head`? Gives True or False."""

    store: str
    head: str


class KeepWitness(Struct, frozen=True, gc=False, tag=True):
    """Note the head of the audit chain for this account, in this file, from now on."""

    path: str
    name: str


class StoredAlert(Struct, frozen=True, gc=False):
    """An alert as history has it, with its line: after a restart it is neither repeated nor lost."""

    line: str
    alert: Alert
    outcome: str


# ------------------------------------------------------------------------------------- for people


class HistoryQuery(Struct, frozen=True, gc=False, tag=True):
    """Ask: the newest `limit` lines of history, oldest first, as a tuple of objects ready for JSON."""

    kind: HistoryKind | None = None
    since: datetime | None = None
    until: datetime | None = None
    account: str | None = None
    limit: int = 200
    kinds: tuple[HistoryKind, ...] = ()
    """Several kinds at once, instead of `kind`."""


class WhyQuery(Struct, frozen=True, gc=False, tag=True):
    """Ask: the chain around one line of history (None: around the last breach), as a `Why` or None."""

    id: str | None = None
    account: str | None = None


class Why(Struct, frozen=True):
    """breach -> figures -> demand -> calls -> confirmed; each part is a line of history or absent."""

    account: str
    breach: dict[str, object]
    inputs: dict[str, object]
    demand: tuple[dict[str, object], ...]
    enforcement: dict[str, object] | None
    lockout: dict[str, object] | None


class ReportQuery(Struct, frozen=True, gc=False, tag=True):
    """Ask: the trading days from `first` to `last` inclusive, as a tuple of `DayReport`."""

    first: date
    last: date
    account: str | None = None


class DayReport(Struct, frozen=True):
    """One account and trading day. Money in 1/10000 dollar."""

    account: str
    day: date
    realized: int
    trades: int
    wins: int
    losses: int
    fees: int
    won: int = 0
    """Sum of what the winning closes gave, before fees."""
    lost: int = 0
    """Sum of what the losing closes gave, before fees (<= 0)."""


class AuditQuery(Struct, frozen=True, gc=False, tag=True):
    """Ask: the newest `limit` audit entries, oldest first, as a tuple of objects ready for JSON."""

    since: datetime | None = None
    limit: int = 200
    until: datetime | None = None


class VerifyAudit(Struct, frozen=True, gc=False, tag=True):
    """Ask: walk the audit chain; answered with `audit.Chain`."""


class BackupNow(Struct, frozen=True, gc=False, tag=True):
    """Ask: make a backup; answered with `BackedUp` when it is made and checked."""


class BackedUp(Struct, frozen=True):
    path: str | None
    error: str | None = None


class RestoreBackup(Struct, frozen=True, gc=False, tag=True):
    """Ask: put a backup in the place of the store; answered with `Restored`. Then restart the daemon."""

    name: str


class Restored(Struct, frozen=True):
    """`set_aside` is the name that the present file got."""

    ok: bool
    set_aside: str | None = None
    error: str | None = None


class ListBackups(Struct, frozen=True, gc=False, tag=True):
    """Ask: the backups, newest first, as a tuple of file names."""


class Flushed(Struct, frozen=True):
    """The answer to `Flush`: durable, or why not. A permissive action must not go on without `ok`."""

    ok: bool
    error: str | None = None


class StoreView(Struct, frozen=True):
    """The store as `status` shows it, under the board topic ("store",)."""

    ok: bool
    path: str
    late_s: float
    """Age of the oldest row that is not durable yet."""
    backlog: int
    """Commands waiting to become durable."""
    rows: int
    """Commands made durable since the start."""
    last_commit_ms: float
    error: str | None = None
    refused: int = 0
    """Commands that no table takes: a defect of ours, each one logged."""
    dropped: int = 0
    """Lines of history given up because the disk failed for too long."""
    last_backup: str | None = None
    witness_error: str | None = None
    """Why the witness outside the home is behind."""
    opened: str = "good"
    """How the file was found at start: new | good | migrated | rebuilt."""
