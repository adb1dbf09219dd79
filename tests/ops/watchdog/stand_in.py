"""A tiny daemon and its watchdog's command line, for tests with real processes.

`python stand_in.py daemon --home H MODE` behaves towards the watchdog as the daemon does;
`python stand_in.py watchdog --home H MODE` runs the real watchdog over it.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import msgspec

from actors.clock import SystemClock
from ops.watchdog import process
from ops.watchdog.loop import Watchdog, write_json
from ops.watchdog.starting import Launch
from ops.watchdog.verdict import Limits
from supervisor.heartbeat import Beat, HeartbeatPage, Phase
from supervisor.home import Home
from supervisor.identity import identity_of

LIMITS = Limits(
    heartbeat_s=0.8,
    start_s=10.0,
    warm_start_s=0.6,
    stop_s=2.0,
    pause_s=0.05,
    longest_pause_s=0.1,
    tally=3,
    tally_s=60,
    memory_mb=150,
    memory_every_s=0.2,
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
    if mode == "slow":
        held = filelock.FileLock(home.lock)
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            return 1
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            time.sleep(0.05)
    me = identity_of(os.getpid())
    assert me is not None
    home.daemon.write_bytes(msgspec.json.encode(me))
    faulthandler.register(signal.SIGUSR1, file=home.stacks.open("w"), all_threads=True)
    if mode == "helper" and restart == 0:
        helper = subprocess.Popen(["sleep", "300"])
        (home.folder / "helper").write_text(str(helper.pid))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    page = HeartbeatPage(home.heartbeat)
    grown = list[bytes]()
    counter = 0
    while not stop.wait(0.02):
        counter += 1
        page.beat(Beat(counter, me.pid, me.start_ticks, time.monotonic(), phase=Phase.READY))
        if (home.folder / "hang").exists():
            (home.folder / "hang").unlink()
            time.sleep(60)
        if (home.folder / "hold").exists():
            (home.folder / "hold").unlink()
            # One C call that keeps the interpreter to itself for minutes.
            re.match(r"(a+)+$", "a" * 40 + "b")
        if (home.folder / "grow").exists():
            (home.folder / "grow").unlink()
            grown.append(b"x" * 200_000_000)
        if (home.folder / "down").exists():
            page.beat(Beat(counter + 1, me.pid, me.start_ticks, time.monotonic(), phase=Phase.STOPPING))
            return 0
        if (home.folder / "replace").exists():
            (home.folder / "replace").unlink()
            return 75
    return 143


def standby(home: Home, mode: str) -> int:
    """Waits as the real one does; `unfit`: it takes its orders and ends, `mute`: it never gets to beat."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    if mode == "unfit":
        return 9
    while mode == "mute":
        time.sleep(60)
    os.environ.update(msgspec.json.decode(line)["environment"])
    os.environ["RISKD_STOOD_BY"] = "yes"
    return daemon(home, mode)


def main() -> int:
    role, _, folder, mode = sys.argv[1:5]
    home = Home(Path(folder))
    if role == "daemon":
        return daemon(home, mode)
    if role == "standby":
        return standby(home, mode)
    home.make()
    if "RISKD_TEST_NO_PIDFD" in os.environ:
        process.HAS_PIDFD = False
    waits = (sys.executable, __file__, "standby", "--home", folder, mode)
    how = Launch((sys.executable, __file__), ("daemon", "--home", folder, mode), waits)
    restarted = "RISKD_TEST_RESTARTED" in os.environ
    return Watchdog(home, how, LIMITS, SystemClock(), restarted=restarted).run()


if __name__ == "__main__":
    sys.exit(main())
