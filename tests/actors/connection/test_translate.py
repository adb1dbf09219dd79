"""Payload shapes as the gateway sends them, and what they become."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connection import translate
from actors.connection.translate import Malformed, Unmeasurable
from actors.messages import OrderStatus, OrderType

MNQ = "CON.F.US.MNQ.U26"
AT = "2026-07-31T13:30:00.1234567+00:00"
WHEN = datetime(2026, 7, 31, 13, 30, 0, 123457, UTC)


def live(data: dict[str, Any], action: int = 1) -> dict[str, Any]:
    return {"action": action, "data": data}


def position(**change: Any) -> dict[str, Any]:
    row = {
        "id": 6124,
        "accountId": 1001,
        "contractId": MNQ,
        "contractDisplayName": "MNQU6",
        "creationTimestamp": AT,
        "type": 1,
        "size": 3,
        "averagePrice": 23012.25,
    }
    return row | change


def order(**change: Any) -> dict[str, Any]:
    row = {
        "id": 2_000_000_000_001,
        "accountId": 1001,
        "contractId": MNQ,
        "symbolId": "F.US.MNQ",
        "creationTimestamp": AT,
        "updateTimestamp": AT,
        "status": 1,
        "type": 4,
        "side": 1,
        "size": 2,
        "fillVolume": 0,
        "stopPrice": 22990.0,
    }
    return row | change


def trade(**change: Any) -> dict[str, Any]:
    row = {
        "id": 8604,
        "accountId": 1001,
        "contractId": MNQ,
        "creationTimestamp": AT,
        "price": 23012.25,
        "profitAndLoss": 12.5,
        "fees": 0.36,
        "commissions": 0.25,
        "side": 1,
        "size": 2,
        "voided": False,
        "orderId": 2_000_000_000_001,
    }
    return row | change


def without(row: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in fields}


@pytest.mark.parametrize(
    ("row", "size"),
    [
        (position(), 3),
        (position(type=2), -3),
        (live(position(type=2)), -3),
        (live(position(type=0, size=0), action=2), 0),
        (position(type=1, size=0), 0),
        (without(position(type=0, size=0), "averagePrice"), 0),
    ],
)
def test_position_in_any_shape_gets_a_signed_size(row: object, size: int) -> None:
    read = translate.position(row)
    assert (read.size, read.contract, read.account, read.created_at) == (size, MNQ, 1001, WHEN)


@pytest.mark.parametrize(
    "row",
    [
        position(type=0, size=3),
        position(type=7),
        position(size=-1),
        without(position(), "averagePrice"),
        position(averagePrice=float("nan")),
    ],
)
def test_position_without_a_direction_or_price_is_malformed(row: object) -> None:
    with pytest.raises(Malformed, match="cannot read position"):
        translate.position(row)


@pytest.mark.parametrize(
    ("change", "size", "filled", "kind", "status"),
    [
        ({}, -2, 0, OrderType.STOP, OrderStatus.OPEN),
        ({"side": 0, "fillVolume": 1}, 2, 1, OrderType.STOP, OrderStatus.OPEN),
        ({"side": 1, "fillVolume": 1}, -2, -1, OrderType.STOP, OrderStatus.OPEN),
        ({"type": 1, "limitPrice": 23100.0, "status": 8}, -2, 0, OrderType.LIMIT, OrderStatus.SUSPENDED),
        ({"type": 99}, -2, 0, OrderType.UNKNOWN, OrderStatus.OPEN),
        ({"type": 0}, -2, 0, OrderType.UNKNOWN, OrderStatus.OPEN),
        ({"type": -1}, -2, 0, OrderType.UNKNOWN, OrderStatus.OPEN),
        ({"status": 42}, -2, 0, OrderType.STOP, OrderStatus.UNKNOWN),
        ({"status": 0}, -2, 0, OrderType.STOP, OrderStatus.NONE),
        ({"fillVolume": None}, -2, 0, OrderType.STOP, OrderStatus.OPEN),
    ],
)
def test_order_gets_the_sign_of_its_side_and_keeps_unknown_numbers(
    change: dict[str, Any], size: int, filled: int, kind: OrderType, status: OrderStatus
) -> None:
    row = order(**change)
    read = translate.order(live(row))
    assert (read.size, read.filled, read.type, read.status) == (size, filled, kind, status)
    assert (read.raw_type, read.raw_status) == (row["type"], row["status"])


def test_order_without_an_update_time_was_updated_when_created() -> None:
    read = translate.order(without(order(), "updateTimestamp"))
    assert read.updated_at == read.created_at == WHEN


def test_order_of_a_bracket_names_its_parent_and_trail_distance() -> None:
    read = translate.order(order(parentOrderId=7, trailDistance=2.5, customTag="x-SL", type=5))
    assert (read.parent, read.trail, read.tag) == (7, 2.5, "x-SL")


@pytest.mark.parametrize(
    ("row", "size", "pnl", "fees"),
    [
        (trade(), -2, 125_000, 6_100),
        (trade(side=0), 2, 125_000, 6_100),
        (live(without(trade(side=0), "profitAndLoss"), action=0), 2, None, 6_100),
        (trade(profitAndLoss=None), -2, None, 6_100),
        (trade(profitAndLoss=0.0), -2, 0, 6_100),
        (without(trade(), "commissions"), -2, 125_000, 3_600),
        (without(trade(), "commissions", "fees"), -2, 125_000, 0),
        (trade(profitAndLoss=-7.8125), -2, -78_125, 6_100),
    ],
)
def test_trade_keeps_null_apart_from_zero_and_adds_its_fees(
    row: object, size: int, pnl: int | None, fees: int
) -> None:
    read = translate.fill(row)
    assert (read.size, read.pnl, read.fees, read.voided) == (size, pnl, fees, False)


def test_trade_that_was_voided_says_so() -> None:
    assert translate.fill(trade(voided=True)).voided


@pytest.mark.parametrize(
    ("read", "row", "field"),
    [
        (translate.position, position(), "contractId"),
        (translate.position, position(), "size"),
        (translate.order, order(), "status"),
        (translate.order, order(), "side"),
        (translate.fill, trade(), "price"),
        (translate.fill, trade(), "orderId"),
        (translate.account, {"id": 1, "name": "PRAC"}, "name"),
    ],
)
def test_payload_without_a_required_field_names_it(read: Any, row: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed, match=field):
        read(live(without(row, field)))


@pytest.mark.parametrize("payload", [None, "flat", [], 5, {}, {"action": 1, "data": None}, {"data": "x"}])
@pytest.mark.parametrize("read", [translate.position, translate.order, translate.fill, translate.account])
def test_payload_of_another_shape_is_malformed_and_nothing_else(read: Any, payload: object) -> None:
    with pytest.raises(Malformed):
        read(payload)


@pytest.mark.parametrize("side", [2, -1])
def test_side_nobody_documented_is_malformed(side: int) -> None:
    with pytest.raises(Malformed, match="side"):
        translate.fill(trade(side=side))
    with pytest.raises(Malformed, match="side"):
        translate.order(order(side=side))


def test_account_without_can_trade_is_not_taken_for_tradable() -> None:
    read = translate.account(live({"id": 1001, "name": "PRAC-V2-1001", "balance": 50000.125}))
    assert (read.can_trade, read.balance, read.simulated) == (None, 500_001_250, None)


def test_timestamp_without_an_offset_is_utc() -> None:
    read = translate.position(position(creationTimestamp="2026-07-31T13:30:00"))
    assert read.created_at == datetime(2026, 7, 31, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"bestBid": 23011.75, "bestAsk": 23012.25}, (None, 23011.75, 23012.25)),
        ({"lastPrice": 23012.0}, (23012.0, None, None)),
        ({"lastPrice": 0, "bestBid": -1.0, "bestAsk": None}, (None, None, None)),
        ({"lastPrice": float("inf")}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_quote_is_partial_and_unusable_prices_count_as_not_sent(data: Any, expected: Any) -> None:
    read = translate.quote(MNQ, data | {"symbol": "F.US.MNQ", "timestamp": AT})
    assert (read.last, read.bid, read.ask) == expected
    assert read.at == WHEN


@pytest.mark.parametrize(
    ("payload", "last"),
    [([{"price": 1.0}, {"price": 2.0, "timestamp": AT}], 2.0), ({"price": 3.0}, 3.0)],
)
def test_market_trade_in_list_or_bare_gives_the_newest_price(payload: object, last: float) -> None:
    read = translate.market_trade(MNQ, payload)
    assert read is not None
    assert (read.last, read.bid, read.ask) == (last, None, None)


def test_market_trade_with_an_empty_list_says_nothing() -> None:
    assert translate.market_trade(MNQ, []) is None


@pytest.mark.parametrize("contract", [None, "", 7])
def test_price_without_a_contract_is_malformed(contract: object) -> None:
    with pytest.raises(Malformed, match="contract id"):
        translate.quote(contract, {"lastPrice": 1.0})


@pytest.mark.parametrize(
    ("contract", "name", "size", "value", "root", "expected"),
    [
        ("CON.F.US.MNQ.U26", "MNQU6", 0.25, 0.5, "MNQ", (Decimal("0.25"), 5_000)),
        ("CON.F.US.ENQ.U26", "NQU6", 0.25, 5.0, "NQ", (Decimal("0.25"), 50_000)),
        ("CON.F.US.TYA.U26", "ZNU6", 0.015625, 15.625, "ZN", (Decimal("0.015625"), 156_250)),
        ("CON.F.US.FVA.U26", "ZFU6", 0.0078125, 7.8125, "ZF", (Decimal("0.0078125"), 78_125)),
        ("CON.F.US.JY6.U26", "6JU6", 5e-07, 6.25, "6J", (Decimal("5e-07"), 62_500)),
        ("CON.F.US.BP6.U26", "6BU6", 0.0001, 6.25, "6B", (Decimal("0.0001"), 62_500)),
        ("strange id", "NQU6", 0.25, 5.0, "NQ", (Decimal("0.25"), 50_000)),
    ],
)
def test_contract_record_gives_exact_ticks_under_the_exchange_root(
    contract: str, name: str, size: float, value: float, root: str, expected: tuple[Decimal, int]
) -> None:
    read = translate.contract({"id": contract, "name": name, "tickSize": size, "tickValue": value})
    assert (read.root, read.tick_size, read.tick_value) == (root, *expected)


@pytest.mark.parametrize(
    ("size", "value"),
    [(None, 0.5), (0.25, None), (0, 0.5), (0.25, 0.0), (-0.25, 0.5), (0.25, 0.00001), (0.25, float("inf"))],
)
def test_contract_record_without_usable_ticks_is_unmeasurable(
    size: float | None, value: float | None
) -> None:
    with pytest.raises(Unmeasurable, match=MNQ):
        translate.contract({"id": MNQ, "name": "MNQU6", "tickSize": size, "tickValue": value})


def test_contract_record_whose_root_nobody_can_tell_is_unmeasurable() -> None:
    with pytest.raises(Unmeasurable):
        translate.contract({"id": "?", "name": "??", "tickSize": 0.25, "tickValue": 0.5})


def test_newest_bar_gives_the_price_and_no_bar_gives_none() -> None:
    older, newer = {"t": "2026-07-31T13:29:00Z", "c": 1.0}, {"t": "2026-07-31T13:30:00Z", "c": 2.0}
    assert translate.newest_close({"bars": [newer, older]}) == 2.0
    assert translate.newest_close({"bars": [older, newer]}) == 2.0
    assert translate.newest_close({"bars": None}) is None
    with pytest.raises(Malformed):
        translate.newest_close({"success": True})


@given(st.integers(-(10**12), 10**12))
def test_money_of_any_wire_amount_is_exact(amount: int) -> None:
    assert translate.money(amount / 10_000, "trade", "fees") == amount


@pytest.mark.parametrize(("amount", "expected"), [(0.00005, 0), (0.00015, 2), (-0.00015, -2), (0.36, 3_600)])
def test_money_finer_than_the_unit_is_rounded_as_it_is_written(amount: float, expected: int) -> None:
    assert translate.money(amount, "trade", "fees") == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["action", "data", "id", "size", "type", "side", "accountId"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_payload_of_any_kind_is_read_or_malformed(payload: object) -> None:
    for read in (translate.position, translate.order, translate.fill, translate.account):
        with pytest.raises(Malformed):
            read(payload)
