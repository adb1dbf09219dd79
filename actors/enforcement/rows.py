"""What a step did, as lines of history, rows to keep, and alerts. Built after the calls went out."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from actors.messages import (
    AccountId,
    Alert,
    Breach,
    BreachId,
    EndLockout,
    HistoryKind,
    Lockout,
    Mode,
    Notice,
    Record,
    StoreCommand,
    StoreLockout,
    StoreReceipt,
    StoreRuleState,
)
from actors.persistence.keys import history_id

from .effects import (
    Answer,
    AskRead,
    BreachSeen,
    DemandRaised,
    Effect,
    LockoutOver,
    LockoutSet,
    Notify,
    ReceiptChanged,
    StateSaid,
    TellAccount,
)
from .receipts import closed, contract_of, target_text


def rows(effect: Effect, account: AccountId, name: str) -> tuple[StoreCommand, ...]:
    """What the store is told of an effect."""
    match effect:
        case BreachSeen(breach=breach, mode=mode):
            return (_breach(breach, mode, name),)
        case DemandRaised():
            return _demand(effect, name)
        case LockoutSet(lockout=lockout, at=at):
            # Its line is stored once under its id; told again it fills in for one that died with an actor.
            return (StoreLockout(lockout), _lockout(lockout, at, name))
        case LockoutOver():
            return _unlock(effect, account, name)
        case ReceiptChanged():
            return (StoreReceipt(closed(effect, account), name),)
        case StateSaid(rule=rule, seq=seq, body=body):
            return (StoreRuleState(account, rule, seq, body),)
        case Notify() | TellAccount() | AskRead() | Answer():
            return ()
        case _:
            assert_never(effect)


def alerts(effect: Effect, name: str) -> tuple[Alert, ...]:
    """What people are told of an effect."""
    match effect:
        case Notify(notice=notice, at=at):
            return (Alert(at, name, notice),)
        case LockoutSet(new=False, again=False):
            return ()
        case LockoutSet(lockout=lockout, at=at, again=again):
            key = f"lockout/{lockout.rule}/{_iso(lockout.since)}/{_iso(lockout.until)}"
            text = f"locked by {lockout.rule} {until_text(lockout)}: {lockout.reason}"
            return (Alert(at, name, Notice("warning", "lockout", text, key), again),)
        case LockoutOver(over=over):
            key = f"unlock/{over.rule}/{_iso(over.since)}"
            text = f"the lockout of {over.rule} is over ({over.reason})"
            return (Alert(over.at, name, Notice("info", "lockout", text, key)),)
        case _:
            return ()


def until_text(lockout: Lockout) -> str:
    return "until further notice" if lockout.until is None else f"until {_iso(lockout.until)}"


def _breach(breach: Breach, mode: Mode, name: str) -> Record:
    body: dict[str, object] = {
        "rule": breach.rule,
        "contract": breach.contract,
        "value": breach.value,
        "limit": breach.limit,
        "mark": breach.mark,
        "mode": mode.value,
        "cause": breach.cause,
        "text": breach.text,
        "inputs": breach.inputs,
    }
    return Record(history_id(HistoryKind.BREACH, name, breach.id), HistoryKind.BREACH, breach.at, name, body)


def _demand(raised: DemandRaised, name: str) -> tuple[Record, ...]:
    """One line per breach that it answers, so that each leads to it."""
    target = target_text(raised.demand)
    causes: list[BreachId | None] = [breach.id for breach in raised.breaches]
    return tuple(
        Record(
            history_id(HistoryKind.DEMAND, name, _demand_key(raised, target, cause)),
            HistoryKind.DEMAND,
            raised.at,
            name,
            {
                "rule": raised.rule,
                "contract": contract_of(raised.demand),
                "target": target,
                "mode": raised.mode.value,
                "breach": cause,
                "receipt": raised.receipt,
            },
        )
        for cause in causes or [None]
    )


def _demand_key(raised: DemandRaised, target: str, cause: str | None) -> str:
    contract = contract_of(raised.demand) or "account"
    return f"{raised.receipt or 'shadow'}/{raised.rule}/{contract}/{target}/{cause or _iso(raised.at)}"


def _lockout(lockout: Lockout, at: datetime, name: str) -> Record:
    key = f"{lockout.rule}/{_iso(lockout.since)}/{_iso(lockout.until)}/{lockout.flatten}"
    return Record(
        history_id(HistoryKind.LOCKOUT, name, key), HistoryKind.LOCKOUT, at, name, _lockout_body(lockout)
    )


def _lockout_body(lockout: Lockout) -> dict[str, object]:
    return {
        "rule": lockout.rule,
        "lockout_kind": lockout.kind.value,
        "since": _iso(lockout.since),
        "until": None if lockout.until is None else _iso(lockout.until),
        "reason": lockout.reason,
        "flatten": lockout.flatten,
        "breach": lockout.breach,
    }


def _unlock(ended: LockoutOver, account: AccountId, name: str) -> tuple[StoreCommand, ...]:
    over = ended.over
    body = _lockout_body(ended.lockout) | {"reason": over.reason}
    key = f"{over.rule}/{_iso(over.since)}/{_iso(over.at)}"
    return (
        EndLockout(account, over.rule, over.at, over.reason),
        Record(history_id(HistoryKind.UNLOCK, name, key), HistoryKind.UNLOCK, over.at, name, body),
    )


def _iso(at: datetime | None) -> str:
    return "" if at is None else at.isoformat().replace("+00:00", "Z")
