"""Rows back into messages: what a starting account, enforcement actor or rule needs to go on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

import msgspec
from sqlite_utils import Database

from actors.messages import (
    AccountId,
    Alert,
    BreachId,
    Contract,
    ContractId,
    Fill,
    FillId,
    HistoryKind,
    LockKind,
    Lockout,
    Notice,
    OrderId,
    OwnClose,
    Receipt,
)

from . import keys
from .keys import history_id
from .queries import Recovered, StoredAlert, StoredContract, StoredFill, StoredState
from .schema import instant, instant_text

_LOCKOUT = "account, rule, kind, since, until, reason, flatten, breach, frozen_sizes"
_FILL = "account, id, order_id, contract, at, size, price, pnl, fees, voided, day, own"


def recovered(db: Database, account: AccountId, fills_since: datetime) -> Recovered:
    states = rule_states(db, account)
    return Recovered(
        account=account,
        lockouts=tuple(live_lockouts(db, account)),
        rule_states=states,
        fills=tuple(fills(db, account, fills_since)),
        open_receipts=tuple(open_receipts(db, account)),
        last_reset=_instant(meta(db, keys.last_reset(account))),
        first_guarded=_instant(meta(db, keys.first_guarded(account))),
        baseline=_instant(meta(db, keys.baseline(account))),
        last_seq=max((state.seq for state in states.values()), default=0),
    )


def live_lockouts(db: Database, account: AccountId | None = None) -> Iterator[Lockout]:
    """Those not ended, of one account or of all; expiry is not judged here."""
    found = db.execute(
        f"""SELECT {_LOCKOUT} FROM lockouts
            WHERE ended_at IS NULL AND (?1 IS NULL OR account = ?1) ORDER BY since""",
        (account,),
    )
    for owner, rule, kind, since, until, reason, flatten, breach, frozen in found:
        yield Lockout(
            AccountId(owner),
            rule,
            LockKind(kind),
            instant(since),
            None if until is None else instant(until),
            reason,
            bool(flatten),
            None if breach is None else BreachId(breach),
            None if frozen is None else msgspec.json.decode(frozen, type=dict[str, int]),
        )


def rule_states(db: Database, account: AccountId) -> dict[str, StoredState]:
    found = db.execute("SELECT rule, seq, body FROM rule_states WHERE account = ?", (account,))
    return {rule: StoredState(seq, body) for rule, seq, body in found}


def fills(db: Database, account: AccountId, since: datetime) -> Iterator[StoredFill]:
    """From `since` on (inclusive), oldest first; voided ones are among them."""
    found = db.execute(
        f"SELECT {_FILL} FROM fills WHERE account = ? AND at >= ? ORDER BY at, id",
        (account, instant_text(since)),
    )
    for owner, id_, order, contract, at, size, price, pnl, fees, voided, day, own in found:
        fill = Fill(
            FillId(id_),
            AccountId(owner),
            OrderId(order),
            ContractId(contract),
            instant(at),
            size,
            float(price),
            pnl,
            fees,
            bool(voided),
        )
        yield StoredFill(fill, date.fromisoformat(day), OwnClose(own))


def open_receipts(db: Database, account: AccountId) -> Iterator[Receipt]:
    found = db.execute(
        "SELECT body FROM receipts WHERE account = ? AND verified = 0 ORDER BY opened_at", (account,)
    )
    return (msgspec.json.decode(body, type=Receipt) for (body,) in found)


def contracts(db: Database) -> Iterator[StoredContract]:
    found = db.execute("SELECT id, root, name, tick_size, tick_value, read_at FROM contracts ORDER BY id")
    for id_, root, name, tick_size, tick_value, read_at in found:
        exact = Decimal(tick_size)
        contract = Contract(ContractId(id_), root, name, exact, tick_value, float(exact))
        yield StoredContract(contract, instant(read_at))


def alerts(db: Database, limit: int) -> Iterator[StoredAlert]:
    """The newest `limit`, oldest first."""
    found = db.execute(
        "SELECT id, at, account, body FROM history WHERE kind = 'alert' ORDER BY at DESC, seq DESC LIMIT ?",
        (limit,),
    ).fetchall()
    for line, at, account, body in reversed(found):
        told = msgspec.json.decode(body)
        # The line is called by kind, account, key and instant; only the key may hold anything.
        key = line[len(history_id(HistoryKind.ALERT, account, "")) : -len(f"/{at}")]
        notice = Notice(told["level"], told["component"], told["message"], key, told["data"])
        yield StoredAlert(line, Alert(instant(at), account, notice), told["outcome"])


def meta(db: Database, key: str) -> bytes | None:
    row = db.execute("SELECT body FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else bytes(row[0])


def _instant(body: bytes | None) -> datetime | None:
    return None if body is None else instant(body.decode())
