"""Receipts of the stops and targets that are placed for the trader."""

from __future__ import annotations

from actors.messages import StopAt, TargetAt
from tests.actors.enforcement.floor import MNQ, Floor


def test_receipt_names_placed_orders_that_are_seen_before_the_gateway_answers() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.say("trade_management", StopAt(MNQ, 83_980, 1), TargetAt(MNQ, 84_060, 1))

    while floor.out:
        floor.confirm(tell=True)  # the order event comes first, then the answer to the call
    floor.wait(3)
    floor.read()

    assert floor.last.verified
    assert [call.call.value for call in floor.last.calls] == ["place", "place"]
    assert floor.last.breach_to_call_ms is not None
