"""Where the time goes between event and close, hop by hop: `python tests/benchmarks/hops.py [--events N]`.

The daemon of the latency benchmark, with a stamp at every station between the socket of the hub and the
socket of the request. The gateway's own stamps stand at both ends. Stamps cost some microseconds each: the
figures say where time is spent, not how much there is of it; that is what `bench.py latency` is for.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BLOCK, PAUSE_S = 33, 1.0
"""Events in a row and the pause after them, as the guard has them in `bench.py latency`."""

type Stamp = tuple[float, float, str, str, str, str]
"""Monotonic second, CPU second of the thread, station, who, what, thread."""


# ------------------------------------------------------------------------------ in the daemon


class Stamps:
    """Stamps of all threads, in the order they were made; written when the daemon ends."""

    def __init__(self) -> None:
        self.made: list[Stamp] = []

    def make(self, station: str, who: str = "", what: str = "") -> None:
        name = threading.current_thread().name
        self.made.append((time.monotonic(), time.thread_time(), station, who, what, name))

    def around(self, owner: type, method: str, station: str, who=None, what=None) -> None:  # type: ignore[no-untyped-def]
        """Stamp before and after a method; `who` and `what` are worked out from its arguments."""
        inner, make = getattr(owner, method), self.make

        def named(arguments: tuple[object, ...]) -> tuple[str, str]:
            return (who(*arguments) if who else "", what(*arguments) if what else "")

        def plain(*arguments, **more):  # type: ignore[no-untyped-def]
            name, kind = named(arguments)
            make(f"{station}>", name, kind)
            try:
                return inner(*arguments, **more)
            finally:
                make(f"{station}<", name, kind)

        async def coroutine(*arguments, **more):  # type: ignore[no-untyped-def]
            name, kind = named(arguments)
            make(f"{station}>", name, kind)
            try:
                return await inner(*arguments, **more)
            finally:
                make(f"{station}<", name, kind)

        setattr(owner, method, coroutine if asyncio.iscoroutinefunction(inner) else plain)


def daemon(out: str, argv: list[str]) -> int:
    """The real daemon with its stations stamped."""
    from project_x_py import ProjectX

    from actors.connection.calls import Calls
    from actors.connection.ingest import Ingest
    from actors.connection.loop import GatewayLoop
    from actors.connection.projectx import ProjectXGateway
    from actors.enforcement.journal import Journal
    from actors.logs import Writer
    from actors.worker import Incarnation
    from supervisor.__main__ import main
    from supervisor.handle import Handle

    stamps = Stamps()

    def kind(message: object) -> str:
        return f"{type(message).__name__}:{str(getattr(message, 'cause', '')).partition(':')[0]}"

    stamps.around(Ingest, "filled", "ingest")
    stamps.around(Incarnation, "serve", "serve", lambda me, _: me.home.id, lambda _, e: kind(e.message))
    stamps.around(Handle, "tell", "tell", lambda me, *_: me.id, lambda _, m: kind(m))
    stamps.around(GatewayLoop, "submit", "submit")
    stamps.around(Journal, "write", "journal")
    stamps.around(Calls, "start", "start")
    stamps.around(ProjectXGateway, "act", "act")
    stamps.around(ProjectX, "_execute_http_request", "http", what=lambda _, __, endpoint, **___: endpoint)
    stamps.around(Writer, "drain", "logs")
    stamps.around(asyncio.Handle, "_run", "turn", what=step_of)
    try:
        return main(argv)
    finally:
        Path(out).write_text(json.dumps(stamps.made))


def step_of(handle: asyncio.Handle) -> str:
    """Whose step of the gateway loop this is: the task's name, or the callback's."""
    callback = getattr(handle, "_callback", None)
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        kind, _, rest = task.get_name().partition(":")
        return f"{kind}:{rest}" if kind == "http" else kind
    return getattr(callback, "__qualname__", type(callback).__name__)


# ------------------------------------------------------------------------------ from outside


def latency() -> Any:
    spec = importlib.util.spec_from_file_location("bench_latency", Path(__file__).with_name("latency.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def traced(bench, gateway, folder: Path, out: Path):  # type: ignore[no-untyped-def]
    popen = subprocess.Popen

    def instead(command, **more):  # type: ignore[no-untyped-def]
        at = command.index("supervisor") + 1
        return popen([sys.executable, __file__, "--daemon", str(out), *command[at:]], cwd=ROOT, **more)

    bench.subprocess.Popen = instead
    try:
        with bench.guard(gateway, folder, True) as process:
            yield process
    finally:
        bench.subprocess.Popen = popen


def measure(events: int, seed: int) -> tuple[list[tuple[float, float]], list[Stamp]]:
    """When each event left and its close arrived at the gateway, and what the daemon stamped meanwhile."""
    bench, chance, spans = latency(), random.Random(seed), list[tuple[float, float]]()
    with bench.run_as_process("--rate-limit", "off") as gateway, tempfile.TemporaryDirectory() as folder:
        gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
        out = Path(folder) / "stamps.json"
        with traced(bench, gateway, Path(folder), out) as process:
            bench.place(gateway, [bench.Side("guard", process)], pinned=True)
            account = bench.ACCOUNTS[bench.GUARD]
            for number in range(events):
                if number % BLOCK == 0:
                    time.sleep(PAUSE_S)
                gateway.control({"op": "reset_calls"})
                filled = gateway.control(
                    {"op": "emit_fill", "account": account, "contract": "MNQ", "side": "buy"}
                )
                gateway.control({"op": "wait", "calls": 1, "timeout": 5})
                time.sleep(chance.uniform(4, 14) / 1000)
                calls = gateway.control({"op": "calls"})["calls"]
                spans.append((filled["written"]["GatewayUserTrade"], calls[0]["at_mono"]))
            bench.end(process)
        return spans, sorted(tuple(stamp) for stamp in json.loads(out.read_text()))


HOPS = (
    ("wire -> ingest", ("ingest>", "", "")),
    ("ingest -> account", ("serve>", "account", "Filled")),
    ("account: apply", ("tell>", "rules/", "AccountSnapshot:fill")),
    (
        "account -> the rule's mailbox",
        ("tell>", "rules/max_contracts_per_instrument", "AccountSnapshot:fill"),
    ),
    ("mailbox -> rule", ("serve>", "rules/max_contracts_per_instrument", "AccountSnapshot:fill")),
    ("rule: judge", ("tell>", "enforcement", "Verdict")),
    ("rule -> submit", ("submit>", "", "")),
    ("submit -> loop", ("start>", "", "")),
    ("loop -> act", ("act>", "", "")),
    ("act -> http", ("http>", "", "/Position/closeContract")),
)


def table(spans: list[tuple[float, float]], stamps: list[Stamp]) -> None:
    hops, totals = defaultdict[str, list[float]](list), list[float]()
    busy, threads = defaultdict[tuple[str, str], list[float]](list), defaultdict[str, float](float)
    spans = spans[8:]
    for start, end in spans:
        inside = [s for s in stamps if start <= s[0] <= end]
        totals.append(end - start)
        at = start
        for name, (station, who, what) in HOPS:
            found = next(
                (
                    s[0]
                    for s in inside
                    if s[0] >= at and s[2] == station and who in s[3] and s[4].startswith(what)
                ),
                None,
            )
            if found is not None:
                hops[name].append(found - at)
                at = found
        hops["http -> complete at the gateway"].append(end - at)
        handlers(inside, busy)
        processor(stamps, start, end, threads)
    print(
        f"{len(spans)} events, p50 {statistics.median(totals) * 1e3:.2f} ms, "
        f"mean {statistics.fmean(totals) * 1e3:.2f} ms"
    )
    for name, values in hops.items():
        print(f"  {name:36} {statistics.median(values) * 1e6:9.0f} us p50   seen {len(values)}")
    print("\nCPU by thread, us per event (mean)")
    for thread, seconds in sorted(threads.items(), key=lambda item: -item[1]):
        print(f"  {thread:64} {seconds / len(spans) * 1e6:8.0f} us")
    print("\nCPU by handler, us per event (mean), and times per event")
    for key, values in sorted(busy.items(), key=lambda item: -sum(item[1]))[:45]:
        each, times = sum(values) / len(spans) * 1e6, len(values) / len(spans)
        print(f"  {key[0]:44} {key[1]:28} {each:8.0f} us {times:6.1f}")


def handlers(inside: list[Stamp], busy: dict[tuple[str, str], list[float]]) -> None:
    """CPU of each handler that began and ended inside."""
    begun = dict[tuple[str, ...], Stamp]()
    for stamp in inside:
        key = (stamp[2][:-1], *stamp[3:])
        if stamp[2].endswith(">"):
            begun[key] = stamp
        elif key in begun and key[0] in ("serve", "journal", "turn"):
            busy[f"{key[0]} {key[1].rpartition('/')[2]}", key[2]].append(stamp[1] - begun.pop(key)[1])


def processor(stamps: list[Stamp], start: float, end: float, threads: dict[str, float]) -> None:
    """CPU of each thread from its last stamp before `start` to its last one before `end`."""
    first, last = dict[str, float](), dict[str, float]()
    for stamp in stamps:
        if stamp[0] > end:
            break
        last[stamp[5]] = stamp[1]
        if stamp[0] <= start or stamp[5] not in first:
            first[stamp[5]] = stamp[1]
    for thread, seconds in last.items():
        threads[thread] += seconds - first[thread]


def main() -> int:
    if sys.argv[1:2] == ["--daemon"]:
        return daemon(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    table(*measure(arguments.events, arguments.seed))
    return 0


if __name__ == "__main__":
    threading.current_thread().name = "main"
    sys.exit(main())
