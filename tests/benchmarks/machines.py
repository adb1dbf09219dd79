"""The pure machines without any thread: what deciding costs, and whether it grows with the day.

One quote from its bytes to the judgements of all rules, and synthetic days of trading replayed through
account and rules, every snapshot judged by whoever it wakes. Quotes go the way they go in the account actor:
the band first, and only what leaves it is applied, numbered and looked at by every bound.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pysignalr.protocol.json import JSONProtocol

from actors.account.apply import apply
from actors.account.band import Band
from actors.account.ledger import Ledger
from actors.account.state import AccountEvent, AccountState
from actors.account.view import snapshot_of
from actors.connection import translate
from actors.connection.ingest import merged
from actors.messages import (
    AccountId,
    AccountReport,
    AccountSnapshot,
    ContractId,
    ContractRead,
    Filled,
    LinkState,
    Now,
    OrderChanged,
    PositionChanged,
    Quoted,
)
from actors.rules.bounds import Side, side
from actors.rules.registry import BuiltRule, build
from actors.rules.rule import Wake
from actors.trading_day import TradingCalendar
from config.load import settings_from

ACCOUNT, NAME, CONTRACT = AccountId(1001), "PRAC-V2-1001", "CON.F.US.MNQ.Z25"
OPENED = datetime(2025, 11, 19, 15, 0, tzinfo=UTC)
SESSION = {"start": "08:30", "end": "15:00"}
RULES: dict[str, dict[str, object]] = {
    "max_contracts": {"limit": 50},
    "max_contracts_per_instrument": {"default_limit": 50, "limits": {"MNQ": 40}},
    "daily_realized_loss": {"limit": -500000},
    "daily_unrealized_loss": {"limit": -400000},
    "max_unrealized_profit": {"target": 400000},
    "daily_realized_profit": {"target": 500000},
    "trade_frequency_limit": {"per_minute": 400, "per_hour": 9000, "per_session": 90000},
    "cooldown_after_loss": {"tiers": [{"loss": -400000, "cooldown": "1s"}]},
    "no_stop_loss_grace": {"mode": "armed", "grace": "1h"},
    "session_block_outside": {"session": "main"},
    "auth_loss_guard": {},
    "symbol_blocks": {"mode": "armed", "blocked": ["CL"]},
    "trade_management": {"mode": "armed", "trailing": {"after_ticks": 4000, "distance_ticks": 4000}},
}
TRADES = 1000
"""Round turns of the synthetic day; each is two orders, two fills, two positions and eight quotes."""
FEW = tuple(
    translate.Prices(ContractId(CONTRACT), price, price - 0.25, price + 0.25, None)
    for price in (21000.0, 21000.25, 21000.5, 21000.75) * 2
)
"""Quotes of a round turn, half of them while the position is open."""
REPEATS = 2000
STALE_S = 10.0
SEPARATOR = "\x1e"
RECORDED_TRADES, RECORDED_QUOTES = 100, 2000
"""Round turns of the recorded day, and quotes of each: half of them while the position is open."""
ROUNDS = 5


class Guarded:
    """Account and rules of one account, called one after the other."""

    def __init__(self) -> None:
        settings = settings_from(
            {
                "gateway": {"kind": "simulator"},
                "accounts": "all",
                "sessions": {"main": SESSION},
                "rules": RULES,
            }
        )
        self.calendar = TradingCalendar.of(settings)
        self.rules: tuple[BuiltRule, ...] = build(settings, NAME, self.calendar)
        self.states: dict[str, object] = {built.name: built.rule.initial() for built in self.rules}
        self.sides: dict[str, Side] = {}
        self.now = Now(OPENED, 1000.0)
        day, start = self.calendar.trading_day(OPENED), self.calendar.previous_reset(OPENED)
        self.state = AccountState(
            ACCOUNT,
            NAME,
            Ledger(day, start),
            report=AccountReport(ACCOUNT, NAME, can_trade=True),
            link=LinkState.LIVE,
            link_since=OPENED,
            read_mono=1000.0,
            session_since=start,
        )
        self.quote: Quoted | None = None
        self.late: Quoted | None = None
        self.band: Band | None = None
        self.protocol = JSONProtocol()
        self.events = 0
        self.hear(ContractRead(translate.contract(RECORD), OPENED))

    def hear(self, event: AccountEvent) -> AccountSnapshot | None:
        """Apply, number, and let everybody judge whom it wakes; None where nothing changed."""
        self.events += 1
        self.band = None
        self.catch_up()
        step = apply(self.state, event, self.calendar, self.now)
        self.state = step.state
        if not step.changed:
            return None
        self.state = msgspec.structs.replace(self.state, seq=self.state.seq + 1)
        snapshot = snapshot_of(self.state, self.now, STALE_S, step.cause, step.cause_at)
        crossed = self.crossed(snapshot)
        changed = step.changed - {Wake.PRICE} if isinstance(event, Quoted) else step.changed
        for built in self.rules:
            if built.rule.wakes_on & changed or built.name in crossed:
                self.judge(built, snapshot)
        return snapshot

    def crossed(self, snapshot: AccountSnapshot) -> set[str]:
        found = set[str]()
        for built in self.rules:
            if Wake.PRICE in built.rule.wakes_on:
                now = side(built.rule.bounds(snapshot), snapshot)
                if now != self.sides.get(built.name):
                    self.sides[built.name] = now
                    found.add(built.name)
        return found

    def judge(self, built: BuiltRule, snapshot: AccountSnapshot) -> None:
        judged = built.rule.judge(self.states[built.name], snapshot, snapshot.now)
        self.states[built.name] = judged.state

    def catch_up(self) -> None:
        """The state takes the prices that nobody was told of."""
        if self.late is not None:
            self.state = apply(self.state, self.late, self.calendar, self.now).state
            self.late = None

    def priced(self, prices: translate.Prices) -> AccountSnapshot | None:
        """Prices as the account actor takes them; None where they are nobody's business."""
        quote = self.quote = merged(self.quote, prices, self.now.mono)
        if self.band is not None and self.band.takes(quote, self.now.mono):
            self.late = quote
            self.events += 1
            return None
        snapshot = self.hear(quote)
        if snapshot is not None:
            asked = (built.rule for built in self.rules if Wake.PRICE in built.rule.wakes_on)
            bounds = [bound for rule in asked for bound in rule.bounds(snapshot)]
            self.band = Band(self.state, snapshot, bounds, STALE_S)
        return snapshot

    def quoted(self, frame: str) -> AccountSnapshot | None:
        return self.priced(self.decoded(frame))

    def decoded(self, frame: str) -> translate.Prices:
        """By the protocol of the hub's own library, then by ours."""
        (message,) = self.protocol.decode(frame)
        contract, payload = message.arguments
        return translate.quote(contract, payload)

    def trade(self, number: int, quotes: Sequence[translate.Prices] = FEW) -> None:
        """One round turn a few seconds after the last: buy, quotes, sell, quotes."""
        half_way = len(quotes) // 2
        for half, pnl in ((0, None), (1, 5.0 if number % 3 else -4.0)):
            self.now = Now(self.now.wall + timedelta(seconds=2), self.now.mono + 2.0)
            at, id_ = self.now.wall.isoformat(), 2 * number + half + 1
            self.hear(OrderChanged(translate.order(order_row(id_, half, 1, at)), self.now.mono))
            self.hear(OrderChanged(translate.order(order_row(id_, half, 2, at)), self.now.mono))
            self.hear(Filled(translate.fill(fill_row(id_, half, pnl, at)), self.now.mono))
            self.hear(PositionChanged(translate.position(position_row(half, at)), self.now.mono))
            for prices in quotes[half_way:] if half else quotes[:half_way]:
                self.priced(prices)


RECORD = {
    "id": CONTRACT,
    "name": "MNQZ5",
    "description": "Micro E-mini Nasdaq-100: December 2025",
    "tickSize": 0.25,
    "tickValue": 0.5,
    "activeContract": True,
    "symbolId": "F.US.MNQ",
}


def order_row(id_: int, half: int, status: int, at: str) -> dict[str, object]:
    return {
        "id": id_,
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
        "creationTimestamp": at,
        "updateTimestamp": at,
        "status": status,
        "type": 2,
        "side": half,
        "size": 1,
        "fillVolume": status - 1,
    }


def fill_row(id_: int, half: int, pnl: float | None, at: str) -> dict[str, object]:
    return {
        "id": id_,
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
        "creationTimestamp": at,
        "price": 21000.0 + (pnl or 0.0) / 2,
        "profitAndLoss": pnl,
        "fees": 0.37,
        "side": half,
        "size": 1,
        "voided": False,
        "orderId": id_,
    }


def position_row(half: int, at: str) -> dict[str, object]:
    return {
        "id": 1,
        "accountId": ACCOUNT,
        "contractId": CONTRACT,
        "creationTimestamp": at,
        "type": 0 if half else 1,
        "size": 0 if half else 1,
        "averagePrice": 21000.0,
    }


def quote_frame(price: float) -> str:
    row = {"symbol": "F.US.MNQ", "lastPrice": price, "bestBid": price - 0.25, "bestAsk": price + 0.25}
    return json.dumps({"type": 1, "target": "GatewayQuote", "arguments": [CONTRACT, row]}) + SEPARATOR


def run() -> list[dict[str, object]]:
    """Rows for the table."""
    return [*one_quote(), a_day(), recorded()]


def one_quote() -> list[dict[str, object]]:
    """One quote of a contract with a position, after a day of two hundred trades."""
    guarded, frame = Guarded(), quote_frame(21000.0)
    for number in range(200):
        guarded.trade(number)
    at = guarded.now.wall.isoformat()
    guarded.hear(Filled(translate.fill(fill_row(900, 0, None, at)), guarded.now.mono))

    def outside() -> AccountSnapshot:
        guarded.band = None
        snapshot = guarded.quoted(frame)
        assert snapshot is not None
        return snapshot

    def judged() -> None:
        snapshot = outside()
        for built in guarded.rules:
            guarded.judge(built, snapshot)

    outside()
    base = each_us(lambda: guarded.decoded(frame))
    count = len(guarded.rules)
    inside = line(f"one quote: decode, account, {count} rules", each_us(lambda: guarded.quoted(frame)), base)
    return [
        inside | {"target": "<= 5 us: " + ("held" if inside["value"] <= 5.0 else "MISSED")},
        line("one quote that leaves the band: all bounds anew", each_us(outside), base),
        line(f"one quote: the same, all {count} rules judging", each_us(judged), base),
    ]


def line(name: str, value: float, base: float) -> dict[str, Any]:
    return {
        "line": name,
        "value": round(value, 1),
        "unit": "us",
        "peer": f"decode alone: {base:.1f} us",
        "ratio": round(value / base, 1),
    }


def a_day() -> dict[str, object]:
    """Events a second over a whole day, and how much slower its last tenth is than its first."""
    rates, growth = list[float](), list[float]()
    for _ in range(ROUNDS):
        guarded, tenths = Guarded(), list[float]()
        for tenth in range(10):
            began = time.perf_counter()
            for number in range(TRADES // 10 * tenth, TRADES // 10 * (tenth + 1)):
                guarded.trade(number)
            tenths.append(time.perf_counter() - began)
        rates.append(guarded.events / sum(tenths))
        growth.append(tenths[-1] / tenths[0])
    return {
        "line": f"a day of {TRADES} round turns, {len(guarded.rules)} rules",
        "value": round(statistics.median(rates)),
        "unit": "ev/s",
        "peer": "last tenth of the day against its first",
        "ratio": round(statistics.median(growth), 2),
        "spread": f"{min(growth):.2f}..{max(growth):.2f}",
    }


def recorded() -> dict[str, object]:
    """Events a second over a recorded day that is mostly quotes, a walk of single ticks; decoded before."""
    rates, chance = list[float](), random.Random(1)
    for _ in range(ROUNDS):
        guarded, tick = Guarded(), 0
        day = list[list[translate.Prices]]()
        for _ in range(RECORDED_TRADES):
            turn = list[translate.Prices]()
            for _ in range(RECORDED_QUOTES):
                tick += chance.choice((-1, 0, 1))
                price = 21000.0 + tick * 0.25
                turn.append(translate.Prices(ContractId(CONTRACT), price, price - 0.25, price + 0.25, None))
            day.append(turn)
        began = time.perf_counter()
        for number, turn in enumerate(day):
            guarded.trade(number, turn)
        rates.append(guarded.events / (time.perf_counter() - began))
    rate = statistics.median(rates)
    return {
        "line": f"a recorded day, {RECORDED_QUOTES} quotes to a round turn",
        "value": round(rate),
        "unit": "ev/s",
        "peer": "of 300,000 events/s",
        "ratio": round(300_000 / rate, 2),
        "target": 1.0,
    }


def each_us(work: Callable[[], Any]) -> float:
    rounds = list[float]()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REPEATS // ROUNDS):
            work()
        rounds.append((time.perf_counter() - began) / (REPEATS // ROUNDS) * 1e6)
    return statistics.median(rounds)
