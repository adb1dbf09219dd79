"""Lockouts: one per rule, the later expiry wins, one's end never ends another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.enforcement import lockouts as locks
from actors.enforcement.lockouts import Lockouts, Over
from actors.messages import AccountId, BreachId, Lock, LockKind, Lockout

ACCOUNT = AccountId(1001)
T0 = datetime(2025, 11, 19, 16, 0, tzinfo=UTC)
RULES = ("trade_frequency_limit", "daily_realized_loss", "auth_loss_guard", "manual")


def after(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def a_lock(minutes: float | None = 60, **more: object) -> Lock:
    fields: dict[str, object] = {
        "kind": LockKind.DURATION,
        "since": T0,
        "until": None if minutes is None else after(minutes),
        "reason": "enough",
        "flatten": True,
        "breach": BreachId("b1"),
    } | more
    return msgspec.convert(fields, Lock)


def locked(*wishes: tuple[str, Lock], sizes: dict[str, int] | None = None) -> Lockouts:
    lockouts = Lockouts()
    for rule, wish in wishes:
        lockouts, _ = locks.lock(lockouts, ACCOUNT, rule, wish, sizes, T0)
    return lockouts


# ------------------------------------------------------------------------------ set


@pytest.mark.parametrize(
    ("present", "wished", "until"),
    [
        pytest.param(60, 120, 120, id="a later expiry wins"),
        pytest.param(60, 30, 60, id="an earlier expiry changes nothing"),
        pytest.param(60, None, None, id="no expiry is the latest"),
        pytest.param(None, 60, None, id="an expiry never shortens one without"),
    ],
)
def test_lockout_of_the_same_rule_keeps_the_later_expiry(
    present: int | None, wished: int | None, until: int | None
) -> None:
    lockouts = locked(("loss", a_lock(present)), ("loss", a_lock(wished, since=after(1))))

    (one,) = lockouts.in_force
    assert one.until == (None if until is None else after(until))
    assert one.since == T0


def test_lockout_over_by_trusted_time_sets_nothing() -> None:
    """Refused at the very instant of its expiry, too."""
    _, changed = locks.lock(Lockouts(), ACCOUNT, "loss", a_lock(60), {}, after(60))

    assert changed is None


def test_repeated_wish_changes_nothing() -> None:
    lockouts = locked(("loss", a_lock()))

    same, changed = locks.lock(lockouts, ACCOUNT, "loss", a_lock(), {}, after(1))

    assert changed is None
    assert same is lockouts


def test_longer_lockout_takes_kind_reason_and_breach_with_it() -> None:
    longer = a_lock(120, kind=LockKind.UNTIL_RESET, reason="worse", breach="b2", since=after(5))

    (one,) = locked(("frequency", a_lock(1)), ("frequency", longer)).in_force

    assert (one.kind, one.reason, one.breach) == (LockKind.UNTIL_RESET, "worse", "b2")


def test_flatten_added_to_a_freeze_stays_and_a_freeze_never_takes_it_away() -> None:
    lockouts = locked(
        ("loss", a_lock(flatten=False)),
        ("loss", a_lock()),
        ("loss", a_lock(90, flatten=False)),
        sizes={"A": 1},
    )

    (one,) = lockouts.in_force
    assert one.flatten
    assert one.frozen_sizes is None
    assert one.until == after(90)


def test_cooldown_beside_a_longer_lock_ends_alone() -> None:
    """A 60 s cooldown never shortens or erases a lock until 17:00."""
    lockouts = locked(("trade_frequency_limit", a_lock(1)), ("daily_realized_loss", a_lock(420)))
    assert lockouts.unlock_time == after(420)

    left, over = locks.expire(lockouts, after(1))

    assert [one.rule for one in over] == ["trade_frequency_limit"]
    assert [one.rule for one in left.in_force] == ["daily_realized_loss"]


@pytest.mark.parametrize(
    ("wishes", "until"),
    [
        pytest.param([], None, id="not locked"),
        pytest.param([5, 60], after(60), id="the latest"),
        pytest.param([5, None], None, id="one without an end"),
    ],
)
def test_unlock_time_is_the_latest_expiry(wishes: list[int | None], until: datetime | None) -> None:
    lockouts = locked(*((f"rule{n}", a_lock(minutes)) for n, minutes in enumerate(wishes)))

    assert lockouts.unlock_time == until


# ------------------------------------------------------------------------------ ends


@pytest.mark.parametrize(
    ("kind", "since", "ends"),
    [
        pytest.param(LockKind.UNTIL_RESET, T0, True, id="until the reset"),
        pytest.param(LockKind.UNTIL_RESET, after(420), False, id="of the new day already"),
        pytest.param(LockKind.UNTIL_SESSION_START, T0, False, id="until the session starts"),
        pytest.param(LockKind.DURATION, T0, False, id="a duration"),
        pytest.param(LockKind.CONDITION, T0, False, id="a condition"),
        pytest.param(LockKind.MANUAL, T0, False, id="by hand"),
    ],
)
def test_reset_ends_only_what_lasts_until_it(kind: LockKind, since: datetime, ends: bool) -> None:
    lockouts = locked(("rule", a_lock(1000, kind=kind, since=since)))

    left, over = locks.reset(lockouts, after(420))

    assert left.locked is not ends
    assert [one.reason for one in over] == (["reset"] if ends else [])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(LockKind.UNTIL_RESET, "reset"), (LockKind.DURATION, "expired"), (LockKind.MANUAL, "expired")],
)
def test_expiry_ends_at_its_instant_and_not_before(kind: LockKind, reason: str) -> None:
    lockouts = locked(("rule", a_lock(60, kind=kind)))

    early, none = locks.expire(lockouts, after(60) - timedelta(microseconds=1))
    left, over = locks.expire(lockouts, after(60))

    assert early is lockouts
    assert none == ()
    assert over == (Over("rule", T0, after(60), reason),)
    assert not left.locked


def test_condition_that_is_over_ends_no_lockout_of_another_kind_or_rule() -> None:
    lockouts = locked(("auth_loss_guard", a_lock(60)), ("supervisor", a_lock(None, kind=LockKind.CONDITION)))

    left, over = locks.condition_over(lockouts, "auth_loss_guard", after(1))

    assert over == ()
    assert left is lockouts


# ------------------------------------------------------------------------------ unlock


@pytest.mark.parametrize(
    ("rule", "kind", "holds", "ended"),
    [
        pytest.param("daily_realized_loss", LockKind.UNTIL_RESET, True, False, id="the loss still stands"),
        pytest.param("daily_realized_loss", LockKind.UNTIL_RESET, False, True, id="the loss was reset"),
        pytest.param("trade_frequency_limit", LockKind.DURATION, True, True, id="a cooldown"),
        pytest.param(
            "trade_frequency_limit", LockKind.UNTIL_RESET, True, True, id="a cooldown until the reset"
        ),
        pytest.param(
            "loss_streak", LockKind.UNTIL_RESET, True, True, id="a streak is of trades that are over"
        ),
        pytest.param("daily_unrealized_loss", LockKind.DURATION, True, True, id="a duration"),
        pytest.param(
            "session_block_outside", LockKind.UNTIL_SESSION_START, True, False, id="outside the session"
        ),
        pytest.param("auth_loss_guard", LockKind.CONDITION, True, False, id="may not trade"),
        pytest.param("auth_loss_guard", LockKind.CONDITION, False, True, id="may trade, unlock: admin"),
        pytest.param("manual", LockKind.MANUAL, False, True, id="by hand"),
        pytest.param("supervisor", LockKind.CONDITION, False, False, id="a rule does not run"),
        pytest.param("safe_mode", LockKind.CONDITION, False, False, id="safe mode"),
        pytest.param("store", LockKind.CONDITION, False, True, id="the store lost lockouts"),
    ],
)
def test_unlock_is_refused_where_the_condition_still_holds(
    rule: str, kind: LockKind, holds: bool, ended: bool
) -> None:
    lockouts = locked((rule, a_lock(60, kind=kind)))

    left, over, refused = locks.unlock(lockouts, None, {rule: "it stands"} if holds else {}, {}, after(1))

    assert left.locked is not ended
    assert [one.reason for one in over] == (["admin"] if ended else [])
    assert [one.rule for one in refused] == ([] if ended else [rule])


def test_unlock_of_one_rule_leaves_the_others() -> None:
    lockouts = locked(("manual", a_lock(kind=LockKind.MANUAL)), ("cooldown_after_loss", a_lock()))

    left, over, refused = locks.unlock(lockouts, "manual", {}, {}, after(1))

    assert [one.rule for one in left.in_force] == ["cooldown_after_loss"]
    assert [one.rule for one in over] == ["manual"]
    assert refused == ()


def test_manual_lock_can_be_set_again_at_once_after_it_was_lifted() -> None:
    by_hand = a_lock(kind=LockKind.MANUAL)
    left, _, _ = locks.unlock(locked(("manual", by_hand)), None, {}, {}, T0)

    _, changed = locks.lock(left, ACCOUNT, "manual", by_hand, {}, T0)

    assert changed is not None


def test_lifted_lockout_starts_again_only_by_a_later_event() -> None:
    lockouts = locked(("cooldown_after_loss", a_lock()))
    left, _, _ = locks.unlock(lockouts, None, {}, {"cooldown_after_loss": after(2)}, after(3))

    for since, sets in ((T0, False), (after(2), False), (after(2.1), True)):
        _, changed = locks.lock(left, ACCOUNT, "cooldown_after_loss", a_lock(90, since=since), {}, after(3))
        assert (changed is not None) is sets


# ------------------------------------------------------------------------------ frozen sizes


@pytest.mark.parametrize(
    ("baseline", "now", "kept"),
    [
        pytest.param({"A": 3}, {"A": 5}, {"A": 3}, id="grown"),
        pytest.param({"A": 3}, {"A": 2}, {"A": 2}, id="reduced"),
        pytest.param({"A": -3}, {"A": -2}, {"A": -2}, id="reduced short"),
        pytest.param({"A": 3}, {}, {}, id="closed"),
        pytest.param({"A": 3}, {"A": -1}, {}, id="turned"),
        pytest.param({"A": 3}, {"A": 3, "B": 1}, {"A": 3}, id="another contract"),
    ],
)
def test_frozen_sizes_follow_positions_down_only(
    baseline: dict[str, int], now: dict[str, int], kept: dict[str, int]
) -> None:
    lockouts = locked(("manual", a_lock(flatten=False)), sizes=baseline)

    left, _ = locks.shrink(lockouts, now)

    assert locks.frozen(left) == kept


def test_two_freezes_hold_the_smaller_size() -> None:
    lockouts = locked(("manual", a_lock(flatten=False)), sizes={"A": 3, "B": 1})
    lockouts, _ = locks.lock(lockouts, ACCOUNT, "loss", a_lock(flatten=False), {"A": 5, "B": -1}, T0)

    assert locks.frozen(lockouts) == {"A": 3}


# ------------------------------------------------------------------------------ properties

wishes = st.builds(
    Lock,
    kind=st.sampled_from(list(LockKind)),
    since=st.integers(0, 50).map(after),
    until=st.none() | st.integers(0, 200).map(after),
    reason=st.just("enough"),
    flatten=st.booleans(),
    breach=st.none() | st.sampled_from([BreachId("b1"), BreachId("b2")]),
    close=st.sampled_from([(), ("A",)]),
)
sizes = st.dictionaries(st.sampled_from(["A", "B"]), st.integers(-5, 5))
steps = st.lists(st.tuples(st.sampled_from(RULES), wishes, sizes, st.integers(0, 60)), max_size=12)


@given(steps)
def test_no_lock_ever_shortens_weakens_or_ends_another(
    todo: list[tuple[str, Lock, dict[str, int], int]],
) -> None:
    lockouts = Lockouts()
    for rule, wish, held, minute in todo:
        before = lockouts
        lockouts, _ = locks.lock(lockouts, ACCOUNT, rule, wish, held, after(minute))
        assert len({one.rule for one in lockouts.in_force}) == len(lockouts.in_force)
        for one in before.in_force:
            now = lockouts.of(one.rule)
            assert now is not None
            assert now.until is None or (one.until is not None and now.until >= one.until)
            assert now.flatten or not one.flatten
            assert one.rule == rule or now == one
            assert now.flatten or _within(now, one)


def _within(now: Lockout, before: Lockout) -> bool:
    assert now.frozen_sizes is not None
    assert before.frozen_sizes is not None
    return all(before.frozen_sizes.get(c) == size for c, size in now.frozen_sizes.items())


@given(steps, st.integers(0, 250))
def test_time_ends_exactly_what_has_expired(
    todo: list[tuple[str, Lock, dict[str, int], int]], minute: int
) -> None:
    lockouts = Lockouts()
    for rule, wish, held, _ in todo:
        lockouts, _ = locks.lock(lockouts, ACCOUNT, rule, wish, held, T0)

    left, over = locks.expire(lockouts, after(minute))

    gone = {one.rule for one in lockouts.in_force if one.until is not None and one.until <= after(minute)}
    assert {one.rule for one in over} == gone
    assert left.in_force == tuple(one for one in lockouts.in_force if one.rule not in gone)


@given(steps)
def test_lockouts_survive_their_bytes(todo: list[tuple[str, Lock, dict[str, int], int]]) -> None:
    lockouts = Lockouts()
    for rule, wish, held, minute in todo:
        lockouts, _ = locks.lock(lockouts, ACCOUNT, rule, wish, held, after(minute))
    lockouts, _, _ = locks.unlock(lockouts, "manual", {}, {}, T0)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(lockouts), type=Lockouts) == lockouts


# ------------------------------------------------------------------------------ after a restart


def test_restart_joins_what_memory_and_store_hold() -> None:
    remembered = locked(("manual", a_lock(90)))
    stored = locked(("manual", a_lock(60)), ("store", a_lock(None)))

    joined, late = locks.rejoin(remembered, stored.in_force)

    assert [(one.rule, one.until) for one in joined.in_force] == [("manual", after(90)), ("store", None)]
    assert late == ()


def test_end_that_the_store_had_not_heard_of_is_returned_to_be_stored() -> None:
    before = locked(("manual", a_lock(60, kind=LockKind.MANUAL)))
    remembered, over, _ = locks.unlock(before, None, {}, {}, after(1))

    joined, late = locks.rejoin(remembered, before.in_force)

    assert not joined.locked
    assert late == ((over[0], before.in_force[0]),)
