"""Accounts to judge: a desk that trades on the real account machine, and single parts valid by default.

A desk is told what a person does ("buy 3 MNQ at 21000") and gives the snapshot that the account actor
would have sent. `Watching` hosts a rule as its actor does: the state is written down and read again
between any two judgements.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from actors.account.apply import apply
from actors.account.ledger import Ledger
from actors.account.state import AccountEvent, AccountState
from actors.account.view import snapshot_of
from actors.messages import (
    AccountChanged,
    AccountId,
    AccountReport,
    AccountSnapshot,
    BrokerSnapshot,
    CloseSent,
    Contract,
    ContractId,
    ContractRead,
    ContractUnknown,
    DayReset,
    Fill,
    Filled,
    FillId,
    LinkChanged,
    LinkState,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OrderStatus,
    OrderType,
    OwnClose,
    PositionChanged,
    PositionReport,
    Quoted,
    Rebased,
)
from actors.rules.registry import build
from actors.rules.rule import AnyRule, Judgement
from actors.trading_day import TradingCalendar
from config.checks import settings_from
from config.instruments import TICKS
from config.settings import Rules, Settings

ACCOUNT = AccountId(1001)
NAME = "PRAC-V2-1001"
CHICAGO = ZoneInfo("America/Chicago")
MORNING = datetime(2025, 11, 19, 10, 0, tzinfo=CHICAGO)
"""A Wednesday at 10:00 in Chicago, inside the session 08:30-15:00."""
MAIN_SESSION = {"start": "08:30", "end": "15:00"}
STALE_AFTER_S = 10.0


def some_settings(*, sessions: dict[str, object] | None = None, **rules: dict[str, object]) -> Settings:
    """A checked configuration with these rules, everything else left out."""
    return settings_from(
        {
            "gateway": {"kind": "simulator"},
            "accounts": "all",
            "sessions": sessions or {"main": MAIN_SESSION},
            "rules": rules,
        }
    )


def some_rules(**rules: dict[str, object]) -> Rules:
    return some_settings(**rules).rules


def a_rule(name: str, *, sessions: dict[str, object] | None = None, **config: object) -> Watching:
    """One armed rule, with this configuration and defaults for the rest."""
    settings = some_settings(sessions=sessions, **{name: {"mode": "armed", **config}})
    return Watching(build(settings, NAME, TradingCalendar.of(settings))[0].rule)


def a_calendar(settings: Settings | None = None) -> TradingCalendar:
    return TradingCalendar.of(settings or some_settings())


def a_contract(root: str = "MNQ", month: str = "Z25") -> Contract:
    """A listed contract with the exchange's ticks."""
    ticks = TICKS[root]
    size = Decimal(ticks.size.numerator) / Decimal(ticks.size.denominator)
    return Contract(
        ContractId(f"CON.F.US.{root}.{month}"),
        root,
        f"{root}{month[0]}{month[-1]}",
        size,
        ticks.value,
        float(size),
    )


class Desk:
    """One account at the broker, in the hands of its trader."""

    def __init__(self, at: datetime = MORNING, calendar: TradingCalendar | None = None) -> None:
        self.calendar = calendar or a_calendar()
        self.now = Now(at.astimezone(UTC), 1000.0)
        self._numbers = 0
        day = self.calendar.trading_day(self.now.wall)
        start = self.calendar.previous_reset(self.now.wall)
        report = AccountReport(ACCOUNT, NAME, can_trade=True)
        self._state = AccountState(
            ACCOUNT,
            NAME,
            Ledger(day, start),
            report=report,
            link=LinkState.LIVE,
            link_since=self.now.wall,
            linked=True,
            read_mono=self.now.mono,
            session_since=start,
        )

    # What the trader does

    def buy(self, what: str, size: int, price: float, **more: Any) -> AccountSnapshot:
        return self._fill(what, size, price, **more)

    def sell(self, what: str, size: int, price: float, **more: Any) -> AccountSnapshot:
        return self._fill(what, -size, price, **more)

    def trade(self, dollars: str | int, root: str = "MNQ", **more: Any) -> AccountSnapshot:
        """Open and close one contract with this result; the closing fill's snapshot."""
        self._fill(root, 1, 21000.0)
        return self._fill(root, -1, 21000.0, pnl=round(Fraction(dollars) * 10_000), **more)

    def place(
        self,
        what: str,
        size: int,
        *,
        stop: float | None = None,
        limit: float | None = None,
        kind: OrderType | None = None,
        status: OrderStatus = OrderStatus.OPEN,
        tag: str | None = None,
    ) -> Order:
        """A working order; a stop where `stop` is given, else a limit."""
        order = Order(
            id=OrderId(self._number()),
            account=ACCOUNT,
            contract=self.contract(what).id,
            type=kind or (OrderType.STOP if stop is not None else OrderType.LIMIT),
            status=status,
            size=size,
            filled=0,
            created_at=self.now.wall,
            updated_at=self.now.wall,
            limit_price=limit,
            stop_price=stop,
            tag=tag,
        )
        self.hear(OrderChanged(order, self.now.mono))
        return order

    def change(self, order: Order, **changes: Any) -> AccountSnapshot:
        new = msgspec.structs.replace(order, updated_at=self.now.wall, **changes)
        return self.hear(OrderChanged(new, self.now.mono))

    def cancel(self, order: Order) -> AccountSnapshot:
        return self.change(order, status=OrderStatus.CANCELLED)

    # What the market and the gateway do

    def price(
        self, what: str, last: float | None, bid: float | None = None, ask: float | None = None
    ) -> AccountSnapshot:
        """A price alone means last = bid = ask."""
        both = last if bid is None and ask is None else None
        bid, ask = (both, both) if both is not None else (bid, ask)
        return self.hear(Quoted(self.contract(what).id, last, bid, ask, self.now.mono))

    def wait(self, seconds: float) -> AccountSnapshot:
        self.now = Now(self.now.wall + timedelta(seconds=seconds), self.now.mono + seconds)
        return self.snapshot("time", self.now.wall)

    def until(self, local: datetime) -> AccountSnapshot:
        return self.wait((local.astimezone(UTC) - self.now.wall).total_seconds())

    def reset(self) -> AccountSnapshot:
        return self.hear(DayReset(self.calendar.trading_day(self.now.wall), self.now.wall))

    def rebase(self) -> AccountSnapshot:
        return self.hear(Rebased(ACCOUNT, self.now.wall, "admin"))

    def can_trade(self, value: bool | None) -> AccountSnapshot:
        return self.hear(AccountChanged(AccountReport(ACCOUNT, NAME, value), self.now.mono))

    def link(self, state: LinkState, *, auth_failed: bool = False) -> AccountSnapshot:
        return self.hear(LinkChanged(state, self.now.wall, 1, "test", auth_failed))

    def void(self, fill: int) -> AccountSnapshot:
        booked = self._state.ledger.find(FillId(fill))
        assert booked is not None
        return self.hear(Filled(msgspec.structs.replace(booked.fill, voided=True), self.now.mono))

    def report(self, what: str, size: int, average: float = 21000.0) -> AccountSnapshot:
        """The gateway's position event."""
        report = PositionReport(ACCOUNT, self.contract(what).id, size, average, self.now.wall)
        return self.hear(PositionChanged(report, self.now.mono))

    def unknown(self, contract: str) -> AccountSnapshot:
        return self.hear(ContractUnknown(ContractId(contract), "no such contract"))

    def read(self, *adopted: PositionReport) -> AccountSnapshot:
        """A read by REST that shows what the account already knows, and positions no fill explains."""
        known = tuple(
            PositionReport(ACCOUNT, h.contract, h.size, 21000.0, h.opened_at)
            for h in self._state.book.values()
        )
        orders = tuple(seen.order for seen in self._state.orders.values())
        fills = tuple(b.fill for b in self._state.ledger.booked)
        report = self._state.report
        assert report is not None
        mono, since = self.now.mono, self._state.ledger.since
        return self.hear(
            BrokerSnapshot(report, (*known, *adopted), orders, fills, since, mono, mono, 1, "test")
        )

    def adopt(self, what: str, size: int, average: float = 21000.0) -> AccountSnapshot:
        """A position that no fill explains; two reads in a row agree on it."""
        opened_at = self.now.wall - timedelta(days=2)
        report = PositionReport(ACCOUNT, self.contract(what).id, size, average, opened_at)
        self.read(report)
        return self.read(report)

    def own_close(self, what: str, size: int, cause: OwnClose) -> None:
        """A close of ours is on its way: what fills on that side is not the trader's."""
        self.hear(CloseSent(self.contract(what).id, size, cause, self.now.mono))

    # What comes of it

    def contract(self, what: str) -> Contract:
        """`MNQ`, or another expiry as `MNQ.H26`; its record is read at first sight."""
        root, _, month = what.partition(".")
        record = a_contract(root, month or "Z25")
        if record.id not in self._state.contracts:
            self.hear(ContractRead(record, self.now.wall))
        return record

    def hear(self, event: AccountEvent) -> AccountSnapshot:
        step = apply(self._state, event, self.calendar, self.now)
        self._state = step.state
        return self.snapshot(step.cause, step.cause_at)

    def snapshot(self, cause: str = "reborn", cause_at: datetime | None = None) -> AccountSnapshot:
        self._state = msgspec.structs.replace(self._state, seq=self._state.seq + 1)
        return snapshot_of(self._state, self.now, STALE_AFTER_S, cause, cause_at)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _fill(
        self,
        what: str,
        size: int,
        price: float,
        *,
        order: int | None = None,
        fees: str | int = 0,
        pnl: int | None = None,
        number: int | None = None,
        own: OwnClose = OwnClose.NO,
    ) -> AccountSnapshot:
        record = self.contract(what)
        if own is not OwnClose.NO:
            self.own_close(what, -size, own)
        number = number or self._number()
        fill = Fill(
            id=FillId(number),
            account=ACCOUNT,
            order=OrderId(number if order is None else order),
            contract=record.id,
            at=self.now.wall,
            size=size,
            price=price,
            pnl=self._result(record, size, price) if pnl is None else pnl,
            fees=round(Fraction(fees) * 10_000),
        )
        return self.hear(Filled(fill, self.now.mono))

    def _result(self, record: Contract, size: int, price: float) -> int | None:
        """What the broker says a fill earned: null on an opening half."""
        held = self._state.book.get(record.id)
        if held is None or held.cost is None or held.size * size > 0:
            return None
        closed = min(abs(size), abs(held.size)) * (1 if held.size > 0 else -1)
        gained = closed * (record.ticks(price) - Fraction(held.cost) / held.size)
        return round(gained * record.tick_value)


class Watching:
    """A rule with its state, as its actor keeps it."""

    def __init__(self, rule: AnyRule) -> None:
        self.rule = rule
        self.state = rule.initial()

    def judge(self, snapshot: AccountSnapshot) -> Judgement[object]:
        judged = self.rule.judge(self.state, snapshot, snapshot.now)
        self.state = self.rule.decode(self.rule.encode(judged.state))
        assert self.state == judged.state
        return judged
