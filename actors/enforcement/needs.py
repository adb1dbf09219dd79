"""What the account lacks of what must hold: all demands in, what is too much out. Pure.

The strongest demand per contract wins. What is listed stays listed until a snapshot no longer shows
it; whether a call may go out for it now is decided in `pursuit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import assert_never

from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    AtMost,
    ContractId,
    Demand,
    Flat,
    Order,
    OrderAtMost,
    OrderGone,
    OrderId,
    OrderStatus,
    OwnClose,
    PositionView,
    StopAt,
    TargetAt,
)

from .closed import took_effect
from .lockouts import Lockouts, frozen
from .memory import Pursuit, Standing
from .orders import closing_side, is_market, is_stop, orphaned, reduces


class Close(Struct, frozen=True, gc=False):
    """`excess` contracts of an open position are too much."""

    contract: ContractId
    size: int
    """Open now, signed."""
    excess: int
    receipt: str | None
    """None: it is the whole account's matter."""
    turned: bool = False
    """The position lies opposite to the one that a close of ours was sent for, and came of that."""


class Cancel(Struct, frozen=True, gc=False):
    order: Order
    receipt: str | None


class Cut(Struct, frozen=True, gc=False):
    """The order may be for `size` more contracts at most (> 0)."""

    order: Order
    size: int
    receipt: str | None


type Need = Close | Cancel | Cut


class Limits(Struct, gc=False):
    """All demands that act now, put together."""

    account_flat: bool = False
    locked: bool = False
    frozen: dict[str, int] | None = None
    sizes: dict[ContractId, tuple[int, str]] = {}
    """At most so many contracts, and the receipt of the demand that says so."""
    flat: dict[ContractId, str] = {}
    """Contracts in which no order may work that could open them again."""
    gone: dict[OrderId, str] = {}
    order_sizes: dict[OrderId, tuple[int, str]] = {}

    @property
    def anything(self) -> bool:
        return bool(self.locked or self.account_flat or self.sizes or self.gone or self.order_sizes)

    def allowed(self, contract: ContractId, size: int) -> tuple[int, str | None]:
        """How many contracts of a position of `size` may stay, and the receipt of whoever says so."""
        if self.account_flat:
            return 0, None
        most, receipt = self.sizes.get(contract, (abs(size), None))
        if self.frozen is not None:
            baseline = self.frozen.get(contract, 0)
            kept = abs(baseline) if baseline * size > 0 else 0
            if kept < min(most, abs(size)):
                return kept, None
        return most, receipt


def limits_of(lockouts: Lockouts, standing: Iterable[Standing]) -> Limits:
    limits = Limits(lockouts.flattens, lockouts.locked, frozen(lockouts))
    for one in standing:
        if one.acts:
            _tighten(limits, one.demand, one.receipt)
    return limits


def _tighten(limits: Limits, demand: Demand, receipt: str) -> None:
    match demand:
        case AccountFlat():
            limits.account_flat = True
        case Flat(contract=contract):
            limits.flat[contract] = receipt
            limits.sizes[contract] = (0, receipt)
        case AtMost(contract=contract, size=size):
            most, _ = limits.sizes.get(contract, (size + 1, receipt))
            if size < most:
                limits.sizes[contract] = (size, receipt)
        case OrderGone(order=order):
            limits.gone[order] = receipt
        case OrderAtMost(order=order, size=size):
            most, _ = limits.order_sizes.get(order, (size + 1, receipt))
            if size < most:
                limits.order_sizes[order] = (size, receipt)
        case StopAt() | TargetAt():
            raise TypeError(f"cannot limit by a {type(demand).__name__}: it is a wish, not a demand")
        case _:
            assert_never(demand)


# ------------------------------------------------------------------------------ what is too much


def needs_of(limits: Limits, snapshot: AccountSnapshot, pursuits: Mapping[str, Pursuit]) -> list[Need]:
    """Positions first: they lose money now, an order only might."""
    needs = list[Need]()
    for position in snapshot.positions:
        need = _close_need(limits, snapshot, position, pursuits.get(position.contract))
        if need is not None:
            needs.append(need)
    if limits.anything:
        sizes = {p.contract: p.size for p in snapshot.positions}
        for order in snapshot.orders:
            held = sizes.get(order.contract, 0)
            found = _order_need(limits, snapshot, order, held, pursuits.get(order.contract))
            if found is not None:
                needs.append(found)
    return needs


def _close_need(
    limits: Limits, snapshot: AccountSnapshot, position: PositionView, pursuit: Pursuit | None
) -> Close | None:
    contract, size = position.contract, position.size
    allowed, receipt = limits.allowed(contract, size)
    if pursuit is not None and _turned_by_us(snapshot, contract, size, pursuit):
        return Close(contract, size, abs(size), receipt or pursuit.receipt, True)
    return Close(contract, size, abs(size) - allowed, receipt) if abs(size) > allowed else None


def _turned_by_us(snapshot: AccountSnapshot, contract: ContractId, size: int, pursuit: Pursuit) -> bool:
    """The opposite position came of our close, or of an order that filled beside it; also while the close
    of that is still to be repeated."""
    if pursuit.before * size >= 0:
        return pursuit.turned and pursuit.before * size > 0 and not took_effect(pursuit, snapshot)
    fills = [booked for booked in snapshot.fills if booked.fill.contract == contract]
    opening = next((booked for booked in reversed(fills) if booked.opened), None)
    if opening is None:
        return False
    if opening.own is not OwnClose.NO or opening.fill.order in pursuit.beside:
        return True
    return _within(snapshot, pursuit, opening.fill.at)


def _within(snapshot: AccountSnapshot, pursuit: Pursuit, at: datetime) -> bool:
    """Whether a fill fell into the time in which our close was under way.

    With events late or lost, two fills in the same moment are told apart by nothing else: neither whose each
    was, nor that an order worked beside the close.
    """
    now = snapshot.now
    ended = now.mono if pursuit.flying else pursuit.ended_mono
    sent, over = (now.wall - timedelta(seconds=now.mono - mono) for mono in (pursuit.sent_mono, ended))
    return sent <= at < over


def _order_need(
    limits: Limits, snapshot: AccountSnapshot, order: Order, size: int, pursuit: Pursuit | None
) -> Cancel | Cut | None:
    if order.id in limits.gone:
        return Cancel(order, limits.gone[order.id])
    if order.id in limits.order_sizes:
        most, receipt = limits.order_sizes[order.id]
        if abs(order.rest) > most:
            return Cut(order, most, receipt)
    if limits.locked or limits.account_flat:
        return _risk_of(order, size, snapshot, pursuit, None, limits.account_flat)
    if order.contract in limits.flat:
        return _risk_of(order, size, snapshot, pursuit, limits.flat[order.contract], True)
    return None


def _risk_of(
    order: Order,
    size: int,
    snapshot: AccountSnapshot,
    pursuit: Pursuit | None,
    receipt: str | None,
    to_flat: bool,
) -> Cancel | Cut | None:
    """Nothing may work that could open risk. A position's stop stays until the position is gone."""
    if order.status is OrderStatus.SUSPENDED:
        flat = to_flat and size == 0
        return Cancel(order, receipt) if flat and orphaned(order, snapshot.orders) else None
    if order.rest == 0 or reduces(order, size):
        return None
    if pursuit is not None and _of_close(order, size, snapshot, pursuit):
        return None
    if is_stop(order) and closing_side(order, size):
        return Cut(order, abs(size), receipt)
    return Cancel(order, receipt)


def _of_close(order: Order, size: int, snapshot: AccountSnapshot, pursuit: Pursuit) -> bool:
    """Belongs to a close of ours that is on its way: the market order that the gateway makes of it,
    or an order that was small enough when the close went out and is not now that part of it filled."""
    settled = not pursuit.flying and snapshot.read_mono >= pursuit.ended_mono
    if settled or not reduces(order, pursuit.before):
        return False
    return is_market(order) or closing_side(order, size)


def met(demand: Demand, snapshot: AccountSnapshot) -> bool:
    """Whether the account, as shown, complies with one demand."""
    match demand:
        case AccountFlat():
            return not snapshot.positions and not snapshot.orders
        case Flat(contract=contract):
            working = any(order.working and order.contract == contract for order in snapshot.orders)
            return snapshot.position(contract) is None and not working
        case AtMost(contract=contract, size=size):
            position = snapshot.position(contract)
            return position is None or abs(position.size) <= size
        case OrderGone(order=order):
            return all(one.id != order for one in snapshot.orders)
        case OrderAtMost(order=order, size=size):
            return all(one.id != order or abs(one.rest) <= size for one in snapshot.orders)
        case StopAt() | TargetAt():
            raise TypeError(f"cannot verify a {type(demand).__name__}: it is a wish, not a demand")
        case _:
            assert_never(demand)
