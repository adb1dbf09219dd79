"""The order desk: what it accepts, what it answers, which events it causes and in which order."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from msgspec.structs import replace

from ops.simulator.exchange import Exchange
from ops.simulator.prices import Price
from ops.simulator.records import Account, Order, OrderType, Position, Side, Status, Trade
from ops.simulator.state import State
from ops.simulator.tickets import Bracket, Ticket

NOW = datetime(2026, 9, 14, 14, 30, tzinfo=UTC)
MNQ = "CON.F.US.MNQ.U26"
ES = "CON.F.US.EP.U26"
BUY, SELL = Side.BUY, Side.SELL


def desk(price=21000, fees="0", commissions="0", **account) -> Exchange:
    state = State(NOW, Fraction(fees), Fraction(commissions))
    state.accounts[1] = Account(id=1, name="PRAC-1", balance=Fraction(50_000), **account)
    exchange = Exchange(state)
    if price is not None:
        move(exchange, price)
    return exchange


def move(exchange, last, bid=None, ask=None, contract=MNQ):
    sides = [Fraction(side) for side in (last, last if bid is None else bid, last if ask is None else ask)]
    return exchange.price(NOW, contract, Price(*sides))


def order(exchange, side=BUY, size=1, kind=OrderType.MARKET, contract=MNQ, **fields):
    prices = ("limit_price", "stop_price", "trail_price")
    fields = {name: Fraction(str(value)) if name in prices else value for name, value in fields.items()}
    ticket = Ticket(account_id=1, contract_id=contract, side=side, type=kind, size=size, **fields)
    return exchange.place(NOW, ticket)


def told(changes):
    """Events in short: `order STATUS`, `trade P&L`, `position SIZE`, `account`."""
    short = []
    for change in changes:
        match change.record:
            case Order(status=status):
                short.append(f"order {status.name.lower()}")
            case Trade(pnl=pnl):
                short.append("trade" if pnl is None else f"trade {float(pnl):g}")
            case Position(size=size):
                short.append(f"position {size}")
            case Account():
                short.append("account")
    return short


def held(exchange, contract=MNQ):
    position = exchange.state.position(1, contract)
    return None if position is None else (position.size, float(position.average))


def status(exchange, order_id):
    return exchange.state.orders[order_id].status


class TestMarketOrders:
    def test_events_come_as_order_order_trade_position_account(self):
        outcome = order(desk(), BUY, 2)
        expected = ["order pending", "order filled", "trade", "position 2", "account"]
        assert told(outcome.changes) == expected

    @pytest.mark.parametrize(("side", "price"), [(BUY, 21000.25), (SELL, 20999.75)])
    def test_buyer_pays_the_ask_and_seller_gets_the_bid(self, side, price):
        exchange = desk(None)
        move(exchange, 21000, 20999.75, 21000.25)
        order(exchange, side)
        assert held(exchange) == (side.sign, price)

    def test_reversal_is_one_trade_with_the_pnl_of_what_it_closed_and_the_fees_of_all_of_it(self):
        exchange = desk(fees="0.5", commissions="0.25")
        order(exchange, BUY, 2)
        move(exchange, 21010)
        outcome = order(exchange, SELL, 5)
        assert told(outcome.changes)[2:4] == ["trade 40", "position -3"]
        assert held(exchange) == (-3, 21010)
        trade = list(exchange.state.trades.values())[-1]
        assert (trade.fees, trade.commissions) == (Fraction(5, 2), Fraction(5, 4))

    def test_account_earns_the_pnl_less_all_fees_of_opening_and_closing(self):
        exchange = desk(fees="0.36", commissions="0.25")
        order(exchange, BUY, 2)
        move(exchange, 21010)
        order(exchange, SELL, 2)
        assert exchange.state.accounts[1].balance == 50_000 + 40 - Fraction("0.61") * 4

    def test_scratch_trade_has_a_pnl_of_zero_and_an_opening_one_has_none(self):
        exchange = desk()
        order(exchange, BUY)
        order(exchange, SELL)
        assert [trade.pnl for trade in exchange.state.trades.values()] == [None, 0]

    def test_closed_position_tells_its_entry_price(self):
        exchange = desk()
        order(exchange, BUY)
        move(exchange, 21010)
        closed = next(c.record for c in order(exchange, SELL).changes if isinstance(c.record, Position))
        assert (closed.size, closed.average) == (0, 21000)

    def test_scale_in_averages_and_partial_exit_keeps_the_average(self):
        exchange = desk()
        order(exchange, BUY, 1)
        move(exchange, 21003)
        order(exchange, BUY, 2)
        assert held(exchange) == (3, 21002)
        order(exchange, SELL, 1)
        assert held(exchange) == (2, 21002)


REFUSALS = [
    ("account unknown", {}, {"account_id": 9}, 1),
    ("contract unknown", {}, {"contract_id": "CON.F.US.XYZ.U26"}, 8),
    ("canTrade false", {"can_trade": False}, {}, 4),
    ("size zero", {}, {"size": 0}, 2),
    ("no price", {"price": None}, {}, 2),
    ("limit without limit price", {}, {"type": OrderType.LIMIT}, 2),
    ("stop without stop price", {}, {"type": OrderType.STOP}, 2),
    ("trailing without trail price", {}, {"type": OrderType.TRAILING_STOP}, 2),
    ("off the tick", {}, {"type": OrderType.LIMIT, "limit_price": Fraction("20000.1")}, 2),
    ("negative price", {}, {"type": OrderType.LIMIT, "limit_price": Fraction(-1)}, 2),
    ("bracket without Auto-OCO", {"auto_oco": False}, {"stop_loss": Bracket(10, OrderType.STOP)}, 2),
]


@pytest.mark.parametrize(
    ("account", "ticket", "code"), [row[1:] for row in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_order_is_refused_with_the_place_code_of_its_reason(account, ticket, code):
    exchange = desk(**account)
    asked = Ticket(account_id=1, contract_id=MNQ, side=BUY, type=OrderType.MARKET, size=1)
    outcome = exchange.place(NOW, replace(asked, **ticket))
    assert outcome.code == code
    assert outcome.message
    assert exchange.state.positions == {}
    assert told(outcome.changes) == (["order rejected"] if code == 2 else [])
    assert (outcome.order_id is not None) == (code == 2)


def test_closed_market_refuses_orders_and_closes_with_their_own_codes():
    exchange = desk()
    order(exchange, BUY, 2)
    exchange.state.market_open = False
    assert order(exchange).code == 5
    assert exchange.close(NOW, 1, MNQ).code == 5
    assert exchange.partial_close(NOW, 1, MNQ, 1).code == 6


def test_inactive_and_unlisted_contracts_have_their_own_codes():
    exchange = desk()
    listed = exchange.state.catalogue.find(MNQ)
    exchange.state.catalogue.list(replace(listed, active=False))
    assert order(exchange).code == 9
    exchange.state.catalogue.list(replace(listed, known=False))
    assert order(exchange).code == 8


def test_custom_tag_is_taken_once_per_account():
    exchange = desk()
    assert order(exchange, tag="mine").code == 0
    assert order(exchange, tag="mine").code == 2


def test_price_that_is_a_rounding_error_off_the_tick_is_put_onto_it():
    exchange = desk()
    outcome = order(exchange, BUY, kind=OrderType.LIMIT, limit_price="20000.2500001")
    assert exchange.state.orders[outcome.order_id].limit_price == Fraction("20000.25")


class TestRestingOrders:
    @pytest.mark.parametrize(
        ("side", "kind", "fields", "untouched", "reached", "filled_at"),
        [
            (BUY, OrderType.LIMIT, {"limit_price": 20990}, 20990.25, 20985, 20990),
            (SELL, OrderType.LIMIT, {"limit_price": 21010}, 21009.75, 21015, 21010),
            (SELL, OrderType.STOP, {"stop_price": 20990}, 20990.25, 20985, 20985),
            (BUY, OrderType.STOP, {"stop_price": 21010}, 21009.75, 21015, 21015),
            (SELL, OrderType.STOP_LIMIT, {"stop_price": 20990, "limit_price": 20980}, 20990.25, 20985, 20980),
            (BUY, OrderType.STOP_LIMIT, {"stop_price": 21010, "limit_price": 21020}, 21009.75, 21015, 21020),
        ],
    )
    def test_order_rests_until_the_price_reaches_it(self, side, kind, fields, untouched, reached, filled_at):
        exchange = desk()
        outcome = order(exchange, side, kind=kind, **fields)
        assert told(outcome.changes) == ["order open"]
        assert told(move(exchange, untouched)) == []
        assert status(exchange, outcome.order_id) is Status.OPEN
        changes = move(exchange, reached)
        assert told(changes)[-4:] == ["order filled", "trade", f"position {side.sign}", "account"]
        assert held(exchange) == (side.sign, filled_at)

    def test_limit_order_that_arrives_marketable_fills_at_the_touch(self):
        exchange = desk()
        order(exchange, BUY, kind=OrderType.LIMIT, limit_price=21010)
        assert held(exchange) == (1, 21000)

    def test_stop_that_the_market_has_passed_fires_at_once(self):
        exchange = desk()
        order(exchange, SELL, kind=OrderType.STOP, stop_price=21010)
        assert held(exchange) == (-1, 21000)

    def test_stop_limit_whose_limit_the_market_jumped_rests_as_a_limit_order(self):
        exchange = desk()
        order(exchange, SELL, kind=OrderType.STOP_LIMIT, stop_price=20990, limit_price=20985)
        assert told(move(exchange, 20980)) == ["order open"]
        assert told(move(exchange, 20985))[0] == "order filled"

    @pytest.mark.parametrize(
        ("side", "level", "path", "stops", "fires"),
        [
            (SELL, 20990, [21010, 21005], [21000, 21000], 21000),
            (BUY, 21010, [20990, 20995], [21000, 21000], 21000),
        ],
    )
    def test_trailing_stop_follows_gains_and_never_steps_back(self, side, level, path, stops, fires):
        exchange = desk()
        placed = order(exchange, side, kind=OrderType.TRAILING_STOP, trail_price=level)
        assert exchange.state.orders[placed.order_id].trail_distance == 10
        for price, stop in zip(path, stops, strict=True):
            move(exchange, price)
            assert exchange.state.orders[placed.order_id].stop_price == stop
        assert told(move(exchange, fires))[0] == "order filled"

    @pytest.mark.parametrize(("kind", "price"), [(OrderType.JOIN_BID, 20999), (OrderType.JOIN_ASK, 21001)])
    def test_join_order_rests_at_the_best_price_of_its_side(self, kind, price):
        exchange = desk(None)
        move(exchange, 21000, 20999, 21001)
        side = BUY if kind is OrderType.JOIN_BID else SELL
        placed = order(exchange, side, kind=kind)
        assert exchange.state.orders[placed.order_id].limit_price == price
        assert status(exchange, placed.order_id) is Status.OPEN

    def test_resting_order_in_a_contract_without_a_price_is_accepted(self):
        assert order(desk(None), SELL, kind=OrderType.STOP, stop_price=20990).code == 0

    def test_order_filled_in_two_parts_makes_two_trades_and_averages_its_fill_price(self):
        exchange = desk()
        placed = order(exchange, BUY, 3, kind=OrderType.LIMIT, limit_price=20990)
        first = exchange.execute(NOW, placed.order_id, 1, Fraction(20990))
        assert told(first.changes) == ["order open", "trade", "position 1", "account"]
        second = exchange.execute(NOW, placed.order_id, 2, Fraction(20987))
        assert told(second.changes) == ["order filled", "trade", "position 3", "account"]
        assert exchange.state.orders[placed.order_id].filled_price == 20988
        assert exchange.execute(NOW, placed.order_id, 1, Fraction(20990)).code == 1


class TestBrackets:
    def entry(self, exchange, side=BUY, **fields):
        legs = {"stop_loss": Bracket(40, OrderType.STOP), "take_profit": Bracket(80, OrderType.LIMIT)}
        return order(exchange, side, 2, **legs, **fields)

    def legs(self, exchange):
        return [leg for leg in exchange.state.orders.values() if leg.parent_id is not None]

    def test_legs_are_suspended_until_the_entry_fills_and_then_have_prices(self):
        outcome = self.entry(desk(), tag="mine")
        legs = [c.record for c in outcome.changes if isinstance(c.record, Order) and c.record.parent_id]
        assert told(outcome.changes) == [
            "order pending",
            "order suspended",
            "order suspended",
            "order filled",
            "trade",
            "position 2",
            "account",
            "order open",
            "order open",
        ]
        assert [(leg.stop_price, leg.limit_price) for leg in legs[:2]] == [(None, None)] * 2
        assert [(leg.stop_price, leg.limit_price) for leg in legs[2:]] == [(20990, None), (None, 21020)]
        assert [(leg.side, leg.size, leg.tag) for leg in legs[2:]] == [
            (SELL, 2, "mine-SL"),
            (SELL, 2, "mine-TP"),
        ]
        assert [leg.linked_id for leg in legs[2:]] == [legs[3].id, legs[2].id]

    @pytest.mark.parametrize(("side", "stop", "profit"), [(BUY, 20990, 21020), (SELL, 21010, 20980)])
    def test_legs_stand_on_their_side_of_the_entry_whatever_the_sign_of_the_ticks(self, side, stop, profit):
        exchange = desk()
        order(
            exchange,
            side,
            stop_loss=Bracket(-40, OrderType.STOP),
            take_profit=Bracket(80, OrderType.LIMIT),
        )
        legs = self.legs(exchange)
        assert (legs[0].stop_price, legs[1].limit_price) == (stop, profit)

    @pytest.mark.parametrize(("price", "filled", "cancelled"), [(20990, 0, 1), (21020, 1, 0)])
    def test_leg_that_fills_cancels_its_sibling(self, price, filled, cancelled):
        exchange = desk()
        self.entry(exchange)
        changes = move(exchange, price)
        assert told(changes)[0] == "order filled"
        assert told(changes)[-1] == "order cancelled"
        legs = self.legs(exchange)
        assert legs[filled].status is Status.FILLED
        assert legs[cancelled].status is Status.CANCELLED
        assert held(exchange) is None

    def test_entry_that_is_cancelled_takes_its_suspended_legs_with_it(self):
        exchange = desk()
        entry = self.entry(exchange, kind=OrderType.LIMIT, limit_price=20990)
        assert [leg.status for leg in self.legs(exchange)] == [Status.SUSPENDED] * 2
        outcome = exchange.cancel(NOW, 1, entry.order_id)
        assert told(outcome.changes) == ["order cancelled"] * 3

    def test_linked_orders_cancel_each_other(self):
        exchange = desk()
        stop = order(exchange, SELL, kind=OrderType.STOP, stop_price=20990)
        limit = order(exchange, SELL, kind=OrderType.LIMIT, limit_price=21010, linked_id=stop.order_id)
        move(exchange, 20990)
        assert status(exchange, limit.order_id) is Status.CANCELLED

    @pytest.mark.parametrize(("cancels", "left"), [(False, Status.OPEN), (True, Status.CANCELLED)])
    def test_close_leaves_bracket_legs_working_unless_told_otherwise(self, cancels, left):
        exchange = desk()
        exchange.state.close_cancels_brackets = cancels
        self.entry(exchange)
        exchange.close(NOW, 1, MNQ)
        assert [leg.status for leg in self.legs(exchange)] == [left] * 2

    def test_partial_close_leaves_bracket_legs_working_in_any_case(self):
        exchange = desk()
        exchange.state.close_cancels_brackets = True
        self.entry(exchange)
        exchange.partial_close(NOW, 1, MNQ, 1)
        assert [leg.status for leg in self.legs(exchange)] == [Status.OPEN] * 2


class TestCancelAndModify:
    def test_cancelled_order_is_gone_for_good(self):
        exchange = desk()
        placed = order(exchange, BUY, kind=OrderType.LIMIT, limit_price=20990)
        assert exchange.cancel(NOW, 1, placed.order_id).code == 0
        assert exchange.cancel(NOW, 1, placed.order_id).code == 3
        assert told(move(exchange, 20980)) == []

    @pytest.mark.parametrize(("account", "order_id", "code"), [(9, 0, 1), (1, 0, 2)])
    def test_unknown_account_and_order_have_their_own_codes(self, account, order_id, code):
        exchange = desk()
        assert exchange.cancel(NOW, account, order_id).code == code
        assert exchange.modify(NOW, account, order_id, size=1).code == code

    def test_modified_order_rests_at_its_new_price_and_size(self):
        exchange = desk()
        placed = order(exchange, SELL, 1, kind=OrderType.STOP, stop_price=20990)
        outcome = exchange.modify(NOW, 1, placed.order_id, size=2, stop_price=Fraction(20980))
        assert told(outcome.changes) == ["order open"]
        assert told(move(exchange, 20985)) == []
        move(exchange, 20980)
        assert held(exchange) == (-2, 20980)

    def test_order_modified_into_the_market_fills(self):
        exchange = desk()
        placed = order(exchange, BUY, kind=OrderType.LIMIT, limit_price=20990)
        outcome = exchange.modify(NOW, 1, placed.order_id, limit_price=Fraction(21000))
        assert told(outcome.changes)[:2] == ["order open", "order filled"]

    def test_trailing_stop_gets_a_new_distance(self):
        exchange = desk()
        placed = order(exchange, SELL, kind=OrderType.TRAILING_STOP, trail_price=20990)
        exchange.modify(NOW, 1, placed.order_id, trail_price=Fraction(20995))
        move(exchange, 21010)
        assert exchange.state.orders[placed.order_id].stop_price == 21005

    @pytest.mark.parametrize("change", [{"size": 0}, {"limit_price": Fraction("20990.1")}])
    def test_senseless_modification_is_rejected(self, change):
        exchange = desk()
        placed = order(exchange, BUY, kind=OrderType.LIMIT, limit_price=20990)
        assert exchange.modify(NOW, 1, placed.order_id, **change).code == 3

    def test_filled_order_cannot_be_modified(self):
        exchange = desk()
        placed = order(exchange, BUY)
        assert exchange.modify(NOW, 1, placed.order_id, size=2).code == 3


class TestCloses:
    def test_close_executes_a_market_order_of_the_gateway_and_returns_no_id(self):
        exchange = desk()
        order(exchange, SELL, 3)
        move(exchange, 20990)
        outcome = exchange.close(NOW, 1, MNQ)
        expected = ["order pending", "order filled", "trade 60", "position 0", "account"]
        assert told(outcome.changes) == expected
        assert outcome.order_id is None
        assert held(exchange) is None

    def test_partial_close_leaves_the_rest_at_its_average(self):
        exchange = desk()
        order(exchange, BUY, 3)
        assert told(exchange.partial_close(NOW, 1, MNQ, 2).changes)[3] == "position 1"
        assert held(exchange) == (1, 21000)

    def test_partial_close_of_all_there_is_leaves_nothing(self):
        exchange = desk()
        order(exchange, SELL, 3)
        assert exchange.partial_close(NOW, 1, MNQ, 3).code == 0
        assert held(exchange) is None

    @pytest.mark.parametrize("size", [0, -1, 4])
    def test_partial_close_of_more_than_there_is_has_its_own_code(self, size):
        exchange = desk()
        order(exchange, BUY, 3)
        assert exchange.partial_close(NOW, 1, MNQ, size).code == 5
        assert held(exchange) == (3, 21000)

    @pytest.mark.parametrize(
        ("account", "contract", "code"), [(9, MNQ, 1), (1, MNQ, 2), (1, "CON.F.US.XYZ.U26", 3)]
    )
    def test_nothing_to_close_has_its_own_code(self, account, contract, code):
        assert desk().close(NOW, account, contract).code == code
        assert desk().partial_close(NOW, account, contract, 1).code == code

    def test_account_that_may_not_trade_can_still_close_and_cancel(self):
        exchange = desk()
        order(exchange, BUY)
        stop = order(exchange, SELL, kind=OrderType.STOP, stop_price=20990)
        exchange.state.accounts[1] = replace(exchange.state.accounts[1], can_trade=False)
        assert exchange.cancel(NOW, 1, stop.order_id).code == 0
        assert exchange.close(NOW, 1, MNQ).code == 0

    def test_position_in_a_contract_that_is_no_longer_listed_can_be_closed(self):
        exchange = desk()
        order(exchange, BUY)
        listed = exchange.state.catalogue.find(MNQ)
        exchange.state.catalogue.list(replace(listed, known=False))
        assert exchange.close(NOW, 1, MNQ).code == 0

    def test_stop_that_fills_after_the_close_opens_the_opposite_position(self):
        exchange = desk()
        order(exchange, BUY)
        order(exchange, SELL, kind=OrderType.STOP, stop_price=20990)
        exchange.close(NOW, 1, MNQ)
        assert told(exchange.fire_stop(NOW, 1, MNQ))[2] == "position -1"
        assert exchange.fire_stop(NOW, 1, MNQ) == ()
