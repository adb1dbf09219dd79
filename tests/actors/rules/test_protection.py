"""Which working orders protect a position."""

from __future__ import annotations

import pytest

from actors.messages import OrderStatus, OrderType
from actors.rules.protection import is_protected
from tests.builders import Desk

STOPS = [
    pytest.param(2, {"stop": 20980.0}, True, id="S49 a sell stop below a long"),
    pytest.param(-2, {"stop": 21020.0}, True, id="S55 a buy stop above a short"),
    pytest.param(-2, {"limit": 20980.0}, False, id="S55 a buy limit below a short takes profit"),
    pytest.param(2, {"limit": 21020.0}, False, id="a sell limit above a long takes profit"),
    pytest.param(2, {"stop": 21010.0}, False, id="a sell stop above the market is on the wrong side"),
    pytest.param(2, {"stop": 21000.0}, False, id="at the market is not below it"),
    pytest.param(2, {"stop": 20980.0, "kind": OrderType.STOP_LIMIT}, True, id="a stop limit"),
    pytest.param(2, {"stop": 20980.0, "kind": OrderType.TRAILING_STOP}, True, id="a trailing stop"),
    pytest.param(2, {"kind": OrderType.TRAILING_STOP}, True, id="a trailing stop without a price yet"),
    pytest.param(2, {"stop": 20980.0, "status": OrderStatus.PENDING}, True, id="pending works"),
    pytest.param(2, {"stop": 20980.0, "status": OrderStatus.SUSPENDED}, False, id="a suspended child"),
    pytest.param(
        2, {"stop": 20980.0, "status": OrderStatus.PENDING_CANCELLATION}, False, id="on its way out"
    ),
]


@pytest.mark.parametrize(("size", "order", "safe"), STOPS)
def test_a_stop_protects(size: int, order: dict[str, object], safe: bool) -> None:
    desk = Desk()
    if size > 0:
        desk.buy("MNQ", size, 21000.0)
    else:
        desk.sell("MNQ", -size, 21000.0)
    desk.place("MNQ", -size, **order)

    snapshot = desk.price("MNQ", 21000.0)

    assert is_protected(snapshot.positions[0], snapshot.orders) is safe


COVERS = [
    pytest.param([-2], True, id="the whole position"),
    pytest.param([-1, -1], True, id="two halves together"),
    pytest.param([-1], False, id="only half of it"),
    pytest.param([2], False, id="the side that adds"),
]


@pytest.mark.parametrize(("sizes", "safe"), COVERS)
def test_stops_must_cover_the_position(sizes: list[int], safe: bool) -> None:
    desk = Desk()
    desk.buy("MNQ", 2, 21000.0)
    for size in sizes:
        desk.place("MNQ", size, stop=20980.0)

    snapshot = desk.snapshot()

    assert is_protected(snapshot.positions[0], snapshot.orders) is safe


def test_a_stop_in_another_contract_protects_nothing() -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.place("NQ", -1, stop=20980.0)
    snapshot = desk.snapshot()

    assert not is_protected(snapshot.positions[0], snapshot.orders)


def test_beyond_entry_is_fine_once_the_market_is() -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.place("MNQ", -1, stop=21050.0)
    before, after = desk.snapshot(), desk.price("MNQ", 21100.0)

    safe = [is_protected(s.positions[0], s.orders) for s in (before, after)]

    assert safe == [False, True]


def test_without_a_fresh_price_the_side_decides() -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.place("MNQ", -1, stop=21050.0)
    snapshot = desk.wait(60)

    assert is_protected(snapshot.positions[0], snapshot.orders)
