"""The watchdog's shell: look, judge, carry out; until the guard ends."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import assert_never

import msgspec

from actors.clock import Clock
from ops.watchdog.asked import Asked
from ops.watchdog.notify import announcer
from ops.watchdog.process import DUMP, GO_ON, KILL, Process, end_recorded, end_session
from ops.watchdog.starting import Launch, Starter
from ops.watchdog.verdict import (
    Adopted,
    AskToStop,
    Dump,
    End,
    Kill,
    Limits,
    Look,
    Stage,
    Start,
    Step,
    View,
    begin,
    judge,
)
from supervisor.heartbeat import Beat, HeartbeatPage, read_beat
from supervisor.home import Home
from supervisor.identity import Identity, identity_of, recorded

LOOK_S = 0.1
MOST_STACKS = 20_000
"""Characters of a daemon's stacks that go into the watchdog's own record."""
STAND_BY_AFTER_S = 0.5
"""Ready for this long: the start is over, another process may import beside it."""


class Found(msgspec.Struct):
    """The part of HOME/run/daemon.json that a watchdog goes on from."""

    restart: int = 0
    safe_mode: bool = False


class Left(msgspec.Struct):
    """The part of HOME/run/ended.json that says what nobody guards any more."""

    left_open: tuple[str, ...] = ()


class Watchdog:
    """Keeps one daemon running. `restarted`: its first one is not started by a person at a terminal."""

    def __init__(
        self, home: Home, how: Launch, limits: Limits, clock: Clock, *, restarted: bool = False
    ) -> None:
        self._home = home
        self._unit = announcer(os.environ)
        self._starter = Starter(home, how)
        self._limits = limits
        self._clock = clock
        self._restarted = restarted
        self._process: Process | None = None
        self._asked = Asked(clock)
        self._page: HeartbeatPage | None = None
        self._me = identity_of(os.getpid()) or Identity(os.getpid(), 0)
        self._beats = 0
        self._memory_mb = 0.0
        self._memory_at = 0.0

    def run(self) -> int:
        """Guard until told to stop or the daemon ends for good; returns the exit code."""
        self._asked.take()
        try:
            self._page = HeartbeatPage(self._home.watchdog_beat)
            self._beat_myself()
            self._write_record()
            view, steps = self._begin()
            while (ending := self._carry_out(steps, view)) is None:
                self._stand_by(view)
                self._sleep(view)
                self._beat_myself()
                view, steps = judge(view, self._look(), self._limits, random.random())
            self._finish(ending)
            return ending.code
        finally:
            self._asked.give_back()
            self._starter.dismiss()
            if self._process is not None:
                self._process.close()
            if self._page is not None:
                self._page.close()

    def _beat_myself(self) -> None:
        """For the daemon, which replaces a watchdog that stands still."""
        self._beats += 1
        assert self._page is not None
        self._page.beat(Beat(self._beats, self._me.pid, self._me.start_ticks, self._clock.mono()))

    def _stand_by(self, view: View) -> None:
        well = view.stage is Stage.LIVE and view.ready_at is not None and not self._asked.to_stop
        if well and view.ready_at is not None and view.looked_at - view.ready_at >= STAND_BY_AFTER_S:
            self._starter.stand_by()

    # ------------------------------------------------------------------ looking

    def _begin(self) -> tuple[View, tuple[Step, ...]]:
        found = recorded(self._home.daemon)
        if found is not None:
            with suppress(ProcessLookupError):
                self._process = Process(found)
                beat = self._beat() or Beat(-1, found.pid, found.start_ticks, 0.0)
                self._say("watchdog.adopted", pid=found.pid)
                said = self._said_of_itself()
                return begin(self._clock.mono(), Adopted(beat, said.restart, said.safe_mode))
        return begin(self._clock.mono(), restarted=self._restarted)

    def _adopts_running(self) -> bool:
        """Where a daemon runs that is not ours, a second one would only be refused: it is ours from now on.

        Its watchdog died while it was starting and had not yet written down who it is.
        """
        found = recorded(self._home.daemon)
        if found is None or (self._process is not None and found == self._process.identity):
            return False
        try:
            adopted = Process(found)
        except ProcessLookupError:
            return False
        if self._process is not None:
            self._process.close()
        self._process = adopted
        self._say("watchdog.adopted", pid=found.pid)
        return True

    def _said_of_itself(self) -> Found:
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._home.daemon.read_bytes(), type=Found)
        return Found()

    def _look(self) -> Look:
        now, process = self._clock.mono(), self._process
        if process is None:
            return Look(now, alive=False, told_to_stop=self._asked.to_stop)
        alive, beat = process.alive(), self._beat()
        if alive and now - self._memory_at >= self._limits.memory_every_s:
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
            warm=self._starter.warm,
            told_to_stop=self._asked.to_stop,
            told_again=self._asked.again,
        )

    def _beat(self) -> Beat | None:
        """The page's beat if this very daemon wrote it: a page outlives its writer."""
        beat, process = read_beat(self._home.heartbeat), self._process
        if beat is None or process is None:
            return None
        return beat if Identity(beat.pid, beat.start_ticks) == process.identity else None

    def _sleep(self, view: View) -> None:
        """Until the next look is due, or the daemon ends, or a signal comes."""
        fds: list[int | socket.socket] = [self._asked.wakes]
        if self._process is not None and self._process.fd is not None and self._process.exit_code is None:
            fds.append(self._process.fd)
        until = view.until - self._clock.mono() if view.until > view.looked_at else LOOK_S
        ready, _, _ = select.select(fds, [], [], max(0.0, min(LOOK_S, until)))
        if self._asked.wakes in ready:
            self._asked.woken()

    # ------------------------------------------------------------------ acting

    def _carry_out(self, steps: tuple[Step, ...], view: View) -> End | None:
        for step in steps:
            match step:
                case Start():
                    self._start(step)
                case Dump():
                    self._say("watchdog.stacks_asked", restart=view.restart)
                    self._signal(DUMP)
                case Kill():
                    self._say(
                        "watchdog.killed", why=step.why, restart=view.restart, stacks=self._stacks(view)
                    )
                    self._signal(KILL)
                case AskToStop():
                    self._say("watchdog.stop_asked", why=step.why, restart=view.restart)
                    if self._asked.to_stop:
                        self._unit.stopping()
                    self._signal(signal.SIGTERM)
                    self._signal(GO_ON)
                case End():
                    return step
                case _:
                    assert_never(step)
        return None

    def _stacks(self, view: View) -> str:
        """What the daemon left when it was asked where it hangs: the next one begins the file anew."""
        if not view.dumped:
            return ""
        with suppress(OSError):
            return self._home.stacks.read_text("utf-8", "replace")[-MOST_STACKS:]
        return ""

    def _start(self, step: Start) -> None:
        if self._adopts_running():
            return
        before = self._process
        self._memory_mb, self._memory_at = 0.0, self._clock.mono()
        child = self._starter.start(step)
        self._process = Process(identity_of(child.pid) or Identity(child.pid, 0), child)
        self._unit.started(self._clock.mono(), step.restart)
        self._say(
            "watchdog.started",
            pid=child.pid,
            restart=step.restart,
            safe_mode=step.safe_mode,
            cause=step.cause,
            stood_by=self._starter.warm,
            down_since=step.down_since,
        )
        if before is not None:
            before.close()
            for pid in end_session(before.identity.pid):
                self._say("watchdog.orphan_ended", pid=pid)

    def _signal(self, number: signal.Signals | None) -> None:
        if self._process is not None:
            self._process.send(number)

    def _finish(self, ending: End) -> None:
        self._unit.stopping()
        self._say("watchdog.ended", code=ending.code, why=ending.why)
        self._starter.dismiss()
        if left := self._left_open():
            self._say("watchdog.left_open", left=left)
        if not self._home.ended.exists():
            write_json(self._home, "ended", {"exit": ending.code, "why": ending.why, "hint": ""})
        end_recorded(self._home.simulator)
        self._home.watchdog.unlink(missing_ok=True)

    def _left_open(self) -> tuple[str, ...]:
        """In the daemon's own words, for whoever reads along in the foreground."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._home.ended.read_bytes(), type=Left).left_open
        return ()

    def _write_record(self) -> None:
        record = {
            "pid": self._me.pid,
            "start_ticks": self._me.start_ticks,
            "started_at": self._clock.wall(),
            "argv": sys.argv[1:],
        }
        write_json(self._home, "watchdog", record)

    def _say(self, event: str, **fields: object) -> None:
        line = {"at": self._clock.wall(), "level": "info", "event": event, **fields}
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
        sys.stdout.flush()


def write_json(home: Home, name: str, value: object) -> None:
    """Put one of the run folder's small JSON files in place, whole or not at all."""
    path = getattr(home, name)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    fresh.write_bytes(msgspec.json.encode(value))
    fresh.replace(path)
