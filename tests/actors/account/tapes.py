"""Fill tapes and the broker that made them: an exact-rational recomputation of position and P&L.

Written apart from the product's book (first principles, fractions only), so that agreement means
something. Every instrument of the exchange table is used.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st
from msgspec import Struct

from actors.messages import (
    AccountId,
    AccountReport,
    BrokerSnapshot,
    Contract,
    ContractId,
    Fill,
    FillId,
    Now,
    OrderId,
    PositionReport,
)
from config.instruments import TICKS

ACCOUNT = AccountId(1001)
DAY = date(2026, 3, 4)
START = datetime(2026, 3, 3, 23, tzinfo=UTC)
NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)
NOW = Now(NOON, 1000.0)


class OneDay:
    """A calendar whose trading days run from 23:00 UTC to 23:00 UTC."""

    def trading_day(self, instant: datetime) -> date:
        return (instant + timedelta(hours=1)).date()

    def previous_reset(self, now: datetime) -> datetime:
        day = self.trading_day(now)
        return datetime(day.year, day.month, day.day, 23, tzinfo=UTC) - timedelta(days=1)


def contract(root: str) -> Contract:
    ticks = TICKS[root]
    size = Decimal(ticks.size.numerator) / ticks.size.denominator
    return Contract(
        ContractId(f"CON.F.US.{root}.H26"), root, f"{root}H6", size, ticks.value, float(ticks.size)
    )


CONTRACTS = tuple(contract(root) for root in TICKS)
"""Every instrument of the exchange table."""
MNQ, ES = contract("MNQ"), contract("ES")


class Trade(Struct, frozen=True):
    """One execution as a trader makes it: contract, signed size, price in ticks, fees per half-turn."""

    contract: Contract
    size: int
    ticks: int
    fees: int


def _tape(contracts: list[Contract]) -> st.SearchStrategy[list[Trade]]:
    trades = st.builds(
        Trade,
        st.sampled_from(contracts),
        st.integers(-4, 4).filter(bool),
        st.integers(4000, 4060),
        st.sampled_from([0, 3600, 6100]),
    )
    return st.lists(trades, min_size=1, max_size=30)


# A few products a tape, so that scale-ins, partial closes and reversals come up often.
tapes = st.lists(st.sampled_from(CONTRACTS), min_size=1, max_size=3, unique=True).flatmap(_tape)


class Broker:
    """Books trades by average cost in fractions, and speaks as the gateway does."""

    def __init__(self) -> None:
        self.size: dict[ContractId, int] = {}
        self.cost: dict[ContractId, Fraction] = {}
        self.contract: dict[ContractId, Contract] = {}
        self.fills: list[Fill] = []

    def trade(self, trade: Trade) -> Fill:
        key = trade.contract.id
        self.contract[key] = trade.contract
        size, cost = self.size.get(key, 0), self.cost.get(key, Fraction(0))
        pnl = None
        closing = min(abs(size), abs(trade.size)) if size * trade.size < 0 else 0
        if closing:
            side = 1 if size > 0 else -1
            average = cost / size
            pnl = round(side * closing * (trade.ticks - average) * trade.contract.tick_value)
            cost -= average * side * closing
            size -= side * closing
        opening = trade.size + closing * (1 if trade.size < 0 else -1)
        self.size[key] = size + opening
        self.cost[key] = cost + opening * trade.ticks
        number = len(self.fills) + 1
        fill = Fill(
            FillId(number),
            ACCOUNT,
            OrderId(number),
            key,
            NOON + timedelta(seconds=number),
            trade.size,
            float(trade.contract.price(trade.ticks)),
            pnl,
            trade.fees,
        )
        self.fills.append(fill)
        return fill

    def realized(self) -> int:
        return sum((f.pnl or 0) - f.fees for f in self.fills if not f.voided)

    def reports(self) -> tuple[PositionReport, ...]:
        found = []
        for key, size in self.size.items():
            if size:
                average = float(self.cost[key] / size * Fraction(self.contract[key].tick_size))
                found.append(PositionReport(ACCOUNT, key, size, average, NOON))
        return tuple(found)

    def snapshot(self, mono: float) -> BrokerSnapshot:
        report = AccountReport(ACCOUNT, "A", can_trade=True)
        return BrokerSnapshot(
            report, self.reports(), (), tuple(self.fills), START, mono, mono + 0.01, 1, "test"
        )
