"""Fixtures of the command line: a home, a daemon to ask, `riskd` in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.cli import main
from supervisor.home import Home
from tests.ops.cli.stand_in import Ran, Riskd, StandIn, serving


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def daemon(home: Home) -> Iterator[StandIn]:
    with serving(StandIn(home)) as stand_in:
        yield stand_in


@pytest.fixture
def riskd(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Riskd:
    """Run the command line in this process, on the test's home, in a zone of known summer time."""
    monkeypatch.delenv("RISKD_HOME", raising=False)
    monkeypatch.delenv("RISKD_CONFIG", raising=False)
    monkeypatch.delenv("RISKD_ADMIN_SECRET_FILE", raising=False)
    monkeypatch.delenv("RISKD_TEST_CLOCK", raising=False)

    def run(*argv: str) -> Ran:
        capsys.readouterr()
        code = main(["--home", str(home.folder), *argv])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run
