"""A position without a working stop is closed after a grace: no_stop_loss_grace."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from actors.messages import AccountSnapshot, Flat, LockKind, OrderChanged, OrderStatus
from actors.rules.rule import Judgement
from tests.builders import MORNING, Desk, Watching, a_calendar, a_rule

MNQ, ES = "CON.F.US.MNQ.Z25", "CON.F.US.ES.Z25"


def guard(**config: object) -> Watching:
    return a_rule("no_stop_loss_grace", **{"grace": "30s", **config})


def started(rule: Watching) -> Desk:
    """A desk that the rule has been watching for a while."""
    desk = Desk()
    rule.judge(desk.snapshot())
    desk.wait(60)
    return desk


def waited(rule: Watching, desk: Desk, seconds: float) -> Judgement[object]:
    """Time passes, and the orders are read."""
    rule.judge(desk.wait(seconds))
    return rule.judge(desk.read())


def test_s48_a_position_without_a_stop_is_closed_when_the_grace_is_over() -> None:
    rule = guard()
    desk = started(rule)
    opened = desk.now.wall
    naked = rule.judge(desk.buy("MNQ", 2, 21000.0))
    before = waited(rule, desk, 29.9)

    judged = waited(rule, desk, 0.1)

    assert naked.due == opened + timedelta(seconds=30)
    assert before.demands == ()
    assert judged.demands == (Flat(MNQ),)
    assert [(b.id, b.at) for b in judged.breaches] == [
        ("2025-11-19/no_stop_loss_grace/CON.F.US.MNQ.Z25/time/1", opened + timedelta(seconds=30))
    ]
    assert judged.lock is None


def test_s49_a_stop_within_the_grace_keeps_the_position() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 2, 21000.0))
    desk.wait(10)
    desk.place("MNQ", -2, stop=20980.0)
    rule.judge(desk.snapshot())

    judged = waited(rule, desk, 30)

    assert (judged.demands, judged.breaches, judged.due) == ((), (), None)


def test_s51_the_open_orders_are_asked_before_the_position_is_closed() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 2, 21000.0))

    at_the_end = rule.judge(desk.wait(30))
    desk.place("MNQ", -2, stop=20980.0)
    read = rule.judge(desk.read())

    assert at_the_end.wants_read == f"no stop is known for {MNQ}"
    assert at_the_end.demands == ()
    assert (read.demands, read.wants_read) == ((), None)


def test_a_look_that_began_before_the_end_is_not_enough() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 2, 21000.0))
    desk.wait(29)
    desk.read()

    judged = rule.judge(desk.wait(1))

    assert judged.demands == ()
    assert judged.wants_read is not None


def test_a_look_that_never_comes_does_not_leave_the_position_naked_for_ever() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 2, 21000.0))
    waiting = rule.judge(desk.wait(39))

    judged = rule.judge(desk.wait(1))

    assert waiting.demands == ()
    assert judged.demands == (Flat(MNQ),)


def test_s53_only_the_unprotected_position_is_closed() -> None:
    rule = guard()
    desk = started(rule)
    desk.buy("MNQ", 2, 21000.0)
    desk.buy("ES", 1, 5000.0)
    desk.place("ES", -1, stop=4990.0)
    rule.judge(desk.snapshot())

    assert waited(rule, desk, 30).demands == (Flat(MNQ),)


def test_a_stop_that_goes_away_starts_the_grace_again() -> None:
    rule = guard()
    desk = started(rule)
    desk.buy("MNQ", 1, 21000.0)
    stop = desk.place("MNQ", -1, stop=20980.0)
    rule.judge(desk.snapshot())
    desk.wait(100)
    rule.judge(desk.cancel(stop))

    before, after = waited(rule, desk, 29), waited(rule, desk, 1)

    assert (before.demands, after.demands) == ((), (Flat(MNQ),))


def test_the_grace_begins_when_the_stop_went_away_not_when_it_was_heard_of() -> None:
    rule = guard()
    desk = started(rule)
    desk.buy("MNQ", 1, 21000.0)
    stop = desk.place("MNQ", -1, stop=20980.0)
    rule.judge(desk.snapshot())
    went = desk.now.wall
    desk.wait(20)
    late = desk.hear(
        OrderChanged(
            msgspec.structs.replace(stop, status=OrderStatus.CANCELLED, updated_at=went), desk.now.mono
        )
    )

    judged = rule.judge(late)

    assert judged.due == went + timedelta(seconds=30)


def test_a_breach_says_which_stops_were_not_enough() -> None:
    rule = guard()
    desk = started(rule)
    desk.buy("MNQ", 2, 21000.0)
    stop = desk.place("MNQ", -1, stop=20980.0)
    rule.judge(desk.snapshot())

    (breach,) = waited(rule, desk, 30).breaches

    assert breach.inputs == {
        "size": "+2",
        "naked_since": "2025-11-19T16:01:00Z",
        "stops": f"{stop.id} for 1 at 20980.0",
    }


def test_adding_to_a_position_does_not_restart_the_grace() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 1, 21000.0))
    desk.wait(20)
    rule.judge(desk.buy("MNQ", 1, 21000.0))

    assert waited(rule, desk, 10).demands == (Flat(MNQ),)


def test_closing_ends_the_grace_and_a_new_position_has_one_of_its_own() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 1, 21000.0))
    desk.wait(20)
    desk.sell("MNQ", 1, 21000.0)
    rule.judge(desk.buy("MNQ", 1, 21000.0))

    before, after = waited(rule, desk, 29), waited(rule, desk, 1)

    assert (before.demands, after.demands) == ((), (Flat(MNQ),))


def test_a_reversal_is_a_new_position() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 1, 21000.0))
    desk.wait(20)
    rule.judge(desk.sell("MNQ", 2, 21000.0))

    assert waited(rule, desk, 29).demands == ()


def test_a_position_open_before_the_rule_was_armed_gets_the_whole_grace() -> None:
    rule, desk = guard(), Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.wait(300)
    rule.judge(desk.snapshot("reborn"))

    before, after = waited(rule, desk, 29), waited(rule, desk, 1)

    assert (before.demands, after.demands) == ((), (Flat(MNQ),))


def test_the_deadline_survives_a_restart() -> None:
    """Watching writes the state down and reads it again between any two judgements."""
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 1, 21000.0))
    desk.wait(300)

    judged = rule.judge(desk.read())

    assert judged.demands == (Flat(MNQ),)
    assert judged.breaches[0].at == desk.now.wall - timedelta(seconds=270)


def test_no_grace_closes_at_once_after_one_look() -> None:
    rule = guard(grace="0s")
    desk = started(rule)

    asked = rule.judge(desk.buy("MNQ", 1, 21000.0))
    desk.wait(0.1)
    judged = rule.judge(desk.read())

    assert asked.wants_read is not None
    assert judged.demands == (Flat(MNQ),)


def test_a_stop_that_comes_while_the_close_is_on_its_way_ends_the_breach() -> None:
    rule = guard()
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 1, 21000.0))
    waited(rule, desk, 30)
    desk.place("MNQ", -1, stop=20980.0)

    judged = rule.judge(desk.snapshot())

    assert (judged.demands, judged.breaches) == ((), ())


def test_a_lockout_closes_the_contract_and_freezes_the_rest() -> None:
    rule = guard(lockout="until_reset")
    desk = started(rule)
    rule.judge(desk.buy("MNQ", 1, 21000.0))

    lock = waited(rule, desk, 30).lock

    assert lock is not None
    assert (lock.kind, lock.flatten, lock.close) == (LockKind.UNTIL_RESET, False, (MNQ,))
    assert lock.until == a_calendar().next_reset(MORNING)


def test_figures_say_when_the_first_position_is_closed() -> None:
    rule = guard()
    desk = started(rule)
    snapshot: AccountSnapshot = desk.buy("MNQ", 1, 21000.0)
    rule.judge(snapshot)

    figure = rule.rule.figure(rule.state, snapshot)

    assert (figure.value, figure.acts_at) == ("1", "2025-11-19T16:01:30Z")
