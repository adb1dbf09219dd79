"""A guard of real processes (simulator, watchdog, daemon) in a temporary home, driven as its user drives
it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from config.instruments import root_of
from ops import client
from ops.simulator.remote import control
from ops.watchdog.process import end_recorded
from supervisor.home import Home
from supervisor.protocol import DoReset, DoUnlock, OfAccounts, Refused

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
LOOK_S = 0.02
LONG = 1


class House:
    """One home. `riskd` runs the command line; the gateway is in the trader's hands."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.home = Home(folder)
        self.home.config.write_bytes(msgspec.json.encode(document))

    def riskd(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """One command as a shell would run it; its exit code must be the expected one (None: any)."""
        command = [sys.executable, "-m", "ops", "--home", str(self.home.folder), *words]
        environment = {**os.environ, "NO_COLOR": "1"}
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert expect is None or ran.returncode == expect, f"{words} -> {ran.returncode}\n{ran.stderr}"
        return ran

    def asked(self, *words: str) -> Any:
        """What a reading command answers with `--json`."""
        answered = self.riskd(*words, "--json", expect=None)
        return json.loads(answered.stdout)

    def lines(self, *words: str) -> list[dict[str, Any]]:
        """A reading command that answers in JSON lines."""
        return [json.loads(line) for line in self.riskd(*words, "--json").stdout.splitlines()]

    def control(self, **operation: Any) -> Any:
        addresses = json.loads(self.home.simulator.read_text())
        return control(addresses["control_url"], operation)

    def order(
        self, account: str, side: str, contract: str, size: int, kind: str = "market", **more: Any
    ) -> Any:
        return self.control(
            op="order", account=account, contract=contract, side=side, size=size, type=kind, **more
        )

    def positions(self, account: str) -> dict[str, int]:
        """Open size by root, as the gateway has it."""
        state = self.control(op="state")
        mine = next(a["id"] for a in state["accounts"] if a["name"] == account)
        return {
            root_of(p["contractId"]): p["size"] if p["type"] == LONG else -p["size"]
            for p in state["positions"]
            if p["accountId"] == mine and p["size"]
        }

    def working(self, account: str) -> list[dict[str, Any]]:
        state = self.control(op="state")
        mine = next(a["id"] for a in state["accounts"] if a["name"] == account)
        return [o for o in state["orders"] if o["accountId"] == mine and o["status"] in (1, 6, 8)]

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until something can be seen; a bounded time."""
        deadline = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            if time.monotonic() > deadline:
                status = self.riskd("status", expect=None)
                raise AssertionError(f"never seen: {what}\n{status.stdout}{status.stderr}{self.last_words()}")
            time.sleep(LOOK_S)
        return value

    def becomes(self, value: object, look: Callable[[], object]) -> None:
        self.until(lambda: look() == value, f"{value!r}; it is {look()!r}")

    def ask(self, command: str, request: msgspec.Struct) -> Any:
        """As the command line asks, without starting one: for looking often and for tidying up."""
        return msgspec.msgpack.decode(client.call(self.home, command, request, deadline_s=PATIENCE_S))

    def account(self, name: str) -> dict[str, Any]:
        """The account in the daemon's status; empty while nobody answers."""
        with suppress(Refused):
            found: list[dict[str, Any]] = self.ask("status", OfAccounts((name,)))["accounts"]
            return found[0]
        return {}

    def locks(self, account: str) -> set[str]:
        """The rules that lock an account."""
        return {lockout["rule"] for lockout in self.account(account).get("lockouts", ())}

    def lockout(self, account: str, rule: str) -> dict[str, Any]:
        """The rule's lockout as `riskd lockouts` lists it."""
        listed = self.asked("lockouts", "-a", account)["lockouts"]
        return next(lockout for lockout in listed if lockout["rule"] == rule)

    def tidy(self, account: str) -> None:
        """Flat, at zero and free, as at the start of a day; by the trader's hand, which costs no reads."""
        for order in self.working(account):
            with suppress(ValueError):  # it may just have gone with its position
                self.control(op="cancel", order=order["id"])
        for root in self.positions(account):
            self.control(op="close", account=account, contract=root)
        self.until(lambda: self._is_flat(account), f"the guard sees {account} flat")
        if self.account(account)["trades"]:
            self.ask("reset", DoReset(account))
            self.until(lambda: self._is_at_zero(account), f"the rules of {account} judge the day from zero")
        if self.locks(account):
            self.ask("unlock", DoUnlock(account))
            self.until(lambda: not self.locks(account), f"{account} is free")

    def _is_at_zero(self, account: str) -> bool:
        seen = self.account(account)
        return bool(seen) and not seen["trades"] and all(r["state"] != "breached" for r in seen["rules"])

    def _is_flat(self, account: str) -> bool:
        seen = self.account(account)
        return bool(seen) and not (seen["positions"] or seen["orders"])

    def last_words(self) -> str:
        """The ends of what the processes said."""
        words = ""
        for path in (self.home.daemon_out, self.home.watchdog_out, self.home.logs / "errors.log"):
            with suppress(OSError):
                words += f"--- {path.name}\n{path.read_text()[-2000:]}\n"
        return words

    def end(self) -> None:
        """End it in good order, and whatever is left by its recorded identity."""
        self.riskd("down", "--leave-open", "--yes", expect=None)
        for recorded in (self.home.watchdog, self.home.daemon, self.home.simulator):
            end_recorded(recorded)


@contextmanager
def house(folder: Path, document: dict[str, Any]) -> Iterator[House]:
    """A home whose guard was started with `riskd up` and guards."""
    made = House(folder, document)
    try:
        made.riskd("up")
        yield made
    finally:
        made.end()
