"""What a trader does while things break, and the end that each act must come to whatever breaks meanwhile.

Each act is one breach, or none, in one contract of one account; the next one there begins when it is over.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

RULES: dict[str, Any] = {
    "max_contracts": {"mode": "armed", "limit": 12, "action": "reduce"},
    "max_contracts_per_instrument": {"mode": "armed", "default_limit": 6, "limits": {"MNQ": 2, "MES": 1}},
    "daily_unrealized_loss": {"mode": "armed", "limit": -300},
    "daily_realized_loss": {"mode": "armed", "limit": -500_000},
    "symbol_blocks": {"mode": "armed", "blocked": ["CL"]},
}
"""What the acts are breaches of."""
PRICES = {"MNQ": 21000.0, "MES": 5800.0, "NQ": 21000.0, "RTY": 2000.0, "GC": 2600.0, "CL": 70.0}


class Act(Struct, frozen=True):
    """What the trader does, and what must be open in that contract in the end."""

    name: str
    account: str
    root: str
    operations: tuple[dict[str, Any], ...]
    ends_at: int | None
    """None: whatever this guard's rules make of it."""
    breaches: bool
    lock: str = ""
    """A rule whose lockout must stand from then on."""


def order(account: str, root: str, side: str, size: int, **more: Any) -> dict[str, Any]:
    return {"op": "order", "account": account, "contract": root, "side": side, "size": size, **more}


def price(root: str, at: float) -> dict[str, Any]:
    return {"op": "price", "contract": root, "price": at}


def too_many(account: str, chance: random.Random) -> Act:
    """Over the limit of a root: exactly the excess goes, whichever way it was sold."""
    root, limit = chance.choice((("MNQ", 2), ("MES", 1)))
    side, size = chance.choice((("buy", 1), ("sell", -1))), chance.randint(limit + 1, limit + 4)
    buys = (price(root, PRICES[root]), order(account, root, side[0], size))
    return Act(f"{side[0]} {size} {root}, {limit} allowed", account, root, buys, limit * side[1], True)


def paper_loss(account: str, chance: random.Random) -> Act:
    """A position beyond its loss: closed, and nothing else."""
    deep = chance.choice((20.0, 25.0))
    moves = (
        price("NQ", PRICES["NQ"]),
        order(account, "NQ", "buy", 1),
        price("NQ", PRICES["NQ"] - deep),
    )
    return Act(f"NQ {deep:g} points under water", account, "NQ", moves, 0, True)


def blocked(account: str, chance: random.Random) -> Act:
    size = chance.randint(1, 3)
    buys = (price("CL", PRICES["CL"]), order(account, "CL", "buy", size))
    return Act(f"buy {size} CL, which is blocked", account, "CL", buys, 0, True)


def round_trip(account: str, chance: random.Random) -> Act:
    """Nothing forbidden: nobody may touch it."""
    root, size = chance.choice(("RTY", "GC")), chance.randint(1, 2)
    trades = (price(root, PRICES[root]), order(account, root, "buy", size))
    return Act(f"buy {size} {root}", account, root, trades, size, False)


def day_lost(account: str) -> Act:
    """The day's limit: locked until the reset."""
    loss = ({"op": "trade", "account": account, "contract": "MNQ", "pnl": -600_000},)
    return Act("the day is lost", account, "MNQ", loss, 0, True, "daily_realized_loss")


def attempt(account: str, chance: random.Random) -> Act:
    """New risk on a locked account: closed on sight."""
    root = chance.choice(("RTY", "GC"))
    buys = (price(root, PRICES[root]), order(account, root, "buy", 1))
    return Act(f"buy 1 {root} on a locked account", account, root, buys, 0, True)


def wander(seed: int, accounts: Sequence[str]) -> Iterator[Act]:
    """Trades at a guard whose rules nobody told us: small ones, in the usual contracts."""
    chance = random.Random(seed + 1)
    while True:
        root, side, size = chance.choice(tuple(PRICES)), chance.choice(("buy", "sell")), chance.randint(1, 3)
        moved = round(PRICES[root] * (1 + chance.choice((-0.001, 0, 0.001))), 0)
        account = chance.choice(list(accounts))
        does = (price(root, PRICES[root]), order(account, root, side, size), price(root, moved))
        yield Act(f"{side} {size} {root}", account, root, does, None, False)


KINDS = (too_many, too_many, paper_loss, blocked, round_trip)
LOCKED_FROM = 6


def acts(seed: int, accounts: Sequence[str]) -> Iterator[Act]:
    """Without end, account by account; the last account loses its day early and only tries from then on."""
    chance = random.Random(seed + 1)
    number = 0
    while True:
        for account in accounts:
            number += 1
            is_last = account == accounts[-1] and len(accounts) > 1
            if is_last and number >= LOCKED_FROM:
                yield day_lost(account) if number < LOCKED_FROM + len(accounts) else attempt(account, chance)
            else:
                yield chance.choice(KINDS)(account, chance)
