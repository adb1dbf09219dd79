"""What must hold at the end of every run, whatever happened (design: invariants)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from actors.enforcement.view import EnforcementView
from actors.messages import AccountSnapshot
from actors.persistence.store import Store
from tests.chaos.broker import ACCOUNT, Acted

if TYPE_CHECKING:
    from tests.chaos.world import Process, World


def broken(world: World, process: Process) -> list[str]:
    """Every invariant that does not hold, in words."""
    return [
        *_calls(world),
        *books(world, process),
        *_lockouts(world, process),
        *_since(world),
        *_receipts(world, process),
        *_coverage(process),
        *_chain(process.store),
    ]


def _calls(world: World) -> Iterator[str]:
    """No call acts twice, none exceeds what is open, none turns a position."""
    times = Counter(acted.call for acted in world.broker.acted if acted.call and _effective(acted))
    for call, count in times.items():
        if count > 1:
            yield f"call {call} acted {count} times"
    for acted in world.broker.acted:
        if acted.path.startswith("Position/") and acted.before * acted.after < 0:
            yield f"call {acted.call} turned {acted.before} into {acted.after}"
        if acted.path.startswith("Position/") and abs(acted.after) > abs(acted.before):
            yield f"call {acted.call} opened: {acted.before} to {acted.after}"


def _effective(acted: Acted) -> bool:
    return acted.code == 0


def books(world: World, process: Process) -> Iterator[str]:
    """Every trade is counted once, sums and positions are the broker's."""
    snapshot = process.board.read(("snapshot", world.name), AccountSnapshot)
    assert snapshot is not None
    state = world.broker.state
    stored = [row[0] for row in world.db.execute("SELECT id FROM fills WHERE account = ?", (ACCOUNT,))]
    traded = sorted(state.trades)
    if sorted(stored) != traded:
        yield f"fills stored {sorted(stored)}, traded {traded}"
    today = [trade for trade in state.trades.values() if trade.at >= snapshot.day_start]
    counted = sorted(int(booked.fill.id) for booked in snapshot.fills)
    if counted != sorted(trade.id for trade in today):
        yield f"fills counted {counted}, of today {sorted(trade.id for trade in today)}"
    realized = sum((trade.pnl or 0) - trade.fees - trade.commissions for trade in today) * 10_000
    if realized != snapshot.realized:
        yield f"realized {snapshot.realized}, at the broker {realized}"
    held = {position.contract_id: position.size for position in state.positions.values()}
    shown = {str(position.contract): position.size for position in snapshot.positions}
    if held != shown:
        yield f"positions {shown}, at the broker {held}"


def _lockouts(world: World, process: Process) -> Iterator[str]:
    """What is in force is stored, and what was ever in force ended by its own right, not by a crash."""
    view = process.board.read(("enforcement", world.name), EnforcementView)
    assert view is not None
    rows = world.db.execute("SELECT rule, until, ended_by FROM lockouts").fetchall()
    live = {rule: until for rule, until, ended_by in rows if ended_by is None}
    now = process.clock.wall()
    shown = {lockout.rule: lockout.until for lockout in view.lockouts}
    if set(shown) - set(live):
        yield f"in force and not stored: {sorted(set(shown) - set(live))}"
    for rule, until in live.items():
        if rule not in shown and (until is None or datetime.fromisoformat(until) > now):
            yield f"lost: {rule} until {until} is stored and not in force"
    ended = {rule for rule, _, ended_by in rows if ended_by is not None}
    for rule, until in world.locked.items():
        if rule not in shown and rule not in ended and (until is None or until > now):
            yield f"lost: {rule} until {until} was in force and has no end"


def _since(world: World) -> Iterator[str]:
    """A lock for some time counts from the stamp of the very trade that it is for."""
    for rule, since, breach in world.db.execute(
        "SELECT rule, since, breach FROM lockouts WHERE kind = 'duration' AND breach LIKE '%fill:%'"
    ):
        trade = world.broker.state.trades[int(breach.split("fill:")[1].split("/")[0])]
        if trade.at != datetime.fromisoformat(since):
            yield f"{rule} locks since {since}, its trade is of {trade.at}"


def _receipts(world: World, process: Process) -> Iterator[str]:
    """Everything asked is done, and nothing was reported done that the account did not show."""
    view = process.board.read(("enforcement", world.name), EnforcementView)
    assert view is not None
    waiting = {receipt.id for receipt in view.open_receipts if not receipt.managed}
    for id_, verified, text in world.db.execute("SELECT id, verified, body FROM receipts"):
        body = json.loads(text)
        if not verified:
            # What was withdrawn, or ended in a failure that no reading can undo, says so and is closed.
            if id_ in waiting or not body["last_error"]:
                yield f"receipt {id_} is still open: {body['demand']}"
            continue
        done = datetime.fromisoformat(body["verified_at"])
        opened = datetime.fromisoformat(body["opened_at"])
        for contract, most in _asked(body["demand"], world):
            if not _was_at_most(world, contract, most, opened, done):
                yield f"receipt {id_} says {contract} was at most {most} by {done}, and it never was"


def _asked(demand: str, world: World) -> Iterator[tuple[str, int]]:
    """Contracts that a receipt speaks of, and the size they must have come down to."""
    for part in demand.split("; "):
        if part == "account flat":
            yield from {(contract, 0) for _, contract, _ in world.broker.held}
        elif part.endswith(" flat"):
            yield part.removesuffix(" flat"), 0
        elif " at most " in part and not part.startswith("order "):
            contract, _, most = part.partition(" at most ")
            yield contract, int(most)


def _was_at_most(world: World, contract: str, most: int, opened: datetime, done: datetime) -> bool:
    size, seen = 0, False
    for at, held, now in world.broker.held:
        if held != contract or at > done:
            continue
        seen = seen or (at > opened and abs(size) <= most)
        size = now
    return seen or abs(size) <= most


def _coverage(process: Process) -> Iterator[str]:
    running, configured = process.figures.coverage()
    if running != configured and not process.safe_mode:
        yield f"{running} of {configured} rules run"


def _chain(store: Store) -> Iterator[str]:
    chain = store.verify_audit()
    if chain.broken_at is not None:
        yield f"the audit chain is broken at {chain.broken_at}"
