"""Event leaves the gateway -> complete close request at the gateway, the guard beside its floors, in one run.

The gateway (the simulator, its own process, on its own core) is the stopwatch: it stamps the trade event just
before writing it and the close after its body is complete, both on one monotonic clock. Guard and floors are
processes of their own, connected all the time and idle in turn; blocks alternate and their order is reversed
every round. The market moves all the while, some 450 events a second. A close that is missing or comes twice
fails the run.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ops import client
from ops.simulator.remote import RemoteSimulator, run_as_process
from supervisor.home import Home
from supervisor.protocol import OfAccounts

ROOT = Path(__file__).resolve().parents[2]
WARM_UP = 8
MARKET = ("--speed", "280")
"""Moves a second of the one contract that is watched: a quote each, and a trade with most."""
QUOTES = 1000
"""Of a burst."""
LOOKED_AT, LOOK_S = "guard, asked for its status 50 times a second", 0.02
GUARD, M0, M0_HUB = "guard", "M0 (SDK callback)", "M0 on the same hub connection"
ACCOUNTS = {GUARD: "PRAC-V2-1001", M0: "PRAC-V2-1002", M0_HUB: "PRAC-V2-1003"}
RULES = {
    "max_contracts": {"limit": 50},
    "max_contracts_per_instrument": {"default_limit": 50, "limits": {"MNQ": 0}},
    "daily_realized_loss": {"limit": -500000},
    "daily_unrealized_loss": {"limit": -400000},
    "max_unrealized_profit": {"target": 400000},
    "daily_realized_profit": {"target": 500000},
    "trade_frequency_limit": {"per_minute": None, "per_hour": None, "per_session": 9000},
    "cooldown_after_loss": {"tiers": [{"loss": -400000, "cooldown": "1s"}]},
    "no_stop_loss_grace": {"mode": "armed", "grace": "1h"},
    "session_block_outside": {"session": "always"},
    "auth_loss_guard": {},
    "symbol_blocks": {"mode": "armed", "blocked": ["CL"]},
    "trade_management": {"mode": "armed", "trailing": {"after_ticks": 4000, "distance_ticks": 4000}},
    "loss_streak": {"mode": "armed", "losses": 9000},
}
ALWAYS = {
    "start": "17:00",
    "end": "17:00",
    "timezone": "America/Chicago",
    "overnight": True,
    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
}


@dataclass
class Side:
    """One reactor: its process and what was measured, in seconds per event, by round."""

    name: str
    process: subprocess.Popen[bytes]
    rounds: list[list[float]] = field(default_factory=list)

    @property
    def pooled(self) -> list[float]:
        return sorted(value for one in self.rounds for value in one)


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def run(
    *,
    rounds: int,
    events: int,
    seed: int,
    pinned: bool,
    gap_ms: tuple[float, float],
    quotes: int = 0,
    looked_at: bool = False,
) -> dict[str, object]:
    """Measure; the figures and what was lost or doubled. `quotes` come at once before each event; with
    `looked_at` the guard stands beside itself under requests for its status, and not beside floors."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        gateway = stack.enter_context(run_as_process("--rate-limit", "off", *MARKET))
        gateway.control({"op": "account", "account": ACCOUNTS[M0_HUB], "add": True, "id": 1003})
        gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riskd-bench-")))
        process = stack.enter_context(guard(gateway, folder, pinned))
        sides = [Side(GUARD, process)]
        if looked_at:
            sides.append(Side(LOOKED_AT, process))
        else:
            sides.append(Side(M0, stack.enter_context(floor(gateway, 1002, "callback"))))
            sides.append(Side(M0_HUB, stack.enter_context(floor(gateway, 1003, "hub"))))
        place(gateway, sides, pinned)
        faults = 0
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                account = ACCOUNTS.get(side.name, ACCOUNTS[GUARD])
                with looking(folder) if side.name == LOOKED_AT else nullcontext():
                    warm = WARM_UP if not quotes else 2
                    values, wrong = block(gateway, account, events + warm, chance, gap_ms, quotes)
                side.rounds.append(values[warm:])
                faults += wrong
            print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        return {"sides": {s.name: s.rounds for s in sides}, "faults": faults}


@contextmanager
def looking(folder: Path) -> Iterator[None]:
    """Somebody asks for the status, fifty times a second, as the command line does."""
    over, home = threading.Event(), Home(folder)

    def look() -> None:
        while not over.wait(LOOK_S):
            client.call(home, "status", OfAccounts())

    looker = threading.Thread(target=look, name="looker")
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()


@contextmanager
def guard(gateway: RemoteSimulator, folder: Path, pinned: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A real daemon on the simulated gateway, every rule armed, logging and store on."""
    document = {
        "gateway": {
            "api_url": gateway.urls.api_url,
            "user_hub_url": gateway.urls.user_hub_url,
            "market_hub_url": gateway.urls.market_hub_url,
            "username": "demo-user",
            "api_key": {"file": str(key_file(folder))},
            "budget": {"requests": 1000000, "per": "60s", "reserved": 40},
        },
        "accounts": [{"name": ACCOUNTS[GUARD]}],
        "sessions": {"always": ALWAYS},
        "holidays": {"calendar": "none"},
        "rules": RULES,
        "process": {"pin": "auto" if pinned else "off"},
    }
    config = folder / "riskd.yaml"
    config.write_text(json.dumps(document))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "supervisor", "--home", str(folder), "--config", str(config)],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: _is_live(gateway, process), 30.0)
        yield process
    finally:
        end(process)


def _is_live(gateway: RemoteSimulator, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the guard ended with exit code {process.returncode}")
    hubs = gateway.control({"op": "state"})["hubs"]
    assert isinstance(hubs, list)
    return any(["GatewayUserTrade", 1001] in hub["topics"] for hub in hubs)


def key_file(folder: Path) -> Path:
    path = folder / "key"
    path.touch(mode=0o600)
    path.write_text("demo-key-1234567890")
    return path


@contextmanager
def floor(gateway: RemoteSimulator, account: int, kind: str) -> Iterator[subprocess.Popen[bytes]]:
    state = gateway.control({"op": "state"})
    prices = state["prices"]
    assert isinstance(prices, dict)
    contract = next(iter(prices))
    urls = gateway.urls
    process = subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "tests" / "benchmarks" / "floor.py"), str(account), contract),
            *(urls.api_url, urls.user_hub_url, urls.market_hub_url, kind),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != b"ready":
            raise RuntimeError(f"the floor {kind} did not start")
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def until(holds: object, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError("it did not happen in time")
        time.sleep(0.05)


def place(gateway: RemoteSimulator, sides: list[Side], pinned: bool) -> None:
    """Guard and floors on one core, the gateway on the other."""
    allowed = psutil.Process().cpu_affinity()
    if not pinned or len(allowed) < 2:
        return
    own = psutil.Process(sides[0].process.pid).cpu_affinity()
    core = own[0] if len(own) == 1 else allowed[0]
    for side in sides:
        psutil.Process(side.process.pid).cpu_affinity([core])
    rest = [other for other in allowed if other != core]
    psutil.Process(gateway.process.pid).cpu_affinity(rest)


def block(
    gateway: RemoteSimulator,
    account: str,
    events: int,
    chance: random.Random,
    gap_ms: tuple[float, float],
    quotes: int = 0,
) -> tuple[list[float], int]:
    """Seconds from event to close for so many fills; and how many closes were lost or doubled."""
    values, wrong = list[float](), 0
    fill = {"op": "emit_fill", "account": account, "contract": "MNQ", "side": "buy", "quotes": quotes}
    for _ in range(events):
        gateway.control({"op": "reset_calls"})
        filled = gateway.control(fill)
        gateway.control({"op": "wait", "calls": 1, "timeout": 5})
        time.sleep(chance.uniform(*gap_ms) / 1000)
        calls = gateway.control({"op": "calls"})["calls"]
        assert isinstance(calls, list)
        wrong += abs(len(calls) - 1)
        written = filled["written"]
        assert isinstance(written, dict)
        if calls:
            values.append(calls[0]["at_mono"] - written["GatewayUserTrade"])
    return values, wrong


PINNED = {0.5: 1.25, 0.99: 1.5, 0.999: 2.0}
UNPINNED = {0.5: 1.45, 0.99: 1.75}
BURST = {0.5: 0.5, 0.99: 1.0}
UNDER_STATUS = {0.5: 1.1}


def rows(figures: dict[str, object], pinned: bool) -> list[dict[str, object]]:
    """Lines for the table: the guard's percentiles beside each floor's."""
    what = f"event -> close, {'pinned' if pinned else 'unpinned'}"
    targets = PINNED if pinned else UNPINNED
    return [
        *beside(figures, what, GUARD, M0, targets),
        *beside(figures, what, GUARD, M0_HUB, dict.fromkeys(targets)),
    ]


def burst_rows(figures: dict[str, object]) -> list[dict[str, object]]:
    what = f"{QUOTES} quotes, then event -> close"
    return [
        *beside(figures, what, GUARD, M0, BURST),
        *beside(figures, what, GUARD, M0_HUB, dict.fromkeys(BURST)),
    ]


def status_rows(figures: dict[str, object]) -> list[dict[str, object]]:
    return beside(figures, "event -> close, status 50/s", LOOKED_AT, GUARD, UNDER_STATUS)


def beside(
    figures: dict[str, object], what: str, own: str, peer: str, targets: Mapping[float, float | None]
) -> list[dict[str, object]]:
    """Pooled percentiles of one side beside another's, and the spread of the rounds' ratios."""
    sides = figures["sides"]
    assert isinstance(sides, dict)
    pooled = {name: sorted(v for one in rounds for v in one) for name, rounds in sides.items()}
    found = []
    for share, target in targets.items():
        value, base = percentile(pooled[own], share), percentile(pooled[peer], share)
        spread = sorted(
            percentile(sorted(a), share) / percentile(sorted(b), share)
            for a, b in zip(sides[own], sides[peer], strict=True)
            if a and b
        )
        found.append(
            {
                "line": f"{what}, p{share * 100:g}",
                "value": round(value * 1000, 3),
                "unit": "ms",
                "peer": f"{peer}: {base * 1000:.3f} ms",
                "ratio": round(value / base, 3),
                "spread": f"{spread[0]:.2f}..{statistics.median(spread):.2f}..{spread[-1]:.2f}",
                "target": target,
                "events": len(pooled[own]),
            }
        )
    return found
