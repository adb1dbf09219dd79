"""What is told to the store as SQL: one command, its statements. Every statement may be repeated without
harm.

Encoding happens when the command arrives, before any transaction, so that a row that cannot be stored is
known by itself and takes no other row with it.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import NamedTuple, assert_never

import msgspec

from actors.messages import (
    Contract,
    EndLockout,
    Fill,
    HistoryKind,
    Lockout,
    OwnClose,
    Receipt,
    Record,
    StoreCommand,
    StoreContract,
    StoreDay,
    StoreFill,
    StoreLockout,
    StoreMeta,
    StoreReceipt,
    StoreRuleState,
)

from .keys import history_id
from .schema import instant_text

type Value = int | str | bytes | None


class Statement(NamedTuple):
    sql: str
    values: tuple[Value, ...]


class Audited(NamedTuple):
    """An entry for the audit chain; its link is computed when it is written."""

    id: str
    entry: str


type Row = Statement | Audited

HISTORY = """INSERT INTO history (id, at, kind, account, body) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body"""

# The stream knows fees and commissions, a row read by REST may lack the commissions: the fuller sum
# stays. A fill once voided stays voided, and a later report without P&L or owner does not take away what
# was known.
FILL = """INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (account, id) DO UPDATE SET
        pnl = coalesce(excluded.pnl, pnl),
        fees = CASE WHEN abs(excluded.fees) > abs(fees) THEN excluded.fees ELSE fees END,
        voided = max(voided, excluded.voided),
        day = excluded.day,
        own = CASE excluded.own WHEN 'no' THEN own ELSE excluded.own END"""

LOCKOUT = "INSERT OR REPLACE INTO lockouts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"
LOCKOUT_END = """UPDATE lockouts SET ended_at = ?, ended_by = ?
    WHERE account = ? AND rule = ? AND ended_at IS NULL"""

# `>=`: a row told again is the same row; an older one comes from an incarnation that was given up.
RULE_STATE = """INSERT INTO rule_states VALUES (?, ?, ?, ?)
    ON CONFLICT (account, rule) DO UPDATE SET seq = excluded.seq, body = excluded.body
    WHERE excluded.seq >= seq"""

DAY = "INSERT OR REPLACE INTO days (account, day, name, realized, trades) VALUES (?, ?, ?, ?, ?)"
CONTRACT = "INSERT OR REPLACE INTO contracts VALUES (?, ?, ?, ?, ?, ?)"
RECEIPT = "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)"
META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
RESET = "INSERT OR IGNORE INTO resets VALUES (?, ?, ?, ?)"


def rows(command: StoreCommand) -> tuple[Row, ...]:
    """The statements that keep `command`; TypeError where its body holds what JSON cannot."""
    match command:
        case Record():
            return _record(command)
        case StoreFill(fill=fill, day=day, own=own):
            return (Statement(FILL, _fill(fill, day.isoformat(), own)),)
        case StoreLockout(lockout=lockout):
            return (Statement(LOCKOUT, _lockout(lockout)),)
        case EndLockout(account=account, rule=rule, at=at, reason=reason):
            return (Statement(LOCKOUT_END, (instant_text(at), reason, account, rule)),)
        case StoreRuleState(account=account, rule=rule, seq=seq, body=body):
            return (Statement(RULE_STATE, (account, rule, seq, body)),)
        case StoreDay(account=account, name=name, day=day, realized=realized, trades=trades):
            return (Statement(DAY, (account, day.isoformat(), name, realized, trades)),)
        case StoreContract(contract=contract, read_at=read_at):
            return (Statement(CONTRACT, _contract(contract, read_at)),)
        case StoreReceipt(receipt=receipt, name=name):
            return _receipt(receipt, name)
        case StoreMeta(key=key, body=body):
            return (Statement(META, (key, body)),)
        case _:
            assert_never(command)


def json_text(value: object) -> str:
    """Canonical JSON: sorted keys, so that equal things have equal bytes."""
    return msgspec.json.encode(value, enc_hook=_exact, order="deterministic").decode()


def _exact(value: object) -> object:
    if isinstance(value, Fraction):
        return str(value)
    raise TypeError(f"cannot store a {type(value).__name__} as JSON")


def _record(record: Record) -> tuple[Row, ...]:
    body, at = json_text(record.body), instant_text(record.at)
    line = Statement(HISTORY, (record.id, at, record.kind.value, record.account, body))
    if record.kind is HistoryKind.ADMIN:
        entry = {"id": record.id, "at": at, "account": record.account, **record.body}
        return (line, Audited(record.id, json_text(entry)))
    if record.kind in (HistoryKind.LOCKOUT, HistoryKind.UNLOCK):
        return (line, Audited(record.id, json_text(_of_lockout(record))))
    if record.kind is HistoryKind.RESET and record.body.get("cause") != "admin":
        day, cause = str(record.body["day"]), str(record.body["cause"])
        return (line, Statement(RESET, (record.account, day, at, cause)))
    return (line,)


def _of_lockout(record: Record) -> dict[str, object]:
    """The same however often it is told: a lockout's instant is that of its cause, not of the telling."""
    at = record.body.get("since") if record.kind is HistoryKind.LOCKOUT else instant_text(record.at)
    return {"id": record.id, "kind": record.kind.value, "account": record.account, **record.body, "at": at}


def _fill(fill: Fill, day: str, own: OwnClose) -> tuple[Value, ...]:
    return (
        fill.account,
        fill.id,
        fill.order,
        fill.contract,
        instant_text(fill.at),
        fill.size,
        repr(fill.price),
        fill.pnl,
        fill.fees,
        int(fill.voided),
        day,
        own.value,
    )


def _lockout(lockout: Lockout) -> tuple[Value, ...]:
    return (
        lockout.account,
        lockout.rule,
        lockout.kind.value,
        instant_text(lockout.since),
        None if lockout.until is None else instant_text(lockout.until),
        lockout.reason,
        int(lockout.flatten),
        lockout.breach,
        None if lockout.frozen_sizes is None else json_text(lockout.frozen_sizes),
    )


def _contract(contract: Contract, read_at: datetime) -> tuple[Value, ...]:
    return (
        contract.id,
        contract.root,
        contract.name,
        str(contract.tick_size),
        contract.tick_value,
        instant_text(read_at),
    )


def _receipt(receipt: Receipt, name: str) -> tuple[Row, ...]:
    """A receipt is kept for the enforcement actor and, as a line of history, for people."""
    opened = instant_text(receipt.opened_at)
    whole: dict[str, object] = msgspec.to_builtins(receipt)
    body = {key: value for key, value in whole.items() if key not in ("id", "account", "opened_at")}
    body["receipt"] = receipt.id
    line = history_id(HistoryKind.ENFORCEMENT, name, receipt.id)
    kept = (receipt.account, receipt.id, opened, int(receipt.verified), json_text(receipt))
    return (
        Statement(RECEIPT, kept),
        Statement(HISTORY, (line, opened, HistoryKind.ENFORCEMENT.value, name, json_text(body))),
    )
