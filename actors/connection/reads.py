"""Reading an account by REST until it is consistent, and who is waiting for which read.

Positions, fills and orders come from different requests, so something may happen in between: positions
are read before and after, and only when both reads agree do they belong to the fills (rules, section 0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from actors.clock import Clock
from actors.connection.budget import Lane
from actors.connection.login import Authorised
from actors.connection.port import Gateway, GatewayError, NoAnswer, Refused
from actors.connection.requests import merged
from actors.connection.translate import Malformed
from actors.messages import AccountId, AccountReport, BrokerSnapshot, Order, PositionReport

READS = 5
"""Tries until both position reads agree; then the state of the account is unknown."""
STEADY_FILLS_BACK = timedelta(minutes=15)
REQUESTS_EACH = 4
"""Requests of a steady read that is consistent at once: positions, fills, orders, positions."""

type Spawn = Callable[[Coroutine[object, object, None], str], object]
type Failure = GatewayError | Malformed


class Unsettled(GatewayError):
    """The account changed between all reads: what it holds is unknown for the moment."""


@dataclass
class _Wanted:
    """The next read of an account: everybody who asked before it begins shares it."""

    whole: bool
    whys: list[str]
    done: asyncio.Future[BrokerSnapshot | Failure]


@dataclass
class _Slot:
    wanted: _Wanted | None = None
    busy: bool = False


async def _at_once() -> None:
    return


@dataclass
class Reads:
    """One read per account and urgency at a time; a request made meanwhile shares the one after it.

    A protective read never queues behind a steady one. `arrived` and `failed` are called on the loop
    for every read; a snapshot that began before one already told is dropped.
    """

    gateway: Gateway
    clock: Clock
    spawn: Spawn
    day_start: Callable[[datetime], datetime]
    report: Callable[[AccountId], AccountReport | None]
    generation: Callable[[], int]
    authorised: Authorised
    arrived: Callable[[BrokerSnapshot], None]
    failed: Callable[[AccountId, Failure], None]
    quiet: Callable[[], Awaitable[None]] = _at_once
    """Waits while calls go out: they have the loop to themselves."""
    _slots: dict[tuple[AccountId, bool], _Slot] = field(default_factory=dict)
    _told: dict[AccountId, float] = field(default_factory=dict)

    def ask(
        self, account: AccountId, why: str, *, protective: bool = False, whole: bool = True
    ) -> asyncio.Future[BrokerSnapshot | Failure]:
        """Read the account in a read that begins from now on. `whole`: fills of the whole trading day."""
        slot = self._slots.setdefault((account, protective), _Slot())
        if slot.wanted is None:
            slot.wanted = _Wanted(whole, [why], asyncio.get_running_loop().create_future())
        else:
            slot.wanted.whole |= whole
            if why not in slot.wanted.whys:
                slot.wanted.whys.append(why)
        wanted = slot.wanted
        if not slot.busy:
            slot.busy = True
            self.spawn(self._serve(account, protective, slot), f"read:{account}")
        return wanted.done

    async def _serve(self, account: AccountId, protective: bool, slot: _Slot) -> None:
        lane = Lane.PROTECTIVE if protective else Lane.RECONCILE
        try:
            while (wanted := slot.wanted) is not None:
                slot.wanted = None
                try:
                    await self._read(account, lane, wanted)
                finally:
                    if not wanted.done.done():  # a bug of ours: nobody may wait for ever
                        wanted.done.set_result(NoAnswer("the read failed inside"))
        finally:
            slot.busy = False

    async def _read(self, account: AccountId, lane: Lane, wanted: _Wanted) -> None:
        why = ", ".join(wanted.whys)
        try:
            snapshot = await self.authorised(lambda: self._settled(account, lane, wanted.whole, why))
        except (GatewayError, Malformed) as error:
            self.failed(account, error)
            outcome: BrokerSnapshot | Failure = error
        else:
            if snapshot.started_mono >= self._told.get(account, 0.0):
                self._told[account] = snapshot.started_mono
                self.arrived(snapshot)
            outcome = snapshot
        wanted.done.set_result(outcome)

    async def _settled(self, account: AccountId, lane: Lane, whole: bool, why: str) -> BrokerSnapshot:
        report = self.report(account)
        if report is None:
            raise Refused(f"account {account} is not among the active accounts of this login", None)
        await self.quiet()
        started, since = self.clock.mono(), self._since(whole)
        before = await self.gateway.positions(account, lane)
        for _ in range(READS):
            await self.quiet()
            fills, orders = await asyncio.gather(
                self.gateway.fills(account, since, lane), self._orders(account, lane, whole)
            )
            after = await self.gateway.positions(account, lane)
            if _held(before) == _held(after):
                return BrokerSnapshot(
                    account=self.report(account) or report,
                    positions=after,
                    orders=orders,
                    fills=fills,
                    fills_since=since,
                    started_mono=started,
                    finished_mono=self.clock.mono(),
                    generation=self.generation(),
                    why=why,
                )
            before = after
        raise Unsettled(f"positions of {account} changed in each of {READS} reads")

    async def _orders(self, account: AccountId, lane: Lane, whole: bool) -> tuple[Order, ...]:
        """The query that shows suspended orders; where it is refused, the search that does not."""
        try:
            orders = await self.gateway.orders(account, lane)
        except Refused:
            return await self.gateway.open_orders(account, lane)
        if not whole:
            return orders
        return merged(orders, await self.gateway.open_orders(account, lane))

    def _since(self, whole: bool) -> datetime:
        now = self.clock.wall()
        start = self.day_start(now)
        return start if whole else max(start, now - STEADY_FILLS_BACK)


def _held(positions: tuple[PositionReport, ...]) -> dict[str, tuple[int, float]]:
    return {each.contract: (each.size, each.average) for each in positions if each.size}
