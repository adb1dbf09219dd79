"""Files of a configuration, written where the test may."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

type Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file for the test and names it."""

    def write(text: str, name: str = "riskd.yaml", mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_text(dedent(text), "utf-8")
        path.chmod(mode)
        return path

    return write
