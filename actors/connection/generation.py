"""One pair of hubs with the reads that make it live, and what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from actors.connection.ingest import Ingest
from actors.connection.port import Hubs, NoAnswer
from actors.connection.translate import Malformed
from actors.messages import AccountId, BrokerSnapshot, ContractId


class Generation:
    """A pair of hubs from its opening to its end. The first sign that it cannot be relied on sets `over`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.hubs: Hubs | None = None
        self.began = 0.0
        self.over = asyncio.Event()
        self.why = ""
        self._subscribed: dict[AccountId, float] = {}
        self._read: set[AccountId] = set()
        self._watched: set[ContractId] = set()
        self._following = asyncio.Lock()

    @property
    def open(self) -> bool:
        return self.hubs is not None and not self.over.is_set()

    def end(self, why: str) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()

    def has_read(self, account: AccountId) -> bool:
        """The account was read in a read begun after its events had been subscribed here."""
        return account in self._read

    def note(self, snapshot: BrokerSnapshot) -> None:
        subscribed = self._subscribed.get(snapshot.account.id)
        if subscribed is not None and snapshot.started_mono >= subscribed:
            self._read.add(snapshot.account.id)

    async def subscribe(self, account: AccountId, mono: Callable[[], float]) -> bool:
        """Subscribe the account's events; False where that ended the generation."""
        if self.hubs is None:
            return False
        try:
            await self.hubs.guard(account)
        except NoAnswer as error:
            self.end(str(error))
            return False
        self._subscribed[account] = mono()
        return True

    async def leave(self, account: AccountId) -> None:
        self._subscribed.pop(account, None)
        self._read.discard(account)
        if self.hubs is not None and self.open:
            try:
                await self.hubs.unguard(account)
            except NoAnswer as error:
                self.end(str(error))

    async def follow(self, wanted: Callable[[], frozenset[ContractId]]) -> None:
        """Subscribe the quotes that are wanted and no others; one change at a time, the newest wish wins."""
        async with self._following:
            try:
                while self.hubs is not None and self.open and self._watched != wanted():
                    await self._step(self.hubs, wanted())
            except NoAnswer as error:
                self.end(str(error))

    async def _step(self, hubs: Hubs, wanted: frozenset[ContractId]) -> None:
        for contract in sorted(wanted - self._watched):
            await hubs.watch(contract)
            self._watched.add(contract)
        for contract in sorted(self._watched - wanted):
            await hubs.unwatch(contract)
            self._watched.discard(contract)

    async def close(self) -> None:
        hubs, self.hubs = self.hubs, None
        if hubs is not None:
            await hubs.close()


class Trouble(Protocol):
    """Who hears what a pair of hubs cannot deal with itself."""

    def malformed(self, error: Malformed) -> None: ...

    def unpriced(self, error: Malformed) -> None: ...

    def logged_out(self) -> None: ...

    def lost(self) -> None: ...


class GenerationEars:
    """`port.Ears` of one generation: events go straight on, its end concerns this generation only."""

    def __init__(self, generation: Generation, ingest: Ingest, trouble: Trouble) -> None:
        self._generation = generation
        self._trouble = trouble
        # Bound once: the hot path has no call of ours between the hub and the ingest.
        self.account_changed = ingest.account_changed
        self.position_changed = ingest.position_changed
        self.order_changed = ingest.order_changed
        self.filled = ingest.filled
        self.priced = ingest.priced
        self.malformed = trouble.malformed
        self.unpriced = trouble.unpriced
        self.logged_out = trouble.logged_out

    def lost(self, why: str) -> None:
        self._generation.end(why)
        self._trouble.lost()
