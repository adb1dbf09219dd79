"""One event: what it is called, when it was, whom it wakes; whose a fill is, and in which day it counts."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from actors.account.apply import apply
from actors.account.booking import closes_out
from actors.account.state import AccountState, Step, opening
from actors.account.view import snapshot_of
from actors.enforcement.view import Closing
from actors.messages import (
    AccountChanged,
    AccountReport,
    CloseSent,
    CloseVerified,
    ContractRead,
    ContractUnknown,
    DayReset,
    Filled,
    LinkChanged,
    LinkState,
    OwnClose,
    PositionChanged,
    PositionReport,
    Quoted,
    Rebased,
)
from actors.rules.rule import Wake

from .tapes import ACCOUNT, DAY, ES, MNQ, NOON, NOW, Broker, OneDay, Trade

DAYS = OneDay()
MONO = 1000.0
RESET = NOON + timedelta(hours=5)
TOMORROW = DAY + timedelta(days=1)
TICK = 5000
"""What a tick of MNQ is worth, in 1/10000 dollar."""


def after(state: AccountState, *events: object) -> AccountState:
    for event in events:
        state = apply(state, event, DAYS, NOW).state
    return state


def start(*events: object) -> AccountState:
    state = opening(ACCOUNT, "A", DAYS, NOW, first_seq=1, session_since=None)
    return after(state, ContractRead(MNQ, NOON), ContractRead(ES, NOON), *events)


def step(state: AccountState, event: object) -> Step:
    return apply(state, event, DAYS, NOW)


def fills(*sizes: int, contract=MNQ, ticks: int = 84000, fees: int = 0) -> list[Filled]:
    """What the stream tells of these trades in a row."""
    broker = Broker()
    return [Filled(broker.trade(Trade(contract, size, ticks, fees)), MONO) for size in sizes]


def changed(event: Filled, **changes: object) -> Filled:
    return Filled(msgspec.structs.replace(event.fill, **changes), event.mono)


def realized(state: AccountState) -> int:
    return snapshot_of(state, NOW, 10.0, "test", None).realized


def sizes(state: AccountState) -> dict:
    return {contract: holding.size for contract, holding in state.book.items()}


# ------------------------------------------------------------------------------ names, instants, wakes

OPEN = fills(2)[0]
TRADED = {Wake.FILL, Wake.POSITION, Wake.PRICE}
MNQ_CAUSE = f"contract:{MNQ.id}"


def a_report(size: int, contract=MNQ) -> PositionReport:
    return PositionReport(ACCOUNT, contract.id, size, 21000.0, NOON)


@pytest.mark.parametrize(
    ("before", "event", "cause", "at", "wakes"),
    [
        pytest.param([], OPEN, "fill:1", OPEN.fill.at, TRADED, id="fill"),
        pytest.param([OPEN], OPEN, "fill:1", None, set(), id="the same fill again"),
        pytest.param(
            [OPEN], changed(OPEN, fees=1), "fill:1", OPEN.fill.at, {Wake.FILL, Wake.PRICE}, id="more is known"
        ),
        pytest.param([OPEN], changed(OPEN, voided=True), "fill:1", OPEN.fill.at, TRADED, id="voided"),
        pytest.param(
            [OPEN, changed(OPEN, voided=True)],
            changed(OPEN, voided=True),
            "fill:1",
            None,
            set(),
            id="voided again",
        ),
        pytest.param([OPEN], Quoted(MNQ.id, 1.0, 1.0, 1.0, MONO), f"price:{MNQ.id}", None, {Wake.PRICE}),
        pytest.param([], Quoted(MNQ.id, 1.0, 1.0, 1.0, MONO), f"price:{MNQ.id}", None, set(), id="not held"),
        pytest.param([], Quoted("CON.F.US.CLE.Z25", 1.0, 1.0, 1.0, MONO), "", None, set(), id="not known"),
        pytest.param([], ContractRead(MNQ, NOON), MNQ_CAUSE, None, set(), id="record"),
        pytest.param(
            [OPEN],
            ContractRead(MNQ, NOON),
            MNQ_CAUSE,
            None,
            {Wake.POSITION, Wake.PRICE},
            id="record of a held",
        ),
        pytest.param([], ContractUnknown(MNQ.id, "?"), MNQ_CAUSE, None, {Wake.POSITION}, id="unknown"),
        pytest.param(
            [], AccountChanged(AccountReport(ACCOUNT, "A", True), MONO), "account", None, {Wake.ACCOUNT}
        ),
        pytest.param(
            [AccountChanged(AccountReport(ACCOUNT, "A", True), MONO)],
            AccountChanged(AccountReport(ACCOUNT, "A", True), MONO + 1),
            "account",
            None,
            set(),
            id="still permitted",
        ),
        pytest.param([], LinkChanged(LinkState.LIVE, NOON, 1, "up"), "link", NOON, {Wake.LINK}, id="link"),
        pytest.param([], DayReset(TOMORROW, RESET), "reset", RESET, {Wake.RESET, Wake.FILL, Wake.PRICE}),
        pytest.param([], DayReset(DAY, RESET), "reset", None, set(), id="reset of the same day"),
        pytest.param([], Rebased(ACCOUNT, NOON, "admin"), "reset", NOON, {Wake.RESET, Wake.FILL, Wake.PRICE}),
        pytest.param([OPEN], CloseSent(MNQ.id, 2, OwnClose.REDUCE, MONO), "", None, set(), id="close sent"),
        pytest.param([OPEN], CloseVerified(MNQ.id), "", None, set(), id="close verified"),
        pytest.param(
            [OPEN], PositionChanged(a_report(2), MONO), f"position:{MNQ.id}", None, set(), id="confirmed"
        ),
        pytest.param(
            [OPEN],
            PositionChanged(a_report(3), MONO),
            f"position:{MNQ.id}",
            None,
            {Wake.POSITION, Wake.PRICE},
            id="disagrees",
        ),
        pytest.param(
            [PositionChanged(a_report(2), MONO), OPEN],
            PositionChanged(a_report(2), MONO),
            f"position:{MNQ.id}",
            None,
            set(),
            id="confirmed after the fill settled it",
        ),
        pytest.param(
            [PositionChanged(a_report(2), MONO)],
            PositionChanged(a_report(0), MONO),
            f"position:{MNQ.id}",
            None,
            {Wake.POSITION, Wake.PRICE},
            id="takes it back",
        ),
    ],
)
def test_event_has_a_cause_an_instant_and_those_it_wakes(before, event, cause, at, wakes) -> None:
    done = step(start(*before), event)

    assert (done.cause, done.cause_at, done.changed) == (cause, at, wakes)


def test_record_that_comes_after_the_fill_asks_for_what_it_cost() -> None:
    blind = opening(ACCOUNT, "A", DAYS, NOW, first_seq=1, session_since=None)

    assert step(after(blind, OPEN), ContractRead(MNQ, NOON)).read is not None
    assert step(start(OPEN), ContractRead(MNQ, NOON)).read is None
    assert step(start(), ContractRead(MNQ, NOON)).read is None


def test_opening_is_named_and_numbered_as_asked() -> None:
    first = opening(ACCOUNT, "A", DAYS, NOW, first_seq=7, session_since=None)
    again = opening(ACCOUNT, "A", DAYS, NOW, first_seq=7, session_since=NOON - timedelta(days=1))

    assert (first.account, first.name, first.seq, first.session_since) == (ACCOUNT, "A", 7, NOON)
    assert again.session_since == NOON - timedelta(days=1)
    assert (first.ledger.day, first.ledger.since) == (DAY, DAYS.previous_reset(NOON))


def test_dispute_counts_from_when_it_began() -> None:
    state = start(PositionChanged(a_report(3), 990.0), PositionChanged(a_report(4), 999.0))

    (dispute,) = state.disputes.values()
    assert (dispute.size, dispute.since_mono) == (4, 990.0)


def test_dispute_about_one_contract_is_not_settled_by_a_fill_of_another() -> None:
    state = start(PositionChanged(a_report(2), MONO), *fills(2, contract=ES))

    assert list(state.disputes) == [MNQ.id]


def test_gateway_that_agrees_again_ends_the_dispute_without_a_read() -> None:
    state = start(*fills(2), PositionChanged(a_report(3), 990.0))

    assert after(state, PositionChanged(a_report(2), 991.0)).disputes == {}


def test_fill_that_explains_only_a_part_leaves_the_dispute() -> None:
    assert list(start(PositionChanged(a_report(3), MONO), OPEN).disputes) == [MNQ.id]


# ------------------------------------------------------------------------------ rounds, own closes


@pytest.mark.parametrize(
    ("tape", "story"),
    [
        pytest.param((1, -1), [(1, 0, False), (0, 1, True)], id="flat to flat"),
        pytest.param((1, 1, -2), [(1, 0, False), (1, 0, False), (0, 2, True)], id="two in, out at once"),
        pytest.param((2, -1, -1), [(2, 0, False), (0, 1, False), (0, 1, True)], id="out in two"),
        pytest.param((1, -2), [(1, 0, False), (1, 1, True)], id="reversal of one"),
        pytest.param((3, -5), [(3, 0, False), (2, 3, True)], id="reversal of three"),
        pytest.param((-1, 2), [(1, 0, False), (1, 1, True)], id="reversal of a short"),
    ],
)
def test_round_turn_ends_where_the_contract_was_flat(tape, story) -> None:
    state = start(*fills(*tape))

    assert [(b.opened, b.closed, b.flat_after) for b in state.ledger.booked] == story


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("asked", "closes", "own"),
    [
        pytest.param(3, (1, 2), 2, id="filled in two parts"),
        pytest.param(3, (1, 1, 1), 3, id="filled in three parts"),
        pytest.param(2, (1, 1, 1), 2, id="one more than asked is the trader's"),
        pytest.param(1, (3,), 1, id="a part of it suffices"),
    ],
)
def test_close_of_ours_claims_fills_up_to_its_size(side: int, asked: int, closes, own: int) -> None:
    opened, *closing = fills(3 * side, *(-size * side for size in closes))

    state = start(opened, CloseSent(MNQ.id, asked * side, OwnClose.LOCKOUT, MONO), *closing)

    ours = [booked.own for booked in state.ledger.booked[1:]]
    assert ours == [OwnClose.LOCKOUT] * own + [OwnClose.NO] * (len(closes) - own)


def test_close_of_ours_claims_no_fill_that_opens_and_none_of_another_contract() -> None:
    opened, more = fills(3, 1)
    other = fills(1, -1, contract=ES)
    elsewhere = [changed(event, id=event.fill.id + 10) for event in other]

    state = start(opened, CloseSent(MNQ.id, 3, OwnClose.LOCKOUT, MONO), more, *elsewhere)

    assert {booked.own for booked in state.ledger.booked} == {OwnClose.NO}
    assert state.own[MNQ.id, True].size == 3


def test_close_that_was_over_claims_no_fill_stamped_later() -> None:
    opened, *closing = fills(2, -1, -1)
    over = closing[0].fill.at
    late = changed(closing[1], at=over + timedelta(seconds=5))

    state = start(opened, CloseSent(MNQ.id, 2, OwnClose.LOCKOUT, MONO, over), closing[0], late)

    assert [booked.own for booked in state.ledger.booked[1:]] == [OwnClose.LOCKOUT, OwnClose.NO]


LONG = (MNQ.id, True)


@pytest.mark.parametrize(
    ("told", "closing", "left"),
    [
        pytest.param(None, Closing(MNQ.id, 2, OwnClose.REDUCE, 0), 2, id="not told of"),
        pytest.param(None, Closing(MNQ.id, 2, OwnClose.REDUCE, -1), 2, id="not known what closed before"),
        pytest.param(2, Closing(MNQ.id, 2, OwnClose.REDUCE, 0), 1, id="told of, and one has closed since"),
        pytest.param(1, Closing(MNQ.id, 1, OwnClose.REDUCE, 0), None, id="told of, and all has closed"),
        pytest.param(2, None, None, id="its end was not told of"),
    ],
)
def test_closes_that_may_still_fill_are_those_enforcement_shows(
    told: int | None, closing: Closing | None, left: int | None
) -> None:
    opened, one = fills(3, -1)
    state = start(opened)
    if told is not None:
        state = after(state, CloseSent(MNQ.id, told, OwnClose.REDUCE, MONO), one)

    own = closes_out(state, () if closing is None else (closing,))

    assert {of: pending.size for of, pending in own.items()} == ({} if left is None else {LONG: left})


def test_close_that_was_over_when_told_of_stays_to_claim_what_was_filled_before() -> None:
    opened, _ = fills(2, -1)
    state = start(opened, CloseSent(MNQ.id, 2, OwnClose.LOCKOUT, MONO, opened.fill.at))

    assert closes_out(state, ()) == state.own


def test_fill_known_as_the_traders_uses_up_no_close_of_ours() -> None:
    opened, theirs, ours = fills(2, -1, -1)
    state = msgspec.structs.replace(start(opened), own_fills={theirs.fill.id: OwnClose.NO})

    state = after(state, CloseSent(MNQ.id, 1, OwnClose.REDUCE, MONO), theirs, ours)

    assert [booked.own for booked in state.ledger.booked[1:]] == [OwnClose.NO, OwnClose.REDUCE]


def test_what_the_store_knew_of_a_fills_owner_is_believed() -> None:
    opened, closed = fills(2, -2)
    state = msgspec.structs.replace(start(opened), own_fills={closed.fill.id: OwnClose.REDUCE})

    assert after(state, closed).ledger.booked[-1].own is OwnClose.REDUCE


# ------------------------------------------------------------------------------ our book and the broker's


@pytest.mark.parametrize(
    ("gap", "told"),
    [(0, False), (TICK, False), (-TICK, False), (TICK + 1, True), (-TICK - 1, True), (3 * TICK, True)],
)
@pytest.mark.parametrize("side", [1, -1])
def test_difference_beyond_a_tick_at_flat_is_told(side: int, gap: int, told: bool) -> None:
    opened, closed = fills(2 * side, -2 * side)

    done = step(start(opened), changed(closed, pnl=-gap))

    assert bool(done.drifted) is told


def test_difference_is_summed_over_the_round_and_forgotten_at_its_end() -> None:
    opened, first, last = fills(2, -1, -1)
    again = [changed(event, id=event.fill.id + 10) for event in fills(2, -2)]
    state = start(opened, changed(first, pnl=-TICK))

    done = step(state, changed(last, pnl=-TICK))
    later = step(after(done.state, again[0]), changed(again[1], pnl=-TICK))

    assert done.drifted == (f"own book and broker differ by 1.00 dollars in {MNQ.id}",)
    assert later.drifted == ()


def test_opening_half_differs_from_nothing() -> None:
    assert step(start(), changed(OPEN, pnl=0)).drifted == ()


# ------------------------------------------------------------------------------ in which day a fill counts


def test_fill_of_yesterday_is_known_and_counts_no_more() -> None:
    late = changed(fills(1, fees=3600)[0], at=DAYS.previous_reset(NOON) - timedelta(seconds=1))

    once = start(late)
    twice = after(once, late)

    assert (realized(once), sizes(once)) == (0, {MNQ.id: 1})
    assert twice == once


def test_fill_at_the_very_reset_belongs_to_the_new_day() -> None:
    at = DAYS.previous_reset(NOON)

    assert realized(start(changed(fills(1, fees=3600)[0], at=at))) == -3600


def test_fill_of_tomorrow_told_twice_counts_once_and_tomorrow() -> None:
    early = changed(fills(1, fees=3600)[0], at=RESET)

    state = start(early, early)

    assert (realized(state), sizes(state), len(state.ledger.ahead)) == (0, {MNQ.id: 1}, 1)
    assert realized(after(state, DayReset(TOMORROW, RESET), early)) == -3600


def test_fill_of_tomorrow_that_is_voided_today_never_counts() -> None:
    early = changed(fills(1, fees=3600)[0], at=RESET)

    state = start(early, changed(early, voided=True), DayReset(TOMORROW, RESET), early)

    assert realized(state) == 0


def test_void_that_comes_before_its_fill_keeps_it_out() -> None:
    (event,) = fills(1, fees=3600)

    state = start(changed(event, voided=True), event)

    assert (realized(state), state.ledger.booked) == (0, ())


def test_fill_before_a_baseline_counts_no_more_and_one_after_it_does() -> None:
    before, later = fills(1, -1, fees=3600)
    baseline = before.fill.at + timedelta(milliseconds=500)
    state = start(Rebased(ACCOUNT, baseline, "admin"))

    assert realized(after(state, before)) == 0
    assert realized(after(state, before, later)) == -3600


def test_baseline_keeps_what_came_after_it() -> None:
    first, second = fills(1, -1, fees=3600)

    state = start(first, second, Rebased(ACCOUNT, first.fill.at, "admin"))

    assert (realized(state), [b.fill.id for b in state.ledger.booked]) == (-3600, [2])


def test_reset_forgets_arrivals_owners_and_copies_of_the_day_that_ended() -> None:
    opened, closed = fills(2, -1)
    state = msgspec.structs.replace(
        start(opened), own_fills={closed.fill.id: OwnClose.REDUCE}, stored={opened.fill.id: opened.fill}
    )

    begun = after(state, DayReset(TOMORROW, RESET))

    assert (begun.arrived, begun.own_fills, begun.stored) == ({}, {}, {})
    assert begun.openings == begun.book == state.book


@pytest.mark.parametrize("first", [3600, 6100])
def test_fees_are_the_most_that_either_copy_knew(first: int) -> None:
    (event,) = fills(1)

    state = start(changed(event, fees=first), changed(event, fees=9700 - first))

    assert realized(state) == -6100


def test_pnl_that_only_the_second_copy_knows_is_taken_over() -> None:
    opened, closed = fills(1, -1)

    state = start(opened, changed(closed, pnl=None), changed(closed, pnl=10_000), changed(closed, pnl=None))

    assert realized(state) == 10_000
