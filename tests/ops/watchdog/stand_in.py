"""A tiny daemon and its watchdog's command line, for tests with real processes.

`python stand_in.py daemon --home H MODE` behaves towards the watchdog as the daemon does;
`python stand_in.py watchdog --home H MODE` runs the real watchdog over it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from pathlib import Path

import msgspec

from actors.clock import SystemClock
from ops.watchdog.loop import Watchdog, write_json
from ops.watchdog.verdict import Limits
from supervisor.heartbeat import Beat, HeartbeatPage, Phase
from supervisor.home import Home
from supervisor.identity import identity_of

LIMITS = Limits(
    heartbeat_s=0.8, start_s=10.0, stop_s=2.0, pause_s=0.05, longest_pause_s=0.1, tally=3, tally_s=60
)


def daemon(home: Home, mode: str) -> int:
    restart = int(os.environ["RISKD_RESTART"])
    with (home.folder / "starts.jsonl").open("ab") as starts:
        line = {name: value for name, value in os.environ.items() if name.startswith("RISKD_")}
        line |= {"pid": str(os.getpid()), "safe": str("--safe-mode" in sys.argv)}
        starts.write(msgspec.json.encode(line) + b"\n")
    if mode == "refused" and restart == 0:
        write_json(home, "ended", {"exit": 1, "why": "cannot log in: wrong key", "hint": "check it"})
        return 1
    if mode == "crash":
        return 3
    me = identity_of(os.getpid())
    assert me is not None
    home.daemon.write_bytes(msgspec.json.encode(me))
    faulthandler.register(signal.SIGUSR1, file=home.stacks.open("w"), all_threads=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    page = HeartbeatPage(home.heartbeat)
    counter = 0
    while not stop.wait(0.02):
        counter += 1
        page.beat(Beat(counter, me.pid, me.start_ticks, time.monotonic(), phase=Phase.READY))
        if (home.folder / "hang").exists():
            (home.folder / "hang").unlink()
            time.sleep(60)
        if (home.folder / "down").exists():
            page.beat(Beat(counter + 1, me.pid, me.start_ticks, time.monotonic(), phase=Phase.STOPPING))
            return 0
        if (home.folder / "replace").exists():
            (home.folder / "replace").unlink()
            return 75
    return 143


def main() -> int:
    role, _, folder, mode = sys.argv[1:5]
    home = Home(Path(folder))
    if role == "daemon":
        return daemon(home, mode)
    home.make()
    command = [sys.executable, __file__, "daemon", "--home", folder, mode]
    return Watchdog(home, command, LIMITS, SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main())
