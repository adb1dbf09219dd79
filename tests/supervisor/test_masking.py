"""Exports: the same account is called the same everywhere in a line, and nothing else is touched."""

from __future__ import annotations

import pytest

from supervisor.masking import Line, hiding

hide = hiding({"PRAC-V2-1001": 1001, "PRAC-V2-1002": 1002, "50K": 77})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ({"account": "PRAC-V2-1001"}, {"account": "account-2"}),
        ({"id": "breach/PRAC-V2-1002/x/1"}, {"id": "breach/account-3/x/1"}),
        ({"text": "PRAC-V2-1001 and 50K"}, {"text": "account-2 and account-1"}),
        ({"receipt": "1001-1795229591"}, {"receipt": "account-2-1795229591"}),
        ({"account": 1002, "size": 1002}, {"account": "account-3", "size": 1002}),
        ({"price": "1001", "at": "PRAC-V2-10011"}, {"price": "1001", "at": "PRAC-V2-10011"}),
    ],
)
def test_names_are_hidden_wherever_they_stand(line: Line, shown: Line) -> None:
    assert hide(line) == shown


def test_without_accounts_a_line_stays_as_it_is() -> None:
    assert hiding({})({"text": "x"}) == {"text": "x"}
