"""One value of a file changes and nothing else does."""

from importlib import resources
from pathlib import Path

import pytest

from config.edit import NotEditable, edited
from config.load import load

FILE = """\
# my rules
gateway: {kind: simulator}   # for now
accounts:
  - name: A   # the first
    rules: {max_contracts: {limit: 1}}
  - name: B
rules:
  # few
  max_contracts: {mode: armed, limit: 5, alert_at: 80%}   # contracts
  daily_realized_loss:
    enabled: true      # always
    limit: "-500"      # dollars
  symbol_blocks: {}
  loss_streak:

# the rest
metrics: {port: null}
"""


STREAK = "loss_streak:\n"
GRACE = "  no_stop_loss_grace: {grace: 30s}\n"
LIMIT = "    rules: {max_contracts: {limit: 2}}\n"
EDITS = [
    ("rules.max_contracts.limit", "3", "limit: 5, alert", "limit: 3, alert"),
    ("rules.max_contracts.count", "gross", "alert_at: 80%}   #", "alert_at: 80%, count: gross}   #"),
    ("rules.daily_realized_loss.limit", "-400", '"-500"      #', "-400      #"),
    ("rules.daily_realized_loss.mode", "off", "enabled: true ", "enabled: false "),
    ("rules.daily_realized_loss.mode", "shadow", "enabled: true ", "mode: shadow "),
    ("rules.daily_realized_loss.alert_at", "null", "# dollars\n", "# dollars\n    alert_at: null\n"),
    ("rules.symbol_blocks.blocked", "[CL, NG]", "symbol_blocks: {}", "symbol_blocks: {blocked: [CL, NG]}"),
    ("rules.loss_streak.losses", "4", STREAK, "loss_streak: {losses: 4}\n"),
    ("rules.no_stop_loss_grace.grace", "30s", STREAK, STREAK + GRACE),
    ("accounts.A.rules.max_contracts.limit", "2", "limit: 1}}", "limit: 2}}"),
    ("accounts.B.rules.max_contracts.limit", "2", "name: B\n", "name: B\n" + LIMIT),
    ("accounts.1.name", "C", "name: B", "name: C"),
    ("metrics.port", "9100", "port: null", "port: 9100"),
    ("chaos.enabled", "false", "port: null}\n", "port: null}\nchaos: {enabled: false}\n"),
]


@pytest.mark.parametrize(("key", "value", "before", "after"), EDITS)
def test_edit_changes_the_value_and_nothing_else(key: str, value: str, before: str, after: str) -> None:
    assert FILE.count(before) == 1

    assert edited(FILE, key, value) == FILE.replace(before, after)


def test_edit_of_an_empty_file_adds_the_key() -> None:
    assert edited("", "metrics.port", "9100") == "metrics: {port: 9100}\n"
    assert edited("# nothing\n", "metrics.port", "9100") == "# nothing\nmetrics: {port: 9100}\n"


def test_edit_at_the_end_of_a_file_without_a_last_newline() -> None:
    assert edited("a: 1", "b", "2") == "a: 1\nb: 2"


def test_edit_replaces_a_whole_list() -> None:
    text = "tiers:\n  - {loss: -1}\n  - {loss: -2}\n\n# end\nx: 1\n"

    assert edited(text, "tiers", "[{loss: -3}]") == "tiers:\n  [{loss: -3}]\n\n# end\nx: 1\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a: [1", "a"),
        ("a: &x {b: 1}\nc: *x\n", "c.b"),
        ("accounts:\n  - name: A\n", "accounts.Z.rules.x"),
    ],
)
def test_edit_that_would_touch_more_is_refused(text: str, key: str) -> None:
    with pytest.raises(NotEditable):
        edited(text, key, "2")


def test_writing_back_any_value_of_the_example_changes_no_setting(tmp_path: Path) -> None:
    path = tmp_path / "riskd.yaml"
    text = resources.files("config").joinpath("examples", "riskd.example.yaml").read_text("utf-8")
    path.write_text(text, "utf-8")
    loaded = load([path], (), {"PROJECT_X_USERNAME": "x"})
    for key, origin in loaded.origins.items():
        _, line, column = origin.rsplit(":", 2)
        start = text.splitlines()[int(line) - 1][int(column) - 1 :]
        if start[0] in "[{":  # an empty list or mapping
            value = start[:2]
        elif start[0] == '"':
            value = start[: start.index('"', 1) + 1]
        else:
            value = start.split(",")[0].split("}")[0].split("]")[0].split(" ")[0]

        if not key.startswith("gateway.username"):
            assert edited(text, key, value) == text, key


@pytest.mark.parametrize("name", ["riskd.example.yaml", "several_accounts.yaml", "funded.yaml"])
def test_edited_example_loads_with_the_new_value(name: str, tmp_path: Path) -> None:
    text = resources.files("config").joinpath("examples", name).read_text("utf-8")
    path = tmp_path / name
    for key, value in {
        "rules.max_contracts.limit": "1",
        "rules.no_stop_loss_grace.mode": "armed",
        "rules.loss_streak.losses": "7",
    }.items():
        text = edited(text, key, value)
    path.write_text(text, "utf-8")

    rules = load([path], (), {"PROJECT_X_USERNAME": "x"}).settings.rules

    assert (rules.max_contracts.limit, rules.no_stop_loss_grace.mode, rules.loss_streak.losses) == (
        1,
        "armed",
        7,
    )
