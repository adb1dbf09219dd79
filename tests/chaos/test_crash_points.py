"""A few of the kills that `sweep crash-points` makes, and the list of points that it goes through."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.cradle import ROOT
from tests.chaos.crash_points import Case, Played, cradle, differences, named_in, play, points
from tests.chaos.journal_cuts import cut_everywhere

PLAY = "lost day"
DURABLE = re.compile(r"os\.write\(|fsync\(|\.atomic\(|_execute_http_request\(|sender\.notify\(")
WITHOUT_STATE = {"supervisor/roles.py": "the admin secret, written by the command line"}
SOURCES = [
    path
    for folder in ("actors", "supervisor")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if str(path.relative_to(ROOT)) not in WITHOUT_STATE
]
KILLS = ("journal.written#3@0", "call.answered#1@0", "store.committed#2@0")


@pytest.fixture(scope="module")
def fault_free() -> Iterator[Played]:
    yield play(Case(PLAY, ""))


def test_points_are_read_out_of_the_source_and_each_is_one_place() -> None:
    assert list(named_in(ast.parse('crash_point("a.b")\nother("c")'))) == ["a.b"]
    assert {"journal.written", "call.sending", "store.committed", "witness.written"} <= set(points())


def test_where_state_becomes_durable_or_a_request_goes_out_there_is_a_point() -> None:
    """No proof, a reminder: whoever writes such a call is asked for the point beside it."""
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in SOURCES}

    assert [name for name, text in texts.items() if DURABLE.search(text) and "crash_point(" not in text] == []


@pytest.mark.process
def test_a_daemon_killed_at_a_point_leaves_the_same_behind(fault_free: Played) -> None:
    assert fault_free.outcome is not None, fault_free.failure
    with ThreadPoolExecutor(2) as pool:
        played = list(pool.map(lambda kill: play(Case(PLAY, kill)), KILLS))

    for kill, one in zip(KILLS, played, strict=True):
        assert list(differences(Case(PLAY, kill), one, fault_free.outcome)) == []


@pytest.mark.process
def test_a_journal_cut_short_leaves_the_account_as_it_is() -> None:
    found = dict(cut_everywhere(cradle(), 1, 2))

    assert len(found) == 2
    assert all(differs == [] for differs in found.values()), found
