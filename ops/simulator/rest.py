"""The REST half of the protocol: one row per endpoint, with its request, its answer and its own error codes.

Every answer but an HTTP error carries `success`, `errorCode`, `errorMessage` and one payload field; a
business failure is HTTP 200 with `success: false`.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import msgspec

from ops.simulator import shapes
from ops.simulator.exchange import Exchange
from ops.simulator.prices import Unit
from ops.simulator.records import Order, OrderType, Outcome, Status
from ops.simulator.requests import (
    AccountSearch,
    BracketRequest,
    Cancel,
    Close,
    ContractAvailable,
    ContractById,
    ContractSearch,
    Empty,
    LoginKey,
    Modify,
    OfAccount,
    OrderQuery,
    PartialClose,
    Place,
    Request,
    RetrieveBars,
    Window,
)
from ops.simulator.sessions import Sessions
from ops.simulator.shapes import Json
from ops.simulator.tickets import Bracket, Ticket

MOST_CONTRACTS = 20
MOST_BARS = 20_000


class Reply(msgspec.Struct, frozen=True):
    """What an endpoint answers: its payload, and the outcome with its code, words and events."""

    payload: Json = {}
    outcome: Outcome = Outcome()

    def body(self) -> Json:
        code, message = int(self.outcome.code), self.outcome.message
        return self.payload | {"success": self.outcome.ok, "errorCode": code, "errorMessage": message}


class Desk(msgspec.Struct, kw_only=True):
    """What the endpoints work on."""

    exchange: Exchange
    sessions: Sessions
    token: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """One path. `acting` calls change an account and are kept for `calls`."""

    request: type[Request]
    answer: Callable[..., Reply]
    acting: bool = False
    open: bool = False


def login_key(desk: Desk, now: datetime, asked: LoginKey) -> Reply:
    code = desk.sessions.login_code(asked.user_name, asked.api_key)
    token = desk.sessions.issue(now) if code == 0 else None
    return Reply({"token": token}, Outcome(code=code))


def validate(desk: Desk, now: datetime, asked: Empty) -> Reply:
    return Reply({"newToken": desk.sessions.issue(now)})


def logout(desk: Desk, now: datetime, asked: Empty) -> Reply:
    desk.sessions.revoke(desk.token)
    return Reply()


def account_search(desk: Desk, now: datetime, asked: AccountSearch) -> Reply:
    """Visible accounts; "active" is not canTrade: an account that may not trade is still listed."""
    found = [
        account
        for account in desk.exchange.state.accounts.values()
        if account.visible and (account.active or not asked.only_active_accounts)
    ]
    return Reply({"accounts": [shapes.account(account) for account in found]})


def contract_search(desk: Desk, now: datetime, asked: ContractSearch) -> Reply:
    """Practice accounts see contracts only with `live` false."""
    found = () if asked.live else desk.exchange.state.catalogue.search(asked.search_text)
    return Reply({"contracts": [shapes.contract(contract) for contract in found[:MOST_CONTRACTS]]})


def contract_by_id(desk: Desk, now: datetime, asked: ContractById) -> Reply:
    contract = desk.exchange.state.catalogue.find(asked.contract_id)
    if contract is None or not contract.known:
        return Reply({"contract": None}, Outcome(code=1, message="Contract not found."))
    return Reply({"contract": shapes.contract(contract)})


def contract_available(desk: Desk, now: datetime, asked: ContractAvailable) -> Reply:
    found = () if asked.live else desk.exchange.state.catalogue.available()
    return Reply({"contracts": [shapes.contract(contract) for contract in found]})


def retrieve_bars(desk: Desk, now: datetime, asked: RetrieveBars) -> Reply:
    state = desk.exchange.state
    contract = state.catalogue.find(asked.contract_id)
    if contract is None or not contract.known:
        return Reply({"bars": None}, Outcome(code=1, message="Contract not found."))
    if asked.unit not in set(Unit):
        return Reply({"bars": None}, Outcome(code=2, message="Invalid unit."))
    if asked.unit_number <= 0:
        return Reply({"bars": None}, Outcome(code=3, message="Invalid unit number."))
    if not 0 < asked.limit <= MOST_BARS:
        return Reply({"bars": None}, Outcome(code=4, message="Invalid limit."))
    bars = state.tape(contract.id).bars(
        now=now,
        start=_aware(asked.start_time),
        end=_aware(asked.end_time),
        unit=Unit(asked.unit),
        number=asked.unit_number,
        limit=asked.limit,
        partial=asked.include_partial_bar,
    )
    return Reply({"bars": [shapes.bar(bar) for bar in bars]})


def place(desk: Desk, now: datetime, asked: Place) -> Reply:
    ticket = Ticket(
        account_id=asked.account_id,
        contract_id=asked.contract_id,
        side=asked.side,
        type=asked.type,
        size=asked.size,
        limit_price=_exact(asked.limit_price),
        stop_price=_exact(asked.stop_price),
        trail_price=_exact(asked.trail_price),
        tag=asked.custom_tag,
        linked_id=asked.linked_order_id,
        stop_loss=_bracket(asked.stop_loss_bracket, OrderType.STOP),
        take_profit=_bracket(asked.take_profit_bracket, OrderType.LIMIT),
    )
    outcome = desk.exchange.place(now, ticket)
    return Reply({"orderId": outcome.order_id}, outcome)


def cancel(desk: Desk, now: datetime, asked: Cancel) -> Reply:
    return Reply({}, desk.exchange.cancel(now, asked.account_id, asked.order_id))


def modify(desk: Desk, now: datetime, asked: Modify) -> Reply:
    outcome = desk.exchange.modify(
        now,
        asked.account_id,
        asked.order_id,
        size=asked.size,
        limit_price=_exact(asked.limit_price),
        stop_price=_exact(asked.stop_price),
        trail_price=_exact(asked.trail_price),
    )
    return Reply({}, outcome)


def order_search(desk: Desk, now: datetime, asked: Window) -> Reply:
    start, end = _aware(asked.start_timestamp), _aware(asked.end_timestamp or now)
    return _orders(desk, asked.account_id, lambda order: start <= order.created <= end)


def order_search_open(desk: Desk, now: datetime, asked: OfAccount) -> Reply:
    """Status Open alone: suspended bracket legs are not shown here."""
    return _orders(desk, asked.account_id, lambda order: order.status is Status.OPEN)


def order_by_id(desk: Desk, now: datetime, asked: Cancel) -> Reply:
    order = desk.exchange.state.orders.get(asked.order_id)
    if order is None or order.account_id != asked.account_id:
        return Reply({"order": None}, Outcome(code=1, message="Order not found."))
    return Reply({"order": shapes.order(order, desk.exchange.state.contract(order.contract_id))})


def order_query(desk: Desk, now: datetime, asked: OrderQuery) -> Reply:
    """The newest first unless `sortDirection` says "asc" (0)."""
    wanted = asked.filter

    def fits(order: Order) -> bool:
        return (
            (not wanted.statuses or order.status in wanted.statuses)
            and wanted.contract_id in (None, order.contract_id)
            and (wanted.created_after is None or order.created >= _aware(wanted.created_after))
            and (wanted.created_before is None or order.created <= _aware(wanted.created_before))
        )

    reply = _orders(desk, wanted.account_id, fits)
    rows = reply.payload["orders"]
    if not isinstance(rows, list):
        return reply
    if asked.sort_direction not in ("asc", "Asc", "Ascending", 0):
        rows.reverse()
    page = rows[asked.page_offset : asked.page_offset + asked.page_size]
    total = {"totalCount": len(rows)} if asked.include_total_count else {}
    return Reply({"orders": page, **total}, reply.outcome)


def position_search_open(desk: Desk, now: datetime, asked: OfAccount) -> Reply:
    state = desk.exchange.state
    if asked.account_id not in state.accounts:
        return Reply({"positions": None}, Outcome(code=1, message="Account not found."))
    rows = [
        shapes.position(held, state.contract(held.contract_id))
        for held in state.positions.values()
        if held.account_id == asked.account_id
    ]
    return Reply({"positions": rows})


def close_contract(desk: Desk, now: datetime, asked: Close) -> Reply:
    return Reply({}, desk.exchange.close(now, asked.account_id, asked.contract_id))


def partial_close_contract(desk: Desk, now: datetime, asked: PartialClose) -> Reply:
    return Reply({}, desk.exchange.partial_close(now, asked.account_id, asked.contract_id, asked.size))


def trade_search(desk: Desk, now: datetime, asked: Window) -> Reply:
    state = desk.exchange.state
    if asked.account_id not in state.accounts:
        return Reply({"trades": None}, Outcome(code=1, message="Account not found."))
    start, end = _aware(asked.start_timestamp), _aware(asked.end_timestamp or now)
    found = [t for t in state.trades.values() if t.account_id == asked.account_id and start <= t.at <= end]
    found.sort(key=lambda trade: (trade.at, trade.id), reverse=True)
    return Reply({"trades": [shapes.trade(trade) for trade in found]})


ENDPOINTS: dict[str, Endpoint] = {
    "Auth/loginKey": Endpoint(LoginKey, login_key, open=True),
    "Auth/validate": Endpoint(Empty, validate),
    "Auth/logout": Endpoint(Empty, logout),
    "Account/search": Endpoint(AccountSearch, account_search),
    "Contract/search": Endpoint(ContractSearch, contract_search),
    "Contract/searchById": Endpoint(ContractById, contract_by_id),
    "Contract/available": Endpoint(ContractAvailable, contract_available),
    "History/retrieveBars": Endpoint(RetrieveBars, retrieve_bars),
    "Order/place": Endpoint(Place, place, acting=True),
    "Order/cancel": Endpoint(Cancel, cancel, acting=True),
    "Order/modify": Endpoint(Modify, modify, acting=True),
    "Order/search": Endpoint(Window, order_search),
    "Order/searchOpen": Endpoint(OfAccount, order_search_open),
    "Order/searchById": Endpoint(Cancel, order_by_id),
    "Order/v2/query": Endpoint(OrderQuery, order_query),
    "Position/searchOpen": Endpoint(OfAccount, position_search_open),
    "Position/closeContract": Endpoint(Close, close_contract, acting=True),
    "Position/partialCloseContract": Endpoint(PartialClose, partial_close_contract, acting=True),
    "Trade/search": Endpoint(Window, trade_search),
}


def _orders(desk: Desk, account_id: int, fits: Callable[[Order], bool]) -> Reply:
    state = desk.exchange.state
    if account_id not in state.accounts:
        return Reply({"orders": None}, Outcome(code=1, message="Account not found."))
    rows = [
        shapes.order(order, state.contract(order.contract_id))
        for order in state.orders_of(account_id)
        if fits(order)
    ]
    return Reply({"orders": rows})


def _exact(price: Decimal | None) -> Fraction | None:
    return None if price is None else Fraction(price)


def _bracket(asked: BracketRequest | None, otherwise: OrderType) -> Bracket | None:
    return None if asked is None else Bracket(asked.ticks, asked.type or otherwise)


def _aware(instant: datetime) -> datetime:
    """A timestamp without a zone is UTC, as the gateway reads it."""
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
