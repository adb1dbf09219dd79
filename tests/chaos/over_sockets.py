"""Enforcements by the whole guard over real sockets, while the simulator's own faults bite.

One desk (gateway, guard, control socket in one process) serves many of them, one after the other.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.chaos.enforcing import LIMIT, Enforced
from tests.scenarios.desk import A, Desk, desk

RULES: dict[str, Any] = {
    "max_contracts_per_instrument": {"default_limit": 3, "limits": {"MNQ": LIMIT}, "action": "reduce"},
}
CALLS = "Position/*"
PATIENCE_S = 60.0
STEP_S = 0.5
"""On the desk's clock at each look: waits and timeouts of the guard pass."""

type Fault = tuple[str, dict[str, Any]]


def faults(rng: random.Random) -> Fault:
    """One fault that meets the next calls: its name, and its fields."""
    return rng.choice(
        (
            ("http_500", {"path": CALLS, "times": 2}),
            ("http_500", {"path": "Position/*lose*", "times": 1, "executed": True}),
            ("http_503", {"path": CALLS, "times": 1}),
            ("http_401", {"path": "Position/*lose*", "times": 1}),
            ("http_429", {"path": "Position/*lose*", "times": 1, "retry_after": 1}),
            ("html", {"path": "Position/*lose*", "times": 1, "executed": True}),
            ("bad_json", {"path": CALLS, "times": 2}),
            ("drop", {"path": "Position/*lose*", "times": 1}),
            ("drop", {"path": "Position/*lose*", "times": 1, "executed": True}),
            ("refuse", {"path": "Position/*lose*", "times": 2, "code": 7}),
            ("event_lost", {"target": "GatewayUser*", "times": 3}),
            ("event_duplicate", {"target": "GatewayUser*", "times": 4}),
            ("event_reorder", {"target": "GatewayUser*", "times": 2}),
            ("hub_reset", {}),
            ("hub_close", {}),
            ("hub_odd_payload", {}),
            ("revoke_tokens", {}),
        )
    )


def played(job: tuple[int, int]) -> Enforced:
    """So many enforcements at one desk, by this seed."""
    seed, count = job
    rng, fates, wrong = random.Random(f"{seed}/desk"), Counter[str](), list[str]()
    done = 0
    with desk(RULES) as d:
        d.sound = False
        for _ in range(count):
            name, fields = faults(rng)
            fates[name] += 1
            size = rng.choice((3, 4, 6))
            d.fault(name, **fields)
            (d.buy if rng.random() < 0.5 else d.sell)("MNQ", size)
            if not until(lambda: abs(d.positions(A).get("MNQ", 0)) <= LIMIT and is_done(d), d):
                wrong.append(f"{name} {fields}: {d.positions(A)} left, {d.status(A)['state']}")
            d.fault("all", on=False)
            wrong += [f"{name}: {text}" for text in reversed_by(d)]
            done += 1
            flat(d)
        wrong += [f"not verified: {receipt}" for receipt in d.receipts(A) if not receipt["verified"]]
    return Enforced(done, dict(fates), tuple(wrong))


def is_done(d: Desk) -> bool:
    """Nothing is being reduced any more, and the link is live again."""
    whole = d.status()
    account = next(a for a in whole["accounts"] if a["name"] == A)
    return whole["link"]["state"] == "live" and account["state"] != "reducing"


def until(holds: Callable[[], bool], d: Desk) -> bool:
    """Look until it holds while time passes on the desk's clock; False when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        d.pass_time(STEP_S)
        time.sleep(0.01)
    return True


def reversed_by(d: Desk) -> list[str]:
    """Calls of ours that asked for more than was open: the gateway would have turned the position."""
    return [f"{call['body']} was refused as too large" for call in d.calls() if _too_large(call)]


def _too_large(call: dict[str, Any]) -> bool:
    return bool(call["path"].endswith("partialCloseContract") and call["code"] == 5)


def flat(d: Desk) -> None:
    """The trader closes what is left, before the next one."""
    left = d.positions(A).get("MNQ", 0)
    if left:
        (d.sell if left > 0 else d.buy)("MNQ", abs(left))
    until(lambda: not d.positions(A) and not d.status(A)["positions"] and is_done(d), d)
    d.control(op="reset_calls")
