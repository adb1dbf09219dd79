"""Numbers nobody documented: an order with one is risk, never a stop; each is counted and told once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from actors.connection import translate
from actors.connection.undocumented import MOST_SEEN, Undocumented
from actors.messages import AccountId, ContractId, Order, OrderType
from actors.rules.protection import announced_stops_of, is_protected, stops_of
from tests.builders import Desk

WHEN = datetime(2026, 3, 4, 16, tzinfo=UTC)


def order(number: int = 1, **changes: object) -> Order:
    """A working stop that sells two, as the gateway sends it, with these numbers instead."""
    row = {
        "id": number,
        "accountId": AccountId(1001),
        "contractId": ContractId("CON.F.US.MNQ.H26"),
        "creationTimestamp": WHEN.isoformat(),
        "status": 1,
        "type": 4,
        "side": 1,
        "size": 2,
        "stopPrice": 20_990.0,
    }
    return translate.order({**row, **changes})


@pytest.mark.parametrize(("changes", "known"), [({}, True), ({"type": 99}, False), ({"status": 42}, False)])
def test_order_with_an_unknown_number_may_fill_and_protects_nothing(
    changes: dict[str, int], known: bool
) -> None:
    desk = Desk()
    desk.buy("MNQ", 2, 21_000.0)
    (held,) = desk.price("MNQ", 21_000.0).positions
    one = order(contractId=held.contract, **changes)
    assert one.working
    assert bool(stops_of(held, [one])) is known
    assert bool(announced_stops_of(held, [one])) is known
    assert is_protected(held, [one]) is known


def test_each_number_is_told_once_and_counted_per_order() -> None:
    told = list[str]()
    found = Undocumented(lambda key, text: told.append(f"{key}: {text}"))
    for _ in range(3):  # one read every few seconds
        for one in (order(1), order(2, type=99), order(3, type=99), order(4, type=99, status=42)):
            found.look(one)
    assert found.view() == (("status", 42, 1), ("type", 99, 3))
    assert [text.partition(":")[0] for text in told] == ["undocumented/type/99", "undocumented/status/42"]
    assert "counts as risk" in told[0]


def test_what_is_remembered_is_bounded() -> None:
    found = Undocumented(lambda key, text: None)
    for number in range(2 * MOST_SEEN):
        found.look(order(number, type=77))
    assert found.view() == (("type", 77, MOST_SEEN),)
    assert order(1, type=77).type is OrderType.UNKNOWN
