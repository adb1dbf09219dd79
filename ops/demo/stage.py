"""The stage of a demonstration: a temporary home with simulator, watchdog and daemon, and hands to act there.

Nothing of it stays: whatever happens, the processes are ended and the folder is removed. After a failure
the logs are kept, and it is said where.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.clock import TEST_CLOCK, clock_from
from ops import client, start
from ops.demo.acts import Operation
from ops.demo.interrupts import Interrupts
from ops.demo.look import Look
from ops.demo.script import Script
from ops.simulator.remote import control
from ops.watchdog.process import end_recorded
from supervisor.answers import Status
from supervisor.home import Home
from supervisor.identity import identity_of, recorded
from supervisor.protocol import AskHistory, DoChaos, DoStop, Exit, OfAccounts, Refused

START_S = 90.0
STOP_S = 20.0
CALL_S = 5.0
SIMULATOR_QUIET_S = 0.7
"""How long the simulator takes to start on a machine with nothing else to do."""


class Stage:
    """A running guard and its gateway."""

    def __init__(self, home: Home, script: Script, talk: start.Talk, interrupts: Interrupts) -> None:
        self.home, self.script = home, script
        self._talk, self._interrupts = talk, interrupts
        self.clock = clock_from(os.environ)
        self.instants: dict[str, datetime] = {}
        self.began = self.clock.wall()
        self._control_url = ""
        self._watchdog: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------ up and down

    def raise_guard(self) -> None:
        """Start simulator, watchdog and daemon; returns when guarding. Raises Refused."""
        home, script = self.home, self.script
        home.make()
        home.config.write_bytes(msgspec.json.encode(script.configuration))
        scenario = home.run / "gateway.json"
        scenario.write_bytes(msgspec.json.encode(script.gateway))
        loaded = start.read_configuration(start.Sources((home.config,)), self._talk)
        before = time.monotonic()
        arguments = ("--scenario", str(scenario), "--rate-limit", "off")
        with self._interrupts.held():
            sets = start.start_simulator(home, loaded, self._talk, arguments)
        slowness = max(1.0, (time.monotonic() - before) / SIMULATOR_QUIET_S)
        self.instants = script.instants(self.clock.wall(), slowness)
        sets += script.hours(self.instants)
        described = msgspec.json.decode(home.simulator.read_bytes(), type=dict[str, Any])
        self._control_url = described["control_url"]
        sources = start.Sources((home.config,))
        command = start.watchdog_command(home, loaded, start.daemon_arguments(sources, sets))
        with self._interrupts.held():
            self._watchdog = start.detach(home, command)
        start.wait_until_guarding(home, self._watchdog, START_S, self._talk)

    def lower_guard(self) -> None:
        """End everything in good order. Raises Refused where something does not end."""
        daemon, watchdog = recorded(self.home.daemon), recorded(self.home.watchdog)
        client.call(self.home, "down", DoStop(leave_open=True), deadline_s=STOP_S)
        start.wait_gone(self.home, daemon, watchdog)

    def end(self) -> None:
        """End whatever still runs, in whatever state it is."""
        if self._watchdog is not None:
            # Its record may not be written yet: by the handle, not by the file.
            self._watchdog.terminate()
            try:
                self._watchdog.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._watchdog.kill()
                self._watchdog.wait()
        end_recorded(self.home.watchdog)
        end_recorded(self.home.daemon)
        end_recorded(self.home.simulator)

    # ------------------------------------------------------------------ hands

    def trade(self, operation: Operation) -> Any:
        """One operation on the gateway's control door; raises ValueError with the broker's words."""
        return control(self._control_url, operation)

    def kill_actor(self, actor: str) -> None:
        client.call(self.home, "chaos", DoChaos("kill", actor), deadline_s=CALL_S)

    def kill_daemon(self) -> None:
        """SIGKILL to the daemon; returns when it is gone."""
        daemon = recorded(self.home.daemon)
        assert daemon is not None, "no daemon to kill"
        os.kill(daemon.pid, signal.SIGKILL)
        while identity_of(daemon.pid) == daemon:
            time.sleep(0.001)

    def left_s(self, instant: str) -> float:
        """Seconds until an instant of the day; negative once it is past."""
        return (self.instants[instant] - self.clock.wall()).total_seconds()

    # ------------------------------------------------------------------ eyes

    def status(self) -> Status | None:
        """The daemon's status; None while none answers."""
        try:
            raw = client.call(self.home, "status", OfAccounts(), deadline_s=CALL_S)
        except Refused as no:
            if no.code in (Exit.NOT_RUNNING, Exit.UNKNOWN):
                return None
            raise
        return msgspec.msgpack.decode(raw, type=Status)

    def history(self, account: str, since: datetime) -> list[dict[str, Any]]:
        """An account's lines of history from an instant on; none while no daemon knows the account."""
        try:
            return self._lines(AskHistory(since=since, account=account, limit=500))
        except Refused as no:
            if no.code in (Exit.NOT_RUNNING, Exit.UNKNOWN, Exit.FAILED):
                return []
            raise

    def restarts(self) -> list[dict[str, Any]]:
        """What died and was replaced since the start."""
        return self._lines(AskHistory(since=self.began, kind="restart"))

    def links(self) -> list[dict[str, Any]]:
        """How the link moved since the start."""
        return self._lines(AskHistory(since=self.began, kind="link", limit=500))

    def _lines(self, asked: AskHistory) -> list[dict[str, Any]]:
        raw = client.call(self.home, "history", asked, deadline_s=CALL_S)
        found: list[dict[str, Any]] = msgspec.msgpack.decode(raw)["history"]
        return found

    def look(self, account: str, since: datetime, before: Status | None) -> Look:
        return Look(self.status(), self.history(account, since), self.trade({"op": "state"}), before)


class Kept(Struct):
    """Whether all went well, and where the logs are otherwise."""

    good: bool = False
    logs: str | None = None


@contextmanager
def stage(script: Script, talk: start.Talk, interrupts: Interrupts, kept: Kept) -> Iterator[Stage]:
    """A stage for a `with` block; its logs are kept unless `kept.good` was set or it was interrupted."""
    folder = Path(tempfile.mkdtemp(prefix="riskd-demo-"))
    with _moved_clock(script.clock):
        made = Stage(Home(folder), script, talk, interrupts)
        try:
            yield made
        except KeyboardInterrupt:
            kept.good = True
            raise
        finally:
            with interrupts.held():
                made.end()
                if kept.good:
                    shutil.rmtree(folder)
                else:
                    kept.logs = _only_logs(made.home)


def _only_logs(home: Home) -> str | None:
    for entry in home.folder.iterdir():
        if entry != home.logs:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if home.logs.is_dir() and any(home.logs.iterdir()):
        return str(home.logs)
    shutil.rmtree(home.folder)
    return None


@contextmanager
def _moved_clock(instant: datetime) -> Iterator[None]:
    """The test clock for this process and every one it starts."""
    previous = os.environ.get(TEST_CLOCK)
    os.environ[TEST_CLOCK] = instant.isoformat()
    try:
        yield
    finally:
        os.environ.pop(TEST_CLOCK)
        if previous is not None:
            os.environ[TEST_CLOCK] = previous
