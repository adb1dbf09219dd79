"""Effective protection is never looser before its time: any sequence of wishes, waits, restarts and cancels.

The oracle is a handful of plain questions to a configuration ("how many MNQ?", "is 15:30 open?"), each
answered by a number that is larger where more is protected. It knows nothing of directions or units.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.canonical import canonical
from config.checks import settings_from
from config.pending import (
    Standing,
    accept,
    kept,
    loosenings,
    open_units,
    restored,
    ripen,
    tightened,
    withdraw,
)
from config.settings import Rules, Settings

NOON = datetime(2026, 11, 18, 18, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORST = -(10.0**12)


def written(**asked: Any) -> dict[str, Any]:
    values = {
        "limit": 2,
        "lots": {},
        "default": 3,
        "loss": -100,
        "mode": "armed",
        "end": "15:00",
        "wait": "1h",
    }
    values |= {"b": "same", **asked}
    b = values["b"]
    own = {"rules": {"max_contracts": {"limit": b}}} if isinstance(b, int) else {}
    return {
        "gateway": {"kind": "simulator"},
        "accounts": "all"
        if b == "all"
        else [{"name": "A"}, *([] if b == "none" else [{"name": "B", **own}])],
        "sessions": {"main": {"start": "08:30", "end": values["end"]}},
        "rules": {
            "max_contracts": {"limit": values["limit"], "mode": values["mode"]},
            "max_contracts_per_instrument": {"limits": values["lots"], "default_limit": values["default"]},
            "cooldown_after_loss": {"tiers": [{"loss": values["loss"], "cooldown": f"{values['limit']}m"}]},
            "daily_realized_loss": {"limit": values["loss"]},
            "session_block_outside": {},
        },
        "tamper": {"loosen_after": values["wait"]},
    }


def made(**asked: Any) -> Settings:
    return settings_from(written(**asked))


def _pool(size: int) -> list[Settings]:
    """Wishes to draw from: reading one takes longer than everything that is done with it."""
    chance = random.Random(20261118)
    lots = [{}, {"MNQ": 1}, {"MNQ": 3, "ES": 0}, {"ES": 2}]
    return [
        made(
            limit=chance.randint(1, 4),
            lots=chance.choice(lots),
            default=chance.choice([1, 2, 3]),
            loss=chance.choice([-100, -200, -300]),
            mode=chance.choice(["armed", "armed", "shadow", "off"]),
            end=chance.choice(["14:00", "15:00", "16:00"]),
            wait=chance.choice([None, "1h", "1h", "3h"]),
            b=chance.choice(["same", "same", 1, 3, "all", "none"]),
        )
        for _ in range(size)
    ]


wishes = st.sampled_from(_pool(60))


def _contracts(rules: Rules, one: Settings) -> float:
    return -rules.max_contracts.limit if rules.max_contracts.mode == "armed" else WORST


def _lots(root: str) -> Callable[[Rules, Settings], float]:
    def ask(rules: Rules, one: Settings) -> float:
        rule = rules.max_contracts_per_instrument
        most = rule.limits.get(root, rule.default_limit)
        return WORST if most is None else -most

    return ask


def _rest(loss: int) -> Callable[[Rules, Settings], float]:
    def ask(rules: Rules, one: Settings) -> float:
        tiers = rules.cooldown_after_loss.tiers
        return max((t.cooldown.total_seconds() for t in tiers if loss <= t.loss), default=0.0)

    return ask


def _shut(moment: time) -> Callable[[Rules, Settings], float]:
    def ask(rules: Rules, one: Settings) -> float:
        session = one.sessions[rules.session_block_outside.session]
        return float(not session.start <= moment < session.end)

    return ask


ASKED = {
    "contracts": _contracts,
    "MNQ": _lots("MNQ"),
    "ES": _lots("ES"),
    "CL": _lots("CL"),
    "loss": lambda rules, one: float(rules.daily_realized_loss.limit),
    "rest after -150": _rest(-1_500_000),
    "rest after -250": _rest(-2_500_000),
    "shut at 14:30": _shut(time(14, 30)),
    "shut at 15:30": _shut(time(15, 30)),
}


def answers(one: Settings) -> dict[str, float]:
    """How much is protected, question by question; an account that is not guarded has the worst of all."""
    wait = one.tamper.loosen_after
    found = {"wait": wait.total_seconds() if isinstance(wait, timedelta) else WORST}
    for name in ("A", "B"):
        guarded = one.accounts == "all" or any(account.name == name for account in one.accounts)
        rules = one.for_account(name) if guarded else None
        found |= {
            f"{name} {what}": WORST if rules is None else ask(rules, one) for what, ask in ASKED.items()
        }
    return found


@given(wishes, wishes)
@settings(max_examples=60, deadline=None)
def test_what_is_taken_at_once_loosens_nothing_and_misses_no_tightening(
    one: Settings, other: Settings
) -> None:
    """All instead of a list, or a list instead of all, may have to wait as a whole."""
    strict, was, asked = answers(tightened(one, other)), answers(one), answers(other)
    assert all(strict[name] >= was[name] for name in was)
    if (one.accounts == "all") == (other.accounts == "all"):
        assert strict.keys() == asked.keys()
        missed = {name for name in asked if strict[name] < asked[name]}
        assert missed <= {"A contracts", "B contracts"}, (
            "only keys of a rule that acts less wait with its mode"
        )


@given(wishes, wishes)
@settings(max_examples=30, deadline=None)
def test_what_was_tightened_lets_nothing_more_be_taken(one: Settings, other: Settings) -> None:
    strict = tightened(one, other)
    assert tightened(strict, other) == strict
    assert loosenings(one, strict) == frozenset()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), wishes),
        st.tuples(st.just("up"), wishes),
        st.tuples(st.just("wait"), st.integers(1, 200)),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
        st.tuples(st.just("clock back"), st.integers(1, 200)),
    ),
    max_size=8,
)


@given(wishes, steps)
@settings(max_examples=25, deadline=None)
def test_protection_is_never_looser_before_its_time(first: Settings, sequence: list[tuple[str, Any]]) -> None:
    """`now` is trusted time; a file taken at `up` is asked for when nobody knows the time."""
    standing, now = Standing.settled(first), NOON
    wished = {name: (value, NOON) for name, value in answers(first).items()}
    for what, value in sequence:
        before = answers(standing.in_force)
        wait = standing.in_force.tamper.loosen_after
        assert wait is None or isinstance(wait, timedelta)
        due = now if wait is None else now + wait
        match what:
            case "ask" | "up":
                known = due if what == "ask" else None
                standing = accept(standing, value, known, waits=wait is not None)
                asked = answers(value)
                wished = {k: v if v[0] == asked[k] else (asked[k], due) for k, v in wished.items()}
            case "wait":
                now += timedelta(minutes=value)
            case "restart":
                assert restored(kept(standing)) == standing
                standing = restored(kept(standing))
            case "cancel":
                found = [one.key for one in standing.waiting]
                standing = withdraw(standing, found[value : value + 1])
                asked = answers(standing.wanted)
                wished = {k: v if v[0] == asked[k] else (asked[k], now) for k, v in wished.items()}
            case "clock back":  # trusted time does not go back: the program is asked the same instant again
                pass
        if what != "cancel":
            fresh = now if wait is None else now + wait
            standing = ripen(standing, now, fresh)
        after = answers(standing.in_force)
        for name in after:
            if after[name] < before[name]:
                value_asked, since = wished[name]
                assert since <= now, f"{name} loosened at {now}, {since - now} too early"
                assert after[name] >= min(before[name], value_asked), f"{name} is laxer than anybody asked"
        assert set(standing.due) == open_units(standing.in_force, standing.wanted)


def test_asking_again_does_not_begin_the_wait_anew_and_asking_otherwise_does() -> None:
    standing = accept(Standing.settled(made()), made(limit=4), NOON + HOUR, waits=True)
    assert accept(standing, made(limit=4), NOON + 2 * HOUR, waits=True) == standing
    other = accept(standing, made(limit=3, end="16:00"), NOON + 2 * HOUR, waits=True)
    assert set(other.due.values()) == {NOON + 2 * HOUR}


def test_what_a_lock_holds_waits_for_its_end_although_it_is_due() -> None:
    lax = made(limit=4)
    standing = accept(Standing.settled(made()), lax, NOON + HOUR, waits=True)
    late = NOON + 5 * HOUR
    held = ripen(standing, late, late, lambda key: ".max_contracts." in key)
    assert held.in_force.for_account("A").max_contracts.limit == 2
    assert ripen(held, late, late).in_force == lax


def test_what_made_no_sense_without_a_withdrawn_change_goes_with_it() -> None:
    """Given two limits that only fit together, when one change is withdrawn, then neither takes effect."""
    base, lax = written(loss=-300), written(loss=-1000)
    base["rules"]["daily_unrealized_loss"] = {"limit": -200}
    lax["rules"]["daily_unrealized_loss"] = {"limit": -600}
    standing = accept(Standing.settled(settings_from(base)), settings_from(lax), NOON + HOUR, waits=True)
    left = withdraw(standing, [key for key in standing.due if "daily_realized_loss" in key])
    assert left == Standing.settled(standing.in_force)


def test_the_standing_of_an_earlier_version_is_read() -> None:
    assert restored(canonical(made(b=3))) == Standing.settled(made(b=3))


@pytest.mark.parametrize(("before", "key"), [("all", "accounts"), (1, "accounts.B")])
def test_an_account_that_is_let_go_stays_under_its_rules_until_then(before: object, key: str) -> None:
    first, fewer = made(b=before), made(b="none")
    standing = accept(Standing.settled(first), fewer, NOON + HOUR, waits=True)
    assert list(standing.due) == [key]
    assert answers(standing.in_force) == answers(first)
    assert ripen(standing, NOON + HOUR, NOON).in_force == fewer
