"""What a day may lose or win, and the lockout that follows: S12-S24."""

from __future__ import annotations

from datetime import timedelta

from tests.scenarios.desk import A, B, chicago, desk
from tests.scenarios.traps import covers

LOSS = {"daily_realized_loss": {"limit": -500}}


@covers("L4", "C13")
def test_S12_wins_and_losses_add_up_to_the_day() -> None:
    """Given a limit of -500, when trades of +100, +50 and -200 close, then the day is at -50 and nothing
    happens."""
    with desk(LOSS) as d:
        for pnl in (100, 50, -200):
            d.book(pnl)
        d.day("-50.00")

        assert d.status(A)["trades"] == 6
        assert (d.acts(), d.lockouts(), d.history("breach")) == ([], {}, [])


@covers("T1")
def test_S14_at_the_limit_is_over_it_and_a_cent_above_is_not() -> None:
    """Given a limit of -500, when the day stands at -499.99 then nothing happens, and at -500.00 it is
    locked."""
    with desk(LOSS) as d:
        d.book(-499.99)
        d.day("-499.99")
        assert (d.lockouts(), d.history("breach")) == ({}, [])
        assert d.rule("daily_realized_loss")["state"] == "near"

        d.book(-0.01)
        lockout = d.locked("daily_realized_loss")["daily_realized_loss"]
        assert (lockout["kind"], lockout["until"]) == ("until_reset", chicago(2026, 3, 4, 17))
        (breach,) = d.history("breach")
        assert (breach["value"], breach["limit"]) == ("-500.00", "-500.00")


def test_S14_fees_of_both_halves_are_part_of_the_day() -> None:
    """Given a limit of -500, when a trade loses 490 and each half costs 4.99, then the day is at -499.98 and
    free; another 0.02 of fees locks it."""
    with desk(LOSS) as d:
        d.book(-490, fees=4.5, commissions=0.49)
        d.day("-499.98")
        assert d.lockouts() == {}
        d.book(0, fees=0.01)
        d.locked("daily_realized_loss")
        d.day("-500.00")


@covers("C1", "C29", "L24", "L30")
def test_S15_a_fill_while_locked_is_closed_counted_and_leaves_the_lock_as_it_is() -> None:
    """Given a day locked at -550, when 30 s later MNQ is bought, then it is closed at once, its loss counts
    and the lock stays the same."""
    with desk(LOSS) as d:
        d.book(-450)
        d.day("-450.00")
        assert d.lockouts() == {}
        d.book(-100)
        before = d.locked("daily_realized_loss")
        d.day("-550.00")

        d.advance(30)
        d.price("MNQ", bid=20995, ask=21000)
        d.buy("MNQ", 1)
        d.day("-560.00")

        assert d.positions() == {}
        assert d.closes() == [("close", "MNQ")]
        assert d.lockouts() == before
        assert d.status(A)["attempts"] == 1
        assert len(d.history("breach")) == 1
        assert len(d.history("lockout")) == 1


def test_S17_opening_halves_and_voided_trades_do_not_count() -> None:
    """Given -450 and a trade of -40 that is voided and an open ES without P&L, when -49 follows, then the day
    is at -499 and free; one dollar more locks it."""
    with desk(LOSS) as d:
        d.book(-450)
        _, closing = d.book(-40)
        d.day("-490.00")
        d.control(op="void", trade=closing)
        d.buy("ES", 1)
        d.holds(ES=1)
        d.day("-450.00")

        d.book(-49)
        d.day("-499.00")
        assert (d.acts(), d.lockouts()) == ([], {})

        d.book(-1)
        d.locked("daily_realized_loss")
        d.flat()


@covers("C27")
def test_S18_one_account_over_its_limit_leaves_the_other_alone() -> None:
    """Given two accounts, when A stands at -100 and B at -550, then only B is locked and what happens in B
    changes nothing in A."""
    with desk(LOSS, accounts=[{"name": A}, {"name": B}]) as d:
        d.buy("ES", 1, account=A)
        d.book(-100, account=A)
        d.book(-550, account=B)
        d.locked("daily_realized_loss", account=B)
        d.buy("MNQ", 1, account=B)
        d.until(lambda: d.closes(B), "B's fill is closed")
        d.flat(B)

        assert (d.lockouts(A), d.acts(A), d.positions(A)) == ({}, [], {"ES": 1})
        assert d.status(A)["realized"] == "-100.00"
        assert d.status(A)["state"] == "active"
        assert d.status(B)["state"] == "locked"
        assert d.closes(B) == [("close", "MNQ")]
        assert d.history("breach", A) == []


@covers("L24", "L25")
def test_S20_what_is_open_counts_and_the_day_ends_on_one_price() -> None:
    """Given a limit of -1000 and a day at -900, when one price puts the open MNQ at -150, then the account is
    locked and flattened at once."""
    with desk({"daily_realized_loss": {"limit": -1000}}) as d:
        d.book(-900)
        d.buy("MNQ", 3)
        d.holds(MNQ=3)
        assert d.lockouts() == {}

        d.price("MNQ", 20975)
        d.flat()
        d.day("-1050.00")
        d.locked("daily_realized_loss")

        assert d.acts() == [("close", "MNQ")]
        (breach,) = d.history("breach")
        assert (breach["value"], breach["cause"]) == ("-1050.00", "price")
        (receipt,) = d.receipts()
        assert receipt["verified"]


def test_S22_enough_won_ends_the_day_with_a_good_word() -> None:
    """Given a target of 1000 and a day at +600, when +400 follow, then the account is locked until the reset
    and says why in friendly words."""
    with desk({"daily_realized_profit": {"target": 1000, "message": "Well done, that is enough"}}) as d:
        d.book(600)
        d.day("600.00")
        assert d.lockouts() == {}

        d.book(400)
        lockout = d.locked("daily_realized_profit")["daily_realized_profit"]
        assert (lockout["kind"], lockout["until"]) == ("until_reset", chicago(2026, 3, 4, 17))
        assert "Well done, that is enough" in lockout["reason"]
        assert "Well done, that is enough" in d.history("breach")[0]["text"]

        d.buy("MNQ", 1)
        d.until(d.closes, "a fill while locked is closed")
        d.flat()


def test_S22_a_losing_day_never_reaches_the_target() -> None:
    """Given a target of 1000, when the day loses 1000, then nothing happens."""
    with desk({"daily_realized_profit": {"target": 1000}}) as d:
        d.book(-1000)
        d.day("-1000.00")
        assert (d.acts(), d.lockouts(), d.history("breach")) == ([], {}, [])


@covers("L9", "C30")
def test_S23_loss_and_profit_rule_share_one_figure() -> None:
    """Given both day rules, when one trade loses 10, then the day is at -10 for both, not at -20."""
    with desk({"daily_realized_loss": {"limit": -500}, "daily_realized_profit": {"target": 1000}}) as d:
        d.book(-10)
        d.day("-10.00")

        assert d.rule("daily_realized_loss")["value"] == "-10.00"
        assert d.rule("daily_realized_profit")["value"] == "-10.00"


@covers("C1", "C7")
def test_S24_an_order_on_a_locked_account_is_cancelled_and_a_fill_closed() -> None:
    """Given a limit of -50 and a day at -60, when an order is placed and another is filled, then the one is
    cancelled and the other closed."""
    with desk({"daily_realized_loss": {"limit": -50}}) as d:
        d.book(-60)
        d.locked("daily_realized_loss")

        order = d.order("buy", "MNQ", 1, kind="limit", price=20900)
        d.becomes([("cancel", order)], d.acts)
        assert d.working() == {}

        d.buy("MNQ", 1)
        d.until(d.closes, "the fill is closed")
        d.flat()
        assert d.closes() == [("close", "MNQ")]
        assert d.status(A)["attempts"] == 2
        assert d.lockouts()["daily_realized_loss"]["until"] - d.now == timedelta(hours=7)
