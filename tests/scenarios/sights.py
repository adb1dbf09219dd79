"""What a scenario sees of the guard and its gateway, and how it waits for it: never for time alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from actors.messages import Flush, HistoryKind
from actors.persistence.queries import HistoryQuery
from config.instruments import root_of
from supervisor.handlers import Daemon
from supervisor.life import Ending
from supervisor.program import Program
from supervisor.status import status as status_of
from tests.scenarios.clock import CHICAGO

A, B = "PRAC-V2-1001", "PRAC-V2-1002"
LONG = 1
PATIENCE_S = 20.0
LOOK_S = 0.002
CALM_LOOKS = 4
WAYS = {
    "Position/closeContract": "close",
    "Position/partialCloseContract": "partial_close",
    "Order/cancel": "cancel",
    "Order/modify": "modify",
    "Order/place": "place",
}
UNDER_WAY = ("read:", "join:", "leave:", "price:", "call:", "follow", "accounts", "record")
"""Names of the gateway loop's tasks that end by themselves."""


class Sights:
    """The eyes of a desk."""

    program: Program | None
    ending: Ending | None
    sound: bool
    _daemon: Daemon | None
    _failure: BaseException | None

    def control(self, **operation: Any) -> Any:
        """One operation on the gateway's control door."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let time pass and timers notice; what comes of it is still on its way."""
        raise NotImplementedError

    @property
    def now(self) -> datetime:
        """The instant that the gateway stamps."""
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        raise NotImplementedError

    @property
    def guard(self) -> Program:
        assert self.program is not None, "the guard was not started"
        return self.program

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
            assert self.program.failures.restarts == 0, "an actor crashed"


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
