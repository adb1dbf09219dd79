"""Everything the broker remembers, with the counters its ids come from."""

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from itertools import count

from ops.simulator.contracts import Catalogue, Contract
from ops.simulator.prices import Price, Tape
from ops.simulator.records import FINAL, Account, Order, Position, Status, Trade


class State:
    """Accounts, orders, positions (one per account and contract), trades and prices of one gateway.

    Ids start from the start time in milliseconds: a gateway that is started again never repeats an id, on
    which its clients rely to count each trade once.
    """

    def __init__(self, started: datetime, fees: Fraction, commissions: Fraction) -> None:
        self.catalogue = Catalogue(started.date())
        self.fees = fees
        self.commissions = commissions
        self.market_open = True
        self.close_cancels_brackets = False
        self.accounts: dict[int, Account] = {}
        self.orders: dict[int, Order] = {}
        self.positions: dict[tuple[int, str], Position] = {}
        self.trades: dict[int, Trade] = {}
        self.prices: dict[str, Price] = {}
        self.tapes: dict[str, Tape] = {}
        self._working: dict[str, dict[int, None]] = {}
        self._legs: dict[int, list[int]] = {}
        self._tags: set[tuple[int, str]] = set()
        first = int(started.timestamp() * 1000)
        self._order_ids, self._trade_ids = count(first), count(first + 100_000_000)
        self._position_ids = count(first + 200_000_000)

    def next_order_id(self) -> int:
        return next(self._order_ids)

    def next_position_id(self) -> int:
        return next(self._position_ids)

    def next_trade_id(self) -> int:
        return next(self._trade_ids)

    def account(self, named: int | str) -> Account | None:
        """An account by its id, its name, or its id as text."""
        for account in self.accounts.values():
            if named in (account.id, account.name, str(account.id)):
                return account
        return None

    def contract(self, contract_id: str) -> Contract:
        """The record of a contract that something is held or ordered in.

        Raises KeyError when there is none, which a caller that got this far has already ruled out.
        """
        contract = self.catalogue.find(contract_id)
        if contract is None:
            raise KeyError(contract_id)
        return contract

    def price(self, contract_id: str) -> Price:
        return self.prices.get(contract_id, Price())

    def tape(self, contract_id: str) -> Tape:
        return self.tapes.setdefault(contract_id, Tape())

    def position(self, account_id: int, contract_id: str) -> Position | None:
        return self.positions.get((account_id, contract_id))

    def orders_of(self, account_id: int) -> Iterator[Order]:
        return (order for order in self.orders.values() if order.account_id == account_id)

    def keep(self, order: Order) -> None:
        """Remembers an order as it is now, and what it is looked up by."""
        if order.id not in self.orders and order.parent_id is not None:
            self._legs.setdefault(order.parent_id, []).append(order.id)
        if order.tag is not None:
            self._tags.add((order.account_id, order.tag))
        working = self._working.setdefault(order.contract_id, {})
        if order.status is Status.OPEN:
            working[order.id] = None
        else:
            working.pop(order.id, None)
        self.orders[order.id] = order

    def working(self, contract_id: str) -> list[Order]:
        """Orders that a price can fill, oldest first."""
        return [self.orders[order_id] for order_id in sorted(self._working.get(contract_id, ()))]

    def tag_used(self, account_id: int, tag: str) -> bool:
        return (account_id, tag) in self._tags

    def children(self, order_id: int) -> list[Order]:
        """The bracket legs of an order that are not over."""
        legs = [self.orders[leg] for leg in self._legs.get(order_id, ())]
        return [leg for leg in legs if leg.status not in FINAL]
