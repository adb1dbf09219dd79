"""Shadow and off, overrides per account, what a person orders, and what is open while locked."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.protocol import DoFlatten, DoLock, DoPanic, DoReset, DoUnlock, Exit, Refused
from tests.scenarios.desk import A, B, chicago, desk
from tests.scenarios.traps import covers

LOSS = {"daily_realized_loss": {"limit": -500}}
EVERY_RULE: dict[str, dict[str, Any]] = {
    "max_contracts": {"limit": 1},
    "max_contracts_per_instrument": {"limits": {"MNQ": 1}},
    "daily_realized_loss": {"limit": -600},
    "daily_unrealized_loss": {"limit": -300},
    "max_unrealized_profit": {"target": 100},
    "trade_frequency_limit": {"per_minute": 1, "per_hour": 1, "per_session": 1},
    "cooldown_after_loss": {"tiers": [{"loss": -10, "cooldown": "5m"}]},
    "no_stop_loss_grace": {"grace": "0s"},
    "session_block_outside": {"session": "main"},
    "auth_loss_guard": {},
    "symbol_blocks": {"blocked": ["ES"]},
    "trade_management": {"stop_loss": {"ticks": 20}},
    "daily_realized_profit": {"target": 1000},
    "loss_streak": {"losses": 2},
}


@covers("L1", "L2", "C16")
def test_a_guard_in_shadow_records_every_breach_and_touches_nothing() -> None:
    """Given all rules in shadow, when nearly each of them is broken, then breaches and would-be demands are
    recorded as shadow, and there is no lockout and not one call."""
    shadow = {name: {**config, "mode": "shadow"} for name, config in EVERY_RULE.items()}
    with desk(shadow, at=chicago(2026, 3, 4, 14, 58)) as d:
        d.book(-700)
        d.book(-20)
        d.buy("ES", 1)
        d.buy("MNQ", 4)
        d.holds(ES=1, MNQ=4)
        d.price("MNQ", 20950)
        d.open_pnl("-400.00")
        d.control(op="can_trade", account=A, value=False)
        d.advance_to(chicago(2026, 3, 4, 15, 0, 1))

        broken = {b["rule"] for b in d.history("breach")}
        assert broken >= {
            "max_contracts",
            "max_contracts_per_instrument",
            "daily_realized_loss",
            "daily_unrealized_loss",
            "trade_frequency_limit",
            "cooldown_after_loss",
            "no_stop_loss_grace",
            "session_block_outside",
            "auth_loss_guard",
            "symbol_blocks",
            "loss_streak",
        }
        assert {b["mode"] for b in d.history("breach")} == {"shadow"}
        assert d.history("demand")
        assert (d.lockouts(), d.history("lockout"), d.calls(), d.receipts()) == ({}, [], [], [])
        assert d.positions() == {"ES": 1, "MNQ": 4}


def test_a_rule_that_is_off_does_not_exist() -> None:
    """Given rules off, when they would be broken, then nothing is recorded or done."""
    off = {"max_contracts": {"mode": "off", "limit": 1}, "daily_realized_loss": {"mode": "off", "limit": -1}}
    with desk(off) as d:
        d.book(-100)
        d.buy("MNQ", 5)
        d.holds(MNQ=5)
        assert (d.calls(), d.history("breach"), d.lockouts()) == ([], [], {})
        assert d.status()["rules"] == {"configured": 0, "armed": 0, "shadow": 0, "off": 14}


def test_a_shadow_rule_beside_an_armed_one_does_not_hold_it_back() -> None:
    """Given the size of an account in shadow and of MNQ armed, when both are broken, then the armed one
    acts."""
    rules = {
        "max_contracts": {"mode": "shadow", "limit": 1, "action": "flatten"},
        "max_contracts_per_instrument": {"limits": {"MNQ": 2}},
    }
    with desk(rules) as d:
        d.buy("MNQ", 3)
        d.until(d.acts, "one is closed")
        d.holds(MNQ=2)
        assert d.acts() == [("partial_close", "MNQ", 1)]
        assert {(b["rule"], b["mode"]) for b in d.history("breach")} == {
            ("max_contracts", "shadow"),
            ("max_contracts_per_instrument", "armed"),
        }


def test_each_account_has_its_own_limits() -> None:
    """Given -100 for A and -500 for B, when both lose 200, then A alone is locked."""
    accounts = [{"name": A, "rules": {"daily_realized_loss": {"limit": -100}}}, {"name": B}]
    with desk(LOSS, accounts=accounts) as d:
        d.book(-200, account=A)
        d.book(-200, account=B)
        d.locked("daily_realized_loss", account=A)
        d.day("-200.00", account=B)
        assert d.lockouts(B) == {}


@covers("L17")
def test_every_account_of_the_login_is_guarded_where_all_are_asked_for() -> None:
    """Given `accounts: all`, when the limit is broken in B, then B is locked."""
    with desk(LOSS, accounts="all") as d:
        d.book(-500, account=B)
        d.locked("daily_realized_loss", account=B)
        assert d.lockouts(A) == {}


@covers("C1")
def test_new_risk_on_a_locked_account_is_met_every_time_and_counted() -> None:
    """Given a locked account, when an order and three fills follow, then each is undone and counted as an
    attempt."""
    with desk(LOSS) as d:
        d.book(-500)
        d.locked("daily_realized_loss")
        d.order("buy", "MNQ", 1, kind="limit", price=20900)
        d.becomes({}, d.working)
        for count in range(1, 4):
            d.sell("ES", 1)
            d.until(lambda count=count: len(d.closes()) == count, f"close {count}")
            d.flat()
        d.becomes(4, lambda: d.status(A)["attempts"])
        assert d.closes() == [("close", "ES")] * 3
        assert d.rule("daily_realized_loss")["state"] == "locked"


@covers("C7")
def test_a_flatten_cancels_what_could_open_a_position_and_the_stops_of_what_it_closed() -> None:
    """Given MNQ long 2 with stop and target and a resting entry in ES, when the day is over, then all orders
    are gone and the position is closed."""
    with desk(LOSS) as d:
        d.buy("MNQ", 2)
        d.order("sell", "MNQ", 2, kind="stop", price=20900)
        d.order("sell", "MNQ", 2, kind="limit", price=21100)
        d.order("buy", "ES", 1, kind="limit", price=5700)
        d.holds(MNQ=2)
        d.price("MNQ", 20990)
        d.book(-460, contract="ES")
        d.flat()
        d.becomes({}, d.working)
        assert d.closes() == [("close", "MNQ")]
        assert all(receipt["verified"] for receipt in d.receipts())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_stop_that_fills_beside_the_close_leaves_nothing_open(when: str) -> None:
    """Given MNQ long 2 with its stop, when the stop fills around the close of the flatten, then the short
    that may come of it is closed too."""
    with desk(LOSS) as d:
        d.buy("MNQ", 2)
        d.order("sell", "MNQ", 2, kind="stop", price=20900)
        d.holds(MNQ=2)
        d.fault("stop_race", when=when, times=1)
        d.book(-500, contract="ES")
        d.flat()
        d.becomes({}, d.working)
        assert d.receipts()[-1]["verified"]


def test_a_person_locks_flattens_and_panics_over_the_control_socket() -> None:
    """Given MNQ long 1, when it is flattened by hand, then locked for two hours, then everything is panicked,
    then each holds and is explained."""
    with desk(LOSS, accounts=[{"name": A}, {"name": B}]) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.ask("flatten", DoFlatten(A))
        d.flat()
        assert d.lockouts() == {}

        d.ask("lock", DoLock(A, for_s=7200, reason="enough"))
        lockout = d.locked("manual")["manual"]
        assert lockout["kind"] == "manual"
        assert lockout["reason"].startswith("enough")
        d.buy("MNQ", 1)
        d.until(lambda: len(d.closes()) == 2, "the fill is closed")
        d.advance(7201)
        d.locked()

        d.buy("ES", 1, account=B)
        d.holds(account=B, ES=1)
        d.ask("panic", DoPanic())
        d.flat(B)
        d.locked("manual", account=A)
        d.locked("manual", account=B)
        d.ask("unlock", DoUnlock(A))
        d.locked(account=A)


def test_an_unlock_is_refused_while_the_limit_is_still_broken_and_not_after_a_reset_by_hand() -> None:
    """Given a day at -500, when it is unlocked, then that is refused; after `reset` the figures are zero, the
    lock still holds, and it can be lifted."""
    with desk(LOSS) as d:
        d.book(-500)
        d.locked("daily_realized_loss")
        with pytest.raises(Refused) as refused:
            d.ask("unlock", DoUnlock(A))
        assert refused.value.code is Exit.FAILED

        d.advance(1)
        d.ask("reset", DoReset(A))
        d.day("0.00")
        d.locked("daily_realized_loss")
        d.ask("unlock", DoUnlock(A))
        d.locked()

        d.stop()
        d.start()
        d.day("0.00")
        d.locked()
        assert len(d.history("breach")) == 1
