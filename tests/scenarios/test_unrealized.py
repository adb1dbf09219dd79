"""What may be lost or won on the screen: S26-S37."""

from __future__ import annotations

import pytest

from tests.scenarios.desk import A, desk
from tests.scenarios.traps import covers

LOSS = {"daily_unrealized_loss": {"limit": -300}}
BARS = "History/retrieveBars"


@covers("L2", "L6")
def test_S26_only_the_contract_that_is_too_far_down_is_closed() -> None:
    """Given ES and MNQ long 2 at 21000, when MNQ is quoted 20700 (-1200), then MNQ is closed, ES stays, no
    lock."""
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
    """Given MNQ long 3 at 21000, when it is quoted 20950.25 (-298.50) nothing happens, and at 20950 (-300) it
    is closed."""
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
    """Given an ES position for which there is neither quote nor bar, when 30 s pass, then people are told, ES
    counts for nothing, and MNQ is judged as ever."""
    with desk(LOSS, prices={"MNQ": 21000.0}) as d:
        d.fault("bars_missing")
        d.control(op="position", account=A, contract="ES", side="buy", size=1, price=5800)
        d.buy("MNQ", 2)
        d.holds(ES=1, MNQ=2)
        es = next(p for p in d.status(A)["positions"] if p["root"] == "ES")
        assert (es["mark"], es["unrealized"]) == (None, None)

        for _ in range(5):
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
    """Given MNQ long 3, when its quote is older than 10 s then the gateway is asked, and without an answer
    nothing is judged by the old price; when last is 0 then it is refused and the touch is used."""
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


def test_S33_an_open_profit_at_the_target_is_taken() -> None:
    """Given ES long 10 at 5800 and a target of 2000, when it trades at 5803.75 (+1875) nothing happens, and
    at 5804 (+2000) it is closed."""
    with desk({"max_unrealized_profit": {"target": 2000}}) as d:
        d.buy("ES", 10)
        d.holds(ES=10)

        d.price("ES", 5803.75)
        d.open_pnl("1875.00")
        assert (d.acts(), d.history("breach")) == ([], [])

        d.price("ES", 5804)
        d.flat()
        assert d.acts() == [("close", "ES")]
        assert d.lockouts() == {}
        assert d.history("breach")[0]["value"] == "2000.00"


def test_S34_closed_position_losses_add_up_to_the_hard_lock() -> None:
    """Given -30 per position and -50 for the day by closed trades alone, when a position is closed at -35 and
    the next loses 20, then the day is at -55 and locked."""
    rules = {
        "daily_unrealized_loss": {"limit": -30},
        "daily_realized_loss": {"limit": -50, "include_unrealized": False},
    }
    with desk(rules) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.price("MNQ", 20982.5)
        d.flat()
        d.day("-35.00")
        assert d.lockouts() == {}

        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.price("MNQ", 20972.5)
        d.open_pnl("-20.00")
        assert d.closes() == [("close", "MNQ")]
        d.sell("MNQ", 1)
        d.day("-55.00")
        d.locked("daily_realized_loss")


def test_S34_with_what_is_open_counted_the_lock_comes_before() -> None:
    """Given the same with open P&L counted, when after -35 the next position is at -15, then the day is
    over."""
    rules = {"daily_unrealized_loss": {"limit": -30}, "daily_realized_loss": {"limit": -50}}
    with desk(rules) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.price("MNQ", 20982.5)
        d.flat()
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.price("MNQ", 20975.5)
        d.open_pnl("-14.00")
        assert d.lockouts() == {}

        d.price("MNQ", 20975)
        d.flat()
        d.day("-50.00")
        d.locked("daily_realized_loss")


def test_S36_the_sum_of_closed_and_open_ends_the_day_before_the_position_limit() -> None:
    """Given a day at -800 of -900 and -200 per position, when the position is at -100, then account is locked
    and flattened by the day, not by the position."""
    rules = {"daily_realized_loss": {"limit": -900}, "daily_unrealized_loss": {"limit": -200}}
    with desk(rules) as d:
        d.book(-800)
        d.day("-800.00")
        d.buy("MNQ", 2)
        d.holds(MNQ=2)

        d.price("MNQ", 20975)
        d.flat()
        d.locked("daily_realized_loss")
        d.day("-900.00")
        assert {breach["rule"] for breach in d.history("breach")} == {"daily_realized_loss"}


@covers("C35", "L10")
def test_S37_a_fill_in_a_storm_of_quotes_is_counted_and_quotes_in_range_do_nothing() -> None:
    """Given MNQ long 1 within its limits, when 100 quotes come in 10 s and one fill between them, then the
    fill is counted and nothing is done."""
    with desk({**LOSS, "daily_realized_loss": {"limit": -500}}) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        for quote in range(100):
            d.price("MNQ", 20990 + quote % 20)
            if quote == 50:
                d.buy("ES", 1)
            if quote % 10 == 9:
                d.pass_time(1)
        d.holds(MNQ=1, ES=1)
        assert d.status(A)["trades"] == 2
        assert (d.acts(), d.history("breach"), d.lockouts()) == ([], [], {})


@pytest.mark.parametrize(
    ("rule", "config", "price"),
    [
        ("daily_unrealized_loss", {"limit": -300, "scope": "account"}, 20970),
        ("max_unrealized_profit", {"target": 300, "scope": "account"}, 21030),
    ],
)
def test_S36_on_account_scope_the_sum_over_all_positions_flattens_all(
    rule: str, config: dict[str, object], price: float
) -> None:
    """Given the limit on the account's sum, when two positions that are each within it reach it together,
    then everything is closed."""
    with desk({rule: config}) as d:
        d.buy("MNQ", 3)
        d.buy("ES", 1)
        d.holds(MNQ=3, ES=1)
        d.price("MNQ", price)
        d.open_pnl(f"{(price - 21000) * 6:.2f}")
        assert d.acts() == []

        d.price("ES", 5800 + (price - 21000) / 10)
        d.flat()
        assert sorted(d.acts()) == [("close", "ES"), ("close", "MNQ")]
        assert d.lockouts() == {}
