"""Stops and targets of our own: placed where they lack, only ever tightened, gone with the position."""

from __future__ import annotations

import pytest

from actors.messages import (
    Call,
    CallKind,
    ContractId,
    Flat,
    Order,
    OrderStatus,
    OrderType,
    Outcome,
    StopAt,
    TargetAt,
)
from tests.actors.enforcement.floor import ES, Floor, kinds

TICK = 0.25
PER_POINT = 4


def at(price: float) -> int:
    return round(price * PER_POINT)


def wish(
    floor: Floor,
    *,
    stop: float | None = None,
    target: float | None = None,
    size: int = 1,
    contract: ContractId = ES,
) -> list[Call]:
    """What trade management wants from now on."""
    demands = list[StopAt | TargetAt]()
    if stop is not None:
        demands.append(StopAt(contract, at(stop), size))
    if target is not None:
        demands.append(TargetAt(contract, at(target), size))
    return floor.say("trade_management", *demands, manages=True)


def stops(floor: Floor) -> list[tuple[float | None, int]]:
    """Working stops: price and signed size."""
    found = [o for o in floor.desk.snapshot().orders if o.type in (OrderType.STOP, OrderType.STOP_LIMIT)]
    return sorted((o.stop_price, o.rest) for o in found)  # type: ignore[type-var]


def answered(floor: Floor) -> None:
    while floor.out:
        floor.confirm()


def long_es(size: int = 1) -> Floor:
    floor = Floor()
    floor.buy("ES", size)
    return floor


# ------------------------------------------------------------------------------ placed and moved


def test_position_without_a_stop_gets_one_on_its_closing_side() -> None:
    floor = long_es(2)

    (call,) = wish(floor, stop=5795.0, size=2)

    assert (call.kind, call.order_type, call.stop_price, call.size) == (
        CallKind.PLACE,
        OrderType.STOP,
        5795.0,
        -2,
    )
    assert call.tag is not None
    assert call.tag.startswith("riskd-")
    answered(floor)
    assert stops(floor) == [(5795.0, -2)]


def test_short_position_gets_a_buy_stop() -> None:
    floor = Floor()
    floor.sell("ES", 1)

    (call,) = wish(floor, stop=5805.0)

    assert (call.stop_price, call.size) == (5805.0, 1)


def test_stop_follows_the_price_and_never_goes_back() -> None:
    """S67: at 5805 the stop is 5802.50, at 5810 it is 5807.50, at 5808 it is unchanged."""
    floor = long_es()
    for stop, there in ((5802.5, 5802.5), (5807.5, 5807.5), (5805.5, 5807.5)):
        wish(floor, stop=stop)
        answered(floor)
        floor.wait(1.1)
        assert stops(floor) == [(there, -1)]

    assert [call.kind for call in floor.calls] == [CallKind.PLACE, CallKind.MODIFY]


def test_stop_changes_at_most_once_a_second_and_then_to_the_newest_price() -> None:
    floor = long_es()
    wish(floor, stop=5800.0)
    answered(floor)
    floor.wait(1.1)

    for price in (5801.0, 5802.0, 5803.0):
        wish(floor, stop=price)
        answered(floor)
        floor.wait(0.2)
    assert stops(floor) == [(5801.0, -1)]
    floor.wait(0.5)
    answered(floor)

    assert stops(floor) == [(5803.0, -1)]


@pytest.mark.parametrize(
    ("manual", "wished", "after"),
    [
        pytest.param(5798.0, 5795.0, [(5798.0, -2)], id="a better one of the trader's stays"),
        pytest.param(5795.0, 5795.0, [(5795.0, -2)], id="one at that price is enough"),
        pytest.param(5790.0, 5795.0, [(5795.0, -2)], id="a worse one is moved, not doubled"),
    ],
)
def test_traders_own_stop_is_only_ever_tightened(
    manual: float, wished: float, after: list[tuple[float, int]]
) -> None:
    floor = long_es(2)
    floor.place("ES", -2, stop=manual)

    wish(floor, stop=wished, size=2)
    answered(floor)

    assert stops(floor) == after


def test_stop_that_covers_a_part_is_completed() -> None:
    floor = long_es(3)
    floor.place("ES", -1, stop=5798.0)

    wish(floor, stop=5795.0, size=3)
    answered(floor)

    assert stops(floor) == [(5795.0, -2), (5798.0, -1)]


def test_stop_limit_is_moved_with_its_limit() -> None:
    floor = long_es()
    floor.place("ES", -1, stop=5790.0, limit=5789.0, kind=OrderType.STOP_LIMIT)

    (call,) = wish(floor, stop=5795.0)

    assert (call.stop_price, call.limit_price) == (5795.0, 5794.0)


def test_size_of_our_stop_follows_the_position() -> None:
    floor = long_es(1)
    wish(floor, stop=5795.0)
    answered(floor)

    floor.wait(1.1)
    floor.buy("ES", 2)
    answered(floor)
    assert stops(floor) == [(5795.0, -3)]

    floor.wait(1.1)
    floor.sell("ES", 1)
    answered(floor)
    assert stops(floor) == [(5795.0, -2)]


def test_our_stop_gives_way_when_the_trader_covers_the_position_himself() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    answered(floor)

    floor.place("ES", -1, stop=5797.0)
    answered(floor)

    assert stops(floor) == [(5797.0, -1)]


def test_target_is_a_limit_unless_the_trader_has_one() -> None:
    floor = long_es()
    (call,) = wish(floor, target=5810.0)
    assert (call.order_type, call.limit_price, call.size) == (OrderType.LIMIT, 5810.0, -1)

    other = long_es()
    other.place("ES", -1, limit=5820.0)
    assert wish(other, target=5810.0) == []


def test_target_follows_price_and_size() -> None:
    floor = long_es()
    wish(floor, target=5810.0)
    answered(floor)
    floor.wait(1.1)

    floor.desk.buy("ES", 1, 5800.0)
    wish(floor, target=5812.0, size=2)
    answered(floor)

    assert [(o.limit_price, o.rest) for o in floor.desk.snapshot().orders] == [(5812.0, -2)]


def test_target_that_moves_again_and_again_is_no_failure() -> None:
    floor = long_es()
    for tenth in range(8):
        wish(floor, target=5810.0 + tenth)
        answered(floor)
        floor.wait(1.1)

    assert len(floor.calls) == 8
    assert floor.alerts == []


def test_stop_between_two_ticks_is_taken_for_a_worse_one() -> None:
    floor = long_es()
    floor.place("ES", -1, stop=5798.1)

    (call,) = wish(floor, stop=5795.0)

    assert (call.kind, call.stop_price) == (CallKind.MODIFY, 5795.0)


def test_breakeven_of_a_breach_stands_until_the_position_is_closed() -> None:
    """005 with action breakeven: the profit may be gone the next moment."""
    floor = long_es()
    breach = floor.breach("max_unrealized_profit", ES)
    floor.say("max_unrealized_profit", StopAt(ES, at(5800.0), 1), breaches=(breach,))
    floor.say("max_unrealized_profit")
    floor.refuse(2)
    floor.wait(1)
    answered(floor)
    assert stops(floor) == [(5800.0, -1)]

    floor.sell("ES", 1)
    answered(floor)
    floor.buy("ES", 1)

    assert stops(floor) == []


# ------------------------------------------------------------------------------ gone


def test_our_orders_are_cancelled_when_the_position_closes() -> None:
    floor = long_es()
    wish(floor, stop=5795.0, target=5810.0)
    answered(floor)

    floor.sell("ES", 1)
    answered(floor)

    assert floor.desk.snapshot().orders == ()


def test_traders_orders_stay_when_the_position_closes() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    answered(floor)
    own = floor.place("ES", 1, limit=5700.0)

    floor.sell("ES", 1)
    answered(floor)

    assert [order.id for order in floor.desk.snapshot().orders] == [own.id]


def test_position_that_comes_of_both_legs_filling_is_closed_at_once() -> None:
    floor = long_es()
    wish(floor, stop=5795.0, target=5810.0)
    answered(floor)
    legs: tuple[Order, ...] = floor.desk.snapshot().orders

    for leg in legs:
        floor.desk.change(leg, status=OrderStatus.FILLED, filled=leg.size)
        floor.sell("ES", 1, order=leg.id)

    assert kinds(list(floor.out.values())) == [("cancel", "ES", 0), ("close", "ES", 1)]
    floor.settle()
    assert floor.held(ES) == 0
    assert "both filled" in floor.last.notes[0]


def test_wish_for_the_position_before_is_not_applied_to_the_next() -> None:
    """A trailed stop of 5807.50 would lie above the market for the one opened at 5800."""
    floor = long_es()
    wish(floor, stop=5807.5)
    answered(floor)
    floor.sell("ES", 1)
    answered(floor)

    floor.wait(1)
    assert floor.buy("ES", 1) == []
    assert wish(floor, stop=5795.0)[0].stop_price == 5795.0


def test_entry_filled_by_the_trader_beside_our_orders_is_his() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    answered(floor)

    assert [call.kind for call in floor.buy("ES", 1)] in ([], [CallKind.MODIFY])


# ------------------------------------------------------------------------------ never


def test_nothing_is_placed_or_moved_on_a_locked_account() -> None:
    floor = long_es()
    floor.by_hand(flatten=False)

    assert wish(floor, stop=5795.0) == []


def test_nothing_is_placed_in_a_contract_that_must_be_flat() -> None:
    floor = long_es()
    floor.say("symbol_blocks", Flat(ES), breaches=(floor.breach("symbol_blocks", ES),))

    assert wish(floor, stop=5795.0) == []


def test_nothing_is_placed_for_a_position_without_a_contract_record() -> None:
    floor = Floor()
    floor.desk.unknown("CON.F.US.XYZ.Z25")
    floor.desk.hear(report("CON.F.US.XYZ.Z25"))

    assert wish(floor, stop=5795.0, contract=ContractId("CON.F.US.XYZ.Z25")) == []


def report(contract: str) -> object:
    from actors.messages import PositionChanged, PositionReport
    from tests.builders import ACCOUNT, MORNING

    return PositionChanged(PositionReport(ACCOUNT, ContractId(contract), 1, 100.0, MORNING), 1001.0)


# ------------------------------------------------------------------------------ unknown outcomes


def test_stop_of_unknown_outcome_is_found_again_by_its_tag() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    floor.lose(carried_out=True)

    floor.shows()
    floor.wait(10)
    floor.read()

    assert len(floor.calls) == 1
    assert stops(floor) == [(5795.0, -1)]


def test_stop_of_unknown_outcome_is_placed_again_only_after_it_cannot_come_any_more() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    floor.lose()

    floor.wait(6.5)
    assert floor.read() == []
    floor.wait(8)
    assert len(floor.calls) == 1, "not without a read that is late enough"
    floor.read()

    assert [call.kind for call in floor.calls] == [CallKind.PLACE] * 2
    assert floor.calls[0].tag != floor.calls[1].tag


def test_stop_on_its_way_is_not_placed_twice_after_a_kill() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)

    floor.crash()
    wish(floor, stop=5795.0)
    floor.wait(1)
    floor.read()
    assert len(floor.calls) == 1

    floor.wait(7)
    floor.read()
    assert len(floor.calls) == 2


def test_refused_stop_is_placed_again_after_the_usual_waits_and_alerted() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    for wait in (1, 2, 5):
        floor.answer(floor.next, Outcome.REFUSED, 2, "the order was rejected")
        floor.wait(wait)

    assert len(floor.calls) == 4
    assert [alert.level for alert in floor.alerts] == ["critical"]


def test_stop_that_came_twice_after_all_is_cancelled_once() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    answered(floor)
    floor.place("ES", -1, stop=5795.0, tag="riskd-1001-1-1")
    answered(floor)

    assert stops(floor) == [(5795.0, -1)]


def test_stop_that_was_refused_is_not_reported_as_done_when_the_position_closes() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    floor.refuse(2)

    floor.sell("ES", 1)
    floor.wait(1)
    floor.read()

    assert not floor.last.verified
    assert "code 2" in (floor.last.last_error or "")


def test_refused_move_leaves_the_stop_where_it_is() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)
    answered(floor)
    for _ in range(5):
        floor.wait(61)
        wish(floor, stop=5797.0)
        if floor.out:
            floor.refuse(6)

    assert stops(floor) == [(5795.0, -1)]
    assert CallKind.CANCEL not in {call.kind for call in floor.calls}


def test_nobody_waits_for_trade_management() -> None:
    floor = long_es()
    wish(floor, stop=5795.0)

    assert floor.receipts == []
    assert floor.reads == 0
    answered(floor)
    floor.wait(1)
    floor.read()
    assert floor.last.verified
    assert floor.last.rules == ("trade_management",)
