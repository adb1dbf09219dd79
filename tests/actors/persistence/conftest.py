from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.persistence.store import Store
from tests.actors.persistence.samples import NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "riskd.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path, NOW)
    yield opened
    opened.close()
