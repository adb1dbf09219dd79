"""The control plane: how quick a command is, how quick an answer, and what 32 watchers cost the enforcement.

A command stands beside a typer program that does nothing, started in turn with it. The watchers stand beside
the same guard without them: paired runs, alternating, on the gateway's own stopwatch (see `latency`).
"""

from __future__ import annotations

import importlib.util
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from ops import client
from ops.simulator.remote import run_as_process
from supervisor.home import Home
from supervisor.protocol import Nothing, OfAccounts, Refused

Row = dict[str, object]

ROOT = Path(__file__).resolve().parents[2]
STARTS = 15
ROUND_TRIPS = 500
WATCHERS = 32
LOOK_S = 0.1
PAIRS = 5
EVENTS = 60
NO_OP = """
import typer

app = typer.Typer(add_completion=False)


@app.command()
def main() -> None:
    pass


app()
"""


def run() -> list[Row]:
    latency = _latency()
    with ExitStack() as stack:
        gateway = stack.enter_context(run_as_process("--rate-limit", "off"))
        gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riskd-bench-")))
        guard = stack.enter_context(latency.guard(gateway, folder, True))
        latency.place(gateway, [latency.Side(latency.GUARD, guard)], True)
        home = Home(folder)
        _until_answered(home)
        return [*commands(home), *round_trips(home), *watched(latency, gateway, home)]


def _latency() -> ModuleType:
    found = sys.modules.get("bench_latency")
    if found is None:
        spec = importlib.util.spec_from_file_location("bench_latency", Path(__file__).with_name("latency.py"))
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules["bench_latency"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    return found


def _until_answered(home: Home) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            client.call(home, "version", Nothing())
        except Refused:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


# ------------------------------------------------------------------ a command beside a no-op


def commands(home: Home) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        no_op = Path(folder, "no_op.py")
        no_op.write_text(NO_OP)
        status = [sys.executable, "-m", "ops", "--home", str(home.folder), "status"]
        taken: dict[str, list[float]] = {"status": [], "no-op": []}
        for number in range(STARTS + 1):
            for name, command in (("status", status), ("no-op", [sys.executable, str(no_op)])):
                seconds = _started(command)
                if number:  # the first of each reads its files from the disk
                    taken[name].append(seconds)
    took, floor = statistics.median(taken["status"]), statistics.median(taken["no-op"])
    ratios = [a / b for a, b in zip(taken["status"], taken["no-op"], strict=True)]
    return [
        _row(
            "riskd status, start to end",
            took * 1e3,
            "ms",
            f"no-op typer {floor * 1e3:.0f} ms",
            took / floor,
            2.0,
        )
        | {"spread": f"{min(ratios):.2f}..{statistics.median(ratios):.2f}..{max(ratios):.2f}"},
        _row("no-op typer command, start to end", floor * 1e3, "ms", "limit 250 ms", floor / 0.25, 1.0),
    ]


def _started(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=60)
    return time.perf_counter() - began


# ------------------------------------------------------------------ an answer


def round_trips(home: Home) -> list[Row]:
    """Over one connection each, as the command line does it."""
    found = []
    for command, request in (("version", Nothing()), ("status", OfAccounts())):
        taken = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            client.call(home, command, request)
            taken.append(time.perf_counter() - began)
        p50 = statistics.median(taken)
        peer = f"limit 1 ms, p99 {sorted(taken)[int(len(taken) * 0.99)] * 1e3:.2f} ms"
        found.append(_row(f"control round trip, {command}, p50", p50 * 1e3, "ms", peer, p50 / 1e-3, 1.0))
    return found


# ------------------------------------------------------------------ enforcement under watchers


def watched(latency: ModuleType, gateway: object, home: Home) -> list[Row]:
    """Event to close, p99, with 32 callers at 10 Hz against without: five pairs, alternating."""
    chance = random.Random(1)
    name = latency.ACCOUNTS[latency.GUARD]
    pairs, wrong, polls = list[tuple[float, float]](), 0, 0
    latency.block(gateway, name, latency.WARM_UP, chance, (4.0, 14.0))
    for number in range(PAIRS):
        p99 = dict[bool, float]()
        for busy in (True, False) if number % 2 else (False, True):
            with _watchers(home, WATCHERS if busy else 0) as seen:
                values, lost = latency.block(gateway, name, EVENTS, chance, (4.0, 14.0))
            wrong, polls = wrong + lost, polls + sum(seen)
            p99[busy] = latency.percentile(sorted(values), 0.99)
        pairs.append((p99[True], p99[False]))
        print(f"  pair {number + 1} of {PAIRS}", file=sys.stderr, flush=True)
    if wrong:
        raise RuntimeError(f"{wrong} closes were lost or doubled under watchers")
    ratios = sorted(busy / calm for busy, calm in pairs)
    busy, calm = (statistics.median(values) for values in zip(*pairs, strict=True))
    peer = f"without: {calm * 1e3:.3f} ms ({polls} looks)"
    line = f"event -> close p99, {WATCHERS} watchers at 10 Hz"
    return [
        _row(line, busy * 1e3, "ms", peer, statistics.median(ratios), 1.5)
        | {"spread": f"{ratios[0]:.2f}..{statistics.median(ratios):.2f}..{ratios[-1]:.2f}"}
    ]


@contextmanager
def _watchers(home: Home, count: int) -> Iterator[list[int]]:
    """Threads of a process of their own, each asking `status` ten times a second."""
    seen = list[int]()
    if not count:
        yield seen
        return
    child = subprocess.Popen(
        [sys.executable, "-P", __file__, str(home.folder), str(count)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        if child.stdout.readline().strip() != "looking":
            raise RuntimeError("the watchers did not start")
        yield seen
        told, _ = child.communicate("", timeout=20)
        seen.append(int(told))
    finally:
        child.kill()
        child.wait()


def look(folder: str, count: int) -> None:
    """The watchers' process: ends when its standard input closes, and tells how often it was answered."""
    home, over, looks = Home(Path(folder)), threading.Event(), [0] * count

    def one(number: int) -> None:
        over.wait(LOOK_S * number / count)
        while not over.is_set():
            client.call(home, "status", OfAccounts())
            looks[number] += 1
            over.wait(LOOK_S)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    print("looking", flush=True)
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(sum(looks))


def _row(line: str, value: float, unit: str, peer: str, ratio: float, target: float) -> Row:
    return {
        "line": line,
        "value": round(value, 3),
        "unit": unit,
        "peer": peer,
        "ratio": round(ratio, 3),
        "target": target,
    }


if __name__ == "__main__":
    look(sys.argv[1], int(sys.argv[2]))
