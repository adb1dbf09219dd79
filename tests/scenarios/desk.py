"""A trader's desk for scenarios: simulated gateway, the whole guard, and the control socket, in one process.

Everything is real (SDK, HTTP and SignalR on loopback, SQLite, threads, the control socket); only the clock is
injected: it stands still until a scenario moves it. Waiting is on what can be seen, never on time.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import trio

from actors.clock import Clock, ManualClock
from actors.messages import Flush, HistoryKind
from actors.persistence.queries import HistoryQuery
from actors.persistence.store import Store
from config.checks import settings_from
from config.instruments import root_of
from config.settings import Settings
from ops.simulator.settings import Settings as GatewaySettings
from ops.simulator.thread import run_in_thread
from supervisor.configuration import Secrets
from supervisor.gather import Process, seen
from supervisor.home import Home
from supervisor.program import Ending, Program
from supervisor.reach import gateway_maker
from supervisor.status import status as status_of

CHICAGO = ZoneInfo("America/Chicago")
WEDNESDAY_10 = datetime(2026, 3, 4, 10, tzinfo=CHICAGO)
LONG = 1
A, B = "PRAC-V2-1001", "PRAC-V2-1002"
PATIENCE_S = 20.0
LOOK_S = 0.005
SESSION = {
    "start": "08:30",
    "end": "15:00",
    "timezone": "America/Chicago",
    "days": ["mon", "tue", "wed", "thu", "fri"],
}


class Desk:
    """One guarded login. Prices, orders and clock are the scenario's; what the guard did is read back."""

    def __init__(self, gateway: Any, clock: Clock, folder: Path, document: dict[str, Any]) -> None:
        self.gateway, self.clock, self.folder = gateway, clock, folder
        self.document = document
        self.program: Program | None = None
        self.ending: Ending | None = None
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], None] = lambda: None
        self._process: Process | None = None
        self.starts = 0

    # ------------------------------------------------------------------ the guard

    def settings(self) -> Settings:
        urls = self.gateway.urls
        document = {
            "gateway": {
                "api_url": urls.api_url,
                "user_hub_url": urls.user_hub_url,
                "market_hub_url": urls.market_hub_url,
                "username": "demo-user",
                "api_key": {"env": "UNUSED"},
                "request_timeout": "2s",
            },
            "sessions": {"main": SESSION},
            "chaos": {"enabled": True},
            **self.document,
        }
        return settings_from(document)

    def start(self, *, wait: bool = True) -> None:
        """Start the guard; with `wait`, return once it guards."""
        self.starts += 1
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="desk-guard", daemon=True)
        self._thread.start()
        if not ready.wait(PATIENCE_S):
            raise AssertionError("the guard did not start")
        if wait:
            self.until(lambda: self.ended or self.status()["link"]["state"] == "live", "the link is live")
            assert not self.ended, self.ending
            self.settle()

    def _run(self, ready: threading.Event) -> None:
        trio.run(self._guard, ready)

    async def _guard(self, ready: threading.Event) -> None:
        home = Home(self.folder)
        home.make()
        store = Store.open(home.database, self.clock.wall(), home.backups)
        secrets = Secrets("demo-key-1234567890", ())
        program = Program(
            self.settings(),
            home,
            self.clock,
            store,
            gateway_maker(secrets.api_key),
            first_start=self.starts == 1,
        )
        self.program = program
        self._process = Process(self.clock.wall(), self.starts - 1, None)
        token = trio.lowlevel.current_trio_token()
        self._stop = lambda: token.run_sync_soon(program.end, Ending(0, "the scenario is over"))
        ready.set()
        try:
            self.ending = await program.run()
        finally:
            store.close()

    def stop(self) -> None:
        """Stop in good order."""
        if self._thread is not None and self._thread.is_alive():
            self._stop()
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive(), "the guard did not stop"

    @property
    def ended(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    # ------------------------------------------------------------------ the trader's hands

    def control(self, **operation: Any) -> Any:
        """One operation on the gateway's control door."""
        return self.gateway.control(operation)

    def price(self, contract: str, price: float | None = None, **parts: float) -> None:
        """Set a price; alone it means last = bid = ask."""
        operation = {"op": "price", "contract": contract, **parts}
        self.control(**operation, **({} if price is None else {"price": price}))

    def buy(self, contract: str, size: int, account: str = A) -> Any:
        return self._market(contract, "buy", size, account)

    def sell(self, contract: str, size: int, account: str = A) -> Any:
        return self._market(contract, "sell", size, account)

    def _market(self, contract: str, side: str, size: int, account: str) -> Any:
        return self.control(
            op="order", account=account, contract=contract, side=side, size=size, type="market"
        )

    def book(self, pnl: float, account: str = A, contract: str = "MNQ", **more: Any) -> Any:
        """A round turn that realized this much."""
        return self.control(op="trade", account=account, contract=contract, pnl=pnl, **more)

    def advance(self, seconds: float) -> None:
        """Let time pass on the desk's clock, and everybody notice."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)
        self.settle()

    def advance_to(self, instant: datetime) -> None:
        self.advance((instant - self.clock.wall()).total_seconds())

    # ------------------------------------------------------------------ what can be seen

    def status(self, account: str | None = None) -> dict[str, Any]:
        """The daemon's own status; of one account where it is named."""
        assert self.program is not None
        assert self._process is not None
        whole: dict[str, Any] = msgspec.to_builtins(
            status_of(seen(self.program, self._process)), builtin_types=(datetime,)
        )
        if account is None:
            return whole
        return next((a for a in whole["accounts"] if a["name"] == account), {})

    def lockouts(self, account: str = A) -> dict[str, dict[str, Any]]:
        """Lockouts in force, by rule."""
        return {lockout["rule"]: lockout for lockout in self.status(account).get("lockouts", ())}

    def positions(self, account: str = A) -> dict[str, int]:
        """Open size by root, as the gateway has it."""
        state = self.control(op="state")
        mine = next(a["id"] for a in state["accounts"] if a["name"] == account)
        return {
            root_of(p["contractId"]): p["size"] if p["type"] == LONG else -p["size"]
            for p in state["positions"]
            if p["accountId"] == mine and p["size"]
        }

    def calls(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Acting requests that reached the gateway, oldest first."""
        found: list[dict[str, Any]] = self.control(op="calls")["calls"]
        return [call for call in found if kind is None or call["path"].endswith(kind)]

    def history(self, kind: str, account: str | None = None) -> list[dict[str, Any]]:
        """Stored lines of history, once everything told so far is durable."""
        assert self.program is not None
        persistence = self.program.supervisor.handle("persistence")
        persistence.ask(Flush(), 5.0).result()
        found = persistence.ask(HistoryQuery(HistoryKind(kind), None, None, account, 500), 5.0).result()
        assert isinstance(found, tuple | list)
        return list(found)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until something can be seen; a bounded real time, then the state is shown."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"never seen: {what}\n{self.describe()}")
            time.sleep(LOOK_S)
        return value

    def settle(self) -> None:
        """Wait until nothing is on its way any more: mailboxes, handlers, calls, reads."""
        calm = 0
        deadline = time.monotonic() + PATIENCE_S
        while calm < 6:
            calm = calm + 1 if self._calm() else 0
            if time.monotonic() > deadline:
                raise AssertionError(f"never calm\n{self.describe()}")
            time.sleep(0.02)

    def _calm(self) -> bool:
        program = self.program
        if program is None or self.ended:
            return True
        for handle in list(program.supervisor.handles.values()):
            if handle.depth or handle.busy_s():
                return False
        return not any(a["state"] == "reducing" for a in self.status()["accounts"])

    def describe(self) -> str:
        status = self.status() if self.program is not None else {}
        return f"status: {status}\ncalls: {self.calls()}\nending: {self.ending}"


@contextmanager
def desk(
    rules: dict[str, Any],
    *,
    at: datetime = WEDNESDAY_10,
    accounts: Any = None,
    prices: dict[str, float] | None = None,
    start: bool = True,
    **document: Any,
) -> Iterator[Desk]:
    """A desk that guards account A (unless told otherwise) by these rules."""
    clock = ManualClock(at)
    gateway_settings = GatewaySettings(rate_limit=None)
    with (
        tempfile.TemporaryDirectory(prefix="riskd-desk-") as folder,
        run_in_thread(gateway_settings, clock) as gateway,
    ):
        document = {"accounts": accounts or [{"name": A}], "rules": rules, **document}
        made = Desk(gateway, clock, Path(folder), document)
        for contract, price in (prices or {"MNQ": 21000.0, "ES": 5800.0}).items():
            made.price(contract, price)
        try:
            if start:
                made.start()
            yield made
        finally:
            made.stop()


def minutes(count: float) -> float:
    return timedelta(minutes=count).total_seconds()
