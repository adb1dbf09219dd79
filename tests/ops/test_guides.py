"""The trader's and the admin's guide: every command in them, in its order, on a guard of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.cli import main
from tests.ops.cli.stand_in import Ran
from tests.ops.pages import lines, played
from tests.ops.rig import ROOT, Rig, rig

DOCS = ROOT / "ops" / "docs"
GUIDES = ["trader-guide.md", "admin-guide.md"]
DETACHED = ("up",)
"""Leaves processes behind that must not become children of the tests."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A fresh home, named as its reader would, and a folder to write into."""
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n", "utf-8")
    with rig() as made:
        monkeypatch.setenv("RISKD_HOME", str(made.home.folder))
        monkeypatch.setenv("RISKD_ADMIN_SECRET_FILE", str(secret))
        monkeypatch.setenv("RISKD_TEST_CLOCK", "2026-03-03T16:30:00Z")
        monkeypatch.delenv("RISKD_CONFIG", raising=False)
        monkeypatch.chdir(tmp_path)
        yield made


@pytest.fixture
def typed(home: Rig, capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], Ran]:
    """`riskd WORDS` with what stands for a name of the reader's own filled in."""

    def run(words: list[str]) -> Ran:
        words = [FILLED[word](home) if word in FILLED else word for word in words]
        return _detached(words) if words[0] in DETACHED else _here(words, capsys)

    return run


FILLED: dict[str, Callable[[Rig], str]] = {
    "ID": lambda home: str(home.history("breach")[-1]["id"]),
    "CHANGE": lambda home: str(home.status()["pending"][0]["id"]),
    "BACKUP": lambda home: str(home.riskd("backup", "list", "--json").json["backups"][0]),
}


def _here(words: list[str], capsys: pytest.CaptureFixture[str]) -> Ran:
    capsys.readouterr()
    code = main(words)
    out, err = capsys.readouterr()
    return Ran(code, out, err)


def _detached(words: list[str]) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "ops", *words],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_line_of_a_guide_does_what_it_says(guide: str, typed: Callable[[list[str]], Ran]) -> None:
    page = (DOCS / guide).read_text("utf-8")

    done = list(played(page, typed))

    left_out = [line for line in lines(page) if line.untested]
    assert len(done) > 25
    assert len(left_out) <= 6, "a guide is for lines that can be tried"


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_has_one_task_under_each_heading(guide: str) -> None:
    parts = (DOCS / guide).read_text("utf-8").split("\n## ")[1:]

    assert len(parts) > 10
    assert [part.splitlines()[0] for part in parts if len(part.splitlines()) > 30] == []
