"""Breaking things: signals to processes, limits, the chaos command, the simulator's faults."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ops.chaos.deeds import Deed
from supervisor.home import Home
from supervisor.identity import Identity, identity_of, recorded
from supervisor.protocol import DoChaos, Refused
from supervisor.spawning import inherited, same_watchdog, spawn

type Ask = Callable[[str, Struct], Any]
type Control = Callable[[dict[str, Any]], Any]

ROOM_BYTES = 4096
"""What the store may still grow by on a disk that is nearly full."""
REACHED_BY_PATH = ("http_500", "http_429", "drop", "delay")


class Hands:
    """Everything that can be broken about one home. Each deed is undone before `do` returns."""

    def __init__(self, home: Home, ask: Ask, control: Control | None, gateway: int | None) -> None:
        self.home = home
        self._ask, self._control, self._gateway = ask, control, gateway
        self._same_watchdog: Sequence[str] | None = None
        self._environment = dict(os.environ)
        self._unit: subprocess.Popen[bytes] | None = None

    def remember(self, environment: dict[str, str]) -> None:
        """How the guard was started, for the one who starts it again when both of its processes are gone."""
        self._same_watchdog = same_watchdog(self.home)
        self._environment = environment

    def do(self, deed: Deed) -> bool:
        """Break it. False where there was nothing to break at this moment (a daemon being replaced)."""
        match deed.what:
            case "kill actor" | "crash actor" | "hang actor":
                return self._chaos(DoChaos(_HOW[deed.what], deed.target, deed.for_s))
            case "drop link":
                return self._chaos(DoChaos("drop-link"))
            case "gateway fault":
                return self._fault(deed.target)
            case "gateway down":
                return self._gateway_down(deed.for_s)
            case "stop gateway":
                return self._paused(self._gateway, deed.for_s)
            case "kill daemon":
                return self._signal(recorded(self.home.daemon), signal.SIGKILL)
            case "stop daemon":
                return self._signal(recorded(self.home.daemon), signal.SIGSTOP)
            case "kill watchdog":
                return self._signal(recorded(self.home.watchdog), signal.SIGKILL)
            case "stop watchdog":
                return self._signal(recorded(self.home.watchdog), signal.SIGSTOP)
            case "kill both":
                return self._kill_both()
            case "disk full":
                return self._disk_full(deed.for_s)
            case "clock jump":
                return self._clock_jump(float(deed.target), deed.for_s)
            case "switch interval":
                return self._chaos(DoChaos("switch-interval", for_s=1e-6))
            case _:
                raise ValueError(f"cannot do {deed.what}")

    def end_all(self) -> None:
        """Nothing is broken any more, as far as it is not over by itself."""
        if self._control is not None:
            self._control({"op": "fault", "name": "all", "on": False})
        if self._gateway is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._gateway, signal.SIGCONT)
        self._chaos(DoChaos("switch-interval", for_s=0.005))

    # ------------------------------------------------------------------ inside the daemon

    def _chaos(self, request: DoChaos) -> bool:
        try:
            self._ask("chaos", request)
        except Refused:
            return False
        return True

    def _clock_jump(self, seconds: float, for_s: float) -> bool:
        """The machine's clock is set, and set right again; the gateway keeps the right time."""
        daemon = recorded(self.home.daemon)
        if not self._chaos(DoChaos("clock", for_s=seconds)):
            return False
        time.sleep(for_s)
        if recorded(self.home.daemon) == daemon:  # one that came meanwhile has the right time already
            self._chaos(DoChaos("clock", for_s=-seconds))
        return True

    def _disk_full(self, for_s: float) -> bool:
        """No file of the daemon may grow: what a full disk is to it."""
        daemon = recorded(self.home.daemon)
        if daemon is None or not hasattr(signal, "SIGXFSZ"):
            return False
        import resource

        if not hasattr(resource, "prlimit"):
            return False
        most = max(path.stat().st_size for path in _growing(self.home)) + ROOM_BYTES
        with contextlib.suppress(ProcessLookupError, PermissionError):
            _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, hard))
            time.sleep(for_s)
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))
            return True
        return False

    # ------------------------------------------------------------------ processes

    def _signal(self, process: Identity | None, number: signal.Signals) -> bool:
        if process is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
            return True
        return False

    def _kill_both(self) -> bool:
        """Neither is left to bring the other back: then a service unit starts the watchdog."""
        watchdog, daemon = recorded(self.home.watchdog), recorded(self.home.daemon)
        if watchdog is None or daemon is None or self._same_watchdog is None:
            return False
        self._signal(watchdog, signal.SIGKILL)
        self._signal(daemon, signal.SIGKILL)
        while identity_of(daemon.pid) == daemon or identity_of(watchdog.pid) == watchdog:
            time.sleep(0.01)
        self.stand_in()
        return True

    def stand_in(self) -> subprocess.Popen[bytes] | None:
        """Be the service unit: start the watchdog, where neither it nor the daemon is left."""
        is_coming = self._unit is not None and self._unit.poll() is None
        if is_coming or recorded(self.home.watchdog) or recorded(self.home.daemon):
            return None
        if self._same_watchdog is None:
            return None
        own = [word for word in self._same_watchdog[4:] if word != "--restarted"]
        command = [sys.executable, "-P", "-m", "ops.watchdog", "--restarted", *own]
        self._unit = spawn(command, self.home, self.home.watchdog_out, inherited(self._environment))
        return self._unit

    def _paused(self, pid: int | None, for_s: float) -> bool:
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(for_s)
            os.kill(pid, signal.SIGCONT)
            return True
        return False

    # ------------------------------------------------------------------ the gateway

    def _fault(self, name: str) -> bool:
        if self._control is None:
            return False
        asked: dict[str, Any] = {"op": "fault", "name": name}
        if name in REACHED_BY_PATH:
            asked |= {"times": 1, "path": "*"}
        elif name.startswith(("event_", "negotiate_")):
            asked |= {"times": 1}
        elif name == "hub_malformed":
            asked |= {"hub": "user"}
        if name == "delay":
            asked |= {"seconds": 0.8}
        self._control(asked)
        return True

    def _gateway_down(self, for_s: float) -> bool:
        if self._control is None:
            return False
        self._control({"op": "fault", "name": "down", "on": True})
        time.sleep(for_s)
        self._control({"op": "fault", "name": "down", "on": False})
        return True


_HOW: dict[str, Any] = {"kill actor": "kill", "crash actor": "crash", "hang actor": "hang"}


def _growing(home: Home) -> list[Any]:
    """The files that the daemon writes to."""
    found = [home.database, home.database.with_name(f"{home.database.name}-wal"), *home.journal.iterdir()]
    return [path for path in found if path.exists()]
