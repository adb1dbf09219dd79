"""Whether the gateway's books, the daemon, its history and its receipts tell one story at the end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from msgspec import Struct

LONG = 1
WITHDRAWN = "withdrawn"
"""How a receipt ends whose rule asks for nothing any more before the account was seen to comply."""
CLOSING = {"Position/closeContract": "close", "Position/partialCloseContract": "partial_close"}


class Seen(Struct, frozen=True):
    """All that is compared. `state` and `calls` are the gateway's, the rest the guard's own."""

    state: dict[str, Any]
    calls: tuple[dict[str, Any], ...]
    status: dict[str, Any]
    receipts: tuple[dict[str, Any], ...]
    unlocks: tuple[dict[str, Any], ...]
    lockouts: dict[tuple[str, str], str | None]
    """Every lockout that was ever shown, by account and rule, and until when."""
    chain_broken_at: int | None = None


def differences(seen: Seen) -> Iterator[str]:
    """What does not fit; nothing when all agree."""
    for account in seen.status.get("accounts", ()):
        yield from _positions(seen, account)
        yield from _day(seen, account)
        yield from _locked(seen, account)
    yield from _receipts(seen)
    if seen.status.get("state") not in ("guarding", "locked"):
        reasons = "; ".join(reason["text"] for reason in seen.status.get("reasons", ()))
        yield f"the guard ends {seen.status.get('state')}: {reasons}"
    if seen.chain_broken_at is not None:
        yield f"the audit chain is broken at entry {seen.chain_broken_at}"


def held(state: dict[str, Any], account: int) -> dict[str, int]:
    """Open size by contract, as the gateway has it; shorts negative."""
    return {
        one["contractId"]: one["size"] if one["type"] == LONG else -one["size"]
        for one in state["positions"]
        if one["accountId"] == account and one["size"]
    }


def _positions(seen: Seen, account: dict[str, Any]) -> Iterator[str]:
    shown = {one["contract"]: one["size"] for one in account["positions"]}
    real = held(seen.state, account["id"])
    if shown != real:
        yield f"{account['name']}: status shows {shown}, the gateway holds {real}"


def _day(seen: Seen, account: dict[str, Any]) -> Iterator[str]:
    """Every trade counted once: their number, and their sum with fees on both halves.

    A trade whose event was lost is known from a read alone, and a read shows no commission: what is missing
    can only be commissions.
    """
    trades = [one for one in seen.state["trades"] if one["accountId"] == account["id"] and not one["voided"]]
    if account["trades"] != len(trades):
        yield f"{account['name']}: {account['trades']} trades counted, {len(trades)} made"
    made = sum((_money(one["profitAndLoss"]) - _money(one["fees"]) for one in trades), Decimal(0))
    commissions = sum((_money(one["commissions"]) for one in trades), Decimal(0))
    if not round(made - commissions, 4) <= Decimal(account["realized"]) <= round(made, 4):
        yield f"{account['name']}: realized {account['realized']}, by the gateway {made - commissions}"


def _money(value: object) -> Decimal:
    return Decimal(str(value or 0))


def _locked(seen: Seen, account: dict[str, Any]) -> Iterator[str]:
    """A lockout stands, as long as it stood, unless history says that it ended."""
    now = {one["rule"]: one["until"] for one in account["lockouts"]}
    ended = {(line["account"], line["rule"]) for line in seen.unlocks}
    for (name, rule), until in seen.lockouts.items():
        if name != account["name"] or (name, rule) in ended:
            continue
        if rule not in now:
            yield f"{name}: the lockout of {rule} is gone, and nothing ended it"
        elif until is not None and str(now[rule] or "9") < until:
            yield f"{name}: the lockout of {rule} was until {until}, now until {now[rule]}"


def _receipts(seen: Seen) -> Iterator[str]:
    """Nothing is reported done that was not seen, and nothing was carried out more often than it was."""
    for receipt in seen.receipts:
        if not receipt["verified"] and not str(receipt.get("last_error") or "").startswith(WITHDRAWN):
            yield f"receipt {receipt['id']} was never verified: {receipt.get('last_error')}"
    said = Counter[tuple[str, str]]()
    for receipt in seen.receipts:
        said.update(
            (call["call"], call["contract"])
            for call in receipt["calls"]
            if call["outcome"] == "confirmed" and call["call"] in CLOSING.values()
        )
    done = Counter(
        (CLOSING[call["path"]], call["body"]["contractId"])
        for call in seen.calls
        if call["path"] in CLOSING and call["code"] == 0
    )
    for what, times in said.items():
        if times > done[what]:
            yield f"{what[0]} of {what[1]}: {times} reported confirmed, the gateway did {done[what]}"
