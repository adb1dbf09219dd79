"""Open size, by contract and root, now and earlier today: what the counting rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from actors.messages import (
    AccountSnapshot,
    BookedFill,
    ContractId,
    FillId,
    Lot,
    Order,
    PositionView,
)
from config.instruments import UnknownContract, root_of

from .day_fold import ORDERED

type Sizes = Mapping[ContractId, int]


class Cause(Struct, frozen=True, gc=False):
    """What began something, by its stable name, and the event's own timestamp."""

    name: str
    at: datetime
    contract: ContractId | None = None


@lru_cache(maxsize=1024)
def _root(contract: ContractId) -> str:
    try:
        return root_of(contract)
    except UnknownContract:
        return contract


def root_in(snapshot: AccountSnapshot, contract: ContractId) -> str:
    """The exchange's root of a contract; of an open one as its record says."""
    position = snapshot.position(contract)
    return position.root if position is not None and position.root else _root(contract)


def sizes(snapshot: AccountSnapshot) -> dict[ContractId, int]:
    return {p.contract: p.size for p in snapshot.positions}


def began(snapshot: AccountSnapshot, breached: Callable[[Sizes], bool]) -> BookedFill | None:
    """The fill with which what is true of the open sizes now became true.

    Found by undoing today's fills from the newest on, so that it is the same fill however late
    somebody looks. None: it was so before the first fill of the day.
    """
    held = sizes(snapshot)
    for booked in reversed(ORDERED.of(snapshot)):
        fill = booked.fill
        held[fill.contract] = held.get(fill.contract, 0) - fill.size
        if not breached(held):
            return booked
    return None


def cause_of(snapshot: AccountSnapshot, breached: Callable[[Sizes], bool], newest: PositionView) -> Cause:
    """Name what led there: the fill, or the position that was open before the day's fills."""
    booked = began(snapshot, breached)
    if booked is not None:
        return Cause(f"fill:{booked.fill.id}", booked.fill.at, booked.fill.contract)
    return Cause(f"position:{newest.contract}", newest.opened_at, newest.contract)


class OpenLot(Struct, frozen=True, gc=False):
    """Contracts of one fill that are still open; `size` without sign."""

    contract: ContractId
    at: datetime
    fill: FillId
    size: int


def newest_lots(positions: Iterable[PositionView], side: int) -> list[OpenLot]:
    """Open lots on one side (0: both), the newest first; ties by contract id."""
    lots = [
        OpenLot(p.contract, lot.at, lot.fill, abs(lot.size))
        for p in positions
        if side * p.size >= 0
        for lot in _fitted(p)
    ]
    lots.sort(key=lambda lot: (lot.contract, -lot.fill))
    lots.sort(key=lambda lot: lot.at, reverse=True)
    return lots


def _fitted(position: PositionView) -> tuple[Lot, ...]:
    """Lots that add up to the size, also while the gateway's size is disputed: its surplus is newest."""
    surplus = position.size - sum(lot.size for lot in position.lots)
    if surplus == 0:
        return position.lots
    if not position.lots or (surplus > 0) == (position.size > 0):
        at = position.lots[-1].at if position.lots else position.opened_at
        return (*position.lots, Lot(at, FillId(0), surplus))
    return (Lot(position.lots[-1].at, position.lots[-1].fill, position.size),)


def excess_by_contract(lots: Iterable[OpenLot], excess: int) -> dict[ContractId, int]:
    """How many contracts of each to close so that `excess` are gone, taken from the first lots on."""
    taken = dict[ContractId, int]()
    for lot in lots:
        part = min(lot.size, excess)
        if part <= 0:
            break
        taken[lot.contract] = taken.get(lot.contract, 0) + part
        excess -= part
    return taken


def working(snapshot: AccountSnapshot) -> list[Order]:
    """Orders that may still fill now."""
    return [order for order in snapshot.orders if order.working and order.rest]


def closing_side(order: Order, size: int) -> bool:
    """Whether the order is on the side that closes a position of this size."""
    return order.rest * size < 0
