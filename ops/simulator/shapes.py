"""The payloads as they go over the wire, in the live gateway's shapes.

REST rows carry nulls; stream payloads leave null fields out. REST trade rows carry `fees` only, the stream
carries `commissions` too. A closed position is type 0, size 0, with the entry price as its average.
"""

from datetime import datetime
from fractions import Fraction

from ops.simulator.contracts import Contract
from ops.simulator.prices import Bar
from ops.simulator.records import Account, Change, Order, OrderType, Position, Trade
from ops.simulator.state import State

type Json = dict[str, object]


def number(value: Fraction | None) -> float | int | None:
    """An exact value as the JSON number nearest to it (whole numbers without a fraction)."""
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else float(value)


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def account(record: Account) -> Json:
    return {
        "id": record.id,
        "name": record.name,
        "balance": number(record.balance),
        "canTrade": record.can_trade,
        "isVisible": record.visible,
        "simulated": record.simulated,
    }


def position(record: Position, listed: Contract) -> Json:
    return {
        "id": record.id,
        "accountId": record.account_id,
        "contractId": record.contract_id,
        "contractDisplayName": listed.name,
        "creationTimestamp": stamp(record.opened),
        "type": 1 if record.size > 0 else 2 if record.size < 0 else 0,
        "size": abs(record.size),
        "averagePrice": number(record.average),
    }


def order(record: Order, listed: Contract) -> Json:
    trailing = record.type is OrderType.TRAILING_STOP
    row: Json = {
        "id": record.id,
        "accountId": record.account_id,
        "contractId": record.contract_id,
        "symbolId": listed.symbol,
        "creationTimestamp": stamp(record.created),
        "updateTimestamp": stamp(record.updated),
        "status": int(record.status),
        "type": int(record.type),
        "side": int(record.side),
        "size": record.size,
        "limitPrice": number(record.limit_price),
        "stopPrice": number(record.stop_price),
        "fillVolume": record.filled,
        "filledPrice": number(record.filled_price),
        "customTag": record.tag,
    }
    linked: Json = {
        "parentOrderId": record.parent_id,
        "linkedOrderId": record.linked_id,
        "trailPrice": number(record.trail_distance) if trailing else None,
        "trailDistance": number(record.trail_distance) if trailing else None,
    }
    return row | {key: value for key, value in linked.items() if value is not None}


def trade(record: Trade) -> Json:
    """A REST row: `fees` alone, and a null P&L on an opening execution."""
    return {
        "id": record.id,
        "accountId": record.account_id,
        "contractId": record.contract_id,
        "creationTimestamp": stamp(record.at),
        "price": number(record.price),
        "profitAndLoss": number(record.pnl),
        "fees": number(record.fees),
        "side": int(record.side),
        "size": record.size,
        "voided": record.voided,
        "orderId": record.order_id,
    }


def contract(record: Contract) -> Json:
    row: Json = {
        "id": record.id,
        "name": record.name,
        "description": record.title,
        "tickSize": number(record.tick_size) if record.ticks_shown else None,
        "tickValue": number(record.tick_value) if record.ticks_shown else None,
        "activeContract": record.active,
        "symbolId": record.symbol,
    }
    return {key: value for key, value in row.items() if value is not None}


def bar(record: Bar) -> Json:
    return {
        "t": stamp(record.start),
        "o": number(record.open),
        "h": number(record.high),
        "l": number(record.low),
        "c": number(record.close),
        "v": record.volume,
    }


#: The quote's name of each side, and the depth type of the best price on it.
QUOTE_FIELDS = {"last": "lastPrice", "bid": "bestBid", "ask": "bestAsk"}
BEST = {"ask": 3, "bid": 4}


def quote(contract: Contract, sides: dict[str, Fraction], at: datetime) -> Json:
    """A partial quote: only the sides given."""
    now = stamp(at)
    fields = {QUOTE_FIELDS[side]: number(price) for side, price in sides.items()}
    return {
        "symbol": contract.symbol,
        **fields,
        "lastUpdated": now,
        "timestamp": now,
        "contract": contract.id,
    }


def market_trade(contract: Contract, price: Fraction, falling: bool, at: datetime) -> Json:
    """One row of a GatewayTrade event, which carries a list of them."""
    return {
        "symbolId": contract.symbol,
        "price": number(price),
        "timestamp": stamp(at),
        "type": int(falling),
        "volume": 1,
        "contractId": contract.id,
    }


def depth(sides: dict[str, Fraction], at: datetime) -> list[Json]:
    return [
        {"timestamp": stamp(at), "type": BEST[side], "price": number(price), "volume": 1, "currentVolume": 1}
        for side, price in sides.items()
        if side in BEST
    ]


def event(change: Change, state: State) -> tuple[str, int, Json]:
    """Target, account and data of a user hub event (nulls still in, see `without_nulls`)."""
    match change.record:
        case Account() as record:
            return "GatewayUserAccount", record.id, account(record)
        case Position() as record:
            row = position(record, state.contract(record.contract_id))
            return "GatewayUserPosition", record.account_id, row
        case Order() as record:
            return "GatewayUserOrder", record.account_id, order(record, state.contract(record.contract_id))
        case Trade() as record:
            row = trade(record) | {"commissions": number(record.commissions)}
            return "GatewayUserTrade", record.account_id, row


def without_nulls(row: Json) -> Json:
    return {key: value for key, value in row.items() if value is not None}
