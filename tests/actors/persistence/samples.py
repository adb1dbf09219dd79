"""Rows as the actors send them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from actors.messages import (
    AccountId,
    BreachId,
    CallKind,
    CallRecord,
    Contract,
    ContractId,
    EndLockout,
    Fill,
    FillId,
    HistoryKind,
    LockKind,
    Lockout,
    OrderId,
    Outcome,
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
from actors.persistence.keys import history_id

NOW = datetime(2026, 3, 2, 15, 30, 0, 250_000, tzinfo=UTC)
DAY = date(2026, 3, 2)
A = AccountId(1001)
B = AccountId(1002)
NAME = "PRAC-V2-1001"
MNQ = ContractId("CON.F.US.MNQ.H26")
RULE = "daily_realized_loss"
BREACH = BreachId(f"{DAY}/{RULE}/-/fill:7/1")


def fill(
    number: int = 7,
    *,
    pnl: int | None = -5_000_000,
    fees: int = 7_400,
    voided: bool = False,
    account: AccountId = A,
) -> Fill:
    at = NOW + timedelta(seconds=number)
    return Fill(FillId(number), account, OrderId(70 + number), MNQ, at, -1, 21_000.25, pnl, fees, voided)


def store_fill(number: int = 7, own: OwnClose = OwnClose.NO, **given: object) -> StoreFill:
    return StoreFill(fill(number, **given), DAY, own)  # type: ignore[arg-type]


def lockout(rule: str = RULE, account: AccountId = A, reason: str = "day -512.50") -> Lockout:
    until = NOW + timedelta(hours=8)
    return Lockout(account, rule, LockKind.UNTIL_RESET, NOW, until, reason, True, BREACH, {MNQ: 2})


def end(rule: str = RULE, account: AccountId = A) -> EndLockout:
    return EndLockout(account, rule, NOW + timedelta(hours=8), "reset")


def receipt(number: int = 1, verified: bool = True) -> Receipt:
    call = CallRecord(NOW, CallKind.CLOSE, MNQ, 1, Outcome.CONFIRMED, 0, "", 41.5)
    at = NOW + timedelta(seconds=1) if verified else None
    return Receipt(f"{DAY}/{number}", A, (RULE,), (BREACH,), "flat", NOW, (call,), 1, verified, at)


def line(kind: HistoryKind, key: str, at: datetime = NOW, name: str = NAME, **body: object) -> Record:
    return Record(history_id(kind, name, key), kind, at, name, body)


def alert_line(number: int) -> Record:
    return line(HistoryKind.ALERT, str(number), NOW + timedelta(seconds=number), level="info", message="x")


def admin_line(number: int, outcome: str = "done") -> Record:
    at = NOW + timedelta(seconds=number)
    return line(
        HistoryKind.ADMIN, str(number), at, command="unlock", role="admin", by="1000", outcome=outcome
    )


def reset_line(day: date = DAY, cause: str = "scheduled") -> Record:
    return line(HistoryKind.RESET, day.isoformat(), day=day.isoformat(), cause=cause)


def contract() -> StoreContract:
    return StoreContract(Contract(MNQ, "MNQ", "MNQH6", Decimal("0.25"), 5_000, 0.25), NOW)


def chain_of_a_breach() -> list[StoreCommand]:
    """Everything a daily loss writes."""
    return [
        store_fill(7),
        line(HistoryKind.FILL, "7", trade=7, contract=MNQ, pnl="-500.00"),
        line(
            HistoryKind.BREACH,
            BREACH,
            rule=RULE,
            value="-512.50",
            limit="-500.00",
            inputs={"realized": "-512.50"},
        ),
        line(HistoryKind.DEMAND, BREACH, rule=RULE, breach=BREACH, target="account flat"),
        StoreLockout(lockout()),
        line(HistoryKind.LOCKOUT, BREACH, rule=RULE, breach=BREACH, reason="day -512.50"),
        StoreReceipt(receipt(), NAME),
        StoreDay(A, NAME, DAY, -5_125_000, 4),
    ]


def one_of_each() -> list[StoreCommand]:
    return [
        *chain_of_a_breach(),
        end("cooldown_after_loss"),
        StoreRuleState(A, RULE, 12, b"\x81\x00\xff"),
        contract(),
        StoreMeta("first_guarded/1001", b"2026-03-02T15:00:00.000000Z"),
        admin_line(1),
        reset_line(),
    ]
