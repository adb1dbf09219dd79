"""What the running guard tells others: metrics of a breach, the report of its day, the alert channels."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from supervisor.protocol import AskExport, AskReport, DoLock, Nothing
from tests.scenarios.desk import A, Desk, desk

RULES: dict[str, Any] = {"max_contracts": {"limit": 2}, "daily_realized_loss": {"limit": -500}}


def metric(day: Desk, name: str, **labels: str) -> float | None:
    """One sample of a scrape over the control socket, of account A where it belongs to one."""
    text = day.ask("metrics", Nothing())["text"]
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            here = sample.labels.get("account", A) == A
            if sample.name == name and here and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def test_a_breach_shows_in_the_metrics_and_in_the_report_of_its_day() -> None:
    """Given a guard, when one contract too many is closed and the day's limit is crossed, then counters,
    histograms and the report tell it; the day's counts are those that a fresh daemon takes up."""
    with desk(RULES, alerts=[]) as day:
        day.buy("MNQ", 3)
        day.holds(A, MNQ=2)
        day.control(op="close", account=A, contract="MNQ")
        day.flat()
        day.book(-510)
        day.locked("daily_realized_loss")
        day.settle()

        assert metric(day, "riskd_breaches_total", rule="max_contracts", mode="armed") == 1
        assert metric(day, "riskd_calls_total", call="partial_close", outcome="confirmed") == 1
        assert metric(day, "riskd_breach_to_call_seconds_count") == 1
        assert metric(day, "riskd_events_total", kind="Filled") == 5
        assert metric(day, "riskd_pnl_dollars", part="realized") == -510
        assert metric(day, "riskd_rule_breached", rule="daily_realized_loss") == 1
        assert metric(day, "riskd_account_state", state="locked") == 1

        answer = day.ask("report", AskReport("day", A))
        assert [(one["rule"], one["breaches"], one["lockouts"]) for one in answer["rules"]] == [
            ("daily_realized_loss", 1, 1),
            ("max_contracts", 1, 0),
        ]
        assert [point["net"] for point in answer["curve"]][-1] == "-510.00"
        (total,) = answer["totals"]
        assert (total["realized"], total["losses"], total["average_loss"]) == ("-510.00", 1, "-510.00")

        before = [metric(day, f"riskd_day_{name}") for name in ("breaches", "lockouts", "trades")]
        day.stop()
        day.start()
        assert [metric(day, f"riskd_day_{name}") for name in ("breaches", "lockouts", "trades")] == before
        assert metric(day, "riskd_breaches_total", rule="max_contracts") is None


def test_without_a_channel_the_test_of_channels_says_so() -> None:
    with desk(RULES) as day:
        assert day.ask("alerts.test", Nothing())["channels"] == []


def test_an_export_comes_page_by_page_and_ends_where_it_is_told() -> None:
    """Given nine commands a minute apart, when the audit is exported in pages of four, then each entry comes
    once; with an end, those from then on are left out, of the log too."""
    with desk(RULES) as day:
        for number in range(9):
            day.ask("lock", DoLock(A, reason=f"number {number}"))
            day.advance(60)
        asked = AskExport("audit", limit=4)
        seen = list[str]()
        while True:
            page = day.ask("export", asked)
            seen += [line["at"] for line in page["lines"] if line.get("command") == "lock"]
            if page["next"] is None:
                break
            asked = msgspec.structs.replace(asked, after=page["next"])

        assert len(seen) == len(set(seen)) == 9
        end = day.now - timedelta(minutes=2, seconds=30)
        lines = day.ask("export", AskExport("audit", until=end))["lines"]
        assert sorted(line["at"] for line in lines if line.get("command") == "lock") == sorted(seen)[:7]
        logged = day.ask("export", AskExport("logs", until=end))["lines"]
        assert all(datetime.fromisoformat(line["at"]) < end for line in logged)
