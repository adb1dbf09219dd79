"""What the guard costs beside its parts: start, memory, accounts, twenty closes at once, a stream of events.

Each line stands beside a peer measured in the same run: importing the SDK, a bare SDK client, one
`asyncio.gather` over it, the SDK's own callbacks. The gateway is the simulator, a process of its own.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ops import client
from ops.simulator.remote import RemoteSimulator, run_as_process
from supervisor.home import Home
from supervisor.protocol import Nothing, OfAccounts, Refused
from tests.benchmarks.latency import ALWAYS, RULES, block, end, key_file, percentile, until
from tests.benchmarks.peers import peer

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, object]
FIRST = "PRAC-V2-1001"
MIB = 1 << 20
GAP_MS = (20.0, 60.0)
ROOTS = (
    *("MNQ", "MES", "MYM", "M2K", "NQ", "ES", "YM", "RTY", "CL", "MCL", "GC"),
    *("MGC", "SI", "HG", "NG", "ZN", "ZB", "ZF", "6E", "6B", "6J"),
)
"""One contract more than twenty: the fill in the last is what breaks the limit."""
QUOTES_A_SECOND = 200
REQUESTS = 2000
"""A minute: ten times the live budget, so that fifty accounts are read within seconds."""
USUAL: dict[str, Any] = {
    **RULES,
    # A rule proves itself by as many trades as its limit before it is armed: the usual size of one.
    "trade_frequency_limit": {"per_minute": None, "per_hour": None, "per_session": 300},
    "loss_streak": {"mode": "armed", "losses": 20},
}
STREAM_EVENTS, PORTION = 6000, 1000


def run(*, full: bool = False, seed: int = 1) -> list[Row]:
    chance = random.Random(seed)
    return [
        *start_and_memory(5 if full else 3),
        *flatten(8 if full else 4),
        *accounts(20.0 if full else 6.0, 60 if full else 20, chance),
        *stream(3 if full else 1),
        *busy_minute(500 if full else 100, chance),
    ]


# ---------------------------------------------------------------------- start and memory


def start_and_memory(rounds: int) -> list[Row]:
    """`up` until guarding, cold, beside importing the SDK; memory then, beside the SDK with one login."""
    ups, imports, guarded, bare = list[float](), list[float](), list[float](), list[float]()
    with run_as_process("--rate-limit", "off") as gateway:
        for _ in range(rounds):
            with up(gateway) as (seconds, pid):
                ups.append(seconds)
                guarded.append(memory_of(pid))
            imports.append(timed([sys.executable, "-c", "import project_x_py, pysignalr.client"]))
            with peer(gateway, "clients", "1") as alone:
                bare.append(memory_of(alone.process.pid))
    return [
        line("up -> guarding, cold", ups, "s", "import the SDK and pysignalr.client", imports, 2.2),
        line("memory of the daemon after start", guarded, "MiB", "the SDK alone, logged in", bare, 1.5),
    ]


@contextmanager
def up(gateway: RemoteSimulator) -> Iterator[tuple[float, int]]:
    """`riskd up` in a home of its own; seconds it took, and the daemon's pid."""
    with tempfile.TemporaryDirectory(prefix="riskd-bench-") as name:
        folder = Path(name)
        config = written(gateway, folder, [{"name": FIRST}])
        riskd = [sys.executable, "-m", "ops", "--home", str(folder / "home"), "--config", str(config)]
        try:
            seconds = timed([*riskd, "up"])
            asked = subprocess.run([*riskd, "status", "--json"], cwd=ROOT, capture_output=True, check=True)
            yield seconds, int(json.loads(asked.stdout)["daemon"]["pid"])
        finally:
            subprocess.run([*riskd, "down", "--leave-open", "--yes"], cwd=ROOT, capture_output=True)


def timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def memory_of(pid: int) -> float:
    """MiB that would be free without this process: shared pages are counted by share."""
    return float(psutil.Process(pid).memory_full_info().pss) / MIB


# ---------------------------------------------------------------------- twenty closes at once


def flatten(rounds: int) -> list[Row]:
    """A fill breaks the limit with 20 contracts open: until the last close has arrived."""
    ours, theirs, wrong = list[float](), list[float](), 0
    with run_as_process("--rate-limit", "off") as gateway, tempfile.TemporaryDirectory() as name:
        contracts = priced(gateway)
        rules = {"max_contracts": {"limit": len(contracts) - 1, "action": "flatten"}}
        with (
            guard(gateway, Path(name), [FIRST], rules),
            peer(gateway, "gather", "1002", *contracts),
        ):
            for number in range(rounds + 1):
                for account, found in ((FIRST, ours), ("PRAC-V2-1002", theirs)):
                    seconds, missing = flattened(gateway, account, contracts)
                    wrong += missing
                    found += [seconds] if number else []  # the first warms the connections up
    row = line(
        "20 contracts to flatten: last close arrives", ours, "s", "asyncio.gather, bare SDK", theirs, 1.5
    )
    return [{**row, "wrong": wrong}]


def priced(gateway: RemoteSimulator) -> list[str]:
    """A price for each product; the contracts' ids."""
    for root in ROOTS:
        gateway.control({"op": "price", "contract": root, "price": 100})
    prices = gateway.control({"op": "state"})["prices"]
    assert isinstance(prices, dict)
    return list(prices)


def flattened(gateway: RemoteSimulator, account: str, contracts: list[str]) -> tuple[float, int]:
    *held, last = contracts
    for contract in held:
        gateway.control({"op": "order", "account": account, "contract": contract, "side": "buy", "size": 1})
    time.sleep(0.5)
    gateway.control({"op": "reset_calls"})
    filled = gateway.control({"op": "emit_fill", "account": account, "contract": last, "side": "buy"})
    gateway.control({"op": "wait", "calls": len(contracts), "timeout": 10})
    time.sleep(0.5)
    calls = gateway.control({"op": "calls"})["calls"]
    written = filled["written"]
    assert isinstance(calls, list)
    assert isinstance(written, dict)
    left = [p for p in state(gateway, "positions") if p["accountId"] in (account, number_of(account))]
    return max(c["at_mono"] for c in calls) - written["GatewayUserTrade"], len(left) + abs(
        len(calls) - len(contracts)
    )


def number_of(account: str) -> int:
    return int(account.rsplit("-", 1)[1])


# ---------------------------------------------------------------------- accounts


def accounts(seconds: float, events: int, chance: random.Random) -> list[Row]:
    """1, 10 and 50 accounts, each with a position in the contract that moves 200 times a second."""
    found = {count: with_accounts(count, seconds, events, chance) for count in (1, 10, 50)}
    with run_as_process("--rate-limit", "off") as gateway:
        with peer(gateway, "clients", "1") as one, peer(gateway, "clients", "11") as eleven:
            client = (memory_of(eleven.process.pid) - memory_of(one.process.pid)) / 10
    (_, cpu_ten, ten), (_, cpu_fifty, fifty) = found[10], found[50]
    rows: list[Row] = [
        {
            "line": f"event -> close p50, {count} accounts, {QUOTES_A_SECOND} quotes/s",
            "value": round(latency * 1000, 2),
            "unit": "ms",
            "peer": f"CPU {100 * cpu:.0f} %, memory {memory:.0f} MiB",
            "ratio": round(latency / found[1][0], 2),
        }
        for count, (latency, cpu, memory) in found.items()
    ]
    each = (fifty - ten) / 40
    return [
        *rows,
        {
            "line": "CPU per account, 50 beside 10 accounts",
            "value": round(100 * cpu_fifty / 50, 2),
            "unit": "%",
            "peer": f"10 accounts: {100 * cpu_ten / 10:.2f} % each",
            "ratio": round((cpu_fifty / 50) / (cpu_ten / 10), 2),
            "target": 1.2,
        },
        {
            "line": "memory of a further account (10 -> 50)",
            "value": round(each, 2),
            "unit": "MiB",
            "peer": f"one more bare SDK client: {client:.2f} MiB",
            "ratio": round(each / 2, 2),
            "target": 1.0,
        },
    ]


def with_accounts(
    count: int, seconds: float, events: int, chance: random.Random
) -> tuple[float, float, float]:
    """Median seconds from event to close, share of a core, MiB."""
    names = [f"PRAC-V2-{1001 + number}" for number in range(count)]
    with run_as_process("--rate-limit", "off") as gateway, tempfile.TemporaryDirectory() as folder:
        for root in ("MNQ", "ES"):
            gateway.control({"op": "price", "contract": root, "price": 20000})
        for name in names[2:]:
            gateway.control({"op": "account", "account": name, "add": True, "id": number_of(name)})
        for name in names:
            position = {"op": "position", "account": name, "contract": "ES", "size": 1, "price": "20000"}
            gateway.control(position)
        with guard(gateway, Path(folder), names, USUAL) as process:
            block(gateway, FIRST, 8, chance, GAP_MS)
            cpu = moved(gateway, process.pid, seconds)
            values, _ = block(gateway, FIRST, events, chance, GAP_MS)
            return statistics.median(values), cpu, memory_of(process.pid)


def moved(gateway: RemoteSimulator, pid: int, seconds: float) -> float:
    """Share of a core while the price moves."""
    process, began = psutil.Process(pid), time.perf_counter()
    before = process.cpu_times()
    for number in range(round(seconds * QUOTES_A_SECOND)):
        gateway.control({"op": "price", "contract": "ES", "price": 20000 + 0.25 * (number % 8)})
        time.sleep(max(0.0, began + number / QUOTES_A_SECOND - time.perf_counter()))
    after, took = process.cpu_times(), time.perf_counter() - began
    return (after.user + after.system - before.user - before.system) / took


# ---------------------------------------------------------------------- a stream of events


def stream(rounds: int) -> list[Row]:
    """Changes of twenty working orders as fast as they are taken, none lost: until the last is applied."""
    with run_as_process("--rate-limit", "off") as gateway, tempfile.TemporaryDirectory() as name:
        events = working_orders(gateway, 1001)
        with guard(gateway, Path(name), [FIRST], USUAL):
            home = Home(Path(name))
            ours = [streamed(gateway, events, taken(home)) for _ in range(rounds)]
    with run_as_process("--rate-limit", "off") as gateway:
        events = working_orders(gateway, 1002)
        with peer(gateway, "count", "1002") as floor:
            theirs = [streamed(gateway, events, lambda: floor.counted(STREAM_EVENTS)) for _ in range(rounds)]
    value, base = statistics.median(ours), statistics.median(theirs)
    return [
        {
            "line": "user events sustained, none lost",
            "value": round(value),
            "unit": "/s",
            "peer": f"the SDK's callbacks: {base:.0f}/s (at least 0.5 of it)",
            "ratio": round(base / value, 2),
            "target": 2.0,
        }
    ]


def working_orders(gateway: RemoteSimulator, account: int) -> list[list[Row]]:
    """The events of a stream: limits far away, moved to and fro."""
    gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
    for number in range(20):
        order = {"op": "order", "account": account, "contract": "MNQ", "side": "buy", "size": 1}
        gateway.control({**order, "type": "limit", "price": 20000 + number})
    rows = [{k: v for k, v in row.items() if v is not None} for row in state(gateway, "orders")]
    return [
        [
            {
                "action": 1,
                "data": {**rows[n % 20], "limitPrice": rows[n % 20]["limitPrice"] + 0.25 * (n // 20 % 2)},
            }
        ]
        for n in range(STREAM_EVENTS)
    ]


def streamed(gateway: RemoteSimulator, events: list[list[Row]], all_seen: Callable[[], None]) -> float:
    """Events per second, from the first that is sent to the last that is taken."""
    began = time.perf_counter()
    for start in range(0, len(events), PORTION):
        first, *more = events[start : start + PORTION]
        emit = {"op": "emit", "hub": "user", "target": "GatewayUserOrder"}
        gateway.control({**emit, "arguments": first, "more": more})
    all_seen()
    return STREAM_EVENTS / (time.perf_counter() - began)


def order_events(home: Home) -> int:
    """How many order events the account has taken."""
    answer = msgspec.msgpack.decode(client.call(home, "metrics", Nothing(), deadline_s=20.0))
    found = re.search(r'^riskd_events_total\{[^}]*kind="OrderChanged"[^}]*\} (\S+)', answer["text"], re.M)
    return round(float(found[1])) if found else 0


def taken(home: Home) -> Callable[[], None]:
    """Waits until the account has taken all events sent from now on."""
    before = order_events(home)
    return lambda: until(lambda: order_events(home) >= before + STREAM_EVENTS, 60.0)


# ---------------------------------------------------------------------- a busy minute


def busy_minute(events: int, chance: random.Random) -> list[Row]:
    """200 events a minute mixed with all rules on (S97), and breach to action at that pace (S99)."""
    with run_as_process("--rate-limit", "off") as gateway, tempfile.TemporaryDirectory() as name:
        gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
        with guard(gateway, Path(name), [FIRST], RULES):
            block(gateway, FIRST, 8, chance, GAP_MS)
            values, wrong = block(gateway, FIRST, events, chance, (100.0, 400.0))
    ordered = sorted(value * 1000 for value in values)
    shown: list[Row] = []
    for text, value, most in (
        ("mean", statistics.fmean(ordered), 10),
        ("p95", percentile(ordered, 0.95), 15),
        ("p99", percentile(ordered, 0.99), 30),
        ("max", ordered[-1], 50),
    ):
        shown.append(bound(f"S97: 200 events/min, all rules, event -> close {text}", value, most, wrong))
    return [*shown, bound("S99: breach -> action p99, 13 rules", percentile(ordered, 0.99), 500, wrong)]


def bound(text: str, value: float, most: float, wrong: int) -> Row:
    return {
        "line": text,
        "value": round(value, 2),
        "unit": "ms",
        "peer": f"allowed {most} ms",
        "ratio": round(value / most, 3),
        "target": 1.0,
        "wrong": wrong,
    }


# ---------------------------------------------------------------------- in common


def state(gateway: RemoteSimulator, key: str) -> list[dict[str, Any]]:
    found = gateway.control({"op": "state"})[key]
    assert isinstance(found, list)
    return found


def written(
    gateway: RemoteSimulator,
    folder: Path,
    names: list[Any],
    rules: dict[str, Any] = USUAL,
) -> Path:
    """The configuration file of a guard on this gateway."""
    config = folder / "riskd.yaml"
    document = {
        "gateway": {
            "api_url": gateway.urls.api_url,
            "user_hub_url": gateway.urls.user_hub_url,
            "market_hub_url": gateway.urls.market_hub_url,
            "username": "demo-user",
            "api_key": {"file": str(key_file(folder))},
            "budget": {"requests": REQUESTS, "per": "60s", "reserved": 40},
        },
        "accounts": names,
        "sessions": {"always": ALWAYS},
        "holidays": {"calendar": "none"},
        "rules": rules,
    }
    config.write_text(json.dumps(document))
    return config


@contextmanager
def guard(
    gateway: RemoteSimulator, folder: Path, names: list[str], rules: dict[str, Any]
) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that guards these accounts, live."""
    config = written(gateway, folder, [{"name": name} for name in names], rules)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "supervisor", "--home", str(folder), "--config", str(config)],
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        until(lambda: process.poll() is not None or is_live(Home(folder)), 60.0)
        if process.poll() is not None:
            raise RuntimeError(f"the guard ended with exit code {process.returncode}")
        yield process
    finally:
        end(process)


def is_live(home: Home) -> bool:
    """Whether every account was read and events of it come."""
    try:
        status = msgspec.msgpack.decode(client.call(home, "status", OfAccounts()))
    except Refused:
        return False
    return bool(status["link"]["state"] == "live")


def line(text: str, values: list[float], unit: str, name: str, base: list[float], target: float) -> Row:
    """A median beside its peer's."""
    ours, theirs = statistics.median(values), statistics.median(base)
    return {
        "line": text,
        "value": round(ours, 4),
        "unit": unit,
        "peer": f"{name}: {theirs:.4f}",
        "ratio": round(ours / theirs, 3),
        "target": target,
    }
