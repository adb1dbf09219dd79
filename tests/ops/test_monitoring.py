"""The dashboard and the alert rules that ship name only metrics that the guard has, with labels they have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests.supervisor.test_metrics import server

FOLDER = Path(__file__).resolve().parents[2] / "ops" / "docs" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
ALERTS: list[dict[str, Any]] = YAML(typ="safe").load(FOLDER / "alerts.yaml")["groups"][0]["rules"]
ASKED = {f"panel {p['title']}": t["expr"] for p in DASHBOARD["panels"] for t in p["targets"]} | {
    f"alert {rule['alert']}": rule["expr"] for rule in ALERTS
}
WITHOUT_A_SAMPLE = {"riskd_open_contracts", "riskd_breach_to_verified_seconds_bucket"}
"""Metrics that a flat account without a verified receipt does not have yet."""


def samples() -> dict[str, set[str]]:
    """What one scrape gives: the name of each sample, and the labels it has."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(server().text()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
        found.setdefault(family.name, set())
    return found


@pytest.mark.parametrize("where", ASKED)
def test_what_is_asked_for_exists(where: str) -> None:
    known = samples()
    for name, labels in re.findall(r"\b(riskd_\w+)(?:\{([^}]*)\})?", ASKED[where]):
        assert name in known or name in WITHOUT_A_SAMPLE, name
        asked = {part.split("=")[0].rstrip("!~ ") for part in labels.split(",") if part}
        assert asked <= known.get(name, set()), (name, labels)


def test_metrics_without_a_sample_are_offered_all_the_same() -> None:
    text = server().text()

    for name in WITHOUT_A_SAMPLE:
        assert f"# TYPE {name.removesuffix('_bucket')} " in text


def test_every_alert_has_a_severity_a_summary_and_a_cure() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "cure"}


def test_the_dashboard_can_be_imported() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(set(ids)) == len(ids)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])
