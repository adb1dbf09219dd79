"""The trader of a nemesis: acts one after another, and waits for the end that each must come to."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from config.instruments import root_of
from ops.chaos.acts import PRICES, Act
from ops.chaos.hands import Control
from ops.chaos.truth import held

LOOK_S = 0.05
SETTLES_S = 0.4
"""An end that is reached must stay: a close too many would come within this time."""
PATIENCE_S = 90.0


class Trader:
    """Trades until told to stop, in a thread of its own. `status` is None while no daemon answers."""

    def __init__(self, control: Control, status: Callable[[], dict[str, Any] | None]) -> None:
        self._control, self._status = control, status
        self._over = threading.Event()
        self.differences = list[str]()
        self.done = 0
        self.reached = Counter[str]()
        self.waiting_for: Act | None = None
        """A breach that is being answered at this moment."""
        self.lockouts: dict[tuple[str, str], str | None] = {}
        self.states = Counter[str]()

    def trade(self, acts: Iterator[Act]) -> None:
        """Act after act until `stop`."""
        while not self._over.is_set():
            act = next(acts)
            try:
                self._play(act)
            except (ValueError, OSError):
                # The gateway is stopped or down for a moment: nobody could trade then.
                self._over.wait(LOOK_S)

    def stop(self) -> None:
        self._over.set()

    def look(self) -> dict[str, Any] | None:
        """The status, with what it shows taken down."""
        status = self._status()
        self.states[status["state"] if status else "no answer"] += 1
        for account in status["accounts"] if status else ():
            for lockout in account["lockouts"]:
                until = None if lockout["until"] is None else str(lockout["until"])
                self.lockouts[account["name"], lockout["rule"]] = until
        return status

    def _play(self, act: Act) -> None:
        status = self.look()
        self._note(act, status)
        for operation in act.operations:
            self._control(operation)
        self.waiting_for = act if act.breaches else None
        self._await(act)
        self.waiting_for = None
        self._tidy(act)
        self.done += 1

    def _note(self, act: Act, status: dict[str, Any] | None) -> None:
        if act.breaches and (status is None or status["link"]["state"] != "live"):
            self.reached["breach while nobody could see it"] += 1
        if any(reason["code"] == "store" for reason in (status or {}).get("reasons", ())) and act.breaches:
            self.reached["breach while the store could not be written"] += 1
        if "locked account" in act.name:
            self.reached["new risk on a locked account"] += 1

    def _await(self, act: Act) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._has_ended(act):
            if time.monotonic() > deadline:
                now = self._held(act)
                text = f"{act.account}: {act.name} ended at {now}, not {act.ends_at}"
                self.differences.append(f"{text}; lockouts {sorted(self.lockouts)}")
                return

    def _has_ended(self, act: Act) -> bool:
        """Reached and kept; where the rules are not known, as soon as nothing is being done about it."""
        if act.ends_at is None:
            return self._is_quiet(act)
        try:
            if self._held(act) != act.ends_at or not self._is_locked(act):
                self._rest()
                return False
            self._rest(SETTLES_S)
            if self._held(act) == act.ends_at:
                return True
            text = f"{act.account}: {act.name} came to {act.ends_at}, then to {self._held(act)}"
            self.differences.append(text)
            return True
        except (ValueError, OSError):
            self._rest()
            return False

    def _is_quiet(self, act: Act) -> bool:
        self._rest(SETTLES_S)
        status = self.look()
        accounts = status["accounts"] if status else ()
        return any(one["name"] == act.account and one["state"] != "reducing" for one in accounts)

    def _is_locked(self, act: Act) -> bool:
        if not act.lock:
            return True
        self.look()
        return (act.account, act.lock) in self.lockouts

    def _held(self, act: Act) -> int:
        state = self._control({"op": "state"})
        account = next(one["id"] for one in state["accounts"] if one["name"] == act.account)
        sizes = (size for contract, size in held(state, account).items() if root_of(contract) == act.root)
        return sum(sizes)

    def _tidy(self, act: Act) -> None:
        """The trader closes what was left; what cannot be done now is done before the next act there."""
        self._control({"op": "price", "contract": act.root, "price": PRICES[act.root]})
        if self._held(act):
            self._control({"op": "close", "account": act.account, "contract": act.root})

    def _rest(self, seconds: float = LOOK_S) -> None:
        time.sleep(seconds)
