"""A trader's desk for scenarios: simulated gateway, the whole guard, and the control socket, in one process.

Everything is real (SDK, HTTP and SignalR on loopback, SQLite, threads, the control socket); only the clock is
injected: it stands still until a scenario moves it. Waiting is on what can be seen, never on time.
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec.structs import replace

from actors.connection.options import Options
from actors.persistence.store import Store
from actors.timers.actor import Beat
from ops import client
from ops.simulator.settings import Settings as GatewaySettings
from ops.simulator.thread import ThreadedSimulator, run_in_thread
from supervisor.__main__ import auditor, grants, store_accepted
from supervisor.changing import HANDLERS, ripen_in_time
from supervisor.configuration import settle
from supervisor.control import ControlServer
from supervisor.control_socket import control_socket
from supervisor.gather import Process
from supervisor.handlers import Daemon
from supervisor.home import Home
from supervisor.life import Ending
from supervisor.program import Program
from supervisor.reach import gateway_maker
from supervisor.roles import AdminSecret
from tests.scenarios.clock import CHICAGO, WEDNESDAY_10, DeskClock, chicago, minutes
from tests.scenarios.sights import PATIENCE_S, A, B, Sights

__all__ = ["CHICAGO", "SESSION", "WEDNESDAY_10", "A", "B", "Desk", "chicago", "desk", "minutes"]

FOREVER_S = 10.0**9
KEY = "demo-key-1234567890"
SESSION = {
    "start": "08:30",
    "end": "15:00",
    "timezone": "America/Chicago",
    "days": ["mon", "tue", "wed", "thu", "fri"],
}


class Guard(Program):
    """The program, but deaf to silence: the desk's clock jumps by hours, the pings of the hubs do not."""

    silent_after_s = FOREVER_S

    def _options(self) -> Options:
        return dataclasses.replace(super()._options(), silent_after=FOREVER_S)


class Desk(Sights):
    """One guarded login. Prices, orders and clock are the scenario's; what the guard did is read back."""

    def __init__(
        self, gateway: ThreadedSimulator, clock: DeskClock, folder: Path, document: dict[str, Any]
    ) -> None:
        self.gateway, self.clock, self.folder = gateway, clock, folder
        self.home = Home(folder)
        self.document = document
        self.program: Program | None = None
        self.ending: Ending | None = None
        self.starts = 0
        self.sound = True
        """Every actor is expected to live; a scenario that kills some says otherwise."""
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], None] = lambda: None
        self._daemon: Daemon | None = None
        self._failure: BaseException | None = None

    # ------------------------------------------------------------------ the guard

    def write(self, **changes: Any) -> None:
        """Write the configuration file, with these top keys changed. JSON is YAML."""
        self.document.update(changes)
        urls = self.gateway.urls
        key = self.folder / "key"
        key.touch(mode=0o600)
        key.write_text(KEY)
        document = {
            "version": 1,
            "sessions": {"main": SESSION},
            "chaos": {"enabled": True},
            **self.document,
            "gateway": {
                "api_url": urls.api_url,
                "user_hub_url": urls.user_hub_url,
                "market_hub_url": urls.market_hub_url,
                "username": "demo-user",
                "api_key": {"file": str(key)},
                "request_timeout": "2s",
                **self.document.get("gateway", {}),
            },
        }
        self.home.config.write_bytes(msgspec.json.encode(document))

    def start(self, *, settle: bool = True) -> None:
        """Start the guard; returns once it guards and, with `settle`, everything came to rest."""
        self.starts += 1
        self.ending = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="desk-guard", daemon=True)
        self._thread.start()
        if not ready.wait(PATIENCE_S) or self._failure is not None:
            raise AssertionError("the guard did not start") from self._failure
        self.until(lambda: self.ended or self._guards(), "the guard guards")
        assert not self.ended, self.describe()
        self.settle(reducing=not settle)

    def _guards(self) -> bool:
        return self.guard.ready and self.status()["link"]["state"] == "live"

    def _run(self, ready: threading.Event) -> None:
        try:
            trio.run(self._serve, ready)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        home, restart = self.home, self.starts - 1
        home.make()
        if not home.config.exists():
            self.write()
        store = Store.open(home.database, self.clock.wall(), home.backups)
        try:
            accepted = settle(store, [str(home.config)], (), None, restarted=restart > 0)
            program = Guard(
                accepted.settings,
                home,
                self.clock,
                store,
                gateway_maker(accepted.secrets.api_key),
                targets=accepted.secrets.targets,
                first_start=restart == 0,
                standing=accepted.wanted,
            )
            store_accepted(program, accepted)
            self._daemon = Daemon(program, Process(self.clock.wall(), restart, None), accepted)
            self.program = program
            token = trio.lowlevel.current_trio_token()
            self._stop = lambda: token.run_sync_soon(program.end, Ending(0, "the scenario is over"))
            await self._served(program, self._daemon, ready)
        finally:
            store.close()

    async def _served(self, program: Program, daemon: Daemon, ready: threading.Event) -> None:
        async with trio.open_nursery() as nursery:
            with control_socket(self.home) as listener:
                settings = daemon.accepted.settings
                server = ControlServer(
                    HANDLERS,
                    daemon,
                    lambda: grants(self.home, settings),
                    AdminSecret(self.home.admin_secret),
                    auditor(program),
                )
                await nursery.start(server.serve, listener)
                nursery.start_soon(ripen_in_time, daemon)
                ready.set()
                self.ending = await program.run()
                nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """Stop in good order."""
        if self._thread is not None and self._thread.is_alive():
            self._stop()
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive(), "the guard did not stop"

    @property
    def ended(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def kill(self, actor: str) -> None:
        """Give an actor up this instant, as a hang would be, and wait until another serves at its address."""
        self._replaced(actor, lambda: self.guard.supervisor.kill(actor))

    def crash(self, actor: str) -> None:
        """Let an actor crash in its own thread, and wait until another serves at its address."""
        self._replaced(actor, lambda: self.guard.supervisor.crash(actor))

    def _replaced(self, actor: str, order: Callable[[], None]) -> None:
        self.sound = False
        epoch = self.actor(actor)["epoch"]
        order()
        self.until(lambda: self._serves(actor, epoch), f"{actor} is replaced")

    def _serves(self, actor: str, epoch: int) -> bool:
        now = self.actor(actor)
        if now["state"] == "restarting":  # not for the first time: it waits for its time on our clock
            self.pass_time(0.1)
        return bool(now["epoch"] > epoch and now["state"] == "running")

    def wear_out(self, actor: str) -> None:
        """Let an actor crash five times in 30 s, after which its supervisor gives it up."""
        for _ in range(4):
            self.crash(actor)
        self.guard.supervisor.crash(actor)
        self.until(
            lambda: self.actor(actor)["state"] not in ("running", "restarting"), f"{actor} is given up"
        )

    def actor(self, name: str) -> dict[str, Any]:
        """One actor as `actors tree` shows it."""
        left = [self.guard.supervisor.tree()]
        while left:
            node: dict[str, Any] = left.pop()
            if node["id"] == name:
                return node
            left += node["children"]
        raise AssertionError(f"no actor {name}")

    def actors(self) -> list[str]:
        return sorted(self.guard.supervisor.handles)

    # ------------------------------------------------------------------ the trader's hands

    def control(self, **operation: Any) -> Any:
        """One operation on the gateway's control door."""
        return self.gateway.control(operation)

    def price(self, contract: str, price: float | None = None, **parts: Any) -> None:
        """Set a price; alone it means last = bid = ask."""
        operation = {"op": "price", "contract": contract, **parts}
        self.control(**operation, **({} if price is None else {"price": price}))

    def buy(self, contract: str, size: int, account: str = A, **more: Any) -> Any:
        """Buy at the market, at `price` where given."""
        return self.order("buy", contract, size, account=account, **more)

    def sell(self, contract: str, size: int, account: str = A, **more: Any) -> Any:
        return self.order("sell", contract, size, account=account, **more)

    def order(
        self, side: str, contract: str, size: int, kind: str = "market", account: str = A, **more: Any
    ) -> int:
        """Place an order in the broker's own screen; its id."""
        placed = self.control(
            op="order", account=account, contract=contract, side=side, size=size, type=kind, **more
        )
        return int(placed["order_id"])

    def book(self, pnl: float, account: str = A, contract: str = "MNQ", **more: Any) -> list[int]:
        """A round turn of one contract that realized this much; the ids of its two fills."""
        booked: list[int] = self.control(op="trade", account=account, contract=contract, pnl=pnl, **more)[
            "trades"
        ]
        return booked

    def fault(self, name: str, **more: Any) -> None:
        self.control(op="fault", name=name, **more)

    def ask(self, command: str, request: msgspec.Struct, **more: Any) -> Any:
        """A command over the control socket, as the command line sends it. Raises protocol.Refused."""
        return msgspec.msgpack.decode(client.call(self.home, command, request, deadline_s=PATIENCE_S, **more))

    # ------------------------------------------------------------------ time

    def advance(self, seconds: float) -> None:
        """Let time pass on the desk's clock, and everybody notice."""
        self.pass_time(seconds)
        self.settle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass and timers notice; what comes of it is still on its way."""
        self.clock.advance(seconds)
        if self.program is not None and not self.ended:
            self.program.supervisor.handle("timers").tell_latest("beat", Beat())

    def tick(self, seconds: int, each: float = 1.0) -> None:
        """Let time pass in steps, everybody keeping up."""
        for _ in range(round(seconds / each)):
            self.advance(each)

    def advance_to(self, instant: datetime) -> None:
        self.advance((instant - self.now).total_seconds())

    @property
    def now(self) -> datetime:
        """The instant that the gateway stamps."""
        return self.clock.still.wall()


@contextmanager
def desk(
    rules: dict[str, Any],
    *,
    at: datetime = WEDNESDAY_10,
    accounts: Any = None,
    prices: dict[str, float] | None = None,
    start: bool = True,
    gateway_settings: dict[str, Any] | None = None,
    **document: Any,
) -> Iterator[Desk]:
    """A desk that guards account A (unless told otherwise) by these rules."""
    # Armed a second before the scenario begins: what happens then is new to the guard.
    clock = DeskClock(at - timedelta(seconds=1) if start else at)
    # The desk's clock stands still and jumps: no rate to limit by, no token that runs out in a jump.
    settings = GatewaySettings(rate_limit=None, bars_limit=None, token_life=timedelta(days=365))
    settings = replace(settings, **(gateway_settings or {}))
    with (
        tempfile.TemporaryDirectory(prefix="riskd-desk-") as folder,
        run_in_thread(settings, clock.still) as gateway,
    ):
        document = {"accounts": accounts or [{"name": A}], "rules": rules, **document}
        made = Desk(gateway, clock, Path(folder), document)
        for contract, price in (prices or {"MNQ": 21000.0, "ES": 5800.0}).items():
            made.price(contract, price)
        try:
            if start:
                made.start()
                made.advance(1)
            yield made
            made.check()
        finally:
            made.stop()
