"""The story of enforcement: what is sent, when again, and when it may be called done."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from actors.enforcement import plan as machine
from actors.enforcement.effects import (
    Accepted,
    BreachSeen,
    DemandRaised,
    Denied,
    LockoutSet,
    ReceiptChanged,
    StateSaid,
    TellAccount,
    Unlocked,
)
from actors.messages import (
    AccountFlat,
    AtMost,
    BreachId,
    Called,
    CallKind,
    CloseSent,
    CloseVerified,
    Flat,
    LockKind,
    Mode,
    Notice,
    OrderAtMost,
    OrderGone,
    OrderStatus,
    OrderType,
    Outcome,
    OwnClose,
)
from tests.actors.enforcement.floor import (
    CONFIRMED,
    ES,
    MNQ,
    Floor,
    kinds,
)

# ------------------------------------------------------------------------------ nothing to do


def test_account_that_complies_and_is_not_locked_gets_no_call() -> None:
    floor = Floor()

    floor.buy("MNQ", 2)
    floor.place("MNQ", -2, stop=20980.0)
    floor.wait(60)

    assert floor.calls == []
    assert floor.plan.memory.receipts == {}


def test_demand_that_the_judged_account_met_already_is_not_raised() -> None:
    floor = Floor()
    floor.buy("ES", 1)

    floor.say("symbol_blocks", Flat(MNQ))

    assert floor.plan.memory.standing == ()


# ------------------------------------------------------------------------------ the day is lost


def test_loss_limit_locks_first_then_closes_every_contract_and_is_done_when_read() -> None:
    """S15, S20: lockout, then all closes in parallel, verified by a read begun after the last answer."""
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.sell("ES", 1)

    calls = floor.lose_the_day()

    assert floor.lockouts.of("daily_realized_loss") is not None
    assert kinds(calls) == [("close", "ES", 1), ("close", "MNQ", 2)]

    floor.confirm(calls[0])
    assert floor.reads == 0, "the other close is still out"
    floor.confirm(calls[1])
    assert floor.reads == 1
    assert floor.closed == ()

    floor.desk.wait(0.1)
    floor.read()
    assert floor.last.verified
    assert floor.last.rules == ("daily_realized_loss",)
    assert floor.last.demand == "account flat"
    assert [(c.call, c.size) for c in floor.last.calls] == [(CallKind.CLOSE, 1), (CallKind.CLOSE, 2)]
    assert floor.last.rounds == 1
    assert floor.last.breach_to_verified_ms == pytest.approx(102.0)


def test_read_begun_before_the_last_call_ended_verifies_nothing() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()
    floor.desk.wait(0.5)
    early = floor.desk.read()
    floor.desk.wait(0.5)
    floor.confirm()

    floor.shows(early)
    assert floor.closed == ()

    floor.read()
    assert floor.last.verified


def test_lock_of_a_flat_account_is_verified_flat_by_a_read_too() -> None:
    floor = Floor()

    assert floor.lose_the_day() == []
    assert floor.reads == 1
    floor.wait(0.1)
    floor.read()

    assert floor.last.verified
    assert floor.last.calls == ()


def test_all_breaches_are_recorded_when_one_action_serves_them() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    first, second = floor.breach("daily_realized_loss"), floor.breach("daily_unrealized_loss", MNQ)

    floor.say("daily_realized_loss", breaches=(first,), lock=floor.lock(first))
    assert floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(second,)) == []
    floor.settle()

    assert kinds(floor.calls) == [("close", "MNQ", 3)]
    assert [seen.breach for seen in floor.seen(BreachSeen)] == [first, second]
    assert len(floor.closed) == 1
    assert floor.last.breaches == (first.id, second.id)
    assert floor.last.rules == ("daily_realized_loss", "daily_unrealized_loss")


def test_breach_is_recorded_once_per_episode() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    breach = floor.breach("daily_unrealized_loss", MNQ)

    for _ in range(3):
        floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(breach,))

    assert len(floor.seen(BreachSeen)) == 1
    assert len(floor.seen(DemandRaised)) == 1


def test_own_closes_are_announced_to_the_account_and_ended_when_verified() -> None:
    floor = Floor()
    floor.sell("MNQ", 2)
    floor.lose_the_day()
    floor.settle()

    told = [effect.message for effect in floor.seen(TellAccount)]
    assert told == [
        CloseSent(MNQ, -2, OwnClose.LOCKOUT, told[0].mono),  # type: ignore[union-attr]
        CloseVerified(MNQ),
    ]
    assert [booked.own for booked in floor.desk.snapshot().fills] == [OwnClose.NO, OwnClose.LOCKOUT]


def test_flatten_of_a_rule_without_a_lock_is_carried_through_and_then_over() -> None:
    """001 with action flatten; a second breach while it is under way joins it."""
    floor = Floor()
    floor.buy("MNQ", 4)
    floor.buy("ES", 2)
    first, second = floor.breach("max_contracts"), floor.breach("max_contracts")

    floor.say("max_contracts", AccountFlat(), breaches=(first,))
    floor.say("max_contracts", AccountFlat(), breaches=(first, second))
    floor.settle()
    floor.say("max_contracts")

    assert kinds(floor.calls) == [("close", "ES", 2), ("close", "MNQ", 4)]
    assert floor.last.breaches == (first.id, second.id)
    assert floor.buy("MNQ", 1) == []


def test_notice_of_a_rule_goes_to_people_once_per_key() -> None:
    floor = Floor()
    notice = Notice("warning", "max_contracts", "4 of 5 contracts open", "2025-11-19/max_contracts/*/near/1")

    for _ in range(2):
        floor.say("max_contracts", notices=(notice,))

    assert floor.alerts == [notice]


def test_state_of_a_rule_that_came_with_its_verdict_is_stored() -> None:
    floor = Floor()

    floor.say("max_contracts", state=b"small")

    assert [(said.rule, said.body) for said in floor.seen(StateSaid)] == [("max_contracts", b"small")]


# ------------------------------------------------------------------------------ one contract


def test_twenty_breaching_quotes_while_a_close_is_out_send_one_close() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.buy("ES", 1)
    breach = floor.breach("daily_unrealized_loss", MNQ)

    for _ in range(20):
        floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(breach,))

    assert kinds(floor.calls) == [("close", "MNQ", 2)]
    floor.settle()
    assert kinds(floor.calls) == [("close", "MNQ", 2)]
    assert floor.held(ES) == 1


def test_price_that_recovers_while_the_close_is_out_does_not_withdraw_it() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(floor.breach("daily_unrealized_loss", MNQ),))

    floor.say("daily_unrealized_loss")
    floor.lose()
    floor.read()

    assert kinds(floor.calls) == [("close", "MNQ", 2)] * 2
    floor.settle()
    assert floor.last.verified
    assert floor.held(MNQ) == 0


def test_old_verdict_about_what_has_complied_closes_nothing_new() -> None:
    """The account was flat, the trader is in again; a verdict of before comes late."""
    floor = Floor()
    floor.buy("MNQ", 2)
    breach = floor.breach("daily_unrealized_loss", MNQ)
    floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(breach,))
    late = floor.desk.snapshot()
    floor.settle()

    floor.buy("MNQ", 1)
    floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(breach,), snapshot=late)

    assert kinds(floor.calls) == [("close", "MNQ", 2)]


def test_closed_contract_breached_again_is_closed_again_under_a_new_receipt() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.say("symbol_blocks", Flat(MNQ), breaches=(floor.breach("symbol_blocks", MNQ),))
    floor.settle()

    floor.buy("MNQ", 2)
    floor.say("symbol_blocks", Flat(MNQ), breaches=(floor.breach("symbol_blocks", MNQ),))
    floor.settle()

    assert kinds(floor.calls) == [("close", "MNQ", 1), ("close", "MNQ", 2)]
    assert [receipt.verified for receipt in floor.closed] == [True, True]
    assert floor.closed[0].id != floor.closed[1].id


# ------------------------------------------------------------------------------ partial closes


def reduce_to(floor: Floor, size: int) -> list[object]:
    breach = floor.breach("max_contracts_per_instrument", MNQ)
    return list(floor.say("max_contracts_per_instrument", AtMost(MNQ, size), breaches=(breach,)))


def test_excess_of_one_contract_is_closed_and_the_rest_stays() -> None:
    """S07: limit 2, position 3."""
    floor = Floor()
    floor.buy("ES", 1)
    floor.buy("MNQ", 3)

    reduce_to(floor, 2)
    floor.settle()

    assert kinds(floor.calls) == [("partial_close", "MNQ", 1)]
    assert (floor.held(MNQ), floor.held(ES)) == (2, 1)
    assert floor.last.verified


def test_short_position_is_reduced_by_the_excess_and_never_turned() -> None:
    floor = Floor()
    floor.sell("MNQ", 3)

    reduce_to(floor, 2)
    floor.settle()

    assert floor.held(MNQ) == -2


def test_partial_close_sent_while_the_fill_of_another_is_to_come_claims_the_fills_of_both() -> None:
    """With the link cut both come by one read: neither is the trader's."""
    floor = Floor()
    floor.buy("MNQ", 7)
    reduce_to(floor, 5)
    floor.answer(floor.next, Outcome.CONFIRMED, 0, "done")

    reduce_to(floor, 4)

    told = [e.message for e in floor.seen(TellAccount) if isinstance(e.message, CloseSent)]
    assert [call.size for call in floor.calls] == [2, 1]
    assert [close.size for close in told] == [2, 3]
    reborn = machine.resume(floor.plan, floor.desk.now)
    again = [e.message for e in reborn.after if isinstance(e, TellAccount)]
    assert [close.size for close in again if isinstance(close, CloseSent)] == [3]


def test_partial_close_of_unknown_outcome_waits_until_no_request_can_take_effect() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)

    floor.lose()
    floor.wait(3)
    assert floor.read() == []
    floor.wait(3.9)
    assert floor.read() == [], "6.9 s after the send: it may still be carried out"

    floor.wait(0.2)
    assert kinds(floor.read()) == [("partial_close", "MNQ", 1)]


def test_partial_close_of_unknown_outcome_that_was_carried_out_is_not_repeated() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)

    floor.lose(carried_out=True)
    floor.shows()
    floor.wait(0.1)
    floor.read()

    assert len(floor.calls) == 1
    assert floor.last.verified


def test_partial_close_filled_in_parts_is_not_taken_for_a_smaller_one() -> None:
    floor = Floor()
    floor.buy("MNQ", 10)
    reduce_to(floor, 7)
    call = floor.next

    for _ in range(2):
        floor.sell("MNQ", 1, order=77)
    floor.answer(call, *CONFIRMED)
    assert floor.out == {}, "one of three is still to come"
    floor.sell("MNQ", 1, order=77)
    floor.settle()

    assert kinds(floor.calls) == [("partial_close", "MNQ", 3)]
    assert floor.held(MNQ) == 7


def test_contracts_added_meanwhile_are_closed_beside_what_is_still_outstanding() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    floor.lose()

    floor.buy("MNQ", 2)

    assert kinds(floor.calls) == [("partial_close", "MNQ", 1), ("partial_close", "MNQ", 2)]


def test_partial_close_that_a_new_fill_hides_is_known_by_its_own_fill() -> None:
    """3 open, one closed by us, one bought: 3 again, and nothing is outstanding any more."""
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    call = floor.next

    floor.carry_out(call, tell=False)
    floor.desk.buy("MNQ", 1, 21000.0)
    floor.lose(call)

    assert kinds(floor.shows()) == [("partial_close", "MNQ", 1)]


def test_lost_partial_close_is_reckoned_with_when_its_rule_asks_again() -> None:
    """The trader closed another contract and opened it again within the seconds a lost request may take."""
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    floor.lose()
    floor.say("max_contracts_per_instrument")
    floor.read()
    assert floor.receipts == []

    assert reduce_to(floor, 2) == [], "the lost one may still take effect"
    floor.wait(7.1)
    floor.read()

    assert kinds(floor.calls) == [("partial_close", "MNQ", 1)] * 2


def test_excess_is_computed_anew_when_the_trader_helps() -> None:
    floor = Floor()
    floor.buy("MNQ", 4)
    reduce_to(floor, 2)
    floor.refuse(6)

    floor.sell("MNQ", 1)
    floor.wait(1)

    assert kinds(floor.calls) == [("partial_close", "MNQ", 2), ("partial_close", "MNQ", 1)]


def test_size_demand_that_its_rule_no_longer_makes_is_not_driven_further() -> None:
    """Over the limit by the net of two contracts: the trader closed the other one himself."""
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    floor.refuse(6)

    floor.say("max_contracts_per_instrument")
    floor.wait(30)
    floor.read()

    assert len(floor.calls) == 1
    assert not floor.last.verified
    assert "withdrawn" in (floor.last.last_error or "")


def test_partial_close_refused_for_good_closes_the_whole_with_an_alert() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)

    calls = floor.refuse(9, text="Live accounts not supported")

    assert kinds(calls) == [("close", "MNQ", 3)]
    floor.settle()
    assert floor.last.verified
    assert "refused for good" in floor.last.notes[0]
    assert [alert.level for alert in floor.alerts] == ["error"]


def test_partial_close_refused_because_the_market_is_closed_never_closes_the_whole() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)

    for wait in (1, 2, 5, 10, 30, 30):
        floor.refuse(6, text="market closed")
        floor.wait(wait)

    assert {call.kind for call in floor.calls} == {CallKind.PARTIAL_CLOSE}
    assert len(floor.calls) == 7


def test_flatten_follows_a_partial_close_that_is_out_as_soon_as_it_is_answered() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)

    assert floor.lose_the_day() == []
    assert kinds(floor.confirm()) == [("close", "MNQ", 2)]
    floor.settle()
    assert floor.flat


# ------------------------------------------------------------------------------ failing calls


def test_error_then_timeout_then_success_closes_on_the_third_attempt() -> None:
    """S73."""
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    floor.lose()
    assert floor.reads == 1
    assert kinds(floor.read()) == [("close", "MNQ", 1)], "repeated as soon as a read shows it open"
    floor.lose()
    floor.wait(0.5)
    assert floor.read() == []
    floor.wait(0.5)
    floor.settle()

    assert kinds(floor.calls) == [("close", "MNQ", 1)] * 3
    assert floor.last.verified
    assert floor.last.rounds == 3
    assert [call.outcome.value for call in floor.last.calls] == ["unknown", "unknown", "confirmed"]


def test_unknown_close_is_repeated_although_no_read_comes_through_either() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    floor.lose()
    assert floor.wait(0.9) == []
    assert kinds(floor.wait(0.2)) == [("close", "MNQ", 1)]


def test_unknown_close_that_was_carried_out_is_not_repeated() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    floor.lose(carried_out=True)
    floor.desk.wait(0.1)
    floor.read()

    assert len(floor.calls) == 1
    assert floor.last.verified


def test_refused_close_is_repeated_after_1_2_5_10_and_then_every_30_seconds() -> None:
    """S74, and rules section 4."""
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    for wait in (1, 2, 5, 10, 30, 30, 30):
        assert floor.refuse(5, text="market closed") == []
        assert floor.wait(wait - 0.01) == []
        assert kinds(floor.wait(0.01)) == [("close", "MNQ", 1)]

    assert floor.closed == ()
    assert floor.lockouts.locked
    open_receipt = floor.plan.memory.receipts[floor.receipts[0]]
    assert open_receipt.last_error is not None
    assert "code 5" in open_receipt.last_error
    assert "market closed" in open_receipt.last_error


def test_documented_permanent_refusal_is_repeated_every_60_seconds() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    for _ in range(3):
        floor.refuse(8)
        assert floor.wait(59) == []
        assert len(floor.wait(1)) == 1


def test_critical_alert_comes_after_three_failures_and_every_quarter_of_an_hour() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    told = list[int]()
    for attempt in range(1, 70):
        floor.refuse(5)
        told += [attempt] * (len(floor.alerts) - len(told))
        floor.wait(30)

    assert {alert.level for alert in floor.alerts} == {"critical"}
    assert told == [3, 33, 63]


def test_close_that_succeeds_after_many_failures_raises_no_further_alert() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()
    for _ in range(32):
        floor.refuse(5)
        floor.wait(30)
    assert len(floor.alerts) == 1

    floor.settle()

    assert floor.last.verified
    assert len(floor.alerts) == 1


def test_confirmed_close_that_changes_nothing_is_repeated_ever_more_slowly_and_alerted() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    for _ in range(30):
        if floor.out:
            floor.answer(floor.next, *CONFIRMED)
        floor.wait(1)
        floor.read()

    assert 3 <= len(floor.calls) <= 7
    assert floor.closed == ()
    assert [alert.level for alert in floor.alerts] == ["critical"]


def test_position_not_found_is_done_when_the_read_shows_it_gone() -> None:
    """S78: the gateway answers that there is nothing to close."""
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()
    floor.desk.sell("MNQ", 1, 21000.0)

    floor.answer(floor.next, Outcome.CONFIRMED, 2, "there is no such position: already flat")
    assert floor.closed == ()
    floor.desk.wait(0.1)
    floor.read()

    assert floor.last.verified
    assert len(floor.calls) == 1


def test_read_that_does_not_come_is_asked_for_again() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()
    floor.confirm()
    assert floor.reads == 1

    floor.wait(2.9)
    assert floor.reads == 1
    floor.wait(0.2)

    assert floor.reads == 2


def test_snapshot_older_than_the_one_judged_last_is_not_acted_on() -> None:
    floor = Floor()
    old = floor.desk.buy("MNQ", 1, 21000.0)
    floor.desk.wait(0.1)
    floor.desk.sell("MNQ", 1, 21000.0)

    floor.lose_the_day()

    assert floor.shows(old) == []


def test_call_handed_over_twice_is_answered_twice_and_recorded_once() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()
    call = floor.next

    floor.confirm(call)
    floor.answer(call, *CONFIRMED)
    floor.settle()

    assert len(floor.last.calls) == 1


def test_answer_that_comes_after_nobody_waited_any_more_is_still_heard() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    call = floor.next
    floor.wait(7.1)

    floor.carry_out(call, tell=False)
    floor.answer(call, *CONFIRMED)
    floor.shows()
    floor.wait(0.1)
    floor.read()

    assert [one.outcome for one in floor.last.calls] == [Outcome.UNKNOWN, Outcome.CONFIRMED]
    assert floor.last.verified
    assert len(floor.calls) == 1


def test_one_failing_contract_does_not_stop_the_others() -> None:
    floor = Floor()
    floor.buy("ES", 1)
    floor.buy("MNQ", 2)
    es, mnq = floor.lose_the_day()

    floor.refuse(5, es)
    floor.lose(mnq)
    floor.read()

    assert kinds(floor.calls)[2:] == [("close", "MNQ", 2)]
    floor.confirm()
    assert floor.held(MNQ) == 0
    assert floor.closed == ()


def test_call_without_any_answer_counts_as_unknown_in_the_end() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()

    floor.out.clear()
    floor.wait(7.1)
    assert floor.reads == 1
    assert kinds(floor.read()) == [("close", "MNQ", 1)]


# ------------------------------------------------------------------------------ orders


def test_flatten_cancels_what_can_open_risk_at_once_and_the_stop_when_closed() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    stop = floor.place("MNQ", -2, stop=20980.0)
    target = floor.place("MNQ", -2, limit=21100.0)
    entry = floor.place("ES", 1, limit=5700.0)
    more = floor.place("MNQ", 1, limit=20900.0)

    calls = floor.lose_the_day()
    assert calls[0].kind is CallKind.CLOSE
    assert {call.order for call in calls[1:]} == {entry.id, more.id}

    for call in calls[1:]:
        floor.confirm(call)
    assert floor.order(stop.id) is not None
    floor.confirm(calls[0])
    assert {call.order for call in floor.out.values()} == {stop.id, target.id}

    floor.settle()
    assert floor.flat
    assert floor.last.verified


def test_protective_stop_larger_than_the_position_is_cut_until_the_position_is_gone() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    stop = floor.place("MNQ", -3, stop=20980.0)

    calls = floor.lose_the_day()

    assert [(call.kind, call.order, call.size) for call in calls[1:]] == [(CallKind.MODIFY, stop.id, 2)]
    floor.settle()
    assert floor.flat


def test_closing_order_larger_than_the_position_that_is_no_stop_is_cancelled() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    limit = floor.place("MNQ", -3, limit=21100.0)

    calls = floor.lose_the_day()

    assert [(call.kind, call.order) for call in calls[1:]] == [(CallKind.CANCEL, limit.id)]


def test_stop_is_left_alone_while_the_close_fills_in_parts() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    floor.place("MNQ", -3, stop=20980.0)
    floor.lose_the_day()

    floor.sell("MNQ", 1, order=77)
    floor.sell("MNQ", 1, order=77)

    assert kinds(floor.calls) == [("close", "MNQ", 3)]


def test_closing_one_contract_cancels_only_its_orders() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.buy("ES", 1)
    stop = floor.place("ES", -1, stop=5790.0)
    again = floor.place("MNQ", 1, limit=20900.0)

    floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(floor.breach("daily_unrealized_loss", MNQ),))
    floor.settle()

    assert [call.order for call in floor.calls] == [None, again.id]
    assert floor.order(stop.id) is not None


def test_order_demands_cancel_and_cut() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    gone = floor.place("MNQ", 5, limit=20900.0)
    stop = floor.place("MNQ", -4, stop=20980.0)

    floor.say("max_contracts", OrderGone(gone.id, MNQ), OrderAtMost(stop.id, MNQ, 2))
    floor.settle()

    assert [(call.kind, call.order, call.size) for call in floor.calls] == [
        (CallKind.CANCEL, gone.id, 0),
        (CallKind.MODIFY, stop.id, 2),
    ]
    assert floor.last.verified


def test_partly_filled_order_is_cut_to_what_may_still_fill() -> None:
    floor = Floor()
    floor.buy("MNQ", 5)
    stop = floor.place("MNQ", -4, stop=20980.0)
    floor.sell("MNQ", 1, order=stop.id)
    floor.take(floor.desk.change(stop, filled=-1))

    floor.say("max_contracts", OrderAtMost(stop.id, MNQ, 2))

    assert floor.calls[0].size == 3, "one is filled, two may follow"


def test_change_refused_for_good_cancels_the_order() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    stop = floor.place("MNQ", -4, stop=20980.0)
    floor.say("max_contracts", OrderAtMost(stop.id, MNQ, 2))

    calls = floor.refuse(6)

    assert [(call.kind, call.order) for call in calls] == [(CallKind.CANCEL, stop.id)]


def test_suspended_bracket_children_are_cancelled_when_their_entry_is_gone() -> None:
    floor = Floor()
    entry = floor.place("MNQ", 1, limit=20900.0)
    child = floor.desk.place("MNQ", -1, stop=20880.0, status=OrderStatus.SUSPENDED)
    floor.take(floor.desk.change(child, parent=entry.id))

    assert [call.order for call in floor.lose_the_day()] == [entry.id]
    assert [call.order for call in floor.confirm()] == []
    assert [call.order for call in floor.out.values()] == [child.id]


def test_stop_that_fills_beside_the_close_leaves_no_opposite_position() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    stop = floor.place("MNQ", -2, stop=20980.0)
    floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(floor.breach("daily_unrealized_loss", MNQ),))
    close = floor.next

    floor.carry_out(close)
    floor.desk.change(stop, status=OrderStatus.FILLED, filled=-2)
    floor.sell("MNQ", 2, order=stop.id)
    calls = floor.answer(close, *CONFIRMED)

    assert kinds(calls) == [("close", "MNQ", 2)]
    floor.settle()
    assert floor.held(MNQ) == 0
    assert floor.last.verified
    assert "opposite position of -2" in floor.last.notes[0]


def test_opposite_position_beside_a_partial_close_is_closed_too() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    stop = floor.place("MNQ", -3, stop=20980.0)
    reduce_to(floor, 2)
    close = floor.next

    floor.carry_out(close)
    floor.desk.change(stop, status=OrderStatus.FILLED, filled=-3)
    floor.sell("MNQ", 3, order=stop.id)
    calls = floor.answer(close, *CONFIRMED)

    assert kinds(calls) == [("close", "MNQ", 1)]
    floor.settle()
    assert floor.held(MNQ) == 0


def test_opposite_position_whose_close_is_refused_is_closed_again() -> None:
    floor = Floor()
    floor.buy("MNQ", 4)
    stop = floor.place("MNQ", -4, stop=20980.0)
    reduce_to(floor, 2)
    close = floor.next
    floor.carry_out(close)
    floor.desk.change(stop, status=OrderStatus.FILLED, filled=-4)
    floor.sell("MNQ", 4, order=stop.id)
    (turned,) = floor.answer(close, *CONFIRMED)
    assert kinds([turned]) == [("close", "MNQ", 2)]

    floor.answer(turned, Outcome.REFUSED, 2, "refused")
    floor.read()
    again = floor.wait(2)

    assert kinds(again) == [("close", "MNQ", 2)]


def test_what_the_trader_opens_after_an_opposite_position_was_closed_is_his() -> None:
    floor = Floor()
    floor.buy("MNQ", 4)
    stop = floor.place("MNQ", -4, stop=20980.0)
    reduce_to(floor, 2)
    close = floor.next
    floor.carry_out(close)
    floor.desk.change(stop, status=OrderStatus.FILLED, filled=-4)
    floor.sell("MNQ", 4, order=stop.id)
    (turned,) = floor.answer(close, *CONFIRMED)
    floor.carry_out(turned)
    floor.answer(turned, *CONFIRMED)

    assert floor.sell("MNQ", 1) == []


def test_opposite_position_over_the_limit_is_closed_whole() -> None:
    floor = Floor()
    floor.buy("MNQ", 6)
    stop = floor.place("MNQ", -6, stop=20980.0)
    reduce_to(floor, 2)
    close = floor.next
    floor.carry_out(close)
    floor.desk.change(stop, status=OrderStatus.FILLED, filled=-6)
    floor.sell("MNQ", 6, order=stop.id)

    assert kinds(floor.answer(close, *CONFIRMED)) == [("close", "MNQ", 4)]


def test_opposite_position_of_a_stop_whose_event_was_lost_is_closed_too() -> None:
    """Nothing tells that it worked beside the close but that it filled while that was under way."""
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    close = floor.next

    floor.carry_out(close)
    sent = floor.desk.now.mono
    floor.desk.wait(0.02)
    floor.sell("MNQ", 3)
    floor.desk.wait(0.02)
    now = floor.desk.now
    del floor.out[close.id]
    calls = floor.take(Called(close, *CONFIRMED, now.wall, sent, now.mono))

    assert kinds(calls) == [("close", "MNQ", 1)]


def test_traders_own_turn_under_a_size_limit_is_left_to_the_rules() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    floor.confirm()

    assert floor.sell("MNQ", 3) == []


# ------------------------------------------------------------------------------ locked means watched


def locked_flat() -> Floor:
    floor = Floor()
    floor.lose_the_day()
    floor.wait(0.1)
    floor.read()
    assert floor.last.verified
    return floor


def test_fill_on_a_locked_account_is_closed_at_once_and_counted() -> None:
    """S15, S42: its own receipt, the lock unchanged."""
    floor = locked_flat()
    until = floor.lockouts.unlock_time

    calls = floor.buy("MNQ", 1)

    assert kinds(calls) == [("close", "MNQ", 1)]
    assert floor.plan.memory.attempts == 1
    floor.settle()
    assert floor.last.rules == ("daily_realized_loss",)
    assert len(floor.closed) == 2
    assert floor.lockouts.unlock_time == until
    assert floor.plan.memory.attempts == 1, "our own close is none"


def test_order_on_a_locked_account_is_cancelled_at_once_and_counted_once_with_its_fill() -> None:
    """S24."""
    floor = locked_flat()

    order = floor.place("MNQ", 1, limit=20900.0)
    assert [call.order for call in floor.out.values()] == [order.id]
    assert floor.plan.memory.attempts == 1

    floor.desk.change(order, status=OrderStatus.FILLED, filled=1)
    floor.buy("MNQ", 1, order=order.id)
    assert floor.plan.memory.attempts == 1
    floor.settle()
    assert floor.flat


def test_attempt_is_not_counted_again_when_a_second_rule_locks() -> None:
    floor = locked_flat()
    order = floor.desk.place("MNQ", 1, limit=20900.0)

    floor.lose_the_day("cooldown_after_loss")
    assert floor.plan.memory.attempts == 1, "first seen in the verdict that locks once more"
    floor.desk.change(order, status=OrderStatus.FILLED, filled=1)
    floor.buy("MNQ", 1, order=order.id)

    assert floor.plan.memory.attempts == 1


def test_traders_own_closing_fill_on_a_locked_account_is_no_attempt() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    floor.by_hand(flatten=False)

    floor.sell("MNQ", 2)

    assert floor.plan.memory.attempts == 0


def test_fill_that_locked_is_no_attempt_after_a_restart_either_and_a_later_one_is() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.lose_the_day()
    floor.settle()
    floor.desk.wait(1)
    floor.desk.buy("MNQ", 1, 21000.0)

    floor.crash()
    floor.read()

    assert floor.plan.memory.attempts == 1


def test_fill_that_locked_is_no_attempt_for_who_crashed_over_it_and_takes_it_again() -> None:
    """The memory is locked by then, and the snapshot that was kept is from before the fill."""
    floor = Floor()
    floor.shows()
    before = floor.plan.snapshot
    bought = floor.desk.buy("MNQ", 2, 21000.0)
    (booked,) = bought.fills
    breach = msgspec.structs.replace(
        floor.breach("daily_realized_loss", at=booked.fill.at),
        id=BreachId(f"2025-11-19/daily_realized_loss/*/fill:{booked.fill.id}/1"),
    )
    verdict = {"breaches": (breach,), "lock": floor.lock(breach), "snapshot": bought}
    floor.say("daily_realized_loss", **verdict)

    floor.plan = msgspec.structs.replace(floor.plan, snapshot=before)
    floor.say("daily_realized_loss", **verdict)

    assert floor.lockouts.locked
    assert floor.plan.memory.attempts == 0


def test_what_was_there_before_the_lock_is_no_attempt() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.place("MNQ", -1, stop=20980.0)
    floor.place("ES", 1, limit=5700.0)

    floor.lose_the_day()
    floor.settle()

    assert floor.plan.memory.attempts == 0


def test_stop_placed_while_the_flatten_is_under_way_is_no_attempt_and_goes_when_flat() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()

    floor.place("MNQ", -2, stop=20980.0)
    assert len(floor.calls) == 1
    floor.settle()

    assert floor.flat
    assert floor.plan.memory.attempts == 0


def test_market_order_that_the_gateway_makes_of_our_close_is_neither_cancelled_nor_counted() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()

    own = floor.place("MNQ", -2, kind=OrderType.MARKET)
    floor.sell("MNQ", 2, order=own.id)

    assert len(floor.calls) == 1
    assert floor.plan.memory.attempts == 0


def test_attempts_are_counted_anew_every_trading_day() -> None:
    floor = locked_flat()
    floor.buy("MNQ", 1)
    floor.settle()

    floor.wait(7 * 3600)
    floor.reset()

    assert floor.plan.memory.attempts == 0


def test_own_closes_on_a_locked_account_are_never_attempts_whatever_they_do() -> None:
    floor = locked_flat()
    floor.buy("MNQ", 3)
    floor.sell("ES", 2)
    floor.settle()

    assert floor.plan.memory.attempts == 2


# ------------------------------------------------------------------------------ frozen risk


def frozen(size: int = 2) -> Floor:
    floor = Floor()
    floor.buy("MNQ", size)
    floor.place("MNQ", -size, stop=20980.0)
    floor.by_hand(flatten=False)
    return floor


def test_lock_without_flatten_keeps_what_is_open_with_its_stops() -> None:
    floor = frozen()

    floor.wait(60)
    floor.read()

    assert floor.calls == []
    assert floor.lockouts.of("manual") is not None


def test_frozen_position_that_grows_is_cut_back_and_counted() -> None:
    floor = frozen()

    calls = floor.buy("MNQ", 3)

    assert kinds(calls) == [("partial_close", "MNQ", 3)]
    assert floor.plan.memory.attempts == 1
    floor.settle()
    assert floor.held(MNQ) == 2


def test_frozen_position_may_be_reduced_and_not_grow_again() -> None:
    floor = frozen(3)
    floor.sell("MNQ", 2)
    stop = floor.desk.snapshot().orders[0]
    assert [(c.kind, c.order, c.size) for c in floor.calls] == [(CallKind.MODIFY, stop.id, 1)]
    floor.settle()

    calls = floor.buy("MNQ", 1)

    assert kinds(calls) == [("partial_close", "MNQ", 1)]


def test_new_contract_on_a_frozen_account_is_closed() -> None:
    floor = frozen()

    assert kinds(floor.sell("ES", 1)) == [("close", "ES", 1)]


def test_frozen_position_that_was_turned_is_closed() -> None:
    floor = frozen()

    assert kinds(floor.sell("MNQ", 3))[0] == ("close", "MNQ", 1)


def test_entry_orders_are_cancelled_when_risk_is_frozen_and_closing_ones_stay() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.place("MNQ", -2, stop=20980.0)
    entry = floor.place("ES", 1, limit=5700.0)

    calls = floor.by_hand(flatten=False)

    assert [call.order for call in calls] == [entry.id]


def test_lock_that_closes_one_contract_freezes_the_others() -> None:
    """004 with a lockout on position scope."""
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.buy("ES", 1)
    breach = floor.breach("daily_unrealized_loss", MNQ)
    lock = floor.lock(breach, flatten=False, close=(MNQ,))

    calls = floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(breach,), lock=lock)
    assert kinds(calls) == [("close", "MNQ", 2)]
    floor.settle()

    assert floor.held(ES) == 1
    assert floor.last.verified
    assert kinds(floor.buy("MNQ", 1)) == [("close", "MNQ", 1)]
    assert kinds(floor.buy("ES", 1)) == [("partial_close", "ES", 1)]


def test_freeze_before_the_account_was_read_takes_its_sizes_from_the_first_read() -> None:
    floor = Floor()
    unread = floor.desk.snapshot()
    floor.shows(msgspec.structs.replace(unread, read_mono=0.0))
    floor.by_hand(flatten=False)
    assert floor.lockouts.in_force[0].frozen_sizes is None

    floor.desk.buy("MNQ", 2, 21000.0)
    assert floor.shows() == []

    assert floor.lockouts.in_force[0].frozen_sizes == {MNQ: 2}


# ------------------------------------------------------------------------------ by hand


def test_flatten_by_hand_closes_all_once_and_locks_nothing() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.flatten()
    accepted = floor.answers[-1]
    assert isinstance(accepted, Accepted)
    floor.settle()

    assert floor.last.id == accepted.receipt
    assert floor.last.verified
    assert not floor.lockouts.locked
    assert floor.buy("MNQ", 1) == []


def test_flatten_by_hand_of_a_flat_account_is_verified_by_a_read() -> None:
    floor = Floor()

    floor.flatten()
    assert floor.reads == 1
    floor.settle()

    assert floor.last.verified


def test_flatten_by_hand_counts_its_closes_as_reducing_ones() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.flatten()
    floor.settle()

    assert floor.desk.snapshot().fills[-1].own is OwnClose.REDUCE


def test_panic_locks_without_end_and_flattens() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)

    calls = floor.by_hand()

    assert kinds(calls) == [("close", "MNQ", 2)]
    assert floor.lockouts.unlock_time is None
    accepted = floor.answers[-1]
    assert isinstance(accepted, Accepted)
    floor.settle()
    assert floor.last.id == accepted.receipt


def test_lock_by_hand_into_the_past_is_denied() -> None:
    floor = Floor()

    floor.by_hand(until_s=-1)

    assert isinstance(floor.answers[-1], Denied)
    assert not floor.lockouts.locked


def test_manual_lock_is_lifted_by_an_admin() -> None:
    floor = Floor()
    floor.by_hand()
    floor.settle()

    assert floor.unlock() == Unlocked(("manual",), ())
    assert floor.buy("MNQ", 1) == []


def test_unlock_while_the_flatten_is_under_way_is_not_reported_as_verified() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    floor.by_hand()
    floor.refuse(5)

    floor.unlock()
    floor.wait(60)
    floor.read()

    assert len(floor.calls) == 1
    assert not floor.last.verified
    assert "withdrawn" in (floor.last.last_error or "")


def test_unlock_is_refused_while_the_condition_holds_and_says_what_would_help() -> None:
    floor = locked_flat()

    answer = floor.unlock()

    assert isinstance(answer, Unlocked)
    assert answer.ended == ()
    assert "reset" in answer.refused[0].text
    assert "daily_realized_loss is breached" in answer.refused[0].text
    assert floor.lockouts.locked


def test_unlock_after_the_figures_were_reset_is_no_longer_refused_and_lasts() -> None:
    floor = Floor()
    breach = floor.breach("daily_realized_loss")
    lock = floor.lock(breach, 7 * 3600, kind=LockKind.UNTIL_RESET)
    floor.say("daily_realized_loss", breaches=(breach,), lock=lock)
    floor.wait(60)

    floor.say("daily_realized_loss", lock=lock)
    assert isinstance(floor.unlock("daily_realized_loss"), Unlocked)
    floor.say("daily_realized_loss", lock=lock)

    assert not floor.lockouts.locked


def test_cooldown_ended_by_an_admin_is_not_started_again_by_the_same_trades() -> None:
    floor = Floor()
    first, second = floor.breach("trade_frequency_limit"), floor.breach("trade_frequency_limit")
    hour, minute = floor.lock(first, 1800), floor.lock(second, 60)
    floor.say("trade_frequency_limit", breaches=(first, second), lock=hour)

    assert floor.unlock("trade_frequency_limit") == Unlocked(("trade_frequency_limit",), ())
    floor.wait(1)
    floor.say("trade_frequency_limit", breaches=(first, second), lock=minute)
    floor.crash()
    floor.say("trade_frequency_limit", breaches=(first, second), lock=hour)
    assert not floor.lockouts.locked

    third = floor.breach("trade_frequency_limit")
    floor.say("trade_frequency_limit", breaches=(first, third), lock=floor.lock(third, 60))
    assert floor.lockouts.locked


def test_lifted_lockout_brings_no_flatten_either() -> None:
    floor = Floor()
    breach = floor.breach("loss_streak")
    floor.say("loss_streak", AccountFlat(), breaches=(breach,), lock=floor.lock(breach))
    floor.settle()
    floor.unlock()

    floor.buy("MNQ", 1)
    floor.say("loss_streak", AccountFlat(), breaches=(breach,), lock=floor.lock(breach))

    assert floor.calls == []


def test_unlock_of_what_is_not_locked_is_denied() -> None:
    floor = Floor()

    assert isinstance(floor.unlock(), Denied)
    assert isinstance(floor.unlock("daily_realized_loss"), Denied)


# ------------------------------------------------------------------------------ how lockouts end


def test_cooldown_found_late_is_recorded_and_sets_no_lockout() -> None:
    floor = Floor()
    floor.buy("MNQ", 1)
    at = floor.desk.now.wall - timedelta(seconds=90)
    breach = floor.breach("trade_frequency_limit", at=at)

    floor.say("trade_frequency_limit", AccountFlat(), breaches=(breach,), lock=floor.lock(breach, 60))

    assert not floor.lockouts.locked
    assert floor.calls == []
    assert len(floor.seen(BreachSeen)) == 1


def test_reset_ends_until_reset_and_leaves_the_rest() -> None:
    """S69, S71."""
    floor = Floor()
    for rule, kind, seconds in (
        ("daily_realized_loss", LockKind.UNTIL_RESET, 7 * 3600.0),
        ("session_block_outside", LockKind.UNTIL_SESSION_START, 20 * 3600.0),
        ("auth_loss_guard", LockKind.CONDITION, None),
        ("cooldown_after_loss", LockKind.DURATION, 8 * 3600.0),
    ):
        breach = floor.breach(rule)
        floor.say(rule, breaches=(breach,), lock=floor.lock(breach, seconds, kind=kind))
    floor.by_hand()

    floor.desk.wait(7 * 3600)
    floor.reset()

    assert [one.rule for one in floor.lockouts.in_force] == [
        "auth_loss_guard",
        "cooldown_after_loss",
        "manual",
        "session_block_outside",
    ]


def test_expiry_ends_one_lockout_and_never_another() -> None:
    floor = Floor()
    first, second = floor.breach("trade_frequency_limit"), floor.breach("daily_realized_loss")
    floor.say("trade_frequency_limit", breaches=(first,), lock=floor.lock(first, 60))
    floor.say("daily_realized_loss", breaches=(second,), lock=floor.lock(second, 7 * 3600))

    floor.wait(60)

    assert [one.rule for one in floor.lockouts.in_force] == ["daily_realized_loss"]


def test_condition_lockout_ends_when_the_broker_allows_trading_again() -> None:
    floor = Floor()
    lock = floor.lock(None, None, kind=LockKind.CONDITION)
    floor.say("auth_loss_guard", lock=lock)
    assert isinstance(floor.unlock("auth_loss_guard"), Unlocked)
    assert floor.lockouts.locked, "refused: it still holds"

    floor.say("auth_loss_guard")
    assert floor.lockouts.locked, "nothing was said of its end"
    floor.say("auth_loss_guard", condition_over=True)

    assert not floor.lockouts.locked


def test_armed_rule_that_was_given_up_locks_and_flattens_until_it_runs_again() -> None:
    """S86; two rules given up: both must run again."""
    floor = Floor()
    floor.buy("MNQ", 1)
    assert kinds(floor.give_up("max_contracts")) == [("close", "MNQ", 1)]
    floor.give_up("symbol_blocks")
    floor.settle()

    floor.crash()
    floor.give_up("max_contracts", on=False)
    assert floor.lockouts.locked
    floor.give_up("symbol_blocks", on=False)
    assert not floor.lockouts.locked


def test_supervisors_lockout_of_the_store_ends_when_its_rule_runs_again() -> None:
    floor = Floor()
    floor.give_up("max_contracts")
    stored = floor.lockouts.in_force
    fresh = Floor()

    fresh.crash(stored)
    assert fresh.plan.memory.given_up == ("max_contracts",)
    fresh.give_up("max_contracts", on=False)

    assert not fresh.lockouts.locked


# ------------------------------------------------------------------------------ shadow


def test_shadow_rule_records_breach_and_demand_once_and_touches_nothing() -> None:
    floor = Floor()
    floor.buy("MNQ", 9)
    breach = floor.breach("max_contracts")

    for _ in range(3):
        floor.say(
            "max_contracts", AtMost(MNQ, 5), breaches=(breach,), lock=floor.lock(breach), mode=Mode.SHADOW
        )

    assert floor.calls == []
    assert not floor.lockouts.locked
    assert [seen.mode for seen in floor.seen(BreachSeen)] == [Mode.SHADOW]
    assert [(d.demand, d.mode) for d in floor.seen(DemandRaised)] == [
        (AtMost(MNQ, 5), Mode.SHADOW),
        (AccountFlat(), Mode.SHADOW),
    ]


def test_rule_that_was_switched_off_asks_for_no_size_any_more() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    floor.refuse(6)

    floor.say("max_contracts_per_instrument", mode=Mode.OFF)

    assert floor.wait(30) == []


# ------------------------------------------------------------------------------ crashes


def test_kill_between_breach_and_answer_repeats_the_full_close_after_a_read() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()

    floor.crash()
    assert floor.lockouts.locked
    floor.desk.wait(0.1)
    assert kinds(floor.read()) == [("close", "MNQ", 2)]
    floor.settle()

    assert floor.last.verified


def test_kill_after_the_close_was_carried_out_does_nothing_twice() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()
    floor.carry_out(floor.next, tell=False)

    floor.crash()
    floor.desk.wait(0.1)
    floor.read()

    assert len(floor.calls) == 1
    assert floor.last.verified
    assert floor.last.id == floor.closed[0].id


def test_kill_during_a_partial_close_waits_before_it_is_asked_for_again() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)

    floor.crash()
    floor.wait(1)
    assert floor.read() == []
    reduce_to(floor, 2)
    floor.wait(6.5)
    floor.read()

    assert kinds(floor.calls) == [("partial_close", "MNQ", 1)] * 2


def test_trader_who_closes_after_a_restart_is_not_taken_for_the_close_that_was_out() -> None:
    floor = Floor()
    floor.buy("MNQ", 3)
    reduce_to(floor, 2)
    floor.crash()

    floor.sell("MNQ", 1)
    floor.buy("MNQ", 1)

    assert len(floor.calls) == 1, "the close may still take effect"


def test_closes_that_were_out_are_announced_to_the_account_again_after_a_restart() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()
    floor.effects.clear()

    floor.crash()

    assert [e.message for e in floor.seen(TellAccount)] == [
        CloseSent(MNQ, 2, OwnClose.LOCKOUT, floor.desk.now.mono)
    ]


def test_close_that_was_over_is_announced_again_after_a_restart_for_its_fill_may_not_be_stored() -> None:
    floor = Floor()
    floor.desk.buy("MNQ", 3, 21000.0)
    floor.say("daily_realized_loss", AccountFlat(), lock=floor.lock())
    floor.settle()
    (receipt,) = floor.closed
    floor.effects.clear()

    floor.crash()

    told = [effect.message for effect in floor.seen(TellAccount)]
    assert [(type(m), m.contract, m.size, m.cause) for m in told if isinstance(m, CloseSent)] == [
        (CloseSent, MNQ, 3, OwnClose.LOCKOUT)
    ]
    assert all(m.until is not None for m in told if isinstance(m, CloseSent))
    ended = [e for e in floor.seen(ReceiptChanged) if e.receipt.id == receipt.id]
    assert [e.verified_at for e in ended] == [receipt.verified_at]


def test_what_ended_long_before_a_restart_is_not_told_again() -> None:
    floor = Floor()
    for what, price in (("MNQ", 21000.0), ("ES", 5800.0)):
        floor.wait(120)
        floor.desk.buy(what, 1, price)
        floor.say("max_contracts", Flat(MNQ if what == "MNQ" else ES))
        floor.settle()
    floor.effects.clear()

    floor.crash()

    told = {e.message.contract for e in floor.seen(TellAccount) if isinstance(e.message, CloseSent)}
    assert told == {ES}


def test_latched_demand_survives_a_restart_although_the_price_recovered() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.say("daily_unrealized_loss", Flat(MNQ), breaches=(floor.breach("daily_unrealized_loss", MNQ),))

    floor.crash()
    floor.desk.wait(0.1)

    assert kinds(floor.read()) == [("close", "MNQ", 2)]


def test_restart_tells_the_store_again_what_is_in_force() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()
    floor.effects.clear()

    floor.crash()

    assert [one.lockout.rule for one in floor.seen(LockoutSet)] == ["daily_realized_loss"]
    assert len(floor.seen(BreachSeen)) == 1
    assert floor.seen(LockoutSet)[0].new is False


def test_lockout_that_only_the_store_knows_is_in_force_after_a_restart() -> None:
    floor = Floor()
    floor.lose_the_day()
    stored = floor.lockouts.in_force
    fresh = Floor()

    fresh.crash(stored)

    assert fresh.lockouts.in_force == stored
    assert kinds(fresh.buy("MNQ", 1)) == [("close", "MNQ", 1)]


def test_lockout_that_ended_before_the_store_heard_of_it_stays_ended() -> None:
    floor = Floor()
    floor.by_hand()
    stored = floor.lockouts.in_force
    floor.unlock()

    floor.crash(stored)

    assert not floor.lockouts.locked


def test_reborn_actor_hands_over_calls_that_are_out_under_their_ids() -> None:
    floor = Floor()
    floor.buy("MNQ", 2)
    floor.lose_the_day()

    done = machine.resume(floor.plan, floor.desk.now)

    assert list(done.calls) == floor.calls
    assert not done.changed
