"""What is played while the daemon dies, and what must be the same at the end however often it did."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from actors.messages import AccountId, HistoryKind
from actors.persistence import backup
from actors.persistence.queries import HistoryQuery
from actors.persistence.store import Store
from supervisor.protocol import AskHistory, DoLock, Nothing
from tests.chaos.cradle import ROOT
from tests.chaos.mortal import Mortal

A, B = "PRAC-V2-1001", "PRAC-V2-1002"
RULES = {
    "max_contracts": {"mode": "armed", "limit": 2, "action": "reduce"},
    "daily_realized_loss": {"mode": "armed", "limit": -500},
    "trade_frequency_limit": {"mode": "shadow", "per_minute": 3},
}
EARLIER = ROOT / "tests" / "actors" / "persistence" / "version_0001.sql"
DAY = timedelta(days=1)
PAGE = 4096

type Outcome = dict[str, Any]


def a_day(guard: Mortal) -> None:
    """Too many contracts, a lock by hand on the other account, a lost day, a try to trade on."""
    guard.configure(RULES)
    for contract, price in (("MNQ", 21_000.0), ("ES", 5_800.0)):
        guard.control(op="price", contract=contract, price=price)
    guarding(guard)
    order(guard, "MNQ", 3)
    holds(guard, {"MNQ": 2})
    guard.until(lambda: guard.ask("lock", DoLock(B, reason="enough")), "B locked by hand")
    guard.until(lambda: guard.ask("backup.now", Nothing()), "a backup")
    guard.control(op="price", contract="MNQ", price=20_800.0)
    locked_and_flat(guard)
    # Else what is met while locked joins the receipt of the lock, or does not, as the moment has it.
    guard.until(lambda: verified(guard), "the flatten is verified")
    order(guard, "ES", 1)
    locked_and_flat(guard)
    guard.until(lambda: guard.account(A).get("trades") == 5, "all fills counted")
    guard.until(lambda: verified(guard), "every receipt verified")
    guard.until(lambda: guard.pager.got, "somebody was told")


def a_lost_day(guard: Mortal) -> None:
    """The shortest play in which something is enforced."""
    guard.configure({"daily_realized_loss": {"mode": "armed", "limit": -500}})
    guard.control(op="price", contract="MNQ", price=21_000.0)
    guarding(guard)
    order(guard, "MNQ", 2)
    holds(guard, {"MNQ": 2})
    guard.control(op="price", contract="MNQ", price=20_700.0)
    locked_and_flat(guard)
    guard.until(lambda: verified(guard), "every receipt verified")


def of_an_earlier_version(guard: Mortal) -> None:
    """The store is one that the first version wrote, with a lockout that is over by now."""
    with closing(sqlite3.connect(guard.home.database)) as db:
        db.executescript(EARLIER.read_text("utf-8"))
    a_day(guard)


def damaged(guard: Mortal) -> None:
    """The store's history cannot be read; everything else can."""
    of_yesterday(guard)
    with closing(sqlite3.connect(guard.home.database)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'history'").fetchone()
    with guard.home.database.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    a_day(guard)


def moved_away(guard: Mortal) -> None:
    """Somebody moves the file away while the guard runs."""
    a_day(guard)
    if guard.home.database.exists():
        guard.home.database.rename(guard.home.folder / "elsewhere.db")
    guard.until(guard.home.database.exists, "the file is back")
    guard.until(lambda: guard.account(A).get("state") == "locked", "it guards")


PLAYS: dict[str, Callable[[Mortal], None]] = {
    "lost day": a_lost_day,
    "day": a_day,
    "earlier version": of_an_earlier_version,
    "damaged": damaged,
    "moved away": moved_away,
}


def of_yesterday(guard: Mortal) -> None:
    store = Store.open(guard.home.database, guard.now - DAY, guard.home.backups)
    with closing(sqlite3.connect(guard.home.database)) as db:
        backup.copy(db, guard.home.backups / backup.name(guard.now - DAY, store.audit_head()))
    store.close()


# ------------------------------------------------------------------------------------------ steps


def guarding(guard: Mortal) -> None:
    guard.keep()
    guard.until(lambda: guards(guard.status()), "it guards")


def guards(status: dict[str, Any]) -> bool:
    """Live, with both accounts: what it shows then is read from the gateway."""
    return len(status.get("accounts", ())) == 2 and status["link"]["state"] == "live"


def order(guard: Mortal, contract: str, size: int) -> None:
    guard.control(op="order", account=A, contract=contract, side="buy", size=size, type="market")


def holds(guard: Mortal, sizes: dict[str, int]) -> None:
    def there() -> bool:
        account = guard.account(A)
        seen = {one["root"]: one["size"] for one in account.get("positions", ())}
        return account.get("state") in ("active", "locked") and seen == sizes

    guard.until(there, f"{A} holds {sizes}")


def locked_and_flat(guard: Mortal) -> None:
    guard.until(lambda: not guard.held(1001), "flat at the gateway")
    holds(guard, {})
    guard.until(lambda: guard.account(A).get("state") == "locked", "locked")


def verified(guard: Mortal) -> bool:
    answer = guard.ask("history", AskHistory(kind="enforcement"))
    return bool(answer and answer["history"]) and all(line["verified"] for line in answer["history"])


# ------------------------------------------------------------------------------------------ the end


def left_behind(guard: Mortal) -> Outcome:
    """What gateway, store and people have of it at the end, without what may differ: times, ids of ours."""
    guarding(guard)
    accounts = {one["name"]: one for one in guard.until(lambda: guard.status().get("accounts"), "its end")}
    guard.stop()
    store = Store.open(guard.home.database, guard.now, guard.home.backups)
    try:
        return {
            "positions": {account: guard.held(account) for account in (1001, 1002)},
            "working orders": [
                o["id"] for o in guard.control(op="state")["orders"] if o["status"] in (1, 6, 8)
            ],
            "closes": closes(guard),
            "figures": {n: (one["realized"], one["net"], one["trades"]) for n, one in accounts.items()},
            "lockouts": sorted(
                (one.account, one.rule, one.kind.value, str(one.until)) for one in store.live_lockouts()
            ),
            "fills": fills(guard, store),
            "breaches": counted(store, "breach", "rule", "contract", "mode", "cause"),
            "lines of lockouts": counted(store, "lockout", "rule", "lockout_kind"),
            "demands": counted(store, "demand", "rule", "contract", "target"),
            "receipts": counted(store, "enforcement", "rules", "verified"),
            "left open": [one.id for a in (1001, 1002) for one in recovered(guard, store, a).open_receipts],
            "told of lockouts": sorted(told_of_lockouts(store)),
            "audit": store.verify_audit().broken_at,
        }
    finally:
        store.close()


def closes(guard: Mortal) -> list[tuple[str, str, int | None]]:
    """Closes that reached the gateway. A market order on a locked account may be met by a cancel, which then
    comes late."""
    calls = guard.control(op="calls")["calls"]
    bodies = [(c["path"], c["body"]) for c in calls if c["path"].startswith("Position/")]
    return sorted((path, body["contractId"], body.get("size")) for path, body in bodies)


def working(guard: Mortal) -> list[int]:
    return [order["id"] for order in guard.control(op="state")["orders"] if order["status"] in (1, 6, 8)]


def recovered(guard: Mortal, store: Store, account: int) -> Any:
    return store.recover(AccountId(account), guard.now - timedelta(hours=10))


def fills(guard: Mortal, store: Store) -> list[tuple[Any, ...]]:
    return sorted(
        (f.contract, f.size, f.price, f.pnl, f.fees, one.own.value, one.day.isoformat())
        for one in recovered(guard, store, 1001).fills
        for f in [one.fill]
    )


def counted(store: Store, kind: str, *parts: str) -> dict[str, int]:
    lines = store.history(HistoryQuery(HistoryKind(kind), account=A, limit=1000))
    told = [" ".join(_nameless(str(line.get(part))) for part in parts) for line in lines]
    return dict(sorted(Counter(told).items()))


def _nameless(text: str) -> str:
    """The gateway numbers fills as they come: the number is no part of what happened."""
    return re.sub(r"fill:\d+", "fill", text)


def told_of_lockouts(store: Store) -> set[str]:
    """Alerts of lockouts on record: at least once each."""
    lines = store.history(HistoryQuery(HistoryKind.ALERT, limit=1000))
    return {str(line["message"]) for line in lines if line["component"] == "lockout"}
