"""How many contracts may be open: S01-S09."""

from __future__ import annotations

from tests.scenarios.desk import desk
from tests.scenarios.traps import covers


@covers("C4", "C8", "L17")
def test_S07_one_contract_too_many_in_one_product_closes_that_one_only() -> None:
    """Given at most 2 MNQ and 1 ES, when MNQ long 2 becomes 3, then one MNQ is closed and ES is left alone."""
    with desk({"max_contracts_per_instrument": {"limits": {"MNQ": 2, "ES": 1}}}) as d:
        d.buy("ES", 1)
        d.buy("MNQ", 2)
        d.holds(ES=1, MNQ=2)
        assert d.acts() == []

        d.buy("MNQ", 1)
        d.until(d.acts, "something is done")
        d.holds(MNQ=2, ES=1)

        assert d.acts() == [("partial_close", "MNQ", 1)]
        assert d.lockouts() == {}
        (breach,) = d.history("breach")
        assert (breach["rule"], breach["value"], breach["limit"], breach["mode"]) == (
            "max_contracts_per_instrument",
            "3",
            "2",
            "armed",
        )
        (receipt,) = d.receipts()
        assert receipt["verified"]
        assert [(c["call"], c["size"], c["outcome"]) for c in receipt["calls"]] == [
            ("partial_close", 1, "confirmed")
        ]
