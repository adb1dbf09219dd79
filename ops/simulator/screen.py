"""What happens at the broker beyond requests: an adopted position, history, a voided trade, canTrade.

Each returns the events it causes. Mistakes in what is asked for raise ValueError with the reason.
"""

from datetime import datetime
from fractions import Fraction

from msgspec.structs import replace

from ops.simulator.contracts import Contract
from ops.simulator.fills import moved
from ops.simulator.records import Account, Action, Change, Position, Side, Trade
from ops.simulator.state import State


def adopt(
    state: State,
    now: datetime,
    account: Account,
    contract: Contract,
    size: int,
    price: Fraction,
    at: datetime | None,
) -> list[Change]:
    """Puts a position (signed size, 0 removes it) into the account as if opened before: no trade."""
    held = state.position(account.id, contract.id)
    if size == 0 and held is None:
        raise ValueError(f"{account.name} has no position in {contract.id}")
    average = held.average if size == 0 and held else price
    return [moved(state, at or now, account.id, contract.id, size, average, held)]


def book_round_trip(
    state: State,
    now: datetime,
    account: Account,
    contract: Contract,
    side: Side,
    size: int,
    price: Fraction,
    pnl: Fraction,
    fees: Fraction | None = None,
    commissions: Fraction | None = None,
) -> list[Change]:
    """Books an opened and closed position with a given P&L: two half-turns, position events, account event.

    The exit price is the one that earns the P&L, rounded to a tick where the P&L is not a whole number of
    them; the P&L is sent as asked for.
    """
    if state.position(account.id, contract.id) is not None:
        raise ValueError(f"{account.name} has a position in {contract.id}; trade it with order")
    if size <= 0 or not contract.tick_value:
        raise ValueError("size must be positive and the contract needs tick data")
    fees = state.fees * size if fees is None else fees
    commissions = state.commissions * size if commissions is None else commissions
    distance = pnl / (contract.money(Fraction(1)) * size) * side.sign
    exit_price = contract.nearest(price + distance)
    opening = _half_turn(state, now, account, contract, side, size, price, None, fees, commissions)
    closing = _half_turn(
        state, now, account, contract, side.opposite, size, exit_price, pnl, fees, commissions
    )
    opened = moved(state, now, account.id, contract.id, side.sign * size, price, None)
    assert isinstance(opened.record, Position)
    closed = moved(state, now, account.id, contract.id, 0, price, opened.record)
    balance = account.balance + pnl - 2 * (fees + commissions)
    state.accounts[account.id] = account = replace(account, balance=balance)
    return [opening, opened, closing, closed, Change(Action.UPDATED, account)]


def void(state: State, trade_id: int) -> list[Change]:
    """Voids a trade: its money is given back; the position it made is left as it is."""
    trade = state.trades.get(trade_id)
    if trade is None or trade.voided:
        raise ValueError(f"no trade {trade_id} to void")
    state.trades[trade_id] = trade = replace(trade, voided=True)
    account = state.accounts[trade.account_id]
    balance = account.balance - (trade.pnl or 0) + trade.fees + trade.commissions
    state.accounts[account.id] = account = replace(account, balance=balance)
    return [Change(Action.UPDATED, trade), Change(Action.UPDATED, account)]


def change_account(state: State, account: Account) -> list[Change]:
    """Keeps an account's new state (canTrade, balance, visibility) and tells it."""
    state.accounts[account.id] = account
    return [Change(Action.UPDATED, account)]


def _half_turn(
    state: State,
    at: datetime,
    account: Account,
    contract: Contract,
    side: Side,
    size: int,
    price: Fraction,
    pnl: Fraction | None,
    fees: Fraction,
    commissions: Fraction,
) -> Change:
    trade = Trade(
        id=state.next_trade_id(),
        account_id=account.id,
        contract_id=contract.id,
        order_id=state.next_order_id(),
        side=side,
        size=size,
        price=price,
        pnl=pnl,
        fees=fees,
        commissions=commissions,
        at=at,
    )
    state.trades[trade.id] = trade
    return Change(Action.CREATED, trade)
