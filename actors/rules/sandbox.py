"""Made-up accounts for a rule's own probe: the story of a breach, and of its near miss.

Nothing here reaches a real account. A story is a few snapshots; each must agree with itself as the
account actor's do, so a position's unrealized P&L follows from its cost and the price given.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from actors.messages import (
    AccountId,
    AccountSnapshot,
    BookedFill,
    Contract,
    ContractId,
    Exact,
    Fill,
    FillId,
    LinkState,
    Lot,
    Money,
    Now,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    OwnClose,
    PositionView,
)
from config.values import dollars

SANDBOX = AccountId(0)
ENTRY = 84_000
"""Ticks at which the made-up trades happen: MNQ at 21000.00."""


def contract(root: str = "MNQ", *, month: str = "Z25") -> Contract:
    """A made-up contract with MNQ's ticks: 0.25 points, 0.50 dollars."""
    name = f"{root}{month[0]}{month[-1]}"
    return Contract(
        ContractId(f"CON.F.US.{root}.{month}"), root, name, Decimal("0.25"), dollars("0.50"), 0.25
    )


def position(
    record: Contract,
    size: int,
    *,
    at: datetime,
    ticks: int = ENTRY,
    mark: int | None = ENTRY,
    fill: int = 1,
    unknown: bool = False,
) -> PositionView:
    """An open position bought (or sold) in one fill at `ticks`, now worth what `mark` makes of it."""
    worth: Exact | None = None if mark is None else (mark - ticks) * size * record.tick_value
    return PositionView(
        contract=record.id,
        root=record.root,
        size=size,
        cost_ticks=ticks * size,
        lots=(Lot(at, FillId(fill), size),),
        opened_at=at,
        record=None if unknown else record,
        loss_mark=mark,
        profit_mark=mark,
        unrealized=worth,
        unrealized_profit=worth,
        unknown=unknown,
    )


def opening_fill(record: Contract, number: int, size: int, at: datetime) -> BookedFill:
    """A fill that opened `size`, of an order of its own."""
    return BookedFill(
        Fill(FillId(number), SANDBOX, OrderId(number), record.id, at, size, ENTRY * record.tick, None, 0),
        abs(size),
        0,
        OwnClose.NO,
        False,
    )


def closing_fill(record: Contract, number: int, size: int, at: datetime, pnl: Money) -> BookedFill:
    """A fill that closed its contract with this result, of an order of its own."""
    return BookedFill(
        Fill(FillId(number), SANDBOX, OrderId(number), record.id, at, size, ENTRY * record.tick, pnl, 0),
        0,
        abs(size),
        OwnClose.NO,
        True,
    )


def order(record: Contract, number: int, size: int, at: datetime, kind: OrderType, ticks: int) -> Order:
    """A working order at a price."""
    price = ticks * record.tick
    return Order(
        id=OrderId(number),
        account=SANDBOX,
        contract=record.id,
        type=kind,
        status=OrderStatus.OPEN,
        size=size,
        filled=0,
        created_at=at,
        updated_at=at,
        limit_price=price if kind is OrderType.LIMIT else None,
        stop_price=price if kind is OrderType.STOP else None,
    )


def snapshot(
    now: Now,
    *,
    positions: Sequence[PositionView] = (),
    orders: Sequence[Order] = (),
    fills: Sequence[BookedFill] = (),
    can_trade: bool = True,
    link: LinkState = LinkState.LIVE,
    cause: str = "price",
) -> AccountSnapshot:
    """The made-up account at one moment of a trading day that began an hour ago."""
    began = now.wall - timedelta(hours=1)
    return AccountSnapshot(
        account=SANDBOX,
        name="sandbox",
        seq=1,
        now=now,
        day=now.wall.date(),
        day_start=began,
        positions=tuple(positions),
        orders=tuple(orders),
        fills=tuple(fills),
        realized=sum((b.fill.pnl or 0) - b.fill.fees for b in fills),
        unrealized=sum(p.unrealized for p in positions if p.unrealized is not None),
        unrealized_profit=sum(p.unrealized_profit for p in positions if p.unrealized_profit is not None),
        unmeasured=tuple(p.contract for p in positions if p.unrealized is None),
        suspended=False,
        can_trade=can_trade,
        link=link,
        link_since=began,
        read_mono=now.mono,
        cause=cause,
        cause_at=now.wall,
        session_since=began,
    )


def after(now: Now, seconds: float) -> Now:
    return Now(now.wall + timedelta(seconds=seconds), now.mono + seconds)
