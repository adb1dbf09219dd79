"""`config init` and `config import`: from questions, from options, from the older files."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from config.load import load
from ops.cli import making
from ops.cli.making import Wishes, ask, written
from supervisor.home import Home
from supervisor.protocol import Exit, Refused
from tests.ops.cli.stand_in import Riskd

OLDER = Path(__file__).parents[2] / "config" / "older"


def test_init_from_options_keeps_the_key_in_a_file_that_nobody_else_reads(
    riskd: Riskd, home: Home, tmp_path: Path
) -> None:
    """Given a key in a file, when init is told everything, then the result has no mistake and no key."""
    given = tmp_path / "given"
    given.write_text("very-secret-key\n")
    told = ("--username", "anna", "--account", "PRAC-1", "--account", "1002", "--example", "funded")
    ran = riskd("config", "init", *told, "--key", "file", "--key-from", str(given), "--witness", "/var/seen")

    assert ran.code == 0, ran.err
    assert "still to do" not in ran.err
    kept = home.folder / making.KEY_FILE
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == ("very-secret-key\n", 0o600)
    text = home.config.read_text()
    assert "very-secret-key" not in text + ran.out + ran.err
    settings = load((home.config,)).settings
    assert settings.gateway.username == "anna"
    assert [account.name for account in settings.accounts if settings.accounts != "all"] == ["PRAC-1", "1002"]
    assert settings.tamper.witness == "/var/seen"
    assert riskd("config", "check").code == 0


def test_a_user_name_with_a_dollar_or_a_quote_is_taken_as_it_is(riskd: Riskd, home: Home) -> None:
    assert riskd("config", "init", "--username", 'a${HOME}"b').code == 0
    assert load((home.config,)).settings.gateway.username == 'a${HOME}"b'


@pytest.mark.parametrize(
    ("told", "code", "why"),
    [
        (("--key", "paper"), Exit.USAGE, "env, file, keyring"),
        (("--key", "file"), Exit.USAGE, "--key-from"),
        (("--key", "file", "--key-from", "/nonexistent"), Exit.FAILED, "cannot read"),
        (("--example", "heroic"), Exit.USAGE, "practice"),
    ],
)
def test_init_says_what_it_cannot_do_and_writes_nothing(
    riskd: Riskd, home: Home, told: tuple[str, ...], code: Exit, why: str
) -> None:
    ran = riskd("config", "init", *told)
    assert (ran.code, why in ran.err) == (code, True)
    assert not home.config.exists()


def test_without_a_key_store_it_is_not_offered_and_refused(
    riskd: Riskd, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "has_keyring", lambda: False)
    ran = riskd("config", "init", "--key", "keyring")
    assert (ran.code, "riskd[keyring]" in ran.err) == (1, True)
    questions: list[str] = []
    ask(lambda question: questions.append(question) or "")  # type: ignore[func-returns-value]
    assert not any("keyring" in question for question in questions)


def test_the_questions_of_a_guided_start() -> None:
    """Each answer goes where it belongs; an empty one takes what stands in brackets."""
    answers = iter(["evaluation", "anna", "A, B ,", "env", "/var/seen"])
    wishes = ask(lambda question: next(answers))
    assert wishes == Wishes("evaluation", "anna", ("A", "B"), "env", "/var/seen")
    wishes = ask(lambda question: "")
    assert wishes == Wishes("practice", "", ("all",), "file", "")
    assert YAML(typ="safe").load(written(wishes, Path("/h")))["accounts"] == "all"
    with pytest.raises(Refused, match="no such example"):
        ask(lambda question: "heroic")


def test_import_writes_a_configuration_and_a_word_on_each_key(riskd: Riskd, home: Home) -> None:
    ran = riskd("config", "import", str(OLDER))
    assert ran.code == 0, ran.err
    assert "converted   risk_config.yaml: rules.cooldown_after_loss.loss_threshold" in ran.out
    assert "taken over  risk_config.yaml: rules.max_contracts.limit -> rules.max_contracts.limit" in ran.out
    assert "dropped     risk_config.yaml: general.instruments (the account is watched" in ran.out
    assert load((home.config,), env={"PROJECT_X_USERNAME": "anna"}).settings.rules.max_contracts.limit == 5
    again = riskd("config", "import", str(OLDER))
    assert (again.code, "--force" in again.err) == (1, True)
    script = riskd("config", "import", str(OLDER), "--force", "--json").json
    assert {entry["outcome"] for entry in script["keys"]} == {"taken over", "converted", "dropped"}


def test_S90_import_is_refused_and_names_what_is_missing(riskd: Riskd, home: Home, tmp_path: Path) -> None:  # noqa: N802
    shutil.copy(OLDER / "risk_config.yaml", tmp_path)
    ran = riskd("config", "import", str(tmp_path))
    assert ran.code == Exit.BAD_CONFIG
    assert "timers_config.yaml" in ran.err
    assert "cooldown_after_loss" in ran.err
    assert not home.config.exists()


def test_older_limits_that_do_not_fit_together_are_named(riskd: Riskd, home: Home, tmp_path: Path) -> None:
    """Given an open loss of 750 beside a daily one of 500, when it is imported, then 78 names both."""
    for file in OLDER.iterdir():
        shutil.copy(file, tmp_path)
    risk = tmp_path / "risk_config.yaml"
    risk.write_text(risk.read_text().replace("limit: -200", "limit: -750"))
    ran = riskd("config", "import", str(tmp_path))
    assert (ran.code, "daily_unrealized_loss" in ran.err) == (Exit.BAD_CONFIG, True)
    assert not home.config.exists()


def test_a_folder_that_is_none_is_one_line(riskd: Riskd, tmp_path: Path) -> None:
    ran = riskd("config", "import", str(tmp_path / "nowhere"))
    assert (ran.code, "risk_config.yaml is not there" in ran.err, "Traceback" in ran.err) == (78, True, False)
