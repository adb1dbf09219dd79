"""What history, store and people are told: the shapes of the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from actors.enforcement.effects import (
    BreachSeen,
    DemandRaised,
    Effect,
    LockoutOver,
    LockoutSet,
    Notify,
    ReceiptChanged,
    StateSaid,
)
from actors.enforcement.lockouts import Over
from actors.enforcement.receipts import closed, target_text
from actors.enforcement.rows import alerts, rows
from actors.messages import (
    AccountFlat,
    AccountId,
    AtMost,
    Breach,
    BreachId,
    ContractId,
    Demand,
    EndLockout,
    Flat,
    HistoryKind,
    LockKind,
    Lockout,
    Mode,
    Notice,
    OrderAtMost,
    OrderGone,
    OrderId,
    Record,
    StopAt,
    StoreLockout,
    StoreReceipt,
    StoreRuleState,
    TargetAt,
)
from tests.actors.enforcement.floor import MNQ, Floor

ACCOUNT, NAME = AccountId(1001), "PRAC-V2-1001"
AT = datetime(2025, 11, 19, 16, 0, tzinfo=UTC)
BREACH = Breach(
    BreachId("2025-11-19/daily_realized_loss/*/fill:7/1"),
    "daily_realized_loss",
    None,
    "-550.00",
    "-500.00",
    "20990.25",
    "fill:7",
    AT,
    "the day stands at -550.00",
    {"realized": "-550.00"},
)
LOCKOUT = Lockout(
    ACCOUNT,
    "daily_realized_loss",
    LockKind.UNTIL_RESET,
    AT,
    AT + timedelta(hours=7),
    "the day stands at -550.00",
    True,
    BREACH.id,
)


def told(effect: Effect) -> tuple[object, ...]:
    return rows(effect, ACCOUNT, NAME)


def test_breach_line_names_figures_and_inputs() -> None:
    (record,) = told(BreachSeen(BREACH, Mode.ARMED))

    assert isinstance(record, Record)
    assert record.id == f"breach/{NAME}/{BREACH.id}"
    assert record.at == AT
    assert {
        key: record.body[key] for key in ("rule", "contract", "value", "limit", "mark", "mode", "cause")
    } == {
        "rule": "daily_realized_loss",
        "contract": None,
        "value": "-550.00",
        "limit": "-500.00",
        "mark": "20990.25",
        "mode": "armed",
        "cause": "fill:7",
    }
    assert record.body["inputs"] == {"realized": "-550.00"}


def test_demand_line_leads_to_each_breach_it_answers() -> None:
    other = msgspec.structs.replace(BREACH, id=BreachId("b2"))
    raised = DemandRaised("max_contracts", AtMost(MNQ, 2), AT, Mode.ARMED, (BREACH, other), "1001-5")

    lines = told(raised)

    assert [line.body["breach"] for line in lines if isinstance(line, Record)] == [BREACH.id, "b2"]
    assert len({line.id for line in lines if isinstance(line, Record)}) == 2
    assert isinstance(lines[0], Record)
    assert (lines[0].body["rule"], lines[0].body["contract"], lines[0].body["target"]) == (
        "max_contracts",
        MNQ,
        "at most 2",
    )


def test_demand_without_a_breach_is_one_line() -> None:
    (line,) = told(DemandRaised("manual", AccountFlat(), AT, Mode.ARMED, (), "1001-5"))

    assert isinstance(line, Record)
    assert (line.body["breach"], line.body["contract"], line.body["target"]) == (None, None, "account flat")


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        (AccountFlat(), "account flat"),
        (Flat(MNQ), "flat"),
        (AtMost(MNQ, 2), "at most 2"),
        (OrderGone(OrderId(7), MNQ), "order 7 cancelled"),
        (OrderAtMost(OrderId(7), MNQ, 2), "order 7 at most 2"),
        (StopAt(MNQ, 84000, 2), "stop at 84000 ticks or better for 2"),
        (TargetAt(MNQ, 84400, 2), "target at 84400 ticks for 2"),
    ],
)
def test_every_demand_can_be_told(demand: Demand, text: str) -> None:
    assert target_text(demand) == text


def test_new_lockout_is_kept_told_and_alerted() -> None:
    keep, line = told(LockoutSet(LOCKOUT, AT, True))
    (alert,) = alerts(LockoutSet(LOCKOUT, AT, True), NAME)

    assert keep == StoreLockout(LOCKOUT)
    assert isinstance(line, Record)
    assert line.kind is HistoryKind.LOCKOUT
    assert line.body == {
        "rule": "daily_realized_loss",
        "lockout_kind": "until_reset",
        "since": "2025-11-19T16:00:00Z",
        "until": "2025-11-19T23:00:00Z",
        "reason": "the day stands at -550.00",
        "flatten": True,
        "breach": BREACH.id,
    }
    assert alert.notice.key.startswith("lockout/")


def test_lockout_whose_sizes_follow_has_the_same_line_and_gives_no_alert() -> None:
    assert told(LockoutSet(LOCKOUT, AT, False)) == told(LockoutSet(LOCKOUT, AT, True))
    assert alerts(LockoutSet(LOCKOUT, AT, False), NAME) == ()


def test_lockout_told_after_a_restart_gives_the_alert_of_its_first_time_marked_so() -> None:
    (first,) = alerts(LockoutSet(LOCKOUT, AT, True), NAME)
    (again,) = alerts(LockoutSet(LOCKOUT, AT + timedelta(hours=1), False, again=True), NAME)

    assert (again.notice, again.again, first.again) == (first.notice, True, False)


def test_end_of_a_lockout_says_why() -> None:
    over = LockoutOver(Over(LOCKOUT.rule, AT, AT + timedelta(hours=7), "reset"), LOCKOUT)

    end, line = told(over)

    assert end == EndLockout(ACCOUNT, LOCKOUT.rule, AT + timedelta(hours=7), "reset")
    assert isinstance(line, Record)
    assert line.kind is HistoryKind.UNLOCK
    assert line.body["reason"] == "reset"
    assert alerts(over, NAME)[0].notice.key.startswith("unlock/")


def test_rule_state_rides_along() -> None:
    assert told(StateSaid("max_contracts", 7, b"x")) == (StoreRuleState(ACCOUNT, "max_contracts", 7, b"x"),)


def test_notice_goes_to_people_only() -> None:
    effect = Notify(Notice("critical", "enforcement", "cannot close", "enforcement/failing/1"), AT)

    assert told(effect) == ()
    assert alerts(effect, NAME)[0].notice.level == "critical"


def test_receipt_has_the_shape_of_the_contract() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()
    floor.lose()
    floor.wait(0.1)
    floor.settle()

    change = floor.seen(ReceiptChanged)[-1]
    (row,) = told(change)
    assert isinstance(row, StoreReceipt)
    body = json.loads(msgspec.json.encode(row.receipt))

    assert body["rules"] == ["daily_realized_loss"]
    assert body["demand"] == "account flat"
    assert body["verified"] is True
    assert body["verified_at"].endswith("Z")
    assert body["rounds"] == 2
    assert [(call["call"], call["contract"], call["size"], call["outcome"]) for call in body["calls"]] == [
        ("close", MNQ, 2, "unknown"),
        ("close", MNQ, 2, "confirmed"),
    ]
    assert set(body["calls"][0]) >= {"at", "call", "contract", "size", "outcome", "code", "text", "took_ms"}
    assert body["breach_to_call_ms"] is not None
    assert body["breach_to_verified_ms"] > body["breach_to_call_ms"]


def test_receipt_that_is_not_verified_says_so_with_code_and_text() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()
    floor.refuse(5, text="market closed")

    receipt = closed(floor.seen(ReceiptChanged)[-1], ACCOUNT)

    assert not receipt.verified
    assert receipt.verified_at is None
    assert receipt.calls[0].code == 5
    assert receipt.last_error == f"close {ContractId(MNQ)}: refused, code 5: market closed"
