"""How many contracts may be open: S01-S09."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenarios.desk import desk
from tests.scenarios.traps import covers

ONE_OF_THE_ACCOUNT = "max_contracts"
ONE_OF_A_PRODUCT = "max_contracts_per_instrument"


def test_S01_as_many_contracts_as_allowed_are_left_alone() -> None:
    """Given a limit of 5, when MNQ long 3 and ES long 2 are open, then nothing happens and nothing is
    locked."""
    with desk({ONE_OF_THE_ACCOUNT: {"limit": 5}}) as d:
        d.buy("MNQ", 3)
        d.buy("ES", 2)
        d.holds(MNQ=3, ES=2)

        assert (d.acts(), d.lockouts(), d.history("breach")) == ([], {}, [])
        assert (d.rule(ONE_OF_THE_ACCOUNT)["value"], d.rule(ONE_OF_THE_ACCOUNT)["headroom"]) == ("5", "0")


@covers("C12", "C32")
def test_S03_longs_and_shorts_offset_each_other_unless_counted_gross() -> None:
    """Given a limit of 5 and MNQ long 5, when ES is sold short 3, then that is 2 net and fine, and 8 gross
    and cut back to 5 by closing the newest."""
    with desk({ONE_OF_THE_ACCOUNT: {"limit": 5, "count": "net"}}) as d:
        d.buy("MNQ", 5)
        d.sell("ES", 3)
        d.holds(MNQ=5, ES=-3)
        assert (d.acts(), d.rule(ONE_OF_THE_ACCOUNT)["value"]) == ([], "2")

    with desk({ONE_OF_THE_ACCOUNT: {"limit": 5, "count": "gross"}}) as d:
        d.buy("MNQ", 5)
        d.holds(MNQ=5)
        d.sell("ES", 3)
        d.until(d.acts, "something is closed")
        d.holds(MNQ=5)
        (breach,) = d.history("breach")
        assert (breach["rule"], breach["value"], breach["limit"]) == (ONE_OF_THE_ACCOUNT, "8", "5")
        assert {act[1] for act in d.acts()} == {"ES"}


@covers("C2", "C5", "C6")
def test_S04_six_of_five_close_everything_or_only_the_excess() -> None:
    """Given a limit of 5 and MNQ long 4, when ES long 2 follows, then `flatten` closes both contracts in two
    calls and `reduce` closes one ES."""
    with desk({ONE_OF_THE_ACCOUNT: {"limit": 5, "action": "flatten"}}) as d:
        d.buy("MNQ", 4)
        d.holds(MNQ=4)
        d.buy("ES", 2)
        d.until(d.acts, "something is closed")
        d.flat()
        assert sorted(d.acts()) == [("close", "ES"), ("close", "MNQ")]
        assert d.lockouts() == {}

    with desk({ONE_OF_THE_ACCOUNT: {"limit": 5, "action": "reduce"}}) as d:
        d.buy("MNQ", 4)
        d.holds(MNQ=4)
        d.buy("ES", 2)
        d.until(d.acts, "something is closed")
        d.holds(MNQ=4, ES=1)
        assert d.acts() == [("partial_close", "ES", 1)]


@covers("C3")
@pytest.mark.parametrize(
    ("action", "left", "call"),
    [
        ("reduce", {"MNQ": 2}, ("partial_close", "MNQ", 1)),
        ("close", {}, ("close", "MNQ")),
        ("flatten", {}, ("close", "MNQ")),
    ],
)
def test_S06_one_breach_is_one_call_and_one_receipt(
    action: str, left: dict[str, int], call: tuple[Any, ...]
) -> None:
    """Given a limit of 2, when MNQ becomes 3, then `reduce` closes 1, `close` and `flatten` close 3: one
    call, one line of history, one receipt."""
    with desk({ONE_OF_THE_ACCOUNT: {"limit": 2, "action": action}}) as d:
        d.buy("MNQ", 3)
        d.until(d.acts, "something is closed")
        d.holds(**left)

        assert d.acts() == [call]
        assert len(d.history("breach")) == 1
        (receipt,) = d.receipts()
        assert receipt["verified"]
        assert (len(receipt["calls"]), receipt["rounds"]) == (1, 1)
        assert receipt["rules"] == [ONE_OF_THE_ACCOUNT]


@covers("C4", "C8", "L17")
def test_S07_one_contract_too_many_in_one_product_closes_that_one_only() -> None:
    """Given at most 2 MNQ and 1 ES, when MNQ long 2 becomes 3, then one MNQ is closed and ES is left
    alone."""
    with desk({ONE_OF_A_PRODUCT: {"limits": {"MNQ": 2, "ES": 1}}}) as d:
        d.buy("ES", 1)
        d.buy("MNQ", 2)
        d.holds(ES=1, MNQ=2)
        assert d.acts() == []

        d.buy("MNQ", 1)
        d.until(d.acts, "something is closed")
        d.holds(MNQ=2, ES=1)

        assert d.acts() == [("partial_close", "MNQ", 1)]
        assert d.lockouts() == {}
        (breach,) = d.history("breach")
        assert (breach["rule"], breach["value"], breach["limit"]) == (ONE_OF_A_PRODUCT, "3", "2")
        assert breach["mode"] == "armed"
        (receipt,) = d.receipts()
        assert receipt["verified"]
        assert [(c["call"], c["size"], c["outcome"]) for c in receipt["calls"]] == [
            ("partial_close", 1, "confirmed")
        ]


@covers("C32")
def test_S07_a_short_too_large_is_bought_back_and_never_turned() -> None:
    """Given at most 2 MNQ, when 3 are sold short, then one is bought back and it stays short 2."""
    with desk({ONE_OF_A_PRODUCT: {"limits": {"MNQ": 2}}}) as d:
        d.sell("MNQ", 3)
        d.until(d.acts, "something is closed")
        d.holds(MNQ=-2)
        assert d.acts() == [("partial_close", "MNQ", 1)]


@covers("C7", "L33")
def test_S07_what_would_lead_over_the_limit_again_is_cancelled_and_stops_are_cut() -> None:
    """Given MNQ long 2 of 2 with a stop for 2 and a resting buy, when a third is bought and closed again,
    then the resting buy is gone and the stop still covers just what is open."""
    with desk({ONE_OF_A_PRODUCT: {"limits": {"MNQ": 2}}}) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        entry = d.order("buy", "MNQ", 1, kind="limit", price=20900)
        stop = d.order("sell", "MNQ", 3, kind="stop", price=20950)
        d.settle()
        assert d.acts() == []

        d.buy("MNQ", 1)
        d.until(d.acts, "something is closed")
        d.holds(MNQ=2)
        d.becomes({stop: 2}, lambda: {i: o["size"] for i, o in d.working().items()})
        assert ("cancel", entry) in d.acts()


@covers("L7", "L20")
@pytest.mark.parametrize(
    ("config", "left"),
    [
        ({"unknown": "block"}, {}),
        ({"unknown": "default", "default_limit": 1}, {"CL": 1}),
        ({"unknown": "allow"}, {"CL": 2}),
    ],
)
def test_S09_a_product_that_is_not_listed_is_blocked_limited_or_allowed(
    config: dict[str, Any], left: dict[str, int]
) -> None:
    """Given limits for MNQ only, when CL long 2 is open, then it is closed whole, cut to the default, or
    left."""
    with desk({ONE_OF_A_PRODUCT: {"limits": {"MNQ": 2}, **config}}, prices={"CL": 70.0}) as d:
        d.buy("CL", 2)
        if left != {"CL": 2}:
            d.until(d.acts, "something is closed")
        d.holds(**left)

        expected = {0: [("close", "CL")], 1: [("partial_close", "CL", 1)], 2: []}[left.get("CL", 0)]
        assert d.acts() == expected
        assert d.lockouts() == {}
