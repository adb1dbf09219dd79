"""A guard of real processes for tests: started and asked through the command line, ended whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from config.instruments import root_of
from ops.simulator.remote import RemoteSimulator, run_as_process
from ops.watchdog.process import end_recorded
from supervisor.home import Home
from supervisor.identity import identity_of, recorded

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
LOOK_S = 0.05
A, B = "PRAC-V2-1001", "PRAC-V2-1002"
LONG = 1
KEY = "demo-key-1234567890"


@dataclass
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Rig:
    """One home and the processes in it."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.file = folder / "riskd.yaml"
        self.began = datetime.now(UTC)
        """When `up` was last called."""

    def configure(self, document: dict[str, Any]) -> None:
        self.file.write_text(json.dumps({"version": 1, **document}), "utf-8")

    def riskd(self, *arguments: str, **environment: str) -> Ran:
        """`riskd ARGS` on this home, in a process of its own."""
        place = ["--home", str(self.home.folder), "--config", str(self.file)]
        done = subprocess.run(
            [sys.executable, "-m", "ops", *place, *arguments],
            cwd=ROOT,
            env=dict(os.environ, PROJECT_X_API_KEY=KEY) | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def up(self, expected: int = 0) -> Ran:
        self.began = datetime.now(UTC)
        ran = self.riskd("up")
        assert ran.code == expected, f"{ran}\n{self.output()}"
        return ran

    # ------------------------------------------------------------------ what can be seen

    def status(self, account: str | None = None) -> dict[str, Any]:
        """`status --json`; of one account where it is named."""
        whole: dict[str, Any] = self.riskd("status", "--json").json
        if account is None:
            return whole
        return next((one for one in whole.get("accounts", ()) if one["name"] == account), {})

    def history(self, kind: str, account: str = A) -> list[dict[str, Any]]:
        return self.riskd("history", "--kind", kind, "-a", account, "--json").lines

    def lockouts(self, account: str = A) -> dict[str, dict[str, Any]]:
        return {one["rule"]: one for one in self.status(account).get("lockouts", ())}

    def positions(self, account: str = A) -> dict[str, int]:
        return {one["root"]: one["size"] for one in self.status(account).get("positions", ())}

    def log(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            text = (self.home.logs / "riskd.log").read_text("utf-8")
            return [json.loads(line) for line in text.splitlines()]
        return []

    def output(self) -> str:
        """What the processes said, for a failed test."""
        found = [*sorted(self.home.logs.glob("*.out")), self.home.logs / "riskd.log"]
        return "\n".join(
            f"--- {path.name}\n{path.read_text('utf-8')[-3000:]}" for path in found if path.exists()
        )

    def until(self, holds: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        deadline = time.monotonic() + within_s
        while not (value := holds()):
            assert time.monotonic() < deadline, f"never seen: {what}\n{self.output()}"
            time.sleep(LOOK_S)
        return value

    # ------------------------------------------------------------------ processes

    @property
    def daemon_pid(self) -> int:
        found = recorded(self.home.daemon)
        return found.pid if found else 0

    @property
    def started_pid(self) -> int:
        """Of the daemon that the watchdog started last, however far it has come."""
        lines = self.home.watchdog_out.read_text("utf-8").splitlines()
        started = [json.loads(line) for line in lines if '"watchdog.started"' in line]
        return int(started[-1]["pid"])

    @property
    def watchdog_pid(self) -> int:
        found = recorded(self.home.watchdog)
        return found.pid if found else 0

    def kill_daemon(self) -> int:
        """SIGKILL, and gone; the pid it had."""
        return self._kill(self.daemon_pid)

    def kill_watchdog(self) -> int:
        return self._kill(self.watchdog_pid)

    def _kill(self, pid: int) -> int:
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: identity_of(pid) is None, f"{pid} gone")
        return pid

    def returned(self, before: int) -> dict[str, Any]:
        """The status of the daemon that came after `before`, once it guards with a live link."""

        def guards() -> dict[str, Any]:
            status = self.status()
            new = status.get("daemon", {}).get("pid") not in (None, before)
            return status if new and status["link"]["state"] == "live" else {}

        found: dict[str, Any] = self.until(guards, "another daemon guards")
        return found

    def running(self) -> list[str]:
        """Command lines of processes of this home; none once it is down."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
            if any(str(self.home.folder) in word for word in words):
                found.append(" ".join(words))
        return found

    def end(self) -> None:
        for record in (self.home.watchdog, self.home.daemon, self.home.simulator):
            end_recorded(record)
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.home.folder) in word for word in process.info["cmdline"] or ()):
                process.kill()


class Guard(Rig):
    """A rig that guards at a simulated gateway of its own."""

    def __init__(self, folder: Path, simulator: RemoteSimulator) -> None:
        super().__init__(folder)
        self.simulator = simulator

    def control(self, **operation: Any) -> Any:
        """One operation on the gateway's control door."""
        return self.simulator.control(operation)

    def buy(self, root: str, size: int = 1, price: float | None = None, account: str = A) -> None:
        """A market order; with a price the market stands there first."""
        order = {"op": "order", "account": account, "contract": root, "side": "buy", "size": size}
        self.control(**order, **({} if price is None else {"price": price}))

    def price(self, root: str, price: float) -> None:
        self.control(op="price", contract=root, price=price)

    def calls(self, path: str = "") -> list[dict[str, Any]]:
        """Acting requests that reached the gateway; with a path only those."""
        found: list[dict[str, Any]] = self.control(op="calls")["calls"]
        return [call for call in found if path in call["path"]]

    def held(self, account: int = 1001) -> dict[str, int]:
        """Open size by root, as the gateway has it; shorts negative."""
        return {
            root_of(p["contractId"]): p["size"] if p["type"] == LONG else -p["size"]
            for p in self.control(op="state")["positions"]
            if p["accountId"] == account and p["size"]
        }


@contextmanager
def rig() -> Iterator[Rig]:
    """A home in which nothing runs yet."""
    with _folder() as folder:
        made = Rig(folder)
        try:
            yield made
        finally:
            made.end()


@contextmanager
def guard(rules: dict[str, Any], **document: Any) -> Iterator[Guard]:
    """A guard over both accounts of a separately started gateway, reached through its URLs alone."""
    with _folder() as folder, gateway() as simulator:
        made = Guard(folder, simulator)
        urls = simulator.urls
        section = projectx(urls.api_url, urls.user_hub_url, urls.market_hub_url)
        chaos = {"enabled": True}
        made.configure({"gateway": section, "accounts": "all", "rules": rules, "chaos": chaos, **document})
        try:
            made.up()
            yield made
        finally:
            made.end()


@contextmanager
def gateway(port: int = 0) -> Iterator[RemoteSimulator]:
    """The simulated gateway, separately started, with prices for the usual contracts."""
    with run_as_process("--scenario", "desk", "--rate-limit", "off", "--port", str(port)) as simulator:
        yield simulator


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder whose name is short enough for a control socket."""
    folder = Path(tempfile.mkdtemp(prefix="rr-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def projectx(api_url: str, user_hub_url: str, market_hub_url: str) -> dict[str, Any]:
    """The gateway section for any ProjectX-speaking server."""
    return {
        "kind": "projectx",
        "api_url": api_url,
        "user_hub_url": user_hub_url,
        "market_hub_url": market_hub_url,
        "username": "demo-user",
        "api_key": {"env": "PROJECT_X_API_KEY"},
    }


def projectx_at(port: int) -> dict[str, Any]:
    """The same for a port of this machine, whether anybody listens there or not."""
    base = f"http://127.0.0.1:{port}"
    return projectx(f"{base}/api", f"{base}/hubs/user", f"{base}/hubs/market")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
