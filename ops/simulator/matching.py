"""When a resting order fills, and at which price: one order against one price, pure."""

from fractions import Fraction
from typing import assert_never

from msgspec.structs import replace

from ops.simulator.prices import Price
from ops.simulator.records import Order, OrderType, Side


def trigger_price(price: Price, side: Side) -> Fraction | None:
    """What sets off a stop: the last price; where nothing traded yet, the touch it would fill at."""
    return price.traded if price.traded is not None else price.touch(side)


def followed(order: Order, price: Price) -> Order:
    """The order after the market moved: a trailing stop pulled along, a stop-limit set off."""
    at = trigger_price(price, order.side)
    if at is None:
        return order
    if order.type is OrderType.TRAILING_STOP and order.stop_price is not None:
        best = at - order.side.opposite.sign * (order.trail_distance or 0)
        pull = max if order.side is Side.SELL else min
        return replace(order, stop_price=pull(order.stop_price, best))
    if order.type is OrderType.STOP_LIMIT and not order.triggered and _reached(order, at):
        return replace(order, triggered=True)
    return order


def fill_price(order: Order, price: Price, *, resting: bool) -> Fraction | None:
    """The price an order fills at now, None if it rests on.

    Stops fill at the touch (so a gap costs what it costs); a limit order that rested fills at its limit, one
    that arrives marketable at the touch.
    """
    touch = price.touch(order.side)
    at = trigger_price(price, order.side)
    if touch is None or at is None:
        return None
    match order.type:
        case OrderType.MARKET:
            return touch
        case OrderType.STOP | OrderType.TRAILING_STOP:
            return touch if _reached(order, at) else None
        case OrderType.LIMIT | OrderType.JOIN_BID | OrderType.JOIN_ASK:
            return _limit_fill(order, touch, resting)
        case OrderType.STOP_LIMIT:
            return _limit_fill(order, touch, resting) if order.triggered else None
        case never:
            assert_never(never)


def _reached(order: Order, at: Fraction) -> bool:
    """Whether the market stands at the stop or beyond: below it for a sell stop, above for a buy stop."""
    if order.stop_price is None:
        return False
    return at <= order.stop_price if order.side is Side.SELL else at >= order.stop_price


def _limit_fill(order: Order, touch: Fraction, resting: bool) -> Fraction | None:
    if order.limit_price is None:
        return None
    through = touch <= order.limit_price if order.side is Side.BUY else touch >= order.limit_price
    return (order.limit_price if resting else touch) if through else None
