"""Gateway payloads into our own messages: signs, units, enums and money are settled here, once.

Every function is pure: plain JSON values in (as the SDK decoded them), frozen Structs out. The
stream wraps its payloads as `{"action": n, "data": {...}}` and leaves null fields out; REST rows and
the documentation show the bare object. Both are read alike. A payload that lacks what a decision
needs raises `Malformed`, which names the payload and the field; fields nobody knows are no mistake.

Facts: ProjectX gateway documentation (hubs, REST rows, enums) and payloads seen live.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec
from msgspec import Struct

from actors.connection import shapes
from actors.messages import (
    MONEY_SCALE,
    AccountId,
    AccountReport,
    Contract,
    ContractId,
    Fill,
    FillId,
    Money,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    PositionReport,
)
from config.errors import GatewayMustAct
from config.instruments import UnknownContract, root_of, root_of_name


class Malformed(GatewayMustAct, ValueError):
    """A payload that cannot be what the gateway documents; `what` names it, `why` the field."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"cannot read {what}: {why}")
        self.what = what
        self.why = why


class Unmeasurable(GatewayMustAct, ValueError):
    """A contract record whose tick data is missing or no tick data at all: its risk cannot be told."""


class Prices(Struct, frozen=True, gc=False):
    """What one market payload says of a contract's prices; what it did not carry is None.

    Zero, negative and non-finite prices are refused as if they had not been sent.
    """

    contract: ContractId
    last: float | None
    bid: float | None
    ask: float | None
    at: datetime | None
    """The gateway's own timestamp, where it gave one."""


class Listed(Struct, frozen=True, gc=False):
    """A contract as the gateway's search lists it; `active` is its own mark of the front month."""

    contract: Contract
    active: bool


# ---------------------------------------------------------------- rows and events


def account(payload: object) -> AccountReport:
    """`GatewayUserAccount` or a row of Account/search."""
    row = _read(payload, shapes.Account, "account")
    return AccountReport(
        id=AccountId(row.id),
        name=row.name,
        can_trade=row.canTrade,
        balance=None if row.balance is None else money(row.balance, "account", "balance"),
        simulated=row.simulated,
    )


def position(payload: object) -> PositionReport:
    """`GatewayUserPosition` or a row of Position/searchOpen.

    The gateway's size is never negative, `type` is the direction (1 long, 2 short). A closed
    position arrives as type 0, size 0 with the entry price still in it.
    """
    row = _read(payload, shapes.Position, "position")
    return PositionReport(
        account=AccountId(row.accountId),
        contract=ContractId(row.contractId),
        size=_directed(row),
        average=_finite(row.averagePrice or 0.0, "position", "averagePrice"),
        created_at=_aware(row.creationTimestamp),
    )


def _directed(row: shapes.Position) -> int:
    if row.size == 0:
        return 0
    if row.size < 0 or row.averagePrice is None:
        raise Malformed("position", f"size {row.size}, averagePrice {row.averagePrice}")
    match row.type:
        case 1:
            return row.size
        case 2:
            return -row.size
        case _:
            raise Malformed("position", f"type {row.type} with size {row.size} has no direction")


def order(payload: object) -> Order:
    """`GatewayUserOrder` or a row of the order searches; sizes get the sign of the side."""
    row = _read(payload, shapes.Order, "order")
    sign = _sign(row.side, "order")
    created = _aware(row.creationTimestamp)
    return Order(
        id=OrderId(row.id),
        account=AccountId(row.accountId),
        contract=ContractId(row.contractId),
        type=_order_type(row.type),
        status=_order_status(row.status),
        size=sign * _positive(row.size, "order", "size"),
        filled=sign * (row.fillVolume or 0),
        created_at=created,
        updated_at=created if row.updateTimestamp is None else _aware(row.updateTimestamp),
        limit_price=row.limitPrice,
        stop_price=row.stopPrice,
        # In a request `trailPrice` is a level; it reads back as a distance.
        trail=row.trailPrice if row.trailPrice is not None else row.trailDistance,
        tag=row.customTag,
        parent=None if row.parentOrderId is None else OrderId(row.parentOrderId),
        raw_type=row.type,
        raw_status=row.status,
    )


def fill(payload: object) -> Fill:
    """`GatewayUserTrade` or a row of Trade/search. No `profitAndLoss` is an opening half: None, never 0."""
    row = _read(payload, shapes.Trade, "trade")
    pnl = None if row.profitAndLoss is None else money(row.profitAndLoss, "trade", "profitAndLoss")
    return Fill(
        id=FillId(row.id),
        account=AccountId(row.accountId),
        order=OrderId(row.orderId),
        contract=ContractId(row.contractId),
        at=_aware(row.creationTimestamp),
        size=_sign(row.side, "trade") * _positive(row.size, "trade", "size"),
        price=_finite(row.price, "trade", "price"),
        pnl=pnl,
        fees=money(row.fees or 0.0, "trade", "fees") + money(row.commissions or 0.0, "trade", "commissions"),
        voided=bool(row.voided),
    )


def quote(contract: object, payload: object) -> Prices:
    """`GatewayQuote`: a partial update, only what changed is in it."""
    row = _read(payload, shapes.Quote, "quote")
    at = row.timestamp or row.lastUpdated
    return Prices(
        contract=_contract_id(contract, "quote"),
        last=_usable(row.lastPrice),
        bid=_usable(row.bestBid),
        ask=_usable(row.bestAsk),
        at=None if at is None else _aware(at),
    )


def market_trade(contract: object, payload: object) -> Prices | None:
    """`GatewayTrade`: live it carries a list, newest last; an empty one says nothing."""
    rows = payload if isinstance(payload, list | tuple) else [payload]
    if not rows:
        return None
    row = _read(rows[-1], shapes.MarketTrade, "market trade")
    at = None if row.timestamp is None else _aware(row.timestamp)
    return Prices(_contract_id(contract, "market trade"), _usable(row.price), None, None, at)


def contract(payload: object) -> Contract:
    """A contract record. Raises Unmeasurable where tick data or root cannot be told from it."""
    row = _read(payload, shapes.Contract, "contract")
    size, value = _tick_size(row), _tick_value(row)
    return Contract(
        id=ContractId(row.id),
        root=_root(row),
        name=row.name,
        tick_size=size,
        tick_value=value,
        tick=float(size),
    )


def listed(payload: object) -> Listed:
    """A row of Contract/search. Raises like `contract`."""
    return Listed(contract(payload), _read(payload, shapes.Contract, "contract").activeContract)


def newest_close(payload: object) -> float | None:
    """The close of the newest bar of History/retrieveBars (newest first); None when there is no bar."""
    bars = [_read(row, shapes.Bar, "bar") for row in rows_of(payload, "bars")]
    newest = max(bars, key=lambda bar: _aware(bar.t), default=None)
    return None if newest is None else _usable(newest.c)


def rows_of(payload: object, field: str) -> Iterable[object]:
    """The payload field of a REST envelope; a null list is an empty one."""
    if not isinstance(payload, Mapping):
        raise Malformed("answer", f"no object with {field}")
    if field not in payload:
        raise Malformed("answer", f"no {field} in it")
    rows = payload[field]
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise Malformed("answer", f"{field} is no list")
    return rows


# ---------------------------------------------------------------- units


def money(amount: float, what: str, field: str) -> Money:
    """Dollars of the wire in 1/10000 dollar: through the shortest decimal, never through binary."""
    exact = Decimal(repr(_finite(amount, what, field))) * MONEY_SCALE
    return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


def _read[T](payload: object, shape: type[T], what: str) -> T:
    try:
        return msgspec.convert(_unwrapped(payload), shape)
    except msgspec.ValidationError as error:
        raise Malformed(what, str(error)) from error


def _unwrapped(payload: object) -> object:
    """The bare object: live events are wrapped, documented ones and REST rows are not."""
    if isinstance(payload, dict) and "data" in payload and "id" not in payload:
        return payload["data"]
    return payload


def _contract_id(value: object, what: str) -> ContractId:
    if not isinstance(value, str) or not value:
        raise Malformed(what, f"contract id is {value!r}")
    return ContractId(value)


def _aware(at: datetime) -> datetime:
    """The gateway documents UTC; an instant without offset is read as that."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _sign(side: int, what: str) -> int:
    match side:
        case 0:
            return 1
        case 1:
            return -1
        case _:
            raise Malformed(what, f"side {side} is neither buy (0) nor sell (1)")


def _positive(size: int, what: str, field: str) -> int:
    if size < 0:
        raise Malformed(what, f"{field} {size} is negative")
    return size


def _finite(number: float, what: str, field: str) -> float:
    if not math.isfinite(number):
        raise Malformed(what, f"{field} is {number}")
    return number


def _usable(price: float | None) -> float | None:
    return price if price is not None and price > 0 and math.isfinite(price) else None


def _order_type(raw: int) -> OrderType:
    return OrderType(raw) if raw in OrderType and raw > 0 else OrderType.UNKNOWN


def _order_status(raw: int) -> OrderStatus:
    return OrderStatus(raw) if raw in OrderStatus and raw >= 0 else OrderStatus.UNKNOWN


def _tick_size(row: shapes.Contract) -> Decimal:
    size = row.tickSize
    if size is None or size <= 0 or not math.isfinite(size):
        raise Unmeasurable(f"the record of {row.id} has tick size {size}")
    return Decimal(repr(size))


def _tick_value(row: shapes.Contract) -> Money:
    value = row.tickValue
    if value is None or value <= 0 or not math.isfinite(value):
        raise Unmeasurable(f"the record of {row.id} has tick value {value}")
    exact = Decimal(repr(value)) * MONEY_SCALE
    if exact != exact.to_integral_value():
        raise Unmeasurable(f"the record of {row.id} has tick value {value}, finer than 1/10000 dollar")
    return int(exact)


def _root(row: shapes.Contract) -> str:
    try:
        return root_of(row.id, row.name)
    except UnknownContract:
        pass  # an id of another form: the name is the second witness
    try:
        return root_of_name(row.name)
    except UnknownContract as error:
        raise Unmeasurable(str(error)) from error
