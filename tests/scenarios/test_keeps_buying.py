"""Somebody who keeps opening what may not be open is closed as fast the tenth time as the first."""

from __future__ import annotations

from tests.scenarios.desk import desk

TIMES = 8


def test_fill_after_fill_in_a_forbidden_product_is_closed_without_growing_waits() -> None:
    """A limit of 0 contracts -> eight fills, one after the other -> eight closes, no time passes."""
    with desk({"max_contracts_per_instrument": {"limits": {"MNQ": 0}}}) as d:
        before = d.now

        for count in range(1, TIMES + 1):
            d.buy("MNQ", 1)
            d.until(lambda count=count: len(d.calls("closeContract")) == count, f"close {count}")

        d.until(lambda: not d.positions(), "flat")
        d.settle()
        assert len(d.calls("closeContract")) == TIMES
        assert d.now == before
        assert not [a for a in d.history("alert") if a["level"] == "critical"]


def test_fill_after_fill_on_a_locked_account_is_closed_without_growing_waits() -> None:
    """A locked account -> eight fills, one after the other -> eight closes, no time passes."""
    with desk({"daily_realized_loss": {"limit": -50}}) as d:
        d.book(-60)
        d.until(d.lockouts, "locked")
        d.settle()
        first = len(d.calls("closeContract"))

        for count in range(1, TIMES + 1):
            d.buy("MNQ", 1)
            d.until(lambda count=count: len(d.calls("closeContract")) == first + count, f"close {count}")

        d.until(lambda: not d.positions(), "flat")
        d.settle()
        assert d.status("PRAC-V2-1001")["attempts"] == TIMES
