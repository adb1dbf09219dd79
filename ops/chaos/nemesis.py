"""The nemesis: one breaks, one trades, and in the end all are held to the same story."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from ops.chaos.acts import Act
from ops.chaos.deeds import DEATHS, Deed, deeds
from ops.chaos.hands import Ask, Control, Hands
from ops.chaos.trader import Trader
from ops.chaos.truth import Seen, differences
from supervisor.home import Home
from supervisor.protocol import AskHistory, DoChaos, Nothing, OfAccounts, Refused

GUARDS_S = 60.0
AGREES_S = 60.0
LOOK_S = 0.25
MOST_LINES = 1000

type Say = Callable[[str], None]


class Plan(Struct, frozen=True):
    """What a nemesis does: deeds and acts of a seed, for so long."""

    seed: int
    seconds: float
    acts: Iterator[Act]


class Ended(Struct, frozen=True):
    """What it did and what it found. No difference: the outcome is that of a run in which nothing broke."""

    seed: int
    done: dict[str, int]
    skipped: int
    acts: int
    differences: tuple[str, ...]
    reached: dict[str, int]
    states: dict[str, int]
    died: int


RARE = (
    "daemon died while a breach was being answered",
    "link lost while a breach was being answered",
    "part died while a breach was being answered",
    "watchdog died while a breach was being answered",
    "breach while nobody could see it",
    "breach while the store could not be written",
    "new risk on a locked account",
)


class Nemesis:
    """Over one running guard. `environment` is the one it was started with, for a service unit's stand-in."""

    def __init__(
        self,
        home: Home,
        ask: Ask,
        control: Control | None,
        gateway: int | None,
        environment: dict[str, str],
        say: Say,
    ) -> None:
        self._ask, self._say, self._control = ask, say, control
        self._hands = Hands(home, ask, control, gateway)
        self._hands.remember(environment)
        self._trader = None if control is None else Trader(control, self.status)
        self._done = Counter[str]()
        self._reached = Counter[str](dict.fromkeys(RARE, 0))
        self._skipped = self._died = 0

    def status(self) -> dict[str, Any] | None:
        """The daemon's status; None while none answers."""
        try:
            found: dict[str, Any] = self._ask("status", OfAccounts())
        except Refused:
            return None
        return found

    def run(self, plan: Plan) -> Ended:
        """Break and trade for the plan's time, then wait until all is quiet and compare. Raises Refused
        where chaos is not allowed here."""
        self._ask("chaos", DoChaos("drop-link"))
        trading = None
        if self._trader is not None:
            trading = threading.Thread(target=self._trader.trade, args=(plan.acts,), daemon=True)
            trading.start()
        try:
            self._break(plan)
        finally:
            if self._trader is not None and trading is not None:
                self._hands.end_all()
                self._trader.stop()
                trading.join()
        return self._ended(plan.seed, tuple(self._compared()))

    # ------------------------------------------------------------------ what it does

    def _break(self, plan: Plan) -> None:
        until = time.monotonic() + plan.seconds
        for deed in deeds(plan.seed, self._actors(), has_gateway=self._control is not None):
            if time.monotonic() >= until:
                return
            self._note(deed)
            try:
                did = self._hands.do(deed)
            except (OSError, ValueError) as error:
                self._say(f"  could not {deed.what}: {error}")
                did = False
            self._done[deed.what] += did
            self._skipped += not did
            self._say(_told(deed, did))
            self._rest(deed.pause_s)

    def _note(self, deed: Deed) -> None:
        if self._trader is None or self._trader.waiting_for is None:
            return
        if deed.what in DEATHS:
            self._reached["daemon died while a breach was being answered"] += 1
        elif deed.what in ("drop link", "gateway down", "stop gateway"):
            self._reached["link lost while a breach was being answered"] += 1
        elif deed.what in ("kill actor", "crash actor"):
            self._reached["part died while a breach was being answered"] += 1
        elif deed.what == "kill watchdog":
            self._reached["watchdog died while a breach was being answered"] += 1

    def _rest(self, seconds: float) -> None:
        """A pause, in which somebody does what is not the guard's own to do."""
        until = time.monotonic() + seconds
        while True:
            self._look_after()
            if (left := until - time.monotonic()) <= 0:
                return
            time.sleep(min(left, LOOK_S))

    def _look_after(self) -> None:
        """Be the service unit where both processes are gone, and the operator where it is in safe mode."""
        if self._hands.stand_in() is not None:
            self._done["started by the unit"] += 1
        status = self.status()
        if status is not None and status["state"] == "safe_mode":
            self._done["safe mode left"] += 1
            self._restart()

    def _restart(self) -> None:
        try:
            self._ask("restart", Nothing())
        except Refused as no:
            self._say(f"  cannot restart: {no}")

    def _actors(self) -> tuple[str, ...]:
        return tuple(_workers(self._ask("actors.tree", Nothing())))

    # ------------------------------------------------------------------ comparing

    def _compared(self) -> Iterator[str]:
        """Wait until the guard is whole and all agree; what still differs then."""
        if not self._guards_again():
            status = self.status()
            reasons = "; ".join(r["text"] for r in status["reasons"]) if status else "no answer"
            yield f"not guarding {GUARDS_S:g} s after the last deed: {reasons}"
            return
        if self._trader is None:
            return
        yield from self._trader.differences
        until = time.monotonic() + AGREES_S
        while (found := self._disagreements()) and time.monotonic() < until:
            time.sleep(LOOK_S)
        yield from found

    def _guards_again(self) -> bool:
        until = time.monotonic() + GUARDS_S
        while time.monotonic() < until:
            status = self.status()
            if status is not None and status["state"] in ("guarding", "locked"):
                return True
            self._look_after()
            time.sleep(LOOK_S)
        return False

    def _disagreements(self) -> list[str]:
        assert self._control is not None
        assert self._trader is not None
        try:
            status = self._trader.look() or {}
            seen = Seen(
                state=self._control({"op": "state"}),
                calls=tuple(self._control({"op": "calls"})["calls"]),
                status=status,
                receipts=self._history("enforcement"),
                unlocks=self._history("unlock"),
                lockouts=dict(self._trader.lockouts),
                chain_broken_at=self._ask("audit.verify", Nothing())["broken_at"],
            )
        except (Refused, OSError, ValueError) as error:
            return [f"cannot compare: {error}"]
        self._died = status["daemon"]["restarts"]
        return list(differences(seen))

    def _history(self, kind: str) -> tuple[dict[str, Any], ...]:
        lines = self._ask("history", AskHistory(kind=kind, limit=MOST_LINES))["history"]
        return tuple(lines)

    def _ended(self, seed: int, found: tuple[str, ...]) -> Ended:
        trader = self._trader
        reached = self._reached + (trader.reached if trader else Counter())
        return Ended(
            seed,
            dict(sorted(self._done.items())),
            self._skipped,
            trader.done if trader else 0,
            found,
            {name: reached[name] for name in RARE},
            dict(trader.states) if trader else {},
            self._died,
        )


def _told(deed: Deed, did: bool) -> str:
    lasted = f"for {deed.for_s:g} s" if deed.for_s and deed.what != "switch interval" else ""
    words = ("" if did else "(nothing there)", deed.what, deed.target, lasted)
    return f"  {' '.join(word for word in words if word)}"


def _workers(node: dict[str, Any]) -> Iterator[str]:
    if node.get("type") == "worker":
        yield str(node["id"])
    for child in node.get("children", ()):
        yield from _workers(child)
