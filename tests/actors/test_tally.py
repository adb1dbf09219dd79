"""Counts that anybody may read: what was added is there, what took long lies in its bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.board import Board
from actors.tally import BOUNDS_S, Spans, Tally, percentile


@given(st.lists(st.floats(0.0, 100.0)))
def test_every_span_lies_in_the_one_bucket_that_holds_it(seconds: list[float]) -> None:
    spans = Spans()
    for one in seconds:
        spans.add(one)

    upto = [sum(spans.buckets[: n + 1]) for n in range(len(BOUNDS_S))]
    assert upto == [sum(one <= bound for one in seconds) for bound in BOUNDS_S]
    assert spans.count == len(seconds)


def test_counts_are_by_their_words() -> None:
    tally = Tally()
    tally.add("call", "close")
    tally.add("call", "close")
    tally.add("call", "cancel")
    tally.took(0.5, "call", "close")

    assert tally.counts() == {("call", "close"): 2, ("call", "cancel"): 1}
    assert tally.spans()["call", "close"].total_s == 0.5


def test_a_tally_outlives_the_incarnations_of_its_actor() -> None:
    board = Board()
    board.shared(("tally", "account", "A"), Tally, Tally).add("Filled")

    assert board.shared(("tally", "account", "A"), Tally, Tally).counts() == {("Filled",): 1}


@pytest.mark.parametrize(("share", "value"), [(0.5, 3.0), (0.99, 4.0), (0.0, 1.0)])
def test_a_percentile_is_a_value_that_was_there(share: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value
    assert percentile([], share) is None
