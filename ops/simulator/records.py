"""What the broker keeps: accounts, orders, positions, trades, and the change that happened to one of them.

Prices and dollars are exact fractions; sizes of positions are signed (long > 0), which only the wire
shape splits into `type` and `size`.
"""

from datetime import datetime
from enum import IntEnum
from fractions import Fraction
from typing import Final

import msgspec


class Side(IntEnum):
    BUY = 0
    SELL = 1

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(IntEnum):
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class Status(IntEnum):
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8


#: An order in one of these will never change again.
FINAL: Final = frozenset({Status.FILLED, Status.CANCELLED, Status.EXPIRED, Status.REJECTED})


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    balance: Fraction
    can_trade: bool = True
    visible: bool = True
    simulated: bool = True
    active: bool = True
    #: Brackets are refused unless the account is in this mode (gateway documentation).
    auto_oco: bool = True


class Order(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    account_id: int
    contract_id: str
    side: Side
    type: OrderType
    size: int
    status: Status
    created: datetime
    updated: datetime
    filled: int = 0
    filled_price: Fraction | None = None
    limit_price: Fraction | None = None
    stop_price: Fraction | None = None
    trail_distance: Fraction | None = None
    tag: str | None = None
    parent_id: int | None = None
    linked_id: int | None = None
    #: Signed distance of a bracket leg from the entry, until the entry fills.
    bracket_ticks: int | None = None
    #: A stop-limit order whose stop was touched rests as a limit order from then on.
    triggered: bool = False

    @property
    def remaining(self) -> int:
        return self.size - self.filled


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """`size` is signed; 0 says that it was just closed, and `average` is then still the entry price."""

    id: int
    account_id: int
    contract_id: str
    size: int
    average: Fraction
    opened: datetime


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. `pnl` is None on an opening one, which is not the same as a scratch of 0."""

    id: int
    account_id: int
    contract_id: str
    order_id: int
    side: Side
    size: int
    price: Fraction
    pnl: Fraction | None
    fees: Fraction
    commissions: Fraction
    at: datetime
    voided: bool = False


class Action(IntEnum):
    """What a stream event says happened. Live streams show 0 for trades, 1 for news, 2 for what is over."""

    CREATED = 0
    UPDATED = 1
    DELETED = 2


class Change(msgspec.Struct, frozen=True):
    """One stream event to be: what happened to which record."""

    action: Action
    record: Account | Order | Position | Trade


class PlaceCode(IntEnum):
    """Order/place's own error codes. Every endpoint has its own table, so none is shared."""

    OK = 0
    ACCOUNT_NOT_FOUND = 1
    ORDER_REJECTED = 2
    INSUFFICIENT_FUNDS = 3
    ACCOUNT_VIOLATION = 4
    OUTSIDE_TRADING_HOURS = 5
    ORDER_PENDING = 6
    UNKNOWN = 7
    CONTRACT_NOT_FOUND = 8
    CONTRACT_NOT_ACTIVE = 9
    ACCOUNT_REJECTED = 10


class CancelCode(IntEnum):
    """Order/cancel's codes, and Order/modify's, which adds the last."""

    OK = 0
    ACCOUNT_NOT_FOUND = 1
    ORDER_NOT_FOUND = 2
    REJECTED = 3
    PENDING = 4
    UNKNOWN = 5
    ACCOUNT_REJECTED = 6
    CONTRACT_NOT_FOUND = 7


class CloseCode(IntEnum):
    """Position/closeContract's codes."""

    OK = 0
    ACCOUNT_NOT_FOUND = 1
    POSITION_NOT_FOUND = 2
    CONTRACT_NOT_FOUND = 3
    CONTRACT_NOT_ACTIVE = 4
    ORDER_REJECTED = 5
    ORDER_PENDING = 6
    UNKNOWN = 7
    ACCOUNT_REJECTED = 8


class PartialCloseCode(IntEnum):
    """Position/partialCloseContract's codes: shifted by one from 5 on."""

    OK = 0
    ACCOUNT_NOT_FOUND = 1
    POSITION_NOT_FOUND = 2
    CONTRACT_NOT_FOUND = 3
    CONTRACT_NOT_ACTIVE = 4
    INVALID_CLOSE_SIZE = 5
    ORDER_REJECTED = 6
    ORDER_PENDING = 7
    UNKNOWN = 8
    ACCOUNT_REJECTED = 9


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one request: its code, the words, and every event it caused, in order."""

    code: int = 0
    message: str | None = None
    order_id: int | None = None
    changes: tuple[Change, ...] = ()

    @property
    def ok(self) -> bool:
        return self.code == 0
