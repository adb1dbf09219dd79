"""The watchdog's shell: look, judge, carry out; until the guard ends."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, assert_never

import msgspec

from actors.clock import Clock
from ops.watchdog.notify import announcer
from ops.watchdog.process import Process, end_recorded
from ops.watchdog.verdict import AskToStop, Dump, End, Kill, Limits, Look, Start, Step, View, begin, judge
from supervisor.heartbeat import Beat, read_beat
from supervisor.home import Home
from supervisor.identity import Identity, identity_of, recorded

LOOK_S = 0.1
MEMORY_EVERY_S = 5.0
MOST_OUTPUT_BYTES = 1 << 20
"""Of daemon.out, per start; the one before is kept beside it."""


class Watchdog:
    """Keeps one daemon running. `command` starts it (without `--safe-mode`, which is added)."""

    def __init__(
        self, home: Home, command: Sequence[str], limits: Limits, clock: Clock, *, restarted: bool = False
    ) -> None:
        self._home = home
        self._restarted = restarted
        self._unit = announcer(os.environ)
        self._command = tuple(command)
        self._limits = limits
        self._clock = clock
        self._process: Process | None = None
        self._told_to_stop = False
        self._memory_mb = 0.0
        self._memory_at = 0.0
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def run(self) -> int:
        """Guard until told to stop or the daemon ends for good; returns the exit code."""
        previous = self._take_signals()
        try:
            self._write_record()
            view, steps = self._begin()
            while (ending := self._carry_out(steps, view)) is None:
                self._sleep(view)
                view, steps = judge(view, self._look(), self._limits, random.random())
            self._finish(ending)
            return ending.code
        finally:
            self._give_signals_back(previous)
            if self._process is not None:
                self._process.close()

    # ------------------------------------------------------------------ looking

    def _begin(self) -> tuple[View, tuple[Step, ...]]:
        found = recorded(self._home.daemon)
        if found is not None:
            with suppress(ProcessLookupError):
                self._process = Process(found)
                beat = self._beat() or Beat(-1, found.pid, found.start_ticks, 0.0)
                self._say("watchdog.adopted", pid=found.pid)
                return begin(self._clock.mono(), beat)
        return begin(self._clock.mono(), restarted=self._restarted)

    def _look(self) -> Look:
        now, process = self._clock.mono(), self._process
        if process is None:
            return Look(now, alive=False, told_to_stop=self._told_to_stop)
        alive, beat = process.alive(), self._beat()
        if alive and now - self._memory_at >= MEMORY_EVERY_S:
            self._memory_mb, self._memory_at = process.memory_mb(), now
        if alive:
            self._unit.looked(now, beat)
        return Look(
            now=now,
            alive=alive,
            exit_code=process.exit_code,
            suspended=alive and process.suspended(),
            beat=beat,
            memory_mb=self._memory_mb,
            told_to_stop=self._told_to_stop,
        )

    def _beat(self) -> Beat | None:
        """The page's beat if this very daemon wrote it: a page outlives its writer."""
        beat, process = read_beat(self._home.heartbeat), self._process
        if beat is None or process is None:
            return None
        return beat if Identity(beat.pid, beat.start_ticks) == process.identity else None

    def _sleep(self, view: View) -> None:
        """Until the next look is due, or the daemon ends, or a signal comes."""
        fds: list[int | socket.socket] = [self._wake_out]
        if self._process is not None and self._process.fd is not None and self._process.exit_code is None:
            fds.append(self._process.fd)
        until = view.until - self._clock.mono() if view.until > view.looked_at else LOOK_S
        ready, _, _ = select.select(fds, [], [], max(0.0, min(LOOK_S, until)))
        if self._wake_out in ready:
            with suppress(BlockingIOError):
                self._wake_out.recv(64)

    # ------------------------------------------------------------------ acting

    def _carry_out(self, steps: tuple[Step, ...], view: View) -> End | None:
        for step in steps:
            match step:
                case Start():
                    self._start(step)
                case Dump():
                    self._say("watchdog.stacks_asked", restart=view.restart)
                    self._signal(signal.SIGUSR1)
                case Kill():
                    self._say("watchdog.killed", why=step.why, restart=view.restart)
                    self._signal(signal.SIGKILL)
                case AskToStop():
                    self._say("watchdog.stop_asked", why=step.why, restart=view.restart)
                    if self._told_to_stop:
                        self._unit.stopping()
                    self._signal(signal.SIGTERM)
                    self._signal(signal.SIGCONT)
                case End():
                    return step
                case _:
                    assert_never(step)
        return None

    def _start(self, step: Start) -> None:
        if self._process is not None:
            self._process.close()
        environment = dict(os.environ)
        environment["RISKD_RESTART"] = str(step.restart)
        environment["RISKD_RESTART_CAUSE"] = step.cause
        environment["RISKD_DOWN_SINCE"] = "" if step.down_since is None else f"{step.down_since:.6f}"
        command = [*self._command, "--safe-mode"] if step.safe_mode else list(self._command)
        self._memory_mb, self._memory_at = 0.0, self._clock.mono()
        child = spawn(command, self._home, environment)
        identity = identity_of(child.pid) or Identity(child.pid, 0)
        self._process = Process(identity, child)
        self._unit.started(self._clock.mono(), step.restart)
        self._say(
            "watchdog.started",
            pid=child.pid,
            restart=step.restart,
            safe_mode=step.safe_mode,
            cause=step.cause,
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send(number)

    def _finish(self, ending: End) -> None:
        self._unit.stopping()
        self._say("watchdog.ended", code=ending.code, why=ending.why)
        if not self._home.ended.exists():
            write_json(self._home, "ended", {"exit": ending.code, "why": ending.why, "hint": ""})
        end_recorded(self._home.simulator)
        self._home.watchdog.unlink(missing_ok=True)

    def _write_record(self) -> None:
        me = identity_of(os.getpid())
        record = {
            "pid": os.getpid(),
            "start_ticks": me.start_ticks if me else 0,
            "started_at": self._clock.wall(),
            "argv": sys.argv[1:],
        }
        write_json(self._home, "watchdog", record)

    def _say(self, event: str, **fields: object) -> None:
        line = {"at": self._clock.wall(), "level": "info", "event": event, **fields}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()

    # ------------------------------------------------------------------ signals

    def _take_signals(self) -> dict[signal.Signals, object]:
        def stop(number: int, frame: object) -> None:
            self._told_to_stop = True

        previous: dict[signal.Signals, object] = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, stop)
        if hasattr(signal, "SIGHUP"):
            previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        return previous

    def _give_signals_back(self, previous: Mapping[signal.Signals, object]) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself returned
        self._wake_in.close()
        self._wake_out.close()


def spawn(command: Sequence[str], home: Home, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a daemon in a session of its own, so that it outlives a watchdog that is killed."""
    with output_file(home.daemon_out) as output:
        return subprocess.Popen(
            command,
            cwd=home.folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def output_file(path: Path) -> BinaryIO:
    """A file for a process's output, for this user alone; a long one is put aside first."""
    if path.exists() and path.stat().st_size > MOST_OUTPUT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")


def write_json(home: Home, name: str, value: object) -> None:
    """Put one of the run folder's small JSON files in place, whole or not at all."""
    path = getattr(home, name)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    fresh.write_bytes(msgspec.json.encode(value))
    fresh.replace(path)
