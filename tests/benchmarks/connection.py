"""How fast a connection that fails is live again, and a breach seen to be over; and who waits for a slot.

The connection is the real one (SDK, HTTP, hubs) on a simulated gateway in a process of its own. Each line
stands beside its limit; a ratio above 1 is a miss. The clock is injected: it is moved on by what settles.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from actors.clock import SystemClock
from actors.connection.budget import Lane, Limits
from actors.connection.projectx import ProjectXGateway
from actors.messages import AccountId, BrokerSnapshot, Call, CallKind, ContractId, LinkChanged, LinkState
from ops import client
from ops.simulator.remote import RemoteSimulator, run_as_process
from supervisor.home import Home
from supervisor.protocol import AskHistory
from tests.actors.connection.bench import UNSTRETCHED, Bench, running, settings_of
from tests.actors.connection.inbox import Inbox

Row = dict[str, object]

GUARDED = AccountId(1001)
ROUNDS = 25
ENDINGS = ("hub_close", "hub_reset", "hub_close_error", "hub_malformed", "hub_unknown_type")
"""What ends a pair of hubs at once."""
WAYS_BACK = ("negotiate_401", "negotiate_503", "negotiate_drop")
"""What meets the first try to open the next pair."""
READS = ("http_500", "http_503", "html", "bad_json", "drop")
"""What meets the first read of the next pair."""
SETTLED_S = 2.5
"""A pair of hubs that lived so long was not one of a series of failures: the next is opened at once."""
LIVE_P50_S, LIVE_P99_S = 0.05, 1.0
FROZEN_S = 35.0
RTT_S = 0.04
VERIFIED_S = 3 * RTT_S + 0.05
BREACHES = 100
SLOT_S = 0.010


class MovedClock:
    """The machine's clock, its seconds moved on by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def mono(self) -> float:
        return time.monotonic() + self.ahead


class Stamped(Inbox):
    """Keeps when each change of the link was told."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.moves: list[tuple[float, LinkState]] = []

    def tell(self, message: object, *, urgent: bool = False) -> None:
        if isinstance(message, LinkChanged):
            self.moves.append((time.perf_counter(), message.state))
        super().tell(message, urgent=urgent)


def run() -> list[Row]:
    return [
        *detected_and_live(),
        *lost_event(),
        *frozen_hub(),
        *breach_to_verified(),
        *slot_of_a_protective_call(),
    ]


def row(line: str, seconds: float, limit: float | None, peer: str = "") -> Row:
    return {
        "line": line,
        "value": round(seconds * 1e3, 2),
        "unit": "ms",
        "peer": peer or ("" if limit is None else f"limit {limit * 1e3:g} ms"),
        "ratio": None if limit is None else round(seconds / limit, 3),
        "target": None if limit is None else 1.0,
    }


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


@contextmanager
def connected(**options: Any) -> Iterator[tuple[RemoteSimulator, Bench, Stamped, MovedClock]]:
    """A live connection that guards one account."""
    clock = MovedClock()
    with ExitStack() as stack:
        gateway = stack.enter_context(run_as_process("--rate-limit", "off"))
        # A fault every few milliseconds would use up a real budget, which is not what is measured.
        settings = settings_of(gateway.urls, limits=UNSTRETCHED)
        bench = stack.enter_context(running(lambda: ProjectXGateway(settings, clock), clock, **options))
        gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
        account = bench.accounts[GUARDED] = Stamped("account/1001")
        bench.guard()
        yield gateway, bench, account, clock


# ---------------------------------------------------------------- detected, live


def detected_and_live() -> list[Row]:
    """Fault -> blind -> live, per kind. A frozen hub and a dead REST have lines of their own."""
    kinds = [
        *((name, [fault(name)]) for name in (*ENDINGS, "revoke_tokens")),
        *((name, [fault(name, times=1), fault("hub_reset")]) for name in WAYS_BACK),
        *(
            (f"{name} to a read", [fault(name, path="Position/searchOpen", times=1), fault("hub_reset")])
            for name in READS
        ),
    ]
    rows, detections, recoveries = list[Row](), list[float](), list[float]()
    with connected(reconcile_every=60.0) as (gateway, bench, _, clock):
        for name, faults in kinds:
            pairs = [_strike(gateway, bench, clock, faults) for _ in range(ROUNDS)]
            live = [pair[1] for pair in pairs]
            say(f"{name}: live again after {percentile(live, 0.5) * 1e3:.1f} ms (p50)")
            rows.append(row(f"{name}: detection -> live p50", percentile(live, 0.5), LIVE_P50_S))
            rows.append(row(f"{name}: detection -> live p99", percentile(live, 0.99), LIVE_P99_S))
            detections += [pair[0] for pair in pairs]
            recoveries += live
    count = f"{len(recoveries)} faults"
    rows.append(row("fault -> detection p99, all that end a hub", percentile(detections, 0.99), None, count))
    rows.append(row("detection -> live p99, all kinds", percentile(recoveries, 0.99), LIVE_P99_S))
    return rows


def _strike(
    gateway: RemoteSimulator, bench: Bench, clock: MovedClock, faults: list[dict[str, Any]]
) -> tuple[float, float]:
    """Seconds from the fault to blind, and from blind to live."""
    account = bench.accounts[GUARDED]
    assert isinstance(account, Stamped)
    clock.ahead += SETTLED_S
    account.clear()
    account.moves.clear()
    for one in faults[:-1]:
        gateway.control(one)
    began = time.perf_counter()
    gateway.control(faults[-1])
    if faults[-1]["name"] == "revoke_tokens":
        bench.loop.read_account(GUARDED, "the hubs do not tell", False)
    account.wait(LinkChanged, lambda link: link.state is not LinkState.LIVE)
    account.wait(LinkChanged, lambda link: link.state is LinkState.LIVE)
    blind, live = account.moves[0][0], account.moves[-1][0]
    return blind - began, live - blind


def fault(name: str, **fields: Any) -> dict[str, Any]:
    return {"op": "fault", "name": name, **fields}


# ---------------------------------------------------------------- found by reading


def lost_event(rounds: int = 6) -> list[Row]:
    """A fill whose event never comes: until a read brings it, at the pace of the default configuration."""
    times = list[float]()
    with connected() as (gateway, _, account, _clock):
        gateway.control(fault("event_lost", target="GatewayUser*"))
        for number in range(rounds):
            account.clear()
            time.sleep(0.37 * number)  # somewhere between two reads
            began = time.perf_counter()
            gateway.control(
                {"op": "order", "account": "PRAC-V2-1001", "contract": "MNQ", "side": "buy", "size": 1}
            )
            wanted = number + 1
            account.wait(BrokerSnapshot, lambda read, wanted=wanted: len(read.fills) >= wanted)  # type: ignore[misc]
            times.append(time.perf_counter() - began)
            say(f"lost event found after {times[-1]:.1f} s")
    peer = "limit: one period of 3 s, and a turn"
    return [row("lost event -> found by a read, max", max(times), 3.25, peer)]


def frozen_hub() -> list[Row]:
    """Silence on an open socket, in seconds of the injected clock."""
    with connected(reconcile_every=60.0) as (gateway, _, account, clock):
        gateway.control(fault("hub_freeze"))
        account.clear()
        account.moves.clear()
        frozen = clock.mono()
        while not account.moves:
            clock.ahead += 0.5
            time.sleep(0.25)
        return [row("frozen hub -> detection (injected clock)", clock.mono() - frozen, FROZEN_S)]


# ---------------------------------------------------------------- verified


def breach_to_verified() -> list[Row]:
    """The whole guard, every rule armed, 40 ms to the gateway and back; from its own receipts."""
    latency = _latency()
    with ExitStack() as stack:
        gateway = stack.enter_context(run_as_process("--rate-limit", "off"))
        gateway.control({"op": "price", "contract": "MNQ", "price": 21000})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riskd-bench-")))
        stack.enter_context(latency.guard(gateway, folder, True))
        gateway.control(fault("delay", path="*", seconds=RTT_S / 2))
        gateway.control(fault("delay", path="*", seconds=RTT_S / 2, executed=True))
        gateway.control(fault("event_late", target="GatewayUser*", seconds=RTT_S / 2))
        time.sleep(1.0)
        since, guarded = datetime.now(UTC), latency.ACCOUNTS[latency.GUARD]
        for number in range(BREACHES):
            gateway.control({"op": "reset_calls"})
            gateway.control(
                {
                    "op": "order",
                    "account": guarded,
                    "contract": "MNQ",
                    "side": "buy",
                    "size": 1,
                }
            )
            gateway.control({"op": "wait", "calls": 1, "timeout": 5})
            latency.until(lambda n=number: len(_verified(Home(folder), since)) > n, 10.0)
        lines = _verified(Home(folder), since)
    times = [line["breach_to_verified_ms"] / 1e3 for line in lines]
    calls = {len(line["calls"]) for line in lines}
    say(f"{len(times)} breaches verified, calls per breach {sorted(calls)}")
    peer = f"limit 3 round trips + 50 ms = {VERIFIED_S * 1e3:g} ms"
    return [
        row("breach -> verified flat, 40 ms round trip, p50", percentile(times, 0.5), VERIFIED_S, peer),
        row("breach -> verified flat, 40 ms round trip, p99", percentile(times, 0.99), VERIFIED_S, peer),
    ]


def _verified(home: Home, since: datetime) -> list[dict[str, Any]]:
    raw = client.call(home, "history", AskHistory(since=since, kind="enforcement", limit=500), deadline_s=5.0)
    found: list[dict[str, Any]] = msgspec.msgpack.decode(raw)["history"]
    return [line for line in found if line["verified"] and line["breach_to_verified_ms"] is not None]


def _latency() -> ModuleType:
    found = sys.modules.get("bench_latency")
    if found is None:
        spec = importlib.util.spec_from_file_location("bench_latency", Path(__file__).with_name("latency.py"))
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules["bench_latency"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    return found


# ---------------------------------------------------------------- slots


def slot_of_a_protective_call(calls: int = 200) -> list[Row]:
    """From handing a close over to its send, while reads use up all that they may and hundreds more wait."""
    with run_as_process("--rate-limit", "off") as gateway:
        contract = str(gateway.control({"op": "price", "contract": "MNQ", "price": 21000})["contract"])
        waits, used = asyncio.run(_waits(gateway, ContractId(contract), calls))
    peer = f"limit {SLOT_S * 1e3:g} ms, {used} of 200 slots used"
    return [
        row("protective call's wait for its slot p99", percentile(waits, 0.99), SLOT_S, peer),
        row("protective call's wait for its slot max", max(waits), SLOT_S, peer),
    ]


async def _waits(gateway: RemoteSimulator, contract: ContractId, calls: int) -> tuple[list[float], int]:
    clock = SystemClock()
    it = ProjectXGateway(settings_of(gateway.urls, limits=Limits()), clock)
    await it.login()
    account, waits = AccountId(1001), list[float]()
    reads = [asyncio.create_task(it.positions(account, lane)) for lane in (Lane.REST, Lane.VERIFY) * 200]
    while it.budget().used < 160:  # noqa: ASYNC110 - the budget wakes nobody
        await asyncio.sleep(0.01)
    for number in range(calls):
        began = clock.mono()
        answer = await it.act(Call(f"bench/{number}", account, CallKind.CLOSE, contract))
        waits.append(answer.sent_mono - began)
    used = it.budget().used
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    await it.close()
    return waits, used
