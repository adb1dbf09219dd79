"""Too many trades, and rests after losses: S39-S45."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.scenarios.desk import WEDNESDAY_10, A, chicago, desk, minutes
from tests.scenarios.traps import covers

FREQUENCY = {"trade_frequency_limit": {"per_minute": 3, "per_hour": 10, "per_session": 50}}
TIERS = [
    {"loss": -100, "cooldown": "5m"},
    {"loss": -200, "cooldown": "15m"},
    {"loss": -300, "cooldown": "30m"},
]
AFTER_LOSS = {"cooldown_after_loss": {"tiers": TIERS}}


@covers("C13", "C21", "T2")
def test_S39_the_fourth_trade_in_a_minute_starts_a_rest_from_its_own_time() -> None:
    """Given 3 trades a minute, when trades come at 0, 15, 30 and 45 s, then everything is closed and the
    account rests until 105 s; a trade at 120 s is allowed and is the only one in its minute."""
    with desk({"trade_frequency_limit": {"per_minute": 3, "per_hour": None, "per_session": None}}) as d:
        for second in (0, 15, 30):
            d.advance_to(WEDNESDAY_10 + timedelta(seconds=second))
            d.buy("MNQ", 1)
        d.holds(MNQ=3)
        assert d.lockouts() == {}

        d.advance(15)
        d.buy("MNQ", 1)
        d.flat()
        lockout = d.locked("trade_frequency_limit")["trade_frequency_limit"]
        assert (lockout["kind"], lockout["until"]) == ("duration", WEDNESDAY_10 + timedelta(seconds=105))
        (breach,) = d.history("breach")
        assert (breach["value"], breach["limit"]) == ("4", "3")

        d.advance_to(WEDNESDAY_10 + timedelta(seconds=104))
        d.locked("trade_frequency_limit")
        d.advance(1)
        d.locked()
        (unlock,) = d.history("unlock")
        assert (unlock["rule"], unlock["reason"]) == ("trade_frequency_limit", "expired")

        d.advance(15)
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        assert d.lockouts() == {}
        assert d.rule("trade_frequency_limit")["value"] == "1"
        assert len(d.history("breach")) == 1


def test_S41_of_two_limits_crossed_at_once_the_longer_rest_holds() -> None:
    """Given 3 trades a minute and 3 an hour, when the fourth comes, then the account rests 30 minutes, not 60
    s."""
    with desk({"trade_frequency_limit": {"per_minute": 3, "per_hour": 3, "per_session": 50}}) as d:
        for _ in range(4):
            d.buy("MNQ", 1)
        d.flat()
        lockout = d.locked("trade_frequency_limit")["trade_frequency_limit"]
        assert lockout["until"] == WEDNESDAY_10 + timedelta(minutes=30)
        assert len(d.history("lockout")) == 1


@covers("C24")
def test_S42_a_trade_during_the_rest_is_closed_and_does_not_shorten_it() -> None:
    """Given a rest until 60 s, when a trade is made at 30 s, then it is closed and the rest ends at 60 s as
    before."""
    with desk(FREQUENCY) as d:
        for _ in range(4):
            d.buy("MNQ", 1)
        d.flat()
        before = d.locked("trade_frequency_limit")

        d.advance(30)
        d.sell("ES", 1)
        d.until(lambda: ("close", "ES") in d.closes(), "the fill is closed")
        d.flat()
        assert d.lockouts() == before
        assert d.status(A)["attempts"] >= 1

        d.advance(30)
        d.locked()


def test_S39_an_order_filled_in_parts_is_one_trade() -> None:
    """Given 3 trades a minute, when one order fills in four parts, then it is one trade and nothing
    happens."""
    with desk(FREQUENCY) as d:
        order = d.order("buy", "MNQ", 4, kind="limit", price=20000)
        for _ in range(4):
            d.control(op="fill", order=order, size=1, price=20000)
        d.holds(MNQ=4)
        assert (d.rule("trade_frequency_limit")["value"], d.lockouts()) == ("1", {})
        assert d.status(A)["trades"] == 4


@covers("C31", "L10")
def test_S39_every_part_of_an_order_counts_for_size_and_pnl() -> None:
    """Given a limit of 2 MNQ and events that arrive twice, when one order fills 1 + 1 + 1, then all three
    count, each once."""
    with desk({"max_contracts_per_instrument": {"limits": {"MNQ": 2}}}) as d:
        d.fault("event_duplicate")
        order = d.order("buy", "MNQ", 3, kind="limit", price=20000)
        for _ in range(2):
            d.control(op="fill", order=order, size=1, price=20000)
        d.holds(MNQ=2)
        assert d.acts() == []
        d.control(op="fill", order=order, size=1, price=20000)
        d.until(d.acts, "something is closed")
        d.holds(MNQ=2)
        assert d.acts() == [("partial_close", "MNQ", 1)]
        assert len(d.history("fill")) == 4


@covers("C23")
def test_S44_the_deeper_the_loss_the_longer_the_rest() -> None:
    """Given rests of 5, 15 and 30 minutes from -100, -200 and -300, when trades lose 75, 100, 150, 200 and
    350, then the rests are none, 5, 5, 15 and 30 minutes."""
    with desk(AFTER_LOSS) as d:
        d.book(-75)
        d.day("-75.00")
        assert d.lockouts() == {}

        for loss, rest in ((-100, 5), (-150, 5), (-200, 15), (-350, 30)):
            at = d.now
            d.book(loss)
            lockout = d.locked("cooldown_after_loss")["cooldown_after_loss"]
            assert (lockout["kind"], lockout["until"]) == ("duration", at + timedelta(minutes=rest))
            d.advance(minutes(rest))
            d.locked()
        assert d.acts() == []


def test_S44_gains_scratches_opening_halves_and_voids_start_no_rest() -> None:
    """Given a rest after -100, when trades win, break even, open and a loss of 99.99 closes, then nothing
    happens."""
    with desk(AFTER_LOSS) as d:
        for pnl in (500, 0, -99.99):
            d.book(pnl)
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        assert (d.acts(), d.lockouts(), d.history("breach")) == ([], {}, [])


def test_S44_the_fees_of_a_closing_order_deepen_its_loss() -> None:
    """Given a rest after -100 and 1.00 of fees per half, when a trade loses 99, then the account rests."""
    with desk(AFTER_LOSS) as d:
        d.book(-99, fees=1)
        d.locked("cooldown_after_loss")


@covers("C24", "C26")
def test_S45_of_two_rests_the_later_end_holds() -> None:
    """Given a rest of 5 minutes that leaves positions open, when one of them is closed at -350 two minutes
    later, then the rest ends 30 minutes after that."""
    with desk({"cooldown_after_loss": {"tiers": TIERS, "flatten": False}}) as d:
        d.buy("MNQ", 5)
        d.holds(MNQ=5)
        d.book(-100, contract="ES")
        d.locked("cooldown_after_loss")
        d.holds(MNQ=5)

        d.advance(minutes(2))
        d.price("MNQ", 20965)
        d.sell("MNQ", 5)
        d.flat()
        until = d.now + timedelta(minutes=30)
        d.becomes(until, lambda: d.lockouts()["cooldown_after_loss"]["until"])
        assert d.closes() == []

        d.advance(minutes(3))
        d.locked("cooldown_after_loss")
        d.advance(minutes(27))
        d.locked()


def test_S45_a_shorter_rest_does_not_shorten_a_longer_one() -> None:
    """Given a rest of 30 minutes after -300 that leaves positions open, when -100 follow a minute later, then
    the rest still ends after the 30 minutes."""
    with desk({"cooldown_after_loss": {"tiers": TIERS, "flatten": False}}) as d:
        d.buy("MNQ", 5)
        d.holds(MNQ=5)
        d.book(-300, contract="ES")
        before = d.locked("cooldown_after_loss")["cooldown_after_loss"]["until"]
        d.advance(60)
        d.price("MNQ", 20990)
        d.sell("MNQ", 5)
        d.flat()
        d.becomes(2, lambda: len(d.history("breach")))
        assert d.lockouts()["cooldown_after_loss"]["until"] == before


def test_S45_a_rest_that_leaves_positions_open_refuses_more_of_them() -> None:
    """Given a rest without flatten and MNQ long 2, when one more is bought, then it is closed and 2 stay."""
    with desk({"cooldown_after_loss": {"tiers": TIERS, "flatten": False}}) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.book(-100, contract="ES")
        d.locked("cooldown_after_loss")

        d.buy("MNQ", 1)
        d.until(d.closes, "the excess is closed")
        d.holds(MNQ=2)
        assert d.closes() == [("partial_close", "MNQ", 1)]
        assert d.status(A)["attempts"] >= 1


@pytest.mark.parametrize("result", [-30, 30])
def test_S44_losses_in_a_row_lock_and_a_win_breaks_the_row(result: int) -> None:
    """Given three losses in a row as the limit, when two losses are followed by a third or by a win, then the
    account is locked until the reset, or not."""
    with desk({"loss_streak": {"mode": "armed", "losses": 3}}) as d:
        d.book(-10)
        d.book(-10)
        d.book(0)
        d.day("-20.00")
        assert d.lockouts() == {}
        d.book(result)
        d.day(f"{-20 + result}.00")
        if result > 0:
            assert d.lockouts() == {}
        else:
            assert d.locked("loss_streak")["loss_streak"]["until"] == chicago(2026, 3, 4, 17)
