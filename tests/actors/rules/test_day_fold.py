"""Going on from where it stood gives what working it out afresh would, whatever became of the day's fills."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import BookedFill, FillId
from actors.rules import sandbox
from actors.rules.day_fold import DayFold
from tests.builders import MORNING

RECORD = sandbox.contract()


def fill(second: int, number: int) -> BookedFill:
    return sandbox.opening_fill(RECORD, number, 1, MORNING + timedelta(seconds=second))


def told(value: tuple[BookedFill, ...], booked: BookedFill) -> tuple[BookedFill, ...]:
    return (*value, booked)


def afresh(fills: tuple[BookedFill, ...]) -> tuple[BookedFill, ...]:
    return DayFold[tuple[BookedFill, ...]]((), told).of(fills)


days = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("add", "void", "complete", "sort", "new day"))))


@given(days)
def test_a_day_that_grows_shrinks_and_changes_is_always_that_of_all_its_fills(
    steps: list[tuple[int, str]],
) -> None:
    kept, fills = DayFold[tuple[BookedFill, ...]]((), told), tuple[BookedFill, ...]()
    for number, (second, what) in enumerate(steps, start=1):
        match what:
            case "add":
                fills = (*fills, fill(second, number))
            case "void":
                fills = fills[:second] + fills[second + 1 :]
            case "complete" if fills:
                place = second % len(fills)
                other = msgspec.structs.replace(fills[place], opened=number)
                fills = (*fills[:place], other, *fills[place + 1 :])
            case "sort":
                fills = tuple(sorted(fills, key=lambda one: (one.fill.at, one.fill.id)))
            case "new day":
                fills = ()
        assert kept.of(fills) == afresh(fills)


def test_a_day_that_grows_looks_at_each_fill_once() -> None:
    looked = list[FillId]()

    def look(value: int, booked: BookedFill) -> int:
        looked.append(booked.fill.id)
        return value + 1

    kept = DayFold(0, look)
    fills = tuple(fill(number, number) for number in range(1, 6))
    assert [kept.of(fills[:count]) for count in range(6)] == [0, 1, 2, 3, 4, 5]
    assert looked == [1, 2, 3, 4, 5]


def test_who_is_still_at_an_earlier_fill_does_not_make_the_day_be_added_up_again() -> None:
    looked = list[FillId]()

    def look(value: int, booked: BookedFill) -> int:
        looked.append(booked.fill.id)
        return value + 1

    kept = DayFold(0, look)
    fills = tuple(fill(number, number) for number in range(1, 9))
    days = [fills[:count] for count in range(9)]
    assert [kept.of(day) for day in days] == [kept.of(day) for day in days]
    assert len(looked) == len(fills)
