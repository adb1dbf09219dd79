"""What may be lost or won on the screen: S26-S37."""

from __future__ import annotations

from tests.scenarios.desk import A, desk
from tests.scenarios.traps import covers

LOSS = {"daily_unrealized_loss": {"limit": -300}}
BARS = "History/retrieveBars"


@covers("L2", "L6")
def test_S26_only_the_contract_that_is_too_far_down_is_closed() -> None:
    """Given ES and MNQ long 2 at 21000, when MNQ is quoted 20700 (-1200), then MNQ is closed, ES stays, no lock."""
    with desk(LOSS) as d:
        d.buy("ES", 1)
        d.buy("MNQ", 2)
        d.holds(ES=1, MNQ=2)

        d.price("MNQ", 20700)
        d.holds(ES=1)

        assert d.acts() == [("close", "MNQ")]
        assert d.lockouts() == {}
        (breach,) = d.history("breach")
        assert (breach["rule"], breach["value"], breach["limit"]) == (
            "daily_unrealized_loss",
            "-1200.00",
            "-300.00",
        )
        assert breach["contract"].split(".")[3] == "MNQ"


@covers("C33")
def test_S28_at_the_limit_is_over_it_and_a_tick_above_is_not() -> None:
    """Given MNQ long 3 at 21000, when it is quoted 20950.25 (-298.50) nothing happens, and at 20950 (-300) it is
    closed."""
    with desk(LOSS) as d:
        d.buy("MNQ", 3)
        d.holds(MNQ=3)

        d.price("MNQ", 20950.25)
        d.open_pnl("-298.50")
        assert (d.acts(), d.history("breach")) == ([], [])

        d.price("MNQ", 20950)
        d.flat()
        assert d.acts() == [("close", "MNQ")]
        assert d.history("breach")[0]["value"] == "-300.00"


def test_S30_a_contract_without_any_price_is_left_out_and_the_others_judged() -> None:
    """Given an ES position for which there is neither quote nor bar, when 30 s pass, then people are told, ES counts
    for nothing, and MNQ is judged as ever."""
    with desk(LOSS, prices={"MNQ": 21000.0}) as d:
        d.fault("bars_missing")
        d.control(op="position", account=A, contract="ES", side="buy", size=1, price=5800)
        d.buy("MNQ", 2)
        d.holds(ES=1, MNQ=2)
        es = next(p for p in d.status(A)["positions"] if p["root"] == "ES")
        assert (es["mark"], es["unrealized"]) == (None, None)

        for _ in range(4):
            d.advance(9)
            d.price("MNQ", 21000)
            d.open_pnl("0.00")
        (alert,) = [a for a in d.history("alert") if "cannot measure" in a["message"]]
        assert ".EP." in alert["message"]
        assert d.acts() == []

        d.price("MNQ", 20900)
        d.holds(ES=1)
        assert d.acts() == [("close", "MNQ")]


@covers("L19")
def test_S31_an_old_price_judges_nothing_and_a_zero_is_no_price() -> None:
    """Given MNQ long 3, when its quote is older than 10 s then the gateway is asked, and without an answer nothing is
    judged by the old price; when last is 0 then it is refused and the touch is used."""
    with desk({**LOSS, "max_unrealized_profit": {"target": 500}}) as d:
        d.buy("MNQ", 3)
        d.holds(MNQ=3)
        d.price("MNQ", 20951)
        d.open_pnl("-294.00")

        d.fault("bars_missing")
        d.price("MNQ", 20900, silent=True)
        d.advance(11)
        d.until(lambda: d.control(op="state")["requests"].get(BARS), "the price is asked by REST")
        d.settle()
        assert d.status(A)["positions"][0]["mark"] is None
        d.advance(30)
        assert [a for a in d.history("alert") if "cannot measure" in a["message"]]
        assert (d.acts(), d.history("breach")) == ([], [])

        d.price("MNQ", last=0, bid=20950.5, ask=20951)
        d.open_pnl("-297.00")
        assert d.acts() == []
        d.price("MNQ", last=0, bid=21083, ask=21083.5)
        d.becomes("499.50", lambda: d.rule("max_unrealized_profit")["value"])
        assert d.acts() == []

        d.price("MNQ", last=0, bid=20950, ask=20951)
        d.flat()
        assert d.history("breach")[0]["value"] == "-300.00"


def test_S31_a_stale_price_is_replaced_by_the_newest_bar() -> None:
    """Given MNQ long 3 whose quotes stop, when the newest bar shows -600 then it is closed by that price."""
    with desk(LOSS) as d:
        d.buy("MNQ", 3)
        d.holds(MNQ=3)
        d.price("MNQ", 20900, silent=True)
        d.settle()
        assert d.acts() == []

        d.advance(11)
        d.flat()
        assert d.history("breach")[0]["value"] == "-600.00"
