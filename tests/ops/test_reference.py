"""The generated pages say what the program says."""

from __future__ import annotations

import re

import pytest

from actors.messages import HistoryKind
from ops import reference


@pytest.mark.parametrize("name", list(reference.pages()))
def test_a_generated_page_is_the_one_on_file(name: str) -> None:
    assert (reference.PAGES / name).read_text("utf-8") == reference.pages()[name], (
        "python3 ops/run.py reference"
    )


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\S+)` \| .* \| (.*) \|$", reference.pages()["configuration.md"], re.MULTILINE)

    assert len(rows) > 80
    assert [key for key, meaning in rows if not meaning.strip()] == []


def test_every_kind_of_history_line_is_described() -> None:
    assert set(reference.LINES) == set(HistoryKind)
