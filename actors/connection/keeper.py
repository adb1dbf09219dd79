"""Keeps the connection: log in, open hubs, read every account, live; and from the start again when it ends.

A *generation* is one pair of hubs with the reads that made it live. Any sign that a pair cannot be
relied on (a hub ended or fell silent, a 401, REST without answer) ends it: the link is blind from that
moment, and a new one is brought up with a capped back-off, for ever. The old pair is closed only when
the new one was read, so a planned change (a fresh token) misses nothing.

While no hub is live the accounts are still read by REST, as long as that answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import msgspec

from actors.clock import Clock
from actors.connection.calls import Calls
from actors.connection.generation import Generation, GenerationEars
from actors.connection.ingest import Ingest
from actors.connection.listing import Listing
from actors.connection.login import DENIED_FOR, Login
from actors.connection.options import Options, Outlets
from actors.connection.port import (
    REBORN,
    Gateway,
    GatewayError,
    GuardAccount,
    LoginDenied,
    NoAnswer,
    Unauthorized,
    Unavailable,
)
from actors.connection.reads import Failure, Kind, Reads, Spawn
from actors.connection.records import Records
from actors.connection.roster import Roster
from actors.connection.rounds import Rounds
from actors.connection.translate import Malformed
from actors.connection.undocumented import Undocumented
from actors.connection.unreadable import Unreadable
from actors.logs import get_logger
from actors.messages import (
    AccountId,
    Alert,
    BrokerSnapshot,
    ContractId,
    LoginRefused,
    Notice,
)

BACK_OFF = (0.0, 0.01, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next try, by failures in a row: a single one on the way back costs nothing."""
QUICK = 0.5
"""Seconds within which a failure came as an answer and not as silence."""
SETTLED_AFTER = 2.0
"""A generation that lived this long was not one of a series of failures."""
REST_FAILURES = 2
"""Reads in a row without answer before REST counts as lost."""


class Keeper:
    """The life of the connection. Created and used on the gateway loop only."""

    def __init__(
        self, gateway: Gateway, options: Options, outlets: Outlets, clock: Clock, spawn: Spawn
    ) -> None:
        self.gateway = gateway
        self._options = options
        self._outlets = outlets
        self._clock = clock
        self._spawn = spawn
        self._random = random.Random(options.seed)
        self._log = get_logger("riskd.connection")
        self.roster = Roster(clock, outlets.connection)
        self.login = Login(gateway, clock, self._denied, self._replaced)
        self.records = Records(
            gateway,
            clock,
            spawn,
            self.login.authorised,
            tell=self.roster.tell_all,
            store=outlets.persistence.tell,
            alert=lambda key, text: self._alert("warning", key, text),
        )
        self._undocumented = Undocumented(lambda key, text: self._alert("error", key, text))
        self.calls = Calls(gateway, clock, self.login.authorised)
        self.ingest = Ingest(
            outlets.timers,
            self.records.sight,
            asyncio.get_running_loop().call_later,
            self._undocumented.look,
            lambda: self.calls.under_way,
        )
        self.reads = Reads(
            gateway=gateway,
            clock=clock,
            spawn=spawn,
            day_start=options.day_start,
            report=self.ingest.accounts.get,
            generation=lambda: (self._coming or self._generation).number,
            authorised=self.login.authorised,
            arrived=self._arrived,
            failed=self._read_failed,
            quiet=self.calls.quiet,
        )
        self._rounds = Rounds(
            gateway, options, clock, spawn, self.login, self.roster, self.ingest, self.records, self.reads
        )
        self._listing = Listing(
            gateway, clock, self.login, self.ingest, self.records, outlets.tree, options.check_every
        )
        self._generation = Generation(0)
        self._coming: Generation | None = None
        self._logged_in_again = asyncio.Event()
        self._rest_failures = REST_FAILURES
        self._last_read = 0.0
        self._unreadable = Unreadable(
            clock, asyncio.get_running_loop().call_later, self._alert, self._rounds.read_all
        )

    # ------------------------------------------------------------ commands

    def guard(self, command: GuardAccount) -> None:
        """Guard an account, or take its new addresses; it is live once it was read."""
        self.roster.guard(command)
        self.ingest.guard(command.account, command.address)
        for told in self.records.known():
            command.address.tell(told)
        self._publish()
        for generation in (self._generation, self._coming):
            if generation is not None and generation.open:
                self._spawn(self._join(command.account, generation), f"join:{command.account}")

    def unguard(self, account: AccountId) -> None:
        if self.roster.unguard(account):
            self.ingest.unguard(account)
            self._spawn(self._generation.leave(account), f"leave:{account}")
            self._publish()

    def watch(self, account: AccountId, contracts: tuple[ContractId, ...]) -> None:
        self.ingest.want(account, contracts)
        for generation in (self._generation, self._coming):
            if generation is not None and generation.open:
                self._spawn(self._follow(generation), "follow")

    def read_account(self, account: AccountId, why: str, verify: bool) -> None:
        guarded = self.roster.find(account)
        if guarded is not None and why == REBORN:
            guarded.told = None
            for told in self.records.known():
                guarded.address.tell(told)
            self.ingest.repeat(account)
            self._publish()
        self._rounds.read(account, why, Kind.VERIFY if verify else Kind.ACCOUNT)

    def read_price(self, contract: ContractId) -> None:
        self._rounds.price(contract)

    def drop_link(self, why: str) -> None:
        self._generation.end(why)
        self.lost()

    # ------------------------------------------------------------ the life of it

    async def run(self) -> None:
        """For ever. A bug in any part ends all of them, and the loop thread starts it again."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._generations(), name="generations")
                group.create_task(self._rounds.steady(), name="steady")
                group.create_task(self._housekeep(), name="housekeep")
        finally:
            self._generation.end("the connection was closed")
            await self._generation.close()

    async def _generations(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(self._pause(failures))
            try:
                await self._bring_up()
            except LoginDenied:
                await self._let_denial_rest()
            except (GatewayError, Malformed) as error:
                self._not_up(error)
                failures += 1
            else:
                await self._until_over()
                lived = self._clock.mono() - self._generation.began
                failures = failures + 1 if lived < SETTLED_AFTER else 1

    async def _let_denial_rest(self) -> None:
        """Until the login may be tried again, or a protective call has got one accepted."""
        self._logged_in_again.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DENIED_FOR):
                await self._logged_in_again.wait()

    def _pause(self, failures: int) -> float:
        """Seconds before the next try: none at first and after a first failure, then more each time."""
        step = min(max(failures - 1, 0), len(BACK_OFF) - 1)
        return BACK_OFF[step] * self._random.uniform(0.8, 1.2)

    async def _bring_up(self) -> None:
        """One generation, from the login to the last read; raises where it cannot be."""
        try:
            await self.login.once()
        except NoAnswer:
            self._rest_is_lost()
            raise
        coming = Generation(self._generation.number + 1)
        await self._open(coming)
        coming.began = self._clock.mono()
        self._coming = coming
        try:
            await self._read_all(coming)
        except BaseException:
            await coming.close()
            raise
        finally:
            self._coming = None
        old, self._generation = self._generation, coming
        old.end("replaced")
        self.roster.reason = "not every guarded account was read yet"
        self._publish()
        await old.close()
        self._log.info("gateway.link_up", generation=coming.number, state=self.roster.link.state)

    async def _open(self, coming: Generation) -> None:
        """Open the hubs while the accounts are listed; where one fails, neither is left."""
        ears = GenerationEars(coming, self.ingest, self)
        opening = asyncio.ensure_future(self.login.authorised(lambda: self.gateway.open_hubs(ears)))
        try:
            await self._list()
            coming.hubs = await opening
        finally:
            if coming.hubs is None:
                opening.cancel()
                (left,) = await asyncio.gather(opening, return_exceptions=True)
                if not isinstance(left, BaseException):
                    await left.close()

    async def _list(self) -> None:
        try:
            await self._listing.read()
        except NoAnswer:
            self._rest_is_lost()
            raise
        self._rest_failures = 0
        self._listing.tell()

    def _rest_is_lost(self) -> None:
        self._rest_failures = max(self._rest_failures, REST_FAILURES)

    async def _read_all(self, generation: Generation) -> None:
        self.ingest.new_generation()
        await generation.follow(self.ingest.wanted)
        await asyncio.gather(*(self._join(each.account, generation) for each in self.roster.all()))
        if generation.over.is_set():
            raise NoAnswer(generation.why)

    async def _until_over(self) -> None:
        """Wait for the end of the generation in force; renew the token at its half-life, hubs and all."""
        while not self._generation.over.is_set():
            try:
                async with asyncio.timeout(self.login.renew_in()):
                    await self._generation.over.wait()
            except TimeoutError:
                await self._renew()

    async def _renew(self) -> None:
        """Make before break: a fresh token, a new pair of hubs open and read, then the old one closed."""
        try:
            await self.login.renew()
            await self._bring_up()
        except (GatewayError, Malformed) as error:
            self._log.warning("gateway.token_not_renewed", reason=str(error))
            self._alert("warning", "renewal", f"The login could not be renewed yet: {error}")

    # ------------------------------------------------------------ accounts

    async def _join(self, account: AccountId, generation: Generation) -> None:
        """Subscribe the account's events, then read it. A refused read leaves only this account blind."""
        if not await generation.subscribe(account, self._clock.mono):
            self.lost()
            return
        why, began = f"generation {generation.number}", self._clock.mono()
        outcome = await self.reads.ask(account, why, Kind.JOIN)
        if isinstance(outcome, NoAnswer | Malformed) and self._clock.mono() - began < QUICK:
            # One bad answer; to open both hubs afresh for it would take longer.
            outcome = await self.reads.ask(account, why, Kind.JOIN)
        if isinstance(outcome, NoAnswer | Unauthorized):
            generation.end(f"cannot read account {account}: {outcome}")
            self.lost()
        elif not isinstance(outcome, BrokerSnapshot):
            self._rounds.read(account, why, Kind.JOIN, now=False)

    def _arrived(self, snapshot: BrokerSnapshot) -> None:
        self._last_read = snapshot.finished_mono
        self._rest_failures = 0
        guarded = self.roster.find(snapshot.account.id)
        if guarded is None:
            return
        self.ingest.let_go()
        guarded.address.tell(snapshot)
        self._rounds.arrived(snapshot)
        for contract in {p.contract for p in snapshot.positions} | {o.contract for o in snapshot.orders}:
            self.ingest.saw(contract)
        for order in snapshot.orders:
            self._undocumented.look(order)
        for generation in (self._generation, self._coming):
            if generation is not None and snapshot.fills_read:
                generation.note(snapshot)
        self._publish()

    def _read_failed(self, account: AccountId, error: Failure) -> None:
        self._log.warning("gateway.account_not_read", account=account, reason=str(error))
        if isinstance(error, Malformed):
            self._unreadable.read(account, error)
        # What was not asked tells nothing of the gateway.
        if isinstance(error, NoAnswer | Unauthorized) and not isinstance(error, Unavailable):
            self._rest_failures += 1
            if self._rest_failures == REST_FAILURES:
                self.drop_link(f"REST does not answer: {error}")

    async def _follow(self, generation: Generation) -> None:
        await generation.follow(self.ingest.wanted)
        if generation.over.is_set():
            self.lost()

    # ------------------------------------------------------------ what goes wrong

    def lost(self) -> None:
        """A generation ended: blind from this moment, whatever the next one brings."""
        if self._generation.over.is_set() and self.roster.reason != self._generation.why:
            self.roster.reason = self._generation.why or self.roster.reason
            self._log.warning(
                "gateway.link_lost", reason=self.roster.reason, generation=self._generation.number
            )
        self._publish()

    def unpriced(self, error: Malformed) -> None:
        self._unreadable.price(error)

    def malformed(self, error: Malformed) -> None:
        self._unreadable.event(error)

    def logged_out(self) -> None:
        """`GatewayLogout` is undocumented: ask whether the token still holds; a 401 does the rest."""
        self._alert("warning", "logout", "The gateway announced a logout; the login is being checked.")
        self._spawn(self._listing.check(), "accounts")

    def _denied(self, error: LoginDenied) -> None:
        self.roster.reason = str(error)
        self._log.error("gateway.login_refused", code=error.code, reason=str(error))
        self._outlets.tree.tell(LoginRefused(error.code, str(error)))
        self._publish()

    def _replaced(self) -> None:
        self.drop_link("the gateway no longer accepts the token")
        if self.login.in_force:
            self._logged_in_again.set()

    def _not_up(self, error: Failure) -> None:
        self.roster.reason = str(error)
        self._log.warning("gateway.cannot_connect", reason=str(error), generation=self._generation.number)
        self._publish()

    # ------------------------------------------------------------ twice a second

    async def _housekeep(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            now = self._clock.mono()
            self._listen_for_silence(now)
            if self.login.in_force and self._listing.is_due(now):
                self._spawn(self._listing.check(), "accounts")
            self.records.refresh(now)
            self._post()
            self._outlets.board.post(("traffic",), self.gateway.traffic())

    def _listen_for_silence(self, now: float) -> None:
        generation = self._generation
        if generation.hubs is None or generation.over.is_set():
            return
        silent = now - generation.hubs.silent_since()
        if silent > self._options.silent_after:
            self.drop_link(f"a hub was silent for {silent:.0f} s")

    # ------------------------------------------------------------ telling

    def _publish(self) -> None:
        answers = self._rest_failures < REST_FAILURES and not self.login.refused
        self.roster.publish(self._generation, rest_answers=answers, auth_failed=self.login.refused)
        self._post()

    def _post(self) -> None:
        view = self.roster.view(
            self.ingest.last_event_mono,
            self._last_read,
            self.login.age(),
            self._unreadable.count,
            self._undocumented.view(),
        )
        view = msgspec.structs.replace(view, last_quote_mono=self.ingest.last_quote_mono)
        self._outlets.board.post(("link",), view)
        self._outlets.board.post(("budget",), self.gateway.budget())

    def _alert(self, level: str, key: str, text: str) -> None:
        notice = Notice(level=level, component="connection", message=text, key=key)
        self._outlets.notices.tell(Alert(self._clock.wall(), "", notice))
