"""Contract records: fetched before arming, at first sight and again each day; never guessed.

A failed lookup is no answer and is tried again until there is one. Only the gateway's own "not known"
(or a record without tick data) makes a contract unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fractions import Fraction
from functools import partial

from actors.clock import Clock
from actors.connection.login import Authorised
from actors.connection.port import ContractsLoaded, Gateway, GatewayError, LoadContracts, NotKnown
from actors.connection.reads import Spawn
from actors.connection.translate import Listed, Malformed
from actors.messages import Contract, ContractId, ContractRead, ContractUnknown, StoreContract
from config.instruments import ALIASES, UnknownContract, cross_check, disagreement, exchange_root

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
DAY = 86_400.0

type Told = ContractRead | ContractUnknown


class Records:
    """What is known of contracts. `tell` goes to every guarded account, `alert` to people."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        spawn: Spawn,
        authorised: Authorised,
        tell: Callable[[Told], None],
        store: Callable[[StoreContract], None],
        alert: Callable[[str, str], None],
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._spawn = spawn
        self._authorised = authorised
        self._tell = tell
        self._store = store
        self._alert = alert
        self._known: dict[ContractId, Told] = {}
        self._asked: set[ContractId] = set()
        self._read_mono: dict[ContractId, float] = {}
        self.live = False
        """Whether the accounts are live ones: simulated accounts see contracts with `live` false only."""

    def known(self) -> tuple[Told, ...]:
        """What a newly guarded account has to be told."""
        return tuple(self._known.values())

    def sight(self, contract: ContractId) -> None:
        """A contract id turned up: fetch its record unless it is known or under way."""
        if contract not in self._asked:
            self._asked.add(contract)
            self._spawn(self._fetch(contract), f"contract:{contract}")

    def refresh(self, now: float) -> None:
        """Read again what was read a day ago, and what was unknown then."""
        for contract, read in list(self._read_mono.items()):
            if now - read >= DAY:
                self._read_mono[contract] = now
                self._spawn(self._fetch(contract), f"contract:{contract}")

    def load(self, command: LoadContracts) -> None:
        self._spawn(self._load(command), "contracts")

    async def _load(self, command: LoadContracts) -> None:
        known: list[Contract] = []
        unknown_roots: list[str] = []
        unknown: list[ContractId] = []
        for root in dict.fromkeys(map(exchange_root, command.roots)):
            found = await self._front_month(root)
            if found is None:
                unknown_roots.append(root)
            else:
                self._asked.add(found.id)
                self._learn(found)
                known.append(found)
        for contract in command.contracts:
            self._asked.add(contract)
            await self._fetch(contract)
            told = self._known[contract]
            if isinstance(told, ContractRead):
                known.append(told.contract)
            else:
                unknown.append(contract)
        command.reply_to.tell(ContractsLoaded(tuple(known), tuple(unknown_roots), tuple(unknown)))

    async def _front_month(self, root: str) -> Contract | None:
        """The contract the gateway marks as active, by the exchange's root, else by its own product code."""
        for text in (root, *(code for code, exchange in ALIASES.items() if exchange == root)):
            listed = await self._answer(partial(self._gateway.search_contracts, text, self.live))
            of_root = [each for each in listed if each.contract.root == root]
            if of_root:
                return front_month(of_root)
        return None

    async def _fetch(self, contract: ContractId) -> None:
        try:
            record = await self._answer(lambda: self._gateway.contract(contract))
        except NotKnown as error:
            self._read_mono[contract] = self._clock.mono()
            self._set(ContractUnknown(contract, str(error)))
        else:
            self._learn(record)

    async def _answer[T](self, request: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is a definite answer: only NotKnown is one besides a record."""
        tries = 0
        while True:
            try:
                return await self._authorised(request)
            except NotKnown:
                raise
            except (GatewayError, Malformed):
                await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1

    def _learn(self, record: Contract) -> None:
        at = self._clock.wall()
        self._read_mono[record.id] = self._clock.mono()
        self._set(ContractRead(record, at))
        self._store(StoreContract(record, at))
        for text in doubts(record):
            self._alert(f"contract/{record.id}/{text}", text)

    def _set(self, told: Told) -> None:
        contract = told.contract.id if isinstance(told, ContractRead) else told.contract
        self._known[contract] = told
        self._tell(told)


def front_month(listed: list[Listed]) -> Contract:
    """The one the gateway marks as active; where it marks several or none, the nearest expiry."""
    active = [each for each in listed if each.active] or listed
    return min((each.contract for each in active), key=lambda record: expiry(record.id))


def expiry(contract: ContractId) -> tuple[str, str]:
    """Year and month of a contract id: `CON.F.US.MNQ.Z25` is ("25", "Z"); letters are in calendar order."""
    last = contract.rsplit(".", 1)[-1]
    return last[1:], last[:1]


def doubts(record: Contract) -> list[str]:
    """Where the record disagrees with what is known of its product; it is used all the same."""
    found = []
    try:
        found.append(disagreement(record.id, record.name))
    except UnknownContract as error:
        found.append(str(error))
    size = Fraction(record.tick_size)
    found.append(cross_check(record.root, size, record.tick_value))
    return [text for text in found if text]
