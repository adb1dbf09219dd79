"""How long nobody guards when a process dies: real processes, a simulated gateway, a day of 500 trades.

Each line stands beside what its time is made of at least: a bare interpreter that imports the gateway's SDK,
which is what every replacement would have to do that nobody had prepared.
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ops.simulator.shapes import Json
from supervisor.heartbeat import Phase, read_beat
from supervisor.identity import identity_of
from tests.ops.rig import A, Guard, guard

type Row = dict[str, object]

TRADES = 500
ROUNDS = 7
LOOK_S = 0.001
PATIENCE_S = 30.0
DEADLINE_S = 3.0
RULES: Json = {
    "max_contracts_per_instrument": {"mode": "armed", "default_limit": 3},
    "daily_realized_loss": {"mode": "armed", "limit": -50_000},
    "daily_unrealized_loss": {"mode": "armed", "limit": -300},
    "max_contracts": {"mode": "armed", "limit": 5},
    "loss_streak": {"mode": "shadow", "losses": 3},
}
SDK = "import project_x_py, pysignalr.client"


def run(rounds: int = ROUNDS) -> list[Row]:
    """One row per figure: seconds, medians over rounds."""
    floor = [exec_and_import() for _ in range(rounds)]
    gone = [killed_and_gone() for _ in range(rounds)]
    with guard(RULES, watchdog={"heartbeat_deadline": f"{DEADLINE_S:g}s"}) as guarded:
        for number in range(TRADES // 2):  # each makes an opening and a closing one
            guarded.control(op="trade", account=A, contract="MNQ", pnl=1 if number % 2 else -1)
        guarded.until(lambda: guarded.status(A)["trades"] == TRADES, "the day is booked")
        settle(guarded)
        killed = [replaced(guarded, signal.SIGKILL) for _ in range(rounds)]
        suspended = [replaced(guarded, signal.SIGSTOP) for _ in range(max(3, rounds // 3))]
        assert guarded.status(A)["trades"] == TRADES, "the day is as it was"
        lonely = [watchdog_back(guarded) for _ in range(rounds)]
        both = [both_back(guarded) for _ in range(max(3, rounds // 3))]
    return [
        row("kill -9 of the daemon -> seen", [one[0] for one in killed], 0.01, gone),
        row("kill -9 of the daemon -> guarding again", [one[1] for one in killed], 1.0, floor),
        row("SIGSTOP of the daemon -> replaced", [one[1] for one in suspended], DEADLINE_S + 1.0, floor),
        row("kill -9 of the watchdog -> back", lonely, 1.0, floor),
        row("kill -9 of both, started by a unit -> guarding", both, 5.0, floor),
    ]


def row(line: str, seconds: list[float], limit_s: float, floor: list[float]) -> Row:
    """`ratio` is the median beside the limit, so that 1 is just held; `peer` says what else was measured."""
    middle = statistics.median(seconds)
    return {
        "line": line,
        "value": round(middle * 1000, 1),
        "unit": "ms",
        "peer": f"SDK process alone {statistics.median(floor) * 1000:.0f} ms, limit {limit_s * 1000:g}",
        "ratio": round(middle / limit_s, 3),
        "spread": f"{min(seconds) * 1000:.0f}-{max(seconds) * 1000:.0f} ms",
        "target": 1.0,
    }


def exec_and_import() -> float:
    """Seconds in which a bare interpreter has the SDK."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-P", "-c", SDK], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def killed_and_gone() -> float:
    """Seconds from SIGKILL of such an interpreter until the kernel says that it has gone."""
    code = f"{SDK}; print(flush=True); input()"
    bare = subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert bare.stdin is not None
    assert bare.stdout is not None
    with bare.stdin, bare.stdout:
        bare.stdout.readline()
        descriptor = os.pidfd_open(bare.pid)
        began = time.monotonic()
        bare.kill()
        select.select([descriptor], [], [])
        gone_s = time.monotonic() - began
        os.close(descriptor)
    bare.wait()
    return gone_s


def settle(guarded: Guard) -> None:
    """Until the guard has had the time to prepare for the next time."""
    guarded.until(lambda: waits_ready(guarded), "one stands by")


def waits_ready(guarded: Guard) -> bool:
    """Whether a process stands by that has done its imports: it then waits for its orders on a pipe."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"supervisor.standby" in words and os.fsencode(guarded.home.folder) in words:
                return "pipe_read" in (folder / "wchan").read_text()
    return False


def replaced(guarded: Guard, number: signal.Signals) -> tuple[float, float]:
    """Seconds until the watchdog saw it, and until another daemon guards."""
    gone = guarded.daemon_pid
    began = time.monotonic()
    os.kill(gone, number)
    guarding_s = until(lambda: guards(guarded, but=gone)) - began
    seen = float(started(guarded)["down_since"])
    # Asked for, it is no failure: else the rounds would add up to a tally, pauses and safe mode.
    assert guarded.riskd("restart").code == 0
    settle(guarded)
    return seen - began, guarding_s


def guards(guarded: Guard, but: int) -> bool:
    """Every rule covered, a live link: what the daemon calls ready."""
    beat = read_beat(guarded.home.heartbeat)
    return (
        beat is not None
        and beat.pid != but
        and beat.phase is Phase.READY
        and 0 < beat.rules_configured == beat.rules_covered
    )


def started(guarded: Guard) -> Json:
    lines = guarded.home.watchdog_out.read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines if '"watchdog.started"' in line]
    last: Json = found[-1]
    return last


def watchdog_back(guarded: Guard) -> float:
    daemon, gone = guarded.daemon_pid, guarded.watchdog_pid
    began = time.monotonic()
    os.kill(gone, signal.SIGKILL)
    back_s = until(lambda: guarded.watchdog_pid not in (0, gone)) - began
    assert guarded.daemon_pid == daemon, "the daemon is not disturbed"
    settle(guarded)
    return back_s


def both_back(guarded: Guard) -> float:
    """As a service unit does it: the watchdog's own command line, told that it is a restart."""
    daemon, watchdog = guarded.daemon_pid, guarded.watchdog_pid
    command = json.loads(guarded.home.watchdog.read_bytes())["argv"]
    began = time.monotonic()
    os.kill(watchdog, signal.SIGKILL)
    os.kill(daemon, signal.SIGKILL)
    until(lambda: identity_of(daemon) is None)
    own = [word for word in command if word != "--restarted"]
    with guarded.home.watchdog_out.open("ab") as output:
        unit = subprocess.Popen(
            [sys.executable, "-P", "-m", "ops.watchdog", "--restarted", *own],
            cwd=guarded.home.folder,
            env=dict(os.environ, PROJECT_X_API_KEY="demo-key-1234567890"),
            stdout=output,
            stderr=output,
        )
    back_s = until(lambda: guards(guarded, but=daemon)) - began
    assert unit.poll() is None
    settle(guarded)
    return back_s


def until(holds: Callable[[], bool]) -> float:
    """The monotonic instant at which it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "never seen"
        time.sleep(LOOK_S)
    return time.monotonic()


if __name__ == "__main__":
    for line in run():
        print(line)
