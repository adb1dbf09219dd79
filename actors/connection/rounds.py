"""Which reads are made when: steadily, on demand, and of prices that no stream brings."""

from __future__ import annotations

import asyncio

from actors.clock import Clock
from actors.connection.budget import reconcile_interval
from actors.connection.ingest import Ingest
from actors.connection.login import Login
from actors.connection.options import Options
from actors.connection.port import Gateway, GatewayError
from actors.connection.reads import REQUESTS_EACH, Kind, Reads, Spawn
from actors.connection.records import Records
from actors.connection.roster import Roster
from actors.connection.translate import Malformed
from actors.logs import get_logger
from actors.messages import AccountId, BrokerSnapshot, ContractId

PAUSES = (0.0, 0.02, 0.25, 0.5, 1.0, 2.0)
"""Seconds before each try of a read on demand."""
WHOLE_EVERY = 60.0
"""Seconds between two steady reads of the whole trading day; the others read the last minutes."""
PRICE_EVERY = 5.0


class Rounds:
    """The reads that nobody waits for: what they bring goes to the account."""

    def __init__(
        self,
        gateway: Gateway,
        options: Options,
        clock: Clock,
        spawn: Spawn,
        login: Login,
        roster: Roster,
        ingest: Ingest,
        records: Records,
        reads: Reads,
    ) -> None:
        self._gateway, self._options, self._clock, self._spawn = gateway, options, clock, spawn
        self._login, self._roster, self._ingest, self._records = login, roster, ingest, records
        self._reads = reads
        self._every = options.reconcile_every
        self._price_asked: dict[ContractId, float] = {}
        self._log = get_logger("riskd.connection")

    async def steady(self) -> None:
        """The steady read of every account, for ever: what the stream missed, and whether REST is alive."""
        while True:
            now, guarded = self._clock.mono(), self._roster.all()
            self._every = every = reconcile_interval(
                self._options.reconcile_every,
                max(1, len(guarded)),
                REQUESTS_EACH,
                self._options.limits,
                self._gateway.budget().verifying,
            )
            for each in guarded:
                if now >= each.due and self._login.in_force:
                    whole = now >= each.whole_due
                    each.due = now + every
                    each.whole_due = now + WHOLE_EVERY if whole else each.whole_due
                    self._reads.ask(each.account, "steady", whole=whole)
            await asyncio.sleep(min(every, 0.5) / 2)

    def arrived(self, snapshot: BrokerSnapshot) -> None:
        """A read that brought everything does for the next steady one."""
        guarded = self._roster.find(snapshot.account.id)
        if guarded is not None and snapshot.fills_read:
            guarded.due = max(guarded.due, snapshot.finished_mono + self._every)

    def read(self, account: AccountId, why: str, kind: Kind = Kind.ACCOUNT, *, now: bool = True) -> None:
        """Read now, or (`now` False) after a first try that failed; in either case again where it fails."""
        self._spawn(self._read(account, why, kind, PAUSES if now else PAUSES[1:]), f"read:{account}")

    def read_all(self, why: str) -> None:
        for guarded in self._roster.all():
            self.read(guarded.account, why)

    async def _read(self, account: AccountId, why: str, kind: Kind, pauses: tuple[float, ...]) -> None:
        """Read on demand, a few times where no answer comes; after that the steady reads go on."""
        for pause in pauses:
            if pause:
                await asyncio.sleep(pause)
            outcome = await self._reads.ask(account, why, kind)
            if isinstance(outcome, BrokerSnapshot) or account not in self._roster:
                return
        self._log.warning("gateway.account_not_read_on_demand", account=account, why=why)

    def price(self, contract: ContractId) -> None:
        """Ask the newest bar of a contract, not too often."""
        now = self._clock.mono()
        if now - self._price_asked.get(contract, now - PRICE_EVERY) >= PRICE_EVERY:
            self._price_asked[contract] = now
            self._spawn(self._price(contract), f"price:{contract}")

    async def _price(self, contract: ContractId) -> None:
        live = self._records.live
        try:
            price = await self._login.authorised(lambda: self._gateway.newest_price(contract, live))
        except (GatewayError, Malformed) as error:
            self._log.info("gateway.price_not_read", contract=contract, reason=str(error))
            return
        if price is not None:
            self._ingest.read_price(contract, price, self._clock.mono())
