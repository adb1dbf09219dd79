"""Reading an account by REST until it is consistent, and who is waiting for which read.

Positions, fills and orders come from different requests, so something may happen in between: positions
are read before and after, and only when both reads agree do they belong to the fills (rules, section 0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from msgspec.structs import replace

from actors.clock import Clock
from actors.connection.budget import Lane
from actors.connection.login import Authorised
from actors.connection.port import Gateway, GatewayError, NoAnswer, Refused, Unavailable
from actors.connection.requests import merged
from actors.connection.translate import Malformed
from actors.messages import AccountId, AccountReport, BrokerSnapshot, Fill, Order, PositionReport

READS = 5
"""Tries until both position reads agree; then the state of the account is unknown."""
STEADY_FILLS_BACK = timedelta(minutes=15)
REQUESTS_EACH = 4
"""Requests of a steady read that is consistent at once: positions, fills, orders, positions."""
REQUESTS_TO_VERIFY = 2
QUIET_S = 0.02
"""Seconds after a call in which only a verification is read."""

type Spawn = Callable[[Coroutine[object, object, None], str], object]
type Failure = GatewayError | Malformed


class Unsettled(GatewayError):
    """The account changed between all reads: what it holds is unknown for the moment."""


class Kind(Enum):
    """What a read is for."""

    VERIFY = auto()
    """Orders, then positions: does the account comply? None of either is a flat account at that moment."""
    JOIN = auto()
    """Makes the link live."""
    ACCOUNT = auto()
    """Everything, steadily or on demand."""

    @property
    def lane(self) -> Lane:
        return Lane.RECONCILE if self is Kind.ACCOUNT else Lane.VERIFY

    @property
    def requests(self) -> int:
        return REQUESTS_TO_VERIFY if self is Kind.VERIFY else REQUESTS_EACH


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


async def _at_once(after: float) -> None:
    del after


@dataclass
class Reads:
    """One read per account and kind at a time; a request made meanwhile shares the one after it.

    A verification never queues behind a steady read. `arrived` and `failed` are called on the loop for
    every read; a snapshot that began before one already told is dropped.
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
    quiet: Callable[[float], Awaitable[None]] = _at_once
    """Waits while calls go out, and so long after: they have the loop to themselves."""
    _slots: dict[tuple[AccountId, Kind], _Slot] = field(default_factory=dict)
    _told: dict[AccountId, BrokerSnapshot] = field(default_factory=dict)

    def ask(
        self, account: AccountId, why: str, kind: Kind = Kind.ACCOUNT, *, whole: bool = True
    ) -> asyncio.Future[BrokerSnapshot | Failure]:
        """Read the account in a read that begins from now on. `whole`: fills of the whole trading day."""
        slot = self._slots.setdefault((account, kind), _Slot())
        if slot.wanted is None:
            slot.wanted = _Wanted(whole, [why], asyncio.get_running_loop().create_future())
        else:
            slot.wanted.whole |= whole
            if why not in slot.wanted.whys:
                slot.wanted.whys.append(why)
        wanted = slot.wanted
        if not slot.busy:
            slot.busy = True
            self.spawn(self._serve(account, kind, slot), f"read:{account}")
        return wanted.done

    async def _serve(self, account: AccountId, kind: Kind, slot: _Slot) -> None:
        try:
            while slot.wanted is not None:
                # First its slots, then who shares it: whoever asks while it waits needs none of his own.
                await self.gateway.ready(kind.lane, kind.requests)
                wanted, slot.wanted = slot.wanted, None
                try:
                    await self._read(account, kind, wanted)
                finally:
                    if not wanted.done.done():  # a bug of ours: nobody may wait for ever
                        wanted.done.set_result(NoAnswer("the read failed inside"))
        finally:
            slot.busy = False

    async def _read(self, account: AccountId, kind: Kind, wanted: _Wanted) -> None:
        why = ", ".join(wanted.whys)
        try:
            snapshot = await self.authorised(lambda: self._snapshot(account, kind, wanted.whole, why))
        except (GatewayError, Malformed) as error:
            self.failed(account, error)
            outcome: BrokerSnapshot | Failure = error
        else:
            self._tell(snapshot)
            outcome = snapshot
        wanted.done.set_result(outcome)

    def _tell(self, snapshot: BrokerSnapshot) -> None:
        told = self._told.get(snapshot.account.id)
        if told is not None and snapshot.started_mono < told.started_mono:
            if told.fills_read:
                return
            # Overtaken by a verification: its fills count, what is held was seen later.
            self.arrived(replace(snapshot, positions=told.positions, orders=told.orders))
            return
        self._told[snapshot.account.id] = snapshot
        self.arrived(snapshot)

    async def _snapshot(self, account: AccountId, kind: Kind, whole: bool, why: str) -> BrokerSnapshot:
        report = self.report(account)
        if report is None:
            raise Refused(f"account {account} is not among the active accounts of this login", None)
        if kind is Kind.VERIFY:
            return await self._holdings(report, kind.lane, why)
        try:
            return await self._settled(report, kind.lane, whole, why)
        except Unavailable:
            # What fills there were is not to be had for a while; what is held still is.
            return await self._holdings(report, kind.lane, why)

    async def _holdings(self, report: AccountReport, lane: Lane, why: str) -> BrokerSnapshot:
        """Orders, then positions. An order that is gone fills no more: the other way round, one seen to be
        gone may have filled after the positions were read."""
        await self.quiet(0.0)
        started, account = self.clock.mono(), report.id
        orders = await self._orders(account, lane, whole=False)
        positions = await self.gateway.positions(account, lane)
        since = self.clock.wall()
        return self._made(report, positions, orders, (), since, started, why, fills_read=False)

    async def _settled(self, report: AccountReport, lane: Lane, whole: bool, why: str) -> BrokerSnapshot:
        account = report.id
        await self.quiet(QUIET_S)
        started, since = self.clock.mono(), self._since(whole)
        before = await self.gateway.positions(account, lane)
        for _ in range(READS):
            await self.quiet(QUIET_S)
            fills, orders = await asyncio.gather(
                self.gateway.fills(account, since, lane), self._orders(account, lane, whole)
            )
            after = await self.gateway.positions(account, lane)
            if _held(before) == _held(after):
                return self._made(report, after, orders, fills, since, started, why)
            before = after
        raise Unsettled(f"positions of {account} changed in each of {READS} reads")

    def _made(
        self,
        report: AccountReport,
        positions: tuple[PositionReport, ...],
        orders: tuple[Order, ...],
        fills: tuple[Fill, ...],
        since: datetime,
        started: float,
        why: str,
        *,
        fills_read: bool = True,
    ) -> BrokerSnapshot:
        return BrokerSnapshot(
            account=self.report(report.id) or report,
            positions=positions,
            orders=orders,
            fills=fills,
            fills_since=since,
            started_mono=started,
            finished_mono=self.clock.mono(),
            generation=self.generation(),
            why=why,
            fills_read=fills_read,
        )

    async def _orders(self, account: AccountId, lane: Lane, whole: bool) -> tuple[Order, ...]:
        """The query that shows suspended orders; where it is refused, the search that does not."""
        asked = [self.gateway.orders(account, lane)]
        if whole:
            asked.append(self.gateway.open_orders(account, lane))
        queried, *searched = await asyncio.gather(*asked, return_exceptions=True)
        if isinstance(queried, Refused | Unavailable):
            return _given(*searched) if searched else await self.gateway.open_orders(account, lane)
        return merged(_given(queried), _given(*searched)) if searched else _given(queried)

    def _since(self, whole: bool) -> datetime:
        now = self.clock.wall()
        start = self.day_start(now)
        return start if whole else max(start, now - STEADY_FILLS_BACK)


def _given[T](found: T | BaseException) -> T:
    if isinstance(found, BaseException):
        raise found
    return found


def _held(positions: tuple[PositionReport, ...]) -> dict[str, tuple[int, float]]:
    return {each.contract: (each.size, each.average) for each in positions if each.size}
