"""History: found by kind, time and account; every decision explained from what was stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.messages import HistoryKind, StoreDay, StoreReceipt
from actors.persistence.keys import history_id
from actors.persistence.queries import DayReport, HistoryQuery, ReportQuery, WhyQuery
from actors.persistence.store import Store
from tests.actors.persistence.samples import (
    BREACH,
    DAY,
    NAME,
    NOW,
    RULE,
    A,
    B,
    alert_line,
    chain_of_a_breach,
    line,
    receipt,
    store_fill,
)

OTHER = "PRAC-V2-1002"


def keys(store: Store, **query: object) -> list[str]:
    found = store.history(HistoryQuery(**query))  # type: ignore[arg-type]
    return [str(each["id"]).rsplit("/", 1)[1] for each in found]


def test_lines_come_oldest_first_and_the_newest_when_limited(store: Store) -> None:
    store.apply([alert_line(number) for number in (3, 1, 2)])

    assert keys(store) == ["1", "2", "3"]
    assert keys(store, limit=2) == ["2", "3"]


def test_lines_are_found_by_kind_time_and_account(store: Store) -> None:
    later = NOW + timedelta(seconds=2)
    store.apply(
        [
            *(alert_line(number) for number in range(5)),
            line(HistoryKind.LINK, "down", later, name="", state="down"),
            line(HistoryKind.ALERT, "other", later, name=OTHER),
        ]
    )

    assert keys(store, since=later) == ["2", "down", "other", "3", "4"]
    assert keys(store, until=later) == ["0", "1"]
    assert keys(store, kind=HistoryKind.LINK) == ["down"]
    assert keys(store, kinds=(HistoryKind.LINK, HistoryKind.FILL)) == ["down"]
    assert keys(store, kind=HistoryKind.ALERT, account=OTHER) == ["other"]
    assert keys(store, kind=HistoryKind.ALERT, account=NAME, since=later, limit=1) == ["4"]


def test_a_line_shows_its_common_fields_and_its_own(store: Store) -> None:
    store.apply([alert_line(0)])

    assert store.history(HistoryQuery()) == (
        {
            "id": f"alert/{NAME}/0",
            "at": "2026-03-02T15:30:00.250000Z",
            "kind": "alert",
            "account": NAME,
            "level": "info",
            "message": "x",
        },
    )


def test_a_receipt_is_a_line_of_its_own_that_follows_the_receipt(store: Store) -> None:
    store.apply([StoreReceipt(receipt(verified=False), NAME)])
    store.apply([StoreReceipt(receipt(), NAME)])

    (found,) = store.history(HistoryQuery(kind=HistoryKind.ENFORCEMENT))
    assert found["verified"] is True
    assert found["rules"] == [RULE]
    assert found["receipt"] == receipt().id
    assert [call["call"] for call in found["calls"]] == ["close"]  # type: ignore[attr-defined]


ASKED = [
    None,
    history_id(HistoryKind.BREACH, NAME, BREACH),
    BREACH,
    history_id(HistoryKind.DEMAND, NAME, BREACH),
    history_id(HistoryKind.LOCKOUT, NAME, BREACH),
    history_id(HistoryKind.ENFORCEMENT, NAME, receipt().id),
    receipt().id,
]


@pytest.mark.parametrize("asked", ASKED)
def test_why_gives_the_chain_from_any_of_its_lines(store: Store, asked: str | None) -> None:
    store.apply(chain_of_a_breach())

    why = store.why(WhyQuery(asked))

    assert why is not None
    assert why.account == NAME
    assert why.breach["value"] == "-512.50"
    assert why.inputs == {"realized": "-512.50"}
    assert [demand["target"] for demand in why.demand] == ["account flat"]
    assert why.enforcement is not None
    assert why.enforcement["verified"] is True
    assert why.lockout is not None
    assert why.lockout["reason"] == "day -512.50"


def test_why_does_not_mix_accounts_that_share_a_breach_id(store: Store) -> None:
    """Sessions end for all accounts in the same instant, and their breaches have the same id."""
    breach = {"rule": "session_block_outside", "value": "closed"}
    for name in (NAME, OTHER):
        store.apply(
            [
                line(HistoryKind.BREACH, "x", name=name, **breach),
                line(HistoryKind.LOCKOUT, "x", name=name, breach="x", reason=name),
            ]
        )

    for name in (NAME, OTHER):
        why = store.why(WhyQuery("x", name))
        assert why is not None
        assert why.lockout is not None
        assert (why.account, why.lockout["reason"]) == (name, name)


def test_why_falls_back_to_the_rules_last_breach_before_the_line(store: Store) -> None:
    store.apply(
        [
            line(HistoryKind.BREACH, "1", NOW, rule=RULE, value="first"),
            line(HistoryKind.BREACH, "2", NOW + timedelta(hours=1), rule=RULE, value="second"),
            line(HistoryKind.UNLOCK, "u", NOW + timedelta(minutes=30), rule=RULE, reason="admin"),
        ]
    )

    why = store.why(WhyQuery(f"unlock/{NAME}/u"))

    assert why is not None
    assert why.breach["value"] == "first"


@pytest.mark.parametrize("asked", [None, "nothing", f"alert/{NAME}/1"])
def test_why_without_a_breach_behind_it_is_none(store: Store, asked: str | None) -> None:
    store.apply([alert_line(1)])

    assert store.why(WhyQuery(asked)) is None


def test_a_report_adds_up_what_the_fills_of_each_day_gave(store: Store) -> None:
    store.apply(
        [
            store_fill(1, pnl=None, fees=3_700),
            store_fill(2, pnl=-5_000_000, fees=3_700),
            store_fill(3, pnl=1_000_000, fees=3_700),
            store_fill(4, pnl=0, fees=3_700),
            store_fill(5, pnl=9_000_000, fees=3_700, voided=True),
            store_fill(6, account=B),
            StoreDay(A, NAME, DAY, -4_014_800, 4),
            StoreDay(B, OTHER, DAY, -5_007_400, 1),
            StoreDay(A, NAME, DAY + timedelta(days=1), 0, 0),
        ]
    )

    assert store.report(ReportQuery(DAY, DAY, NAME)) == (
        DayReport(NAME, DAY, -4_014_800, 4, wins=1, losses=1, fees=14_800, won=1_000_000, lost=-5_000_000),
    )
    assert len(store.report(ReportQuery(DAY, DAY + timedelta(days=1)))) == 3
