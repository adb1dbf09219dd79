"""Recovery, `history`, `why` and `report` find what they want by an index, however much is stored."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from actors.messages import HistoryKind
from actors.persistence import history, reading
from actors.persistence.queries import HistoryQuery, ReportQuery, WhyQuery
from actors.persistence.store import Store
from tests.actors.persistence.samples import NAME, NOW, A, chain_of_a_breach

ONE = HistoryKind.BREACH
TWO = (ONE, HistoryKind.FILL)
HOUR_AGO = NOW - timedelta(hours=1)
QUESTIONS = {
    "recover": lambda db: reading.recovered(db, A, HOUR_AGO),
    "alerts": lambda db: list(reading.alerts(db, 500)),
    "history": lambda db: history.lines(db, HistoryQuery()),
    "history since": lambda db: history.lines(db, HistoryQuery(since=HOUR_AGO, until=NOW)),
    "history of a kind": lambda db: history.lines(db, HistoryQuery(ONE)),
    "history of an account": lambda db: history.lines(db, HistoryQuery(account=NAME)),
    "history of both": lambda db: history.lines(db, HistoryQuery(ONE, HOUR_AGO, NOW, NAME)),
    "history of kinds": lambda db: history.lines(
        db, HistoryQuery(account=NAME, kinds=(ONE, HistoryKind.FILL))
    ),
    "why last": lambda db: history.why(db, WhyQuery()),
    "why by key": lambda db: history.why(db, WhyQuery("2026-03-02/1")),
    "why by id": lambda db: history.why(db, WhyQuery(f"enforcement/{NAME}/2026-03-02/1", NAME)),
    "report": lambda db: history.days(db, ReportQuery(date(2026, 3, 1), date(2026, 3, 31), NAME)),
}
SMALL = ("days", "contracts", "rule_states", "lockouts", "named", "json_each", "(subquery-")
"""Tables and results that stay small, whatever is traded: these may be read from end to end."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_large_is_read_from_end_to_end_or_sorted(question: str, store: Store) -> None:
    store.apply(chain_of_a_breach())
    asked: list[str] = []
    store._db.conn.set_trace_callback(asked.append)
    QUESTIONS[question](store._db)
    store._db.conn.set_trace_callback(None)

    steps = [step for sql in asked for *_, step in store._db.execute(f"EXPLAIN QUERY PLAN {sql}")]

    assert [step for step in steps if is_long(step)] == []
    assert any("INDEX" in step for step in steps)


def is_long(step: str) -> bool:
    """Whether a step of a query plan takes longer the more trades there are."""
    if step.startswith("SCAN ") and " USING " not in step:
        return not step.removeprefix("SCAN ").startswith(SMALL)
    return step.startswith("SCAN fills")


def test_the_newest_lines_are_found_in_order_without_sorting(store: Store) -> None:
    for asked in (HistoryQuery(), HistoryQuery(ONE), HistoryQuery(ONE, HOUR_AGO, NOW, NAME)):
        sql, values = history.lines_sql(asked)

        plan = [step for *_, step in store._db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]

        assert not any("TEMP B-TREE" in step for step in plan), plan


def test_a_report_reads_no_trade_itself_only_the_index(store: Store) -> None:
    plan = [step for *_, step in store._db.execute(f"EXPLAIN QUERY PLAN {history.DAYS}", ("", "", None))]

    assert any("COVERING INDEX fills_by_day" in step for step in plan)
