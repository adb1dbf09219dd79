"""What the store costs: a lockout made durable, trades written as fast as they come, answers at a million of
them, and what eight hours leave in memory and on disk.

Everything real: actors in their threads, SQLite on the disk at hand, for the eight hours the whole guard at a
simulated gateway on a clock that is moved. Beside a commit stands the bare one of SQLite on the same disk.
"""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from actors.board import Board
from actors.clock import SystemClock
from actors.enforcement.actor import EnforcementActor, Neighbours
from actors.enforcement.journal import Journal
from actors.messages import (
    AccountId,
    Called,
    ContractId,
    Fill,
    FillId,
    Flush,
    HistoryKind,
    Lock,
    LockKind,
    Mode,
    Now,
    OrderId,
    Outcome,
    OwnClose,
    Record,
    StoreFill,
    StoreLockout,
    Verdict,
)
from actors.persistence import history, reading
from actors.persistence.actor import PersistenceActor
from actors.persistence.queries import HistoryQuery, ReportQuery, WhyQuery
from actors.persistence.schema import instant_text
from actors.persistence.store import Store
from supervisor.handle import Handle
from tests.actors.hosting import Hosted
from tests.builders import ACCOUNT, NAME, Desk
from tests.scenarios.desk import desk

type Row = dict[str, object]

LOCKOUTS = 300
DURABLE_MS = 5.0
MNQ = ContractId("CON.F.US.MNQ.H26")
RATE, SECONDS = 500, 10.0
TRADES = 1_000_000
DAYS = 250
ANSWER_MS = 200.0
MINUTES, PER_MINUTE = 480, 2
"""Each trade comes as about five events: the order twice, the trade, the position, the account."""
GROWTH_MB = 20.0


def run() -> list[Row]:
    """One row per figure."""
    return [*lockouts(), *trades(), *answers(), *eight_hours()]


def row(
    line: str,
    value: float,
    unit: str,
    *,
    limit: float | None = None,
    floor: float | None = None,
    note: str = "",
) -> Row:
    against = limit if limit is not None else floor
    named = {"limit": limit, "bare SQLite": floor}
    peer = ", ".join(f"{name} {number:,.2f}" for name, number in named.items() if number is not None)
    return {
        "line": line,
        "value": round(value, 3),
        "unit": unit,
        "peer": peer,
        "ratio": round(value / against, 3) if against else None,
        "target": None if limit is None else 1.0,
        "spread": note,
    }


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


# ---------------------------------------------------------------------------------- a lockout made durable


class Watched(Store):
    """A store that notes when a lockout became durable, and how long after it was told each fill did."""

    def watch(self) -> None:
        self.durable: dict[datetime, float] = {}
        self.late: list[float] = []
        self.told: dict[int, float] = {}

    def apply(self, batch):  # type: ignore[no-untyped-def,override]
        refused = super().apply(batch)
        now = time.perf_counter()
        for command in batch:
            if isinstance(command, StoreLockout) and command.lockout.until is not None:
                self.durable.setdefault(command.lockout.until, now)
            elif isinstance(command, StoreFill):
                self.late.append(now - self.told.pop(command.fill.id))
        return refused


class Answering:
    """Takes calls as the gateway loop does, and answers each after the time of a round trip."""

    def __init__(self, clock: SystemClock, answer_s: float) -> None:
        self.clock, self.answer_s = clock, answer_s

    def submit(self, call, reply_to) -> None:  # type: ignore[no-untyped-def]
        wall, mono = self.clock.wall(), self.clock.mono()
        called = Called(call, Outcome.CONFIRMED, 0, "", wall, mono, mono)
        threading.Timer(self.answer_s, lambda: reply_to.tell(called)).start()

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        threading.Timer(seconds, call).start()


def lockouts(count: int = LOCKOUTS, answer_s: float = 0.03) -> list[Row]:
    """From the verdict of a breach, with a position to be closed, to the journal and to the commit."""
    written: list[float] = []
    committed: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        store = Watched.open(Path(folder, "riskd.db"), clock.wall())
        assert isinstance(store, Watched)
        store.watch()
        nobody = Handle("nobody", clock)
        bare = Bare(Path(folder, "bare.db"))
        made = partial(PersistenceActor, store=store, clock=clock, board=Board(), notices=nobody)
        with Hosted("persistence", made) as kept:
            for number in range(count):
                journal = TimedJournal(Path(folder, str(number)), ACCOUNT)
                Path(folder, str(number)).mkdir()
                sender = Answering(clock, answer_s)
                one_breach(number, store, journal, kept.handle, written, committed, sender)
                bare.commit()  # in turn, so that both meet the same disk
        store.close()
        bare.close()
    middle, worst = statistics.median(bare.taken), p99(bare.taken)
    return [
        row("lockout in the journal, p50", statistics.median(written), "ms"),
        row("lockout in the journal (outlives a kill), p99", p99(written), "ms", limit=DURABLE_MS),
        row("lockout committed, p50", statistics.median(committed), "ms", floor=middle),
        row("lockout committed (outlives a power cut), p99", p99(committed), "ms", floor=worst),
    ]


def one_breach(
    number: int,
    store: Watched,
    journal: TimedJournal,
    persistence: Handle,
    written: list[float],
    committed: list[float],
    sender: Answering,
) -> None:
    clock = sender.clock
    nobody = Handle("nobody", clock)
    to = Neighbours(nobody, nobody, persistence, nobody)

    def factory(kept: object) -> EnforcementActor:
        return EnforcementActor(ACCOUNT, NAME, to, sender, clock, Board(), journal, 5.0)

    with Hosted("enforcement", factory, clock) as enforcement:
        until = clock.wall() + timedelta(hours=7, seconds=number)
        verdict = lost_day(clock, until)
        time.sleep(0.02)  # what a start leaves behind is through
        began = time.perf_counter()
        enforcement.handle.tell(verdict)
        wait(store.durable, until)
        written.append((journal.at - began) * 1e3)
        committed.append((store.durable[until] - began) * 1e3)
        enforcement.settle()


class TimedJournal(Journal):
    """A journal that notes when the first write after a look was through."""

    at = 0.0

    def write(self, memory, owner=None, *, must=False) -> bool:  # type: ignore[no-untyped-def,override]
        done = super().write(memory, owner, must=must)
        if memory.lockouts.locked and not self.at:
            self.at = time.perf_counter()
        return done


def lost_day(clock: SystemClock, until: datetime) -> Verdict:
    """A rule wants an account with an open position locked and flat."""
    made = Desk()
    made.buy("MNQ", 2, 21000.0)
    made.now = Now(clock.wall(), clock.mono())
    snapshot = made.snapshot()
    lock = Lock(LockKind.UNTIL_RESET, made.now.wall, until, "the day is lost", True, None)
    rule, seq = "daily_realized_loss", snapshot.seq
    return Verdict(ACCOUNT, rule, Mode.ARMED, seq, (), (), lock, (), snapshot, state=b"s")


class Bare:
    """One row, one commit, nothing else, on the same disk with the same settings."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {setting}")
        self._db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        self.taken: list[float] = []

    def commit(self) -> None:
        began = time.perf_counter()
        self._db.execute("INSERT INTO t (b) VALUES (?)", ("x" * 200,))
        self.taken.append((time.perf_counter() - began) * 1e3)

    def close(self) -> None:
        self._db.close()


def wait(durable: dict[datetime, float], which: datetime) -> None:
    deadline = time.monotonic() + 10.0
    while which not in durable:
        assert time.monotonic() < deadline, "it did not become durable"
        time.sleep(0.0002)


# ---------------------------------------------------------------------------------- as fast as they come


def a_fill(number: int, at: datetime, account: AccountId = ACCOUNT) -> tuple[StoreFill, Record]:
    fill = Fill(FillId(number), account, OrderId(number), MNQ, at, 1, 21_000.25, 12_500, 3_700, False)
    body: dict[str, object] = {
        "trade": number,
        "contract": MNQ,
        "side": "buy",
        "size": 1,
        "price": "21000.25",
    }
    line = Record(f"fill/{NAME}/{number}", HistoryKind.FILL, at, NAME, body | {"pnl": "1.25", "fees": "0.37"})
    return StoreFill(fill, at.date(), OwnClose.NO), line


def trades(rate: int = RATE, seconds: float = SECONDS) -> list[Row]:
    """Fills with their lines of history, evenly at this rate; how far behind durability is."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        store = Watched.open(Path(folder, "riskd.db"), clock.wall())
        assert isinstance(store, Watched)
        store.watch()
        nobody = Handle("nobody", clock)
        with Hosted(
            "persistence", lambda kept: PersistenceActor(kept, store, clock, Board(), nobody)
        ) as kept:
            began = time.perf_counter()
            for number in range(int(rate * seconds)):
                due = began + number / rate
                while (left := due - time.perf_counter()) > 0:
                    time.sleep(left)
                fill, line = a_fill(number, clock.wall())
                store.told[number] = time.perf_counter()
                kept.handle.tell(fill)
                kept.handle.tell(line)
            told_in = time.perf_counter() - began
            kept.handle.ask(Flush(), 30.0).result()
        late, count = [one * 1e3 for one in store.late], len(store.late)
        store.close()
    return [
        row(f"{rate} trades/s for {seconds:g} s: told per s", count / told_in, "/s"),
        row("  behind, p99", p99(late), "ms"),
        row("  behind at most", max(late), "ms", limit=1000.0, note="falling behind would grow with time"),
    ]


# ---------------------------------------------------------------------------------- answers at a million


def answers(count: int = TRADES) -> list[Row]:
    """Recovery of a day, history and reports, each asked five times; the slowest counts."""
    with tempfile.TemporaryDirectory() as folder:
        path, now = Path(folder, "riskd.db"), datetime.now(UTC)
        fill_up(path, now, count)
        began = time.perf_counter()
        store = Store.open(path, now)
        opened = (time.perf_counter() - began) * 1e3
        rows = [row(f"opening a store of {count:,} trades", opened, "ms")]
        for name, ask in questions(now).items():
            taken = []
            for _ in range(5):
                began = time.perf_counter()
                ask(store)
                taken.append((time.perf_counter() - began) * 1e3)
            rows.append(row(f"  {name}", max(taken), "ms", limit=ANSWER_MS))
        store.close()
        rows.append(row("  its size", path.stat().st_size / 1e6, "MB"))
    return rows


def questions(now: datetime) -> dict[str, Callable[[Store], object]]:
    today, hour = now.date(), now - timedelta(hours=1)
    breach = HistoryKind.BREACH
    return {
        "recovery of the day": lambda s: reading.recovered(s._db, ACCOUNT, now - timedelta(hours=24)),
        "alerts told before": lambda s: s.alerts(),
        "history, newest 200": lambda s: s.history(HistoryQuery()),
        "history of a rare kind": lambda s: s.history(HistoryQuery(breach, account=NAME)),
        "history of a kind since": lambda s: s.history(HistoryQuery(HistoryKind.FILL, since=hour)),
        "history of an account, long ago": lambda s: s.history(
            HistoryQuery(account=NAME, until=now - timedelta(days=200))
        ),
        "why, the last": lambda s: s.why(WhyQuery()),
        "why, by its short id": lambda s: s.why(WhyQuery("b10")),
        "why, of what is not there": lambda s: s.why(WhyQuery("no such thing")),
        "report day": lambda s: history.days(s._db, ReportQuery(today, today)),
        "report week": lambda s: history.days(s._db, ReportQuery(today - timedelta(days=6), today)),
        "report month": lambda s: history.days(s._db, ReportQuery(today - timedelta(days=30), today)),
    }


def fill_up(path: Path, now: datetime, count: int) -> None:
    """Trades and their lines over a trading year, one breach in five hundred."""
    Store.open(path, now).close()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("BEGIN")
    start, step = now - timedelta(days=DAYS), timedelta(days=DAYS) / count
    fills, lines = fill_rows(start, step, count), line_rows(start, step, count)
    db.executemany("INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", fills)
    db.executemany("INSERT INTO history (id, at, kind, account, body) VALUES (?, ?, ?, ?, ?)", lines)
    days = [(ACCOUNT, (now - timedelta(days=n)).date().isoformat(), NAME, 100, 4000) for n in range(DAYS)]
    db.executemany("INSERT INTO days VALUES (?, ?, ?, ?, ?)", days)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def fill_rows(start: datetime, step: timedelta, count: int) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        at = start + step * number
        text, day = instant_text(at), at.date().isoformat()
        yield (ACCOUNT, number, number, MNQ, text, 1, "21000.25", 12_500, 3_700, 0, day, "no")


def line_rows(start: datetime, step: timedelta, count: int) -> Iterator[tuple[object, ...]]:
    body = '{"contract":"CON.F.US.MNQ.H26","fees":"0.37","own":"no","pnl":"1.25","price":"21000.25","size":1}'
    for number in range(count):
        text = instant_text(start + step * number)
        yield (f"fill/{NAME}/{number}", text, "fill", NAME, body)
        if number % 500 == 0:
            yield (f"breach/{NAME}/b{number}", text, "breach", NAME, '{"rule":"daily_realized_loss"}')
            for kind in ("demand", "lockout"):
                yield (f"{kind}/{NAME}/b{number}", text, kind, NAME, f'{{"breach":"b{number}"}}')
            receipt = f'{{"breaches":["b{number}"],"verified":true}}'
            yield (f"enforcement/{NAME}/b{number}", text, "enforcement", NAME, receipt)


# ---------------------------------------------------------------------------------- eight hours


def eight_hours(minutes: int = MINUTES, per_minute: int = PER_MINUTE) -> list[Row]:
    """The whole guard through eight hours of trades and quotes; what memory and disk have grown by."""
    rules = {
        "max_contracts": {"mode": "armed", "limit": 50},
        "daily_realized_loss": {"mode": "armed", "limit": -50_000},
        "daily_unrealized_loss": {"mode": "armed", "limit": -20_000},
        "trade_frequency_limit": {
            "mode": "armed",
            "per_minute": 1000,
            "per_hour": 10_000,
            "per_session": None,
        },
        "cooldown_after_loss": {"mode": "armed", "tiers": [{"loss": -9000, "cooldown": "5m"}]},
        "no_stop_loss_grace": {"mode": "shadow", "grace": "60s"},
        "daily_realized_profit": {"mode": "armed", "target": 100_000},
    }
    chance = random.Random(1)
    with desk(rules, at=datetime(2026, 3, 4, 8, 35, tzinfo=UTC) + timedelta(hours=6)) as at:
        grown: list[float] = []
        began_mb = disk = 0.0
        for minute in range(minutes):
            for number in range(per_minute):
                price = 21_000 + chance.randrange(-80, 80) * 0.25
                at.price("MNQ", price)
                (at.buy if number % 2 == 0 else at.sell)("MNQ", 1)
            at.advance(60)
            if minute == minutes // 10:
                began_mb = memory_mb()
            elif minute > minutes // 10:
                grown.append(memory_mb() - began_mb)
        counted = at.status()["accounts"][0]["trades"]
        at.stop()
        disk = (at.folder / "riskd.db").stat().st_size / 1e3
    assert counted == minutes * per_minute, f"{counted} of {minutes * per_minute} trades were counted"
    return [
        row(
            f"{minutes / 60:g} h, {minutes * per_minute * 5:,} events: memory, the gateway's too",
            grown[-1],
            "MB",
            limit=GROWTH_MB,
        ),
        row(f"  database of {counted:,} trades", disk, "kB"),
    ]


def memory_mb() -> float:
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss / 1e6


if __name__ == "__main__":
    import json

    wanted = sys.argv[1:] or ["lockouts", "trades", "answers", "eight_hours"]
    for part in wanted:
        for line in globals()[part]():
            print(json.dumps(line))
