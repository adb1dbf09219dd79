"""Positions without a protective stop: S48-S55."""

from __future__ import annotations

from datetime import timedelta

from tests.scenarios.desk import WEDNESDAY_10, A, desk
from tests.scenarios.traps import covers

GRACE = {"no_stop_loss_grace": {"mode": "armed", "grace": "30s"}}


def test_S48_a_position_without_a_stop_is_closed_when_its_grace_is_over() -> None:
    """Given MNQ long 2 at 21000 without a stop and a grace of 30 s, when 30 s have passed, then it is closed
    and nothing is locked."""
    with desk(GRACE) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.advance(29)
        assert d.acts() == []

        d.advance(1)
        d.flat()
        assert d.acts() == [("close", "MNQ")]
        assert d.lockouts() == {}
        (breach,) = d.history("breach")
        assert (breach["rule"], breach["cause"]) == ("no_stop_loss_grace", "time")


@covers("L33")
def test_S49_a_stop_for_the_whole_position_in_time_keeps_it() -> None:
    """Given MNQ long 2, when a sell stop for 2 at 20980 is placed after 10 s, then it is kept; a stop for 1
    of 2 would not do, and a stop that is cancelled starts the grace again."""
    with desk(GRACE) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.advance(10)
        stop = d.order("sell", "MNQ", 2, kind="stop", price=20980)
        d.settle()
        d.advance(60)
        assert (d.acts(), d.positions()) == ([], {"MNQ": 2})
        assert d.status(A)["positions"][0]["protected"]

        d.control(op="cancel", order=stop)
        d.settle()
        d.order("sell", "MNQ", 1, kind="stop", price=20980)
        d.settle()
        d.advance(29)
        assert d.acts() == []
        d.advance(1)
        d.flat()
        assert ("close", "MNQ") in d.acts()


@covers("L14", "L15")
def test_S51_a_stop_that_made_no_event_is_found_before_closing() -> None:
    """Given MNQ long 2 whose stop was placed in the broker's screen and gave no event, when the grace ends,
    then the open orders are asked for and the position is kept."""
    with desk(GRACE, gateway={"reconcile_every": "60s"}) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.order("sell", "MNQ", 2, kind="stop", price=20980, silent=True)
        d.settle()
        d.advance(30)
        d.becomes(True, lambda: d.status(A)["positions"][0]["protected"])
        d.advance(60)
        assert (d.acts(), d.positions(), d.history("breach")) == ([], {"MNQ": 2}, [])


def test_S53_only_the_position_without_a_stop_is_closed() -> None:
    """Given MNQ with a stop and ES without, when the grace is over, then ES alone is closed and MNQ keeps its
    stop."""
    with desk(GRACE) as d:
        d.buy("MNQ", 2)
        stop = d.order("sell", "MNQ", 2, kind="stop", price=20980)
        d.buy("ES", 1)
        d.holds(MNQ=2, ES=1)
        d.advance(30)
        d.holds(MNQ=2)
        assert d.acts() == [("close", "ES")]
        assert list(d.working()) == [stop]


@covers("L13", "C34")
def test_S55_a_short_is_protected_by_a_buy_stop_and_not_by_its_target() -> None:
    """Given ES short 1 at 5800, when a buy limit at 5790 works then it is still unprotected, and with a buy
    stop at 5810 it is kept, also when the target is cancelled."""
    with desk(GRACE) as d:
        d.sell("ES", 1)
        target = d.order("buy", "ES", 1, kind="limit", price=5790)
        d.holds(ES=-1)
        assert not d.status(A)["positions"][0]["protected"]

        d.order("buy", "ES", 1, kind="stop", price=5810)
        d.becomes(True, lambda: d.status(A)["positions"][0]["protected"])
        d.control(op="cancel", order=target)
        d.settle()
        d.advance(60)
        assert (d.acts(), d.positions()) == ([], {"ES": -1})


def test_S55_a_short_with_a_target_alone_is_closed() -> None:
    """Given ES short 1 with a buy limit at 5790 only, when the grace is over, then it is closed and the
    target gone."""
    with desk(GRACE) as d:
        d.sell("ES", 1)
        d.order("buy", "ES", 1, kind="limit", price=5790)
        d.holds(ES=-1)
        d.advance(30)
        d.flat()
        assert ("close", "ES") in d.acts()
        d.becomes({}, d.working)


@covers("L12")
def test_S49_a_stop_moved_to_the_wrong_side_protects_no_longer() -> None:
    """Given MNQ long 2 with a stop, when its size is changed to 1, then the position counts as
    unprotected."""
    with desk(GRACE) as d:
        d.buy("MNQ", 2)
        stop = d.order("sell", "MNQ", 2, kind="stop", price=20980)
        d.holds(MNQ=2)
        d.becomes(True, lambda: d.status(A)["positions"][0]["protected"])
        d.control(op="modify", order=stop, size=1)
        d.becomes(False, lambda: d.status(A)["positions"][0]["protected"])
        d.advance(30)
        d.flat()


def test_S48_the_deadline_survives_a_restart_of_the_guard() -> None:
    """Given MNQ long 2 without a stop for 20 s, when the guard is restarted, then it is closed 10 s later and
    not 30."""
    with desk(GRACE) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.advance(20)
        d.stop()
        d.start()
        d.holds(MNQ=2)
        d.advance(9)
        assert d.acts() == []
        d.advance(1)
        d.flat()
        assert d.now == WEDNESDAY_10 + timedelta(seconds=30)


def test_S48_a_lockout_on_expiry_closes_the_position_and_freezes_the_rest() -> None:
    """Given the grace with a lockout of 10 minutes, when ES is without a stop for 30 s, then ES is closed,
    MNQ with its stop stays, and new risk is refused for 10 minutes."""
    rules = {"no_stop_loss_grace": {"mode": "armed", "grace": "30s", "lockout": "10m"}}
    with desk(rules) as d:
        d.buy("MNQ", 1)
        d.order("sell", "MNQ", 1, kind="stop", price=20980)
        d.buy("ES", 1)
        d.holds(MNQ=1, ES=1)
        d.advance(30)
        d.holds(MNQ=1)
        d.locked("no_stop_loss_grace")
        d.buy("ES", 1)
        d.until(lambda: len(d.closes()) == 2, "the new position is closed")
        d.holds(MNQ=1)
        d.advance(600)
        d.locked()
