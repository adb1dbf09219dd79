"""A trader's desk for scenarios: simulated gateway, the whole guard, and the control socket, in one process.

Everything is real (SDK, HTTP and SignalR on loopback, SQLite, threads, the control socket); only the clock is
injected: it stands still until a scenario moves it. Waiting is on what can be seen, never on time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import trio
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.connection.options import Options
from actors.messages import Flush, HistoryKind
from actors.persistence.queries import HistoryQuery
from actors.persistence.store import Store
from actors.timers.actor import Beat
from config.instruments import root_of
from ops import client
from ops.simulator.settings import Settings as GatewaySettings
from ops.simulator.thread import ThreadedSimulator, run_in_thread
from supervisor.__main__ import auditor, grants, store_accepted
from supervisor.configuration import settle
from supervisor.control import ControlServer
from supervisor.control_socket import control_socket
from supervisor.gather import Process
from supervisor.handlers import HANDLERS, Daemon
from supervisor.home import Home
from supervisor.program import Ending, Program
from supervisor.reach import gateway_maker
from supervisor.roles import AdminSecret
from supervisor.status import status as status_of

CHICAGO = ZoneInfo("America/Chicago")
needs_reload = pytest.mark.skipif("reload" in HANDLERS.missing(), reason="the daemon does not reload yet")
WEDNESDAY_10 = datetime(2026, 3, 4, 10, tzinfo=CHICAGO)
LONG = 1
A, B = "PRAC-V2-1001", "PRAC-V2-1002"
PATIENCE_S = 20.0
LOOK_S = 0.002
CALM_LOOKS = 4
A_LOOK_S = 1e-7
"""What a look at the desk's clock takes on it; some thousand looks make a scenario."""
FOREVER_S = 10.0**9
KEY = "demo-key-1234567890"
WAYS = {
    "Position/closeContract": "close",
    "Position/partialCloseContract": "partial_close",
    "Order/cancel": "cancel",
    "Order/modify": "modify",
    "Order/place": "place",
}
UNDER_WAY = ("read:", "join:", "leave:", "price:", "call:", "follow", "accounts", "record")
"""Names of the gateway loop's tasks that end by themselves."""
SESSION = {
    "start": "08:30",
    "end": "15:00",
    "timezone": "America/Chicago",
    "days": ["mon", "tue", "wed", "thu", "fri"],
}


class DeskClock(ManualClock):
    """The guard's: stands still until it is moved, but every look at it takes a moment, so that what came
    first stays told apart. `still` is the gateway's, whose stamps are therefore exact."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.still = Still(self)
        self._looks = count(1)

    def _moments(self) -> float:
        return next(self._looks) * A_LOOK_S

    def mono(self) -> float:
        return super().mono() + self._moments()

    def wall(self) -> datetime:
        return super().wall() + timedelta(seconds=self._moments())


class Still:
    """The same clock without the moments."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def wall(self) -> datetime:
        return ManualClock.wall(self._clock)

    def mono(self) -> float:
        return ManualClock.mono(self._clock)


class Guard(Program):
    """The program, but deaf to silence: the desk's clock jumps by hours, the pings of the hubs do not."""

    def _options(self) -> Options:
        return dataclasses.replace(super()._options(), silent_after=FOREVER_S)


class Desk:
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

    @property
    def guard(self) -> Program:
        assert self.program is not None, "the guard was not started"
        return self.program

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

    def advance_to(self, instant: datetime) -> None:
        self.advance((instant - self.now).total_seconds())

    @property
    def now(self) -> datetime:
        """The instant that the gateway stamps."""
        return self.clock.still.wall()

    def tick(self, seconds: int, each: float = 1.0) -> None:
        """Let time pass in steps, everybody keeping up."""
        for _ in range(round(seconds / each)):
            self.advance(each)

    # ------------------------------------------------------------------ what can be seen

    def status(self, account: str | None = None) -> dict[str, Any]:
        """The daemon's own status; of one account where it is named."""
        assert self._daemon is not None
        whole: dict[str, Any] = msgspec.to_builtins(status_of(self._daemon.seen()), builtin_types=(datetime,))
        if account is None:
            return whole
        return next((a for a in whole["accounts"] if a["name"] == account), {})

    def rule(self, name: str, account: str = A) -> dict[str, Any]:
        """One rule of an account as status shows it."""
        return next(r for r in self.status(account)["rules"] if r["rule"] == name)

    def lockouts(self, account: str = A) -> dict[str, dict[str, Any]]:
        """Lockouts in force, by rule."""
        return {lockout["rule"]: lockout for lockout in self.status(account).get("lockouts", ())}

    def positions(self, account: str = A) -> dict[str, int]:
        """Open size by root, as the gateway has it."""
        state = self.control(op="state")
        mine = self._id(account, state)
        return {
            root_of(p["contractId"]): p["size"] if p["type"] == LONG else -p["size"]
            for p in state["positions"]
            if p["accountId"] == mine and p["size"]
        }

    def working(self, account: str = A) -> dict[int, dict[str, Any]]:
        """Orders that may still fill, by id, as the gateway has them."""
        state = self.control(op="state")
        mine = self._id(account, state)
        return {o["id"]: o for o in state["orders"] if o["accountId"] == mine and o["status"] in (1, 6, 8)}

    def _id(self, account: str, state: dict[str, Any]) -> int:
        return next(int(a["id"]) for a in state["accounts"] if a["name"] == account)

    def calls(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Acting requests that reached the gateway, oldest first."""
        found: list[dict[str, Any]] = self.control(op="calls")["calls"]
        return [call for call in found if kind is None or call["path"].endswith(kind)]

    def acts(self, account: str = A) -> list[tuple[Any, ...]]:
        """What reached the gateway in short, oldest first: (close, MNQ), (partial_close, MNQ, 1), (cancel,
        7), (modify, 7), (place, MNQ, side)."""
        mine = self._id(account, self.control(op="state"))
        return [_short(call) for call in self.calls() if call["body"]["accountId"] == mine]

    def closes(self, account: str = A) -> list[tuple[Any, ...]]:
        """Closes alone. A market order on a locked account may be met by a cancel first, which then comes
        late."""
        return [act for act in self.acts(account) if act[0] in ("close", "partial_close")]

    def history(self, kind: str, account: str | None = None, **holds: Any) -> list[dict[str, Any]]:
        """Stored lines of history, oldest first, once everything told so far is durable; those where `holds`
        fits."""
        persistence = self.guard.supervisor.handle("persistence")
        persistence.ask(Flush(), PATIENCE_S).result()
        query = HistoryQuery(HistoryKind(kind), None, None, account, 500)
        found = persistence.ask(query, PATIENCE_S).result()
        assert isinstance(found, tuple | list)
        return [line for line in found if all(line[key] == value for key, value in holds.items())]

    def receipts(self, account: str | None = None) -> list[dict[str, Any]]:
        """Receipts of enforcement."""
        return self.history("enforcement", account)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until something can be seen; a bounded real time, then the state is shown."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"never seen: {what}\n{self.describe()}")
            time.sleep(LOOK_S)
        return value

    def in_time(self, holds: Callable[[], Any], what: str, each: float = 1.0) -> Any:
        """Wait until something can be seen while time passes on the desk's clock, so much at every look."""

        def later() -> Any:
            self.pass_time(each)
            return holds()

        return self.until(later, what)

    def becomes(self, value: object, look: Callable[[], object]) -> None:
        """Wait until a look shows this value and everything came to rest; it must still show it then."""
        deadline = time.monotonic() + PATIENCE_S
        while look() != value and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        self.settle()
        seen = look()
        assert seen == value, f"{seen!r} is not {value!r}\n{self.describe()}"

    def day(self, realized: str, account: str = A) -> None:
        """Wait until the day's realized P&L is this."""
        self.becomes(realized, lambda: self.status(account)["realized"])

    def open_pnl(self, unrealized: str, account: str = A) -> None:
        """Wait until the open P&L, as losses are judged, is this."""
        self.becomes(unrealized, lambda: self.status(account)["unrealized"])

    def holds(self, account: str = A, **sizes: int) -> None:
        """Wait until the gateway holds exactly these sizes by root, and the guard knows."""
        self.becomes(sizes, lambda: self.positions(account))
        self.becomes(sizes, lambda: {p["root"]: p["size"] for p in self.status(account)["positions"]})

    def locked(self, *rules: str, account: str = A) -> dict[str, dict[str, Any]]:
        """Wait until exactly these rules lock the account; their lockouts."""
        self.becomes(set(rules), lambda: set(self.lockouts(account)))
        return self.lockouts(account)

    def flat(self, account: str = A) -> None:
        """Wait until the gateway holds nothing of the account, and the guard knows."""
        self.holds(account)

    # ------------------------------------------------------------------ when everything came to rest

    def settle(self, *, reducing: bool = False) -> None:
        """Wait until nothing is on its way any more: events, mailboxes, handlers, calls, reads.

        With `reducing`, a demand that the gateway does not let through may stand.
        """
        calm = 0
        deadline = time.monotonic() + PATIENCE_S
        while calm < CALM_LOOKS:
            calm = calm + 1 if self._calm(reducing) else 0
            if time.monotonic() > deadline:
                raise AssertionError(f"never calm\n{self.describe()}")
            time.sleep(LOOK_S)

    def _calm(self, reducing: bool) -> bool:
        self.control(op="wait")
        self.control(op="wait")
        program = self.program
        if program is None or self.ended:
            return True
        if self._under_way(program):
            return False
        if any(handle.depth or handle.busy_s() for handle in list(program.supervisor.handles.values())):
            return False
        return reducing or not any(a["state"] == "reducing" for a in self.status()["accounts"])

    def _under_way(self, program: Program) -> bool:
        """Turn the gateway loop over until what its sockets held is read; whether work is left there."""
        busy = [False]
        for _ in range(4):
            turned = threading.Event()

            def look(turned: threading.Event = turned) -> None:
                names = [task.get_name() for task in asyncio.all_tasks()]
                busy[0] = any(name.startswith(UNDER_WAY) for name in names)
                turned.set()

            program.loop.call_later(0.0, look)
            if not turned.wait(0.2):
                return program.loop.thread.is_alive()
        return busy[0]

    def describe(self) -> str:
        """What a failed wait shows."""
        lines = [f"now {self.now.astimezone(CHICAGO)}, ending {self.ending}, failure {self._failure!r}"]
        if self._daemon is not None and not self.ended:
            status = self.status()
            lines.append(f"{status['state']} {status['reasons']} dead letters {status['dead_letters']}")
            for account in status["accounts"]:
                for key, value in account.items():
                    lines.append(f"  {key}: {value}")
            lines += [f"  breach: {line}" for line in self.history("breach")]
            lines += [f"  receipt: {line}" for line in self.receipts()]
        lines += [f"  call: {call}" for call in self.calls()]
        return "\n".join(lines)

    def check(self) -> None:
        """Nothing went wrong behind the scenario's back."""
        if self.program is None:
            return
        assert self._failure is None, self._failure
        assert self.program.loop.restarts == 0, "the connection crashed inside"
        if self.sound:
            letters = self.program.supervisor.dead_letters.kept
            assert not letters, [(x.id, type(x.message).__name__, x.cause) for x in letters]
            assert self.program.actor_restarts == 0, "an actor crashed"


def _short(call: dict[str, Any]) -> tuple[Any, ...]:
    way, body = WAYS[call["path"]], call["body"]
    match way:
        case "close":
            return (way, root_of(body["contractId"]))
        case "partial_close":
            return (way, root_of(body["contractId"]), body["size"])
        case "place":
            return (way, root_of(body["contractId"]), "sell" if body["side"] else "buy")
        case _:
            return (way, body["orderId"])


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


def minutes(count: float) -> float:
    return timedelta(minutes=count).total_seconds()


def chicago(year: int, month: int, day: int, hour: int, minute: int = 0, second: float = 0) -> datetime:
    """An instant as the exchange's clock on the wall shows it."""
    whole = int(second)
    return datetime(year, month, day, hour, minute, whole, round((second - whole) * 1e6), tzinfo=CHICAGO)
