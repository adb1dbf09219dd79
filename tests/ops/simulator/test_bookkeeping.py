"""Properties of average-cost book-keeping, on the way and at the end."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.simulator.fills import net

PRICES = st.integers(1, 4000).map(lambda ticks: Fraction(ticks, 4))
SIZES = st.integers(-9, 9).filter(bool)
EXECUTIONS = st.lists(st.tuples(SIZES, PRICES), min_size=1, max_size=30)


def play(executions):
    """Runs signed executions from flat; yields size, average and distance earned so far after each."""
    size, average, earned = 0, Fraction(0), Fraction(0)
    for executed, price in executions:
        netting = net(size, average, executed, price)
        size, average, earned = netting.size, netting.average, earned + netting.earned
        yield size, average, earned


@given(EXECUTIONS)
def test_what_was_earned_and_what_is_open_add_up_to_the_cash_that_moved(executions):
    cash = Fraction(0)
    for (executed, price), (size, average, earned) in zip(executions, play(executions), strict=True):
        cash -= executed * price
        assert earned == cash + size * average


@given(EXECUTIONS)
def test_mirrored_sides_earn_the_opposite(executions):
    mirrored = [(-executed, price) for executed, price in executions]
    for (size, average, earned), (other, other_average, other_earned) in zip(
        play(executions), play(mirrored), strict=True
    ):
        assert (other, other_earned) == (-size, -earned)
        assert size == 0 or other_average == average


@given(EXECUTIONS, PRICES)
def test_order_of_closing_does_not_matter_once_flat(executions, last):
    *_, (size, _, _) = play(executions)
    closing = [(-size, last)] if size else []
    *_, (flat, _, earned) = play(executions + closing)
    assert flat == 0
    assert earned == -sum(executed * price for executed, price in executions + closing)


@given(SIZES, PRICES, PRICES)
def test_reversal_closes_at_the_average_and_opens_the_rest_at_its_own_price(size, average, price):
    netting = net(size, average, -3 * size, price)
    assert netting.size == -2 * size
    assert netting.average == price
    assert netting.closed == abs(size)
    assert netting.earned == (price - average) * size


@pytest.mark.parametrize(
    ("size", "average", "executed", "price", "after", "after_average", "closed", "earned"),
    [
        (0, 0, 2, 100, 2, 100, 0, 0),
        (2, 100, 1, 103, 3, 101, 0, 0),
        (3, 101, -1, 105, 2, 101, 1, 4),
        (2, 101, -2, 99, 0, 101, 2, -4),
        (-2, 100, -2, 104, -4, 102, 0, 0),
        (-4, 102, 3, 100, -1, 102, 3, 6),
        (-1, 102, 4, 100, 3, 100, 1, 2),
    ],
)
def test_book_keeping_by_hand(size, average, executed, price, after, after_average, closed, earned):
    netting = net(size, Fraction(average), executed, Fraction(price))
    assert (netting.size, netting.average) == (after, after_average)
    assert (netting.closed, netting.earned) == (closed, earned)
