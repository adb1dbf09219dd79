"""Events on their way from the hubs to the accounts: told in the receive step, on the loop thread.

Nothing here waits, asks or raises. Quotes are partial and the account's mailbox keeps only the newest
per contract, so they are merged here before they are told: what a later one does not carry is not lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from actors import hurry
from actors.address import Address
from actors.connection.translate import Prices
from actors.messages import (
    AccountChanged,
    AccountId,
    AccountReport,
    ContractId,
    Fill,
    Filled,
    GatewaySeen,
    LetGo,
    Order,
    OrderChanged,
    PositionChanged,
    PositionReport,
    Quoted,
)

JOIN_S = 0.001
"""The gateway tells a trade as order, order, fill, position within a millisecond. What comes beside a fill
waits this long for it: an account woken by each would be busy with the orders when the fill is there."""
HOLD_S = 0.005
"""Whoever can wait is told this long after a trading event at most: by then a close that another asked for is
on its way. The timer runs here because here it wakes nobody."""
HOLDS_IN_A_ROW = 4
"""So often, while calls are under way, it is put off."""


def _nothing(order: Order) -> None:
    del order


type Later = Callable[[float, Callable[[], None]], object]


class Ingest:
    """Who gets which event. `sight` is called once for each contract id that turns up, `look` with every
    order; `later` calls back."""

    def __init__(
        self,
        timers: Address,
        sight: Callable[[ContractId], None],
        later: Later | None = None,
        look: Callable[[Order], None] = _nothing,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.last_event_mono = 0.0
        self.last_quote_mono = 0.0
        self.accounts: dict[AccountId, AccountReport] = {}
        self._timers = timers
        self._sight = sight
        self._look = look
        self._later, self._timed, self._busy = later, False, busy
        self._beside: list[tuple[AccountId, OrderChanged | PositionChanged]] = []
        self._holding: set[AccountId] = set()
        self._sighted: set[ContractId] = set()
        self._guarded: dict[AccountId, Address] = {}
        self._wanted: dict[AccountId, frozenset[ContractId]] = {}
        self._watchers: dict[ContractId, tuple[Address, ...]] = {}
        self._quotes: dict[ContractId, Quoted] = {}
        self._first_stamp: dict[ContractId, datetime] = {}

    # ------------------------------------------------------------ who listens

    def guard(self, account: AccountId, address: Address) -> None:
        self._guarded[account] = address
        self._arrange()

    def unguard(self, account: AccountId) -> None:
        self._guarded.pop(account, None)
        self._wanted.pop(account, None)
        self._arrange()

    def want(self, account: AccountId, contracts: tuple[ContractId, ...]) -> None:
        """The account wants the quotes of exactly these contracts."""
        self._wanted[account] = frozenset(contracts)
        self._arrange()
        for contract in contracts:
            self.saw(contract)
            known = self._quotes.get(contract)
            if known is not None and account in self._guarded:
                self._guarded[account].tell_latest(contract, known)

    def repeat(self, account: AccountId) -> None:
        """Tell a reborn account the newest quotes again."""
        for contract in self._wanted.get(account, ()):
            known = self._quotes.get(contract)
            if known is not None and account in self._guarded:
                self._guarded[account].tell_latest(contract, known)

    def wanted(self) -> frozenset[ContractId]:
        """Contracts whose quotes somebody wants."""
        return frozenset(self._watchers)

    def _arrange(self) -> None:
        watchers: dict[ContractId, list[Address]] = {}
        for account, contracts in self._wanted.items():
            for contract in contracts if account in self._guarded else ():
                watchers.setdefault(contract, []).append(self._guarded[account])
        self._watchers = {contract: tuple(addresses) for contract, addresses in watchers.items()}

    def new_generation(self) -> None:
        """Subscribed afresh: the first quote of each contract may be as old as its market's last close."""
        self._first_stamp.clear()

    # ------------------------------------------------------------ user events

    def account_changed(self, account: AccountReport, mono: float) -> None:
        self.last_event_mono = mono
        self.accounts[account.id] = account
        address = self._guarded.get(account.id)
        if address is not None:
            self.let_go()
            address.tell(AccountChanged(account, mono))

    def position_changed(self, position: PositionReport, mono: float) -> None:
        self.last_event_mono = mono
        if position.account in self._guarded:
            self._tell_beside(position.account, PositionChanged(position, mono))
            self.saw(position.contract)

    def order_changed(self, order: Order, mono: float) -> None:
        self.last_event_mono = mono
        if order.account in self._guarded:
            self._look(order)
            self._tell_beside(order.account, OrderChanged(order, mono))
            self._clock(order.updated_at, mono)
            self.saw(order.contract)

    def filled(self, fill: Fill, mono: float) -> None:
        """One message for a fill and what came right before it: the account is woken once."""
        self.last_event_mono = mono
        account = fill.account
        address = self._guarded.get(account)
        if address is not None:
            hurry.begin(mono)
            beside = tuple(event for whose, event in self._beside if whose == account)
            if beside:
                self._beside = [waiting for waiting in self._beside if waiting[0] != account]
            address.tell(Filled(fill, mono, beside))
            self._let_go_later(account)
            self._clock(fill.at, mono)
            self.saw(fill.contract)

    def _tell_beside(self, account: AccountId, event: OrderChanged | PositionChanged) -> None:
        self._beside.append((account, event))
        if self._later is None:
            self.let_go()
        elif not self._timed:
            self._timed = True
            self._later(JOIN_S, self._joined)

    def _joined(self) -> None:
        self._timed = False
        self.let_go()

    def let_go(self) -> None:
        """Tell what waits, before anything that must not overtake it."""
        beside, self._beside = self._beside, []
        for account, event in beside:
            address = self._guarded.get(account)
            if address is not None:
                address.tell(event)
                self._let_go_later(account)

    def _let_go_later(self, account: AccountId) -> None:
        if self._later is not None and account not in self._holding:
            self._holding.add(account)
            self._hold(account, HOLDS_IN_A_ROW)

    def _hold(self, account: AccountId, times: int) -> None:
        if self._later is not None:
            self._later(HOLD_S, lambda: self._held(account, times - 1))

    def _held(self, account: AccountId, times: int) -> None:
        if times and self._busy():
            self._hold(account, times)
            return
        self._holding.discard(account)
        address = self._guarded.get(account)
        if address is not None:
            address.tell(LetGo())

    def saw(self, contract: ContractId) -> None:
        if contract not in self._sighted:
            self._sighted.add(contract)
            self._sight(contract)

    # ------------------------------------------------------------ prices

    def priced(self, prices: Prices, mono: float) -> None:
        self.last_quote_mono = mono
        contract = prices.contract
        quote = merged(self._quotes.get(contract), prices, mono)
        self._quotes[contract] = quote
        for address in self._watchers.get(contract, ()):
            address.tell_latest(contract, quote)
        if prices.at is not None:
            first = self._first_stamp.setdefault(contract, prices.at)
            if prices.at > first:
                self._clock(prices.at, mono)

    def read_price(self, contract: ContractId, price: float, mono: float) -> None:
        """A price asked for by REST: to whoever watches the contract, else to every guarded account."""
        prices = Prices(contract, price, None, None, None)
        quote = merged(self._quotes.get(contract), prices, mono)
        self._quotes[contract] = quote
        for address in self._watchers.get(contract) or tuple(self._guarded.values()):
            address.tell_latest(contract, quote)

    def _clock(self, at: datetime, mono: float) -> None:
        # They are woken twenty times a second anyway; woken by an event they would delay what it leads to.
        self._timers.leave_latest("gateway", GatewaySeen(at, mono))


def merged(known: Quoted | None, prices: Prices, mono: float) -> Quoted:
    """What is known of a contract's prices after this update; each field keeps its own age."""
    if known is None:
        known = Quoted(prices.contract, None, None, None, mono)
    last, bid, ask = prices.last is not None, prices.bid is not None, prices.ask is not None
    return Quoted(
        contract=prices.contract,
        last=prices.last if last else known.last,
        bid=prices.bid if bid else known.bid,
        ask=prices.ask if ask else known.ask,
        mono=mono,
        last_mono=mono if last else known.last_mono,
        bid_mono=mono if bid else known.bid_mono,
        ask_mono=mono if ask else known.ask_mono,
    )
