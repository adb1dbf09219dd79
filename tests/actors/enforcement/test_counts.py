"""Counts of enforcement: once under their id, zero at the reset, taken up again from the day's history."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec

from actors.enforcement.counts import Counts, DayCounts
from actors.enforcement.effects import BreachSeen, Effect, LockoutSet, ReceiptChanged
from actors.enforcement.memory import OpenReceipt
from actors.enforcement.rows import rows
from actors.messages import (
    AccountFlat,
    Breach,
    BreachId,
    CallKind,
    CallRecord,
    LockKind,
    Lockout,
    Mode,
    Outcome,
    Record,
    StoreReceipt,
)
from tests.builders import ACCOUNT, NAME, a_contract

TODAY, TOMORROW = date(2026, 3, 4), date(2026, 3, 5)
AT = datetime(2026, 3, 4, 16, tzinfo=UTC)
MNQ = a_contract("MNQ").id
RULE = "daily_realized_loss"


def breach(number: int, mode: Mode = Mode.ARMED) -> BreachSeen:
    id_ = BreachId(f"{TODAY}/{RULE}/account/fill:{number}/1")
    return BreachSeen(Breach(id_, RULE, None, "-510", "-500", None, f"fill:{number}", AT, "lost"), mode)


def call(kind: CallKind, outcome: Outcome) -> CallRecord:
    return CallRecord(AT, kind, MNQ, 1, outcome, 0, "", 20.0)


def receipt(*calls: CallRecord, verified_ms: float | None = None) -> ReceiptChanged:
    opened = OpenReceipt(
        "1001-1",
        "account",
        (RULE,),
        (),
        (AccountFlat(),),
        AT,
        1.0,
        1.0,
        calls,
        len(calls),
        first_call_mono=1.5,
    )
    return ReceiptChanged(opened, None if verified_ms is None else AT, verified_ms)


def lockout() -> LockoutSet:
    held = Lockout(ACCOUNT, RULE, LockKind.UNTIL_RESET, AT, None, "lost", True, None)
    return LockoutSet(held, AT, True)


CLOSED = call(CallKind.CLOSE, Outcome.CONFIRMED)
CANCELLED = call(CallKind.CANCEL, Outcome.CONFIRMED)
DAY: tuple[Effect, ...] = (
    breach(1),
    breach(1),
    breach(2, Mode.SHADOW),
    lockout(),
    lockout(),
    receipt(CLOSED),
    receipt(CLOSED, CANCELLED),
    receipt(CLOSED, CANCELLED, verified_ms=40.0),
)
COUNTED = DayCounts(
    {(RULE, "armed"): 1, (RULE, "shadow"): 1},
    {("close", "confirmed"): 1, ("cancel", "confirmed"): 1},
    {RULE: 1},
)


def fed(*effects: Effect, day: date = TODAY) -> Counts:
    counts = Counts()
    for effect in effects:
        counts.feed(effect, day)
    return counts


def test_what_is_said_again_counts_once() -> None:
    counts = fed(*DAY)

    assert counts.of(TODAY) == COUNTED
    assert counts.of(TODAY).cancelled == 1
    assert counts.total.counts() == {
        ("breach", RULE, "armed"): 1,
        ("breach", RULE, "shadow"): 1,
        ("lockout", RULE): 1,
        ("call", "close", "confirmed"): 1,
        ("call", "cancel", "confirmed"): 1,
    }
    assert counts.total.spans()["breach_to_call",].total_s == 0.5
    assert counts.total.spans()["breach_to_verified",].total_s == 0.04


def test_the_reset_sets_the_day_to_zero_and_leaves_the_total() -> None:
    counts = fed(*DAY)

    assert counts.of(TOMORROW) == DayCounts()
    counts.feed(breach(3), TOMORROW)
    assert counts.of(TOMORROW) == DayCounts({(RULE, "armed"): 1})
    assert counts.total.counts()["breach", RULE, "armed"] == 2


def test_a_receipt_open_over_the_reset_brings_only_its_new_calls() -> None:
    counts = fed(receipt(CLOSED))
    counts.feed(receipt(CLOSED, CANCELLED), TOMORROW)

    assert counts.of(TOMORROW).calls == {("cancel", "confirmed"): 1}


def test_a_new_daemon_takes_up_the_day_from_its_history() -> None:
    counts = Counts()
    counts.recall(TODAY, NAME, [line for effect in DAY for line in history(effect)])

    assert counts.of(TODAY) == COUNTED
    for effect in DAY:
        counts.feed(effect, TODAY)
    assert counts.of(TODAY) == COUNTED


def history(effect: Effect) -> list[dict[str, Any]]:
    """The lines that the store would give back of this effect."""
    lines: list[dict[str, Any]] = []
    for row in rows(effect, ACCOUNT, NAME):
        match row:
            case Record():
                lines.append({**row.body, "id": row.id, "kind": row.kind.value})
            case StoreReceipt(receipt=kept):
                lines.append({**msgspec.to_builtins(kept), "receipt": kept.id, "kind": "enforcement"})
            case _:
                continue
    return lines
