"""How the watchdog starts a daemon: one that stands by with everything imported, else a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from ops.watchdog.verdict import ASKED_FOR, Start
from supervisor.home import Home
from supervisor.spawning import inherited, spawn
from supervisor.standby import Orders

LONGEST_GOODBYE_S = 2.0


class Launch(Struct, frozen=True):
    """What a daemon of this home is started with."""

    program: tuple[str, ...]
    arguments: tuple[str, ...]
    standby: tuple[str, ...] = ()
    """What starts one that waits for `arguments`; empty: there is none."""


def launch(home: Home, arguments: Sequence[str]) -> Launch:
    """The daemon of this home with these arguments of `riskd up`."""
    python = (sys.executable, "-P", "-m")
    own = ("--home", str(home.folder), *arguments)
    return Launch((*python, "supervisor"), own, (*python, "supervisor.standby", "--home", str(home.folder)))


class Starter:
    """Starts daemons, and keeps one standing by. All are children of this process."""

    def __init__(self, home: Home, how: Launch) -> None:
        self._home, self._how = home, how
        self._waiting: subprocess.Popen[bytes] | None = None
        self.warm = False
        """Whether the daemon that was started last had been standing by."""

    def start(self, step: Start) -> subprocess.Popen[bytes]:
        """Start the daemon that the verdict asks for."""
        arguments = (*self._how.arguments, *(("--safe-mode",) if step.safe_mode else ()))
        environment = inherited(os.environ)
        environment["RISKD_RESTART"] = str(step.restart)
        environment["RISKD_RESTART_CAUSE"] = step.cause
        environment["RISKD_DOWN_SINCE"] = "" if step.down_since is None else f"{step.down_since:.6f}"
        if step.cause == ASKED_FOR:
            # The program may have been updated: what stands by still has the one before.
            self.dismiss()
        taken = self._take(Orders(arguments, environment))
        self.warm = taken is not None
        if taken is not None:
            return taken
        return spawn((*self._how.program, *arguments), self._home, self._home.daemon_out, environment)

    def _take(self, orders: Orders) -> subprocess.Popen[bytes] | None:
        """Make the one that waits the daemon; None where none can be."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.poll() is not None or waiting.stdin is None:
            return None
        try:
            waiting.stdin.write(msgspec.json.encode(orders) + b"\n")
            waiting.stdin.close()
        except OSError:
            waiting.kill()
            waiting.wait()
            return None
        return waiting

    def stand_by(self) -> None:
        """Have one waiting for the next time. It imports for a second: call it while the daemon is well."""
        if self._how.standby and (self._waiting is None or self._waiting.poll() is not None):
            self._waiting = spawn(
                self._how.standby,
                self._home,
                self._home.daemon_out,
                inherited(os.environ),
                stdin=subprocess.PIPE,
            )

    def dismiss(self) -> None:
        """End the one that waits."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        waiting.kill()
        with suppress(OSError):
            if waiting.stdin is not None:
                waiting.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            waiting.wait(LONGEST_GOODBYE_S)
