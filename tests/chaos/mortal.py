"""A daemon that may die at any moment, and somebody who starts it again: what the watchdog does, without one.

Real parts: the daemon's own process, the simulated gateway over its real protocol, a service that takes
alerts. Waiting is on what can be seen.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from actors.clock import TEST_CLOCK
from actors.crash_points import VARIABLE
from ops import client
from ops.simulator.clock import ShiftedClock
from ops.simulator.settings import Settings
from ops.simulator.thread import ThreadedSimulator, run_in_thread
from ops.watchdog.process import Process, wait_gone
from supervisor.home import Home
from supervisor.identity import identity_of
from supervisor.protocol import OfAccounts, Refused
from tests.chaos.cradle import Cradle

KEY = "demo-key-1234567890"
WEDNESDAY_10 = datetime(2026, 3, 4, 16, tzinfo=UTC)
"""Ten in the morning in Chicago: far from every reset."""
PATIENCE_S = 40.0
LOOK_S = 0.02
STARTS_MOST = 6


class NeverSeen(AssertionError):
    """What was waited for did not come."""


class Pager:
    """A service that alerts are sent to."""

    def __init__(self) -> None:
        self.got: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(json.loads(body)["message"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                del format, args

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"json://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Mortal:
    """One home and its daemon, started again whenever it is found dead."""

    def __init__(
        self, folder: Path, gateway: ThreadedSimulator, pager: Pager, cradle: Cradle, offset_s: float
    ) -> None:
        self.home, self.gateway, self.pager, self.cradle = Home(folder), gateway, pager, cradle
        self.offset_s = offset_s
        self.crash = ""
        self.starts = 0
        self.process: Process | None = None
        self.witness = folder.with_name(f"{folder.name}.witness")
        self.home.make()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.offset_s)

    def configure(self, rules: dict[str, Any], **more: Any) -> None:
        urls = self.gateway.urls
        document = {
            "version": 1,
            "accounts": "all",
            "chaos": {"enabled": True},
            "alerts": [{"to": {"env": "PAGER"}, "level": "info"}],
            "gateway": {
                "api_url": urls.api_url,
                "user_hub_url": urls.user_hub_url,
                "market_hub_url": urls.market_hub_url,
                "username": "demo-user",
                "api_key": {"env": "PROJECT_X_API_KEY"},
                "request_timeout": "1s",
            },
            "tamper": {"witness": str(self.witness)},
            "rules": rules,
            **more,
        }
        self.home.config.write_bytes(msgspec.json.encode(document))

    # ------------------------------------------------------------------ the daemon

    def start(self) -> None:
        assert self.starts < STARTS_MOST, f"it keeps dying\n{self.last_words()}"
        environment = os.environ | {
            "RISKD_RESTART": str(self.starts),
            "RISKD_RESTART_CAUSE": "killed" if self.starts else "",
            "PROJECT_X_API_KEY": KEY,
            "PAGER": self.pager.url,
            TEST_CLOCK: f"{self.offset_s:+.6f}",
            VARIABLE: self.crash,
        }
        words = ["--home", str(self.home.folder), "--config", str(self.home.config)]
        pid = self.cradle.daemon(words, environment, self.home.daemon_out)
        identity = identity_of(pid)
        self.process = None if identity is None else Process(identity)
        self.starts += 1

    def keep(self) -> None:
        """Start the daemon where it is found dead."""
        if self.process is None or not self.process.alive():
            self.end()
            self.start()

    def stop(self) -> None:
        """End it in good order; one that dies on the way is started and ended again."""
        while True:
            self.keep()
            assert self.process is not None
            self.until(lambda: self.status().get("accounts"), "it guards before it ends")
            self.process.send(signal.SIGTERM)
            assert wait_gone(self.process, PATIENCE_S), f"it does not end\n{self.last_words()}"
            self.end()
            # The last thing that an orderly end does.
            if not self.home.daemon.exists():
                return

    def end(self) -> None:
        if self.process is not None:
            self.process.send(signal.SIGKILL)
            wait_gone(self.process, PATIENCE_S)
            self.process.close()
            self.process = None

    # ------------------------------------------------------------------ what can be seen and done

    def until[T](self, holds: Callable[[], T], what: str) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while not (seen := holds()):
            self.keep()
            if time.monotonic() > deadline:
                raise NeverSeen(f"never seen: {what}; {self.seen()}\n{self.last_words()}")
            time.sleep(LOOK_S)
        return seen

    def ask(self, command: str, request: msgspec.Struct) -> Any:
        """What the daemon answers; None where nobody did."""
        with suppress(Refused, OSError):
            return msgspec.msgpack.decode(client.call(self.home, command, request, deadline_s=5.0))
        return None

    def status(self) -> dict[str, Any]:
        return self.ask("status", OfAccounts()) or {}

    def account(self, name: str) -> dict[str, Any]:
        return next((one for one in self.status().get("accounts", ()) if one["name"] == name), {})

    def control(self, **operation: Any) -> Any:
        return self.gateway.control(operation)

    def held(self, account: int) -> dict[str, int]:
        """Open size by contract, as the gateway has it."""
        return {
            p["contractId"]: p["size"] if p["type"] == 1 else -p["size"]
            for p in self.control(op="state")["positions"]
            if p["accountId"] == account and p["size"]
        }

    def seen(self) -> str:
        status = self.status()
        accounts = [
            {key: one[key] for key in ("name", "state", "realized", "trades", "lockouts", "positions")}
            for one in status.get("accounts", ())
        ]
        return f"starts {self.starts}, {status.get('state')} {status.get('reasons')} {accounts}"

    def last_words(self) -> str:
        words = [self.home.daemon_out, self.home.logs / "errors.log", self.home.logs / "riskd.log"]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in words if path.exists())


@contextmanager
def mortal(cradle: Cradle) -> Iterator[Mortal]:
    """A home in which nothing runs yet, at a gateway of its own."""
    offset = WEDNESDAY_10 - datetime.now(UTC)
    folder = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))
    pager = Pager()
    settings = Settings(rate_limit=None, bars_limit=None, requote=2.0)
    try:
        with run_in_thread(settings, ShiftedClock(offset)) as gateway:
            made = Mortal(folder, gateway, pager, cradle, offset.total_seconds())
            try:
                yield made
            finally:
                made.end()
    finally:
        pager.server.shutdown()
        pager.server.server_close()
        shutil.rmtree(folder)
        for left in folder.parent.glob(f"{folder.name}.witness*"):
            left.unlink()
