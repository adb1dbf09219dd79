"""An order's end and the fill that ends it: seen together, whichever the gateway tells first."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from actors.account.apply import apply
from actors.account.state import AccountEvent, AccountState, opening
from actors.account.view import snapshot_of
from actors.messages import (
    ContractRead,
    Fill,
    Filled,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OrderStatus,
    OrderType,
)

from .tapes import ACCOUNT, CONTRACTS, MNQ, NOON, NOW, Broker, OneDay, Trade

DAYS = OneDay()
STOP = OrderId(77)


def desk() -> tuple[Broker, AccountState]:
    """3 MNQ with a working stop."""
    broker, state = Broker(), opening(ACCOUNT, "A", DAYS, NOW, first_seq=1, session_since=None)
    for record in CONTRACTS:
        state = apply(state, ContractRead(record, NOON), DAYS, NOW).state
    state, _ = told(state, Filled(broker.trade(Trade(MNQ, 3, 4000, 0)), 1000.0), OrderChanged(stop(), 1000.5))
    return broker, state


def stop(filled: int = 0, status: OrderStatus = OrderStatus.OPEN, at: int = 1) -> Order:
    moment = NOON + timedelta(seconds=at)
    return Order(STOP, ACCOUNT, MNQ.id, OrderType.STOP, status, -3, -filled, NOON, moment, stop_price=990.0)


def of_stop(fill: Fill) -> Fill:
    return msgspec.structs.replace(fill, order=STOP)


def told(state: AccountState, *events: AccountEvent) -> tuple[AccountState, list[tuple[int, int]]]:
    """What was shown after each event: the open size, and how much of the stop still works."""
    shown = []
    for event in events:
        state = apply(state, event, DAYS, NOW).state
        snapshot = snapshot_of(state, Now(NOON, 1000.0), 10.0, "test", None)
        position = snapshot.position(MNQ.id)
        shown.append((position.size if position else 0, sum(abs(order.rest) for order in snapshot.orders)))
    return state, shown


def test_stop_that_is_told_filled_before_its_trade_leaves_together_with_the_position() -> None:
    broker, state = desk()
    ended = OrderChanged(stop(3, OrderStatus.FILLED, at=2), 1001.0)
    trade = Filled(of_stop(broker.trade(Trade(MNQ, -3, 3960, 0))), 1001.001)

    _, shown = told(state, ended, trade)

    assert shown == [(3, 3), (0, 0)], "never a position without its stop"


def test_trade_that_is_told_first_ends_the_stop_that_it_used_up() -> None:
    broker, state = desk()
    trade = Filled(of_stop(broker.trade(Trade(MNQ, -3, 3960, 0))), 1001.0)
    ended = OrderChanged(stop(3, OrderStatus.FILLED, at=2), 1001.001)

    state, shown = told(state, trade, ended)

    assert shown == [(0, 0), (0, 0)]
    assert not state.filling


def test_stop_that_fills_in_parts_covers_what_is_open_all_the_time() -> None:
    broker, state = desk()
    events = (
        OrderChanged(stop(1, at=2), 1001.0),
        Filled(of_stop(broker.trade(Trade(MNQ, -1, 3960, 0))), 1001.001),
        OrderChanged(stop(3, OrderStatus.FILLED, at=3), 1001.002),
        Filled(of_stop(broker.trade(Trade(MNQ, -1, 3960, 0))), 1001.003),
        Filled(of_stop(broker.trade(Trade(MNQ, -1, 3960, 0))), 1001.004),
    )

    _, shown = told(state, *events)

    assert shown == [(3, 3), (2, 2), (2, 2), (1, 2), (0, 0)]


def test_stop_whose_trade_never_comes_is_settled_by_the_next_read() -> None:
    broker, state = desk()
    state, _ = told(state, OrderChanged(stop(3, OrderStatus.FILLED, at=2), 1001.0))
    broker.trade(Trade(MNQ, -3, 3960, 0))

    state, shown = told(state, broker.snapshot(1002.0))

    assert shown == [(0, 0)]
    assert not state.filling


def test_verification_that_still_shows_the_position_leaves_the_stop_waiting_for_its_trade() -> None:
    broker, state = desk()
    state, _ = told(state, broker.snapshot(1000.2), OrderChanged(stop(3, OrderStatus.FILLED, at=2), 1001.0))
    verification = msgspec.structs.replace(broker.snapshot(1002.0), fills=(), fills_read=False)

    state, shown = told(state, verification)

    assert shown == [(3, 3)]
    assert state.filling


def test_read_that_began_before_the_stop_filled_does_not_bring_it_back_or_forget_it() -> None:
    broker, state = desk()
    before = broker.snapshot(1000.8)
    ended = OrderChanged(stop(3, OrderStatus.FILLED, at=2), 1001.0)
    trade = Filled(of_stop(broker.trade(Trade(MNQ, -3, 3960, 0))), 1001.5)

    _, shown = told(state, ended, before, trade)

    assert shown == [(3, 3), (3, 3), (0, 0)]


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED])
def test_order_that_ends_unfilled_is_gone_at_once(status: OrderStatus) -> None:
    _, state = desk()

    _, shown = told(state, OrderChanged(stop(0, status, at=2), 1001.0))

    assert shown == [(3, 0)]
