"""The bodies of REST requests. Unknown fields are ignored, missing ones are a 400, as at the real gateway."""

from datetime import datetime
from decimal import Decimal

import msgspec

from ops.simulator.records import OrderType, Side, Status


class Request(msgspec.Struct, rename="camel"):
    """A request body."""


class Empty(Request, kw_only=True):
    pass


class LoginKey(Request, kw_only=True):
    user_name: str
    api_key: str


class AccountSearch(Request, kw_only=True):
    only_active_accounts: bool = False


class ContractSearch(Request, kw_only=True):
    search_text: str = ""
    live: bool = False


class ContractById(Request, kw_only=True):
    contract_id: str


class ContractAvailable(Request, kw_only=True):
    live: bool = False


class RetrieveBars(Request, kw_only=True):
    contract_id: str
    start_time: datetime
    end_time: datetime
    unit: int
    unit_number: int
    limit: int
    live: bool = False
    include_partial_bar: bool = False


class BracketRequest(Request, kw_only=True):
    ticks: int
    type: OrderType | None = None


class Place(Request, kw_only=True):
    account_id: int
    contract_id: str
    type: OrderType
    side: Side
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    custom_tag: str | None = None
    linked_order_id: int | None = None
    stop_loss_bracket: BracketRequest | None = None
    take_profit_bracket: BracketRequest | None = None


class Cancel(Request, kw_only=True):
    account_id: int
    order_id: int


class Modify(Request, kw_only=True):
    account_id: int
    order_id: int
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class Window(Request, kw_only=True):
    account_id: int
    start_timestamp: datetime
    end_timestamp: datetime | None = None


class OfAccount(Request, kw_only=True):
    account_id: int


class OrderFilter(Request, kw_only=True):
    account_id: int
    statuses: list[Status] | None = None
    contract_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class OrderQuery(Request, kw_only=True):
    filter: OrderFilter
    page_size: int = 50
    page_offset: int = 0
    sort_by: str | None = None
    sort_direction: str | int | None = None
    include_total_count: bool = False


class Close(Request, kw_only=True):
    account_id: int
    contract_id: str


class PartialClose(Request, kw_only=True):
    account_id: int
    contract_id: str
    size: int
