"""Numbers in orders that nobody documented: kept as they are, counted, and told once.

Such an order counts as risk (it may fill) and never as protection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actors.messages import Order, OrderId, OrderStatus, OrderType

MOST_SEEN = 1_000
"""Orders remembered, so that one read every few seconds is counted once."""


class Undocumented:
    """`alert` takes a key and a sentence, once per field and number."""

    def __init__(self, alert: Callable[[str, str], None]) -> None:
        self._alert = alert
        self._seen: set[tuple[OrderId, str, int]] = set()
        self.counts: dict[tuple[str, int], int] = {}
        """Orders by field and number."""

    def look(self, order: Order) -> None:
        """Cheap for an order that has nothing unknown in it."""
        if order.type is OrderType.UNKNOWN or order.status is OrderStatus.UNKNOWN:
            for field, number in _unknown(order):
                self._count(order.id, field, number)

    def _count(self, order: OrderId, field: str, number: int) -> None:
        known = (field, number) in self.counts
        if known and ((order, field, number) in self._seen or len(self._seen) >= MOST_SEEN):
            return
        self._seen.add((order, field, number))
        self.counts[field, number] = self.counts.get((field, number), 0) + 1
        if not known:
            text = f"The gateway used the undocumented order {field} {number}: such an order counts as risk."
            self._alert(f"undocumented/{field}/{number}", text)

    def view(self) -> tuple[tuple[str, int, int], ...]:
        """Field, number and how many orders had it."""
        return tuple((field, number, count) for (field, number), count in sorted(self.counts.items()))


def _unknown(order: Order) -> Iterator[tuple[str, int]]:
    if order.type is OrderType.UNKNOWN:
        yield "type", order.raw_type
    if order.status is OrderStatus.UNKNOWN:
        yield "status", order.raw_status
