"""Money and prices as people read them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from actors.money import money_text, price_text
from tests.builders import a_contract

AMOUNTS = [
    pytest.param(0, "0.00", id="nothing"),
    pytest.param(-512_5000, "-512.50", id="a loss has its sign"),
    pytest.param(1_234_567_8900, "1234567.89", id="no thousands"),
    pytest.param(15_6250, "15.625", id="a tick of ZN is not a whole cent"),
    pytest.param(7_8125, "7.8125", id="nor one of ZF"),
    pytest.param(Fraction(1, 2), "0.00", id="half to even, down"),
    pytest.param(Fraction(3, 2), "0.0002", id="half to even, up"),
    pytest.param(Fraction(-10_000, 3), "-0.3333", id="a third"),
]


@pytest.mark.parametrize(("amount", "text"), AMOUNTS)
def test_money(amount: int | Fraction, text: str) -> None:
    assert money_text(amount) == text


PRICES = [
    pytest.param("MNQ", 84001, "21000.25", id="MNQ"),
    pytest.param("ZN", 7009, "109.515625", id="ZN in 64ths"),
    pytest.param("6J", 13300, "0.0066500", id="6J without an exponent"),
    pytest.param("YM", 40000, "40000", id="YM in points"),
    pytest.param("MNQ", Fraction(168003, 2), "21000.375", id="a mid between two ticks"),
]


@pytest.mark.parametrize(("root", "ticks", "text"), PRICES)
def test_price(root: str, ticks: int | Fraction, text: str) -> None:
    assert price_text(a_contract(root), ticks) == text
