"""The connection logs from its own thread, also between two tests: nobody wants to read that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest
import structlog


def drop(logger: object, method: str, event: object) -> NoReturn:
    raise structlog.DropEvent


@pytest.fixture(autouse=True, scope="session")
def silent_log() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(processors=[drop])
    yield
    structlog.configure(**before)
