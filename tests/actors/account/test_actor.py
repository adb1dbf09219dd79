"""The account actor between inboxes: whom it tells what, what it asks, what it has stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from actors.account.actor import AccountActor, Limits, Neighbours, Subscriber
from actors.account.state import AccountState, opening
from actors.board import Board
from actors.clock import ManualClock
from actors.enforcement.plan import first_plan
from actors.enforcement.view import Closing, EnforcementView, view_of
from actors.messages import (
    AccountChanged,
    AccountReport,
    AccountSnapshot,
    Alert,
    BrokerSnapshot,
    CloseSent,
    ContractRead,
    DayReset,
    DeadLetter,
    Fill,
    Filled,
    FillId,
    HistoryKind,
    LinkChanged,
    LinkState,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OrderStatus,
    OrderType,
    OwnClose,
    PositionChanged,
    PositionReport,
    Quoted,
    ReadAccount,
    ReadPrice,
    Rebased,
    Reborn,
    Record,
    StoreDay,
    StoreFill,
    Tick,
    WatchContracts,
)
from actors.rules.registry import build
from tests.actors.connection.inbox import Inbox
from tests.actors.hosting import Hosted, wait_for
from tests.builders import ACCOUNT, MORNING, NAME, a_calendar, a_contract, some_settings

MNQ, ES = a_contract("MNQ"), a_contract("ES")
STALE_AFTER_S, BLIND_AFTER_S = 10.0, 30.0
SETTINGS = some_settings(
    max_contracts={"mode": "armed", "limit": 5},
    daily_unrealized_loss={"mode": "armed", "limit": -300},
    auth_loss_guard={"mode": "armed"},
)
LIMIT, LOSS, GUARD = "max_contracts", "daily_unrealized_loss", "auth_loss_guard"
"""Woken by fills; by fills and one price; by fills, the account itself and time."""
EVERY_RULE = (LIMIT, LOSS, GUARD)
CALENDAR = a_calendar(SETTINGS)
DAY = CALENDAR.trading_day(MORNING)
NEXT_RESET = CALENDAR.next_reset(MORNING)


class House:
    """The actor, hosted, with inboxes around it; a read shows what a test put at the gateway."""

    def __init__(self, board: Board | None = None, first: AccountState | None = None) -> None:
        self.clock = ManualClock(MORNING)
        self.board = board or Board()
        self.rules = {name: Inbox(name) for name in EVERY_RULE}
        self.enforcement, self.connection = Inbox("enforcement"), Inbox("connection")
        self.persistence, self.notices = Inbox("persistence"), Inbox("notices")
        self.first = first or opening(ACCOUNT, NAME, CALENDAR, self.now, first_seq=1, session_since=None)
        self.hosted = Hosted(f"account/{NAME}", self._make, self.clock)
        self.positions: dict[str, PositionReport] = {}
        self.fills: list[Fill] = []

    def _make(self, kept: Any) -> AccountActor:
        built = {one.name: one.rule for one in build(SETTINGS, NAME, CALENDAR)}
        return AccountActor(
            ACCOUNT,
            NAME,
            CALENDAR,
            tuple(Subscriber(name, inbox, built[name]) for name, inbox in self.rules.items()),
            Neighbours(self.enforcement, self.connection, self.persistence, self.notices),
            Limits(STALE_AFTER_S, BLIND_AFTER_S),
            self.clock,
            self.board,
            self.first,
            kept,
        )

    @property
    def now(self) -> Now:
        return Now(self.clock.wall(), self.clock.mono())

    def tell(self, *messages: object) -> None:
        """Tell the actor, and wait until it has done all that comes of it."""
        for message in messages:
            self.hosted.handle.tell(message)
        self.hosted.settle()

    def read(self) -> None:
        report = AccountReport(ACCOUNT, NAME, can_trade=True)
        mono, since = self.clock.mono(), CALENDAR.previous_reset(self.clock.wall())
        positions, fills = tuple(self.positions.values()), tuple(self.fills)
        self.tell(BrokerSnapshot(report, positions, (), fills, since, mono, mono, 1, "test"))

    def fill(self, size: int, price: float = 21000.0, **more: Any) -> Fill:
        """A fill of MNQ, at the gateway and told."""
        number = len(self.fills) + 1
        fill = Fill(FillId(number), ACCOUNT, OrderId(number), MNQ.id, self.clock.wall(), size, price, None, 0)
        fill = msgspec.structs.replace(fill, **more)
        self.fills.append(fill)
        held = self.positions.get(MNQ.id)
        left = size + (held.size if held else 0)
        self.positions[MNQ.id] = PositionReport(ACCOUNT, MNQ.id, left, price, self.clock.wall())
        self.tell(Filled(fill, self.clock.mono()))
        return fill

    def quote(self, price: float) -> None:
        self.tell(Quoted(MNQ.id, price, price, price, self.clock.mono()))

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.tell(Tick(self.now))

    def clear(self) -> None:
        for inbox in (*self.rules.values(), *self.outside):
            inbox.clear()

    @property
    def outside(self) -> tuple[Inbox, ...]:
        return self.enforcement, self.connection, self.persistence, self.notices

    def woken(self) -> dict[str, list[str]]:
        """What each rule was told since the last look, by the snapshots' causes."""
        found = {name: [s.cause for s in inbox.all(AccountSnapshot)] for name, inbox in self.rules.items()}
        for inbox in self.rules.values():
            inbox.clear()
        return {name: causes for name, causes in found.items() if causes}

    @property
    def shown(self) -> AccountSnapshot:
        found = self.board.read(("snapshot", NAME), AccountSnapshot)
        assert found is not None
        return found

    @property
    def alerts(self) -> list[tuple[str, str]]:
        return [(a.notice.level, a.notice.key) for a in self.notices.all(Alert)]


@pytest.fixture
def unread() -> Iterator[House]:
    """Started, with nothing heard from the gateway yet."""
    house = House()
    with house.hosted:
        house.tell(ContractRead(MNQ, house.clock.wall()), ContractRead(ES, house.clock.wall()))
        yield house


@pytest.fixture
def house(unread: House) -> House:
    """Read, flat, and everybody told."""
    unread.read()
    unread.clear()
    return unread


# ------------------------------------------------------------------------------ start, first read


def test_start_shows_the_account_and_tells_enforcement_alone() -> None:
    house = House()
    with house.hosted:
        house.hosted.settle()

        assert (house.shown.cause, house.shown.seq, house.shown.day) == ("start", 2, DAY)
        assert [s.cause for s in house.enforcement.all(AccountSnapshot)] == ["start"]
        assert house.woken() == {}
        assert house.connection.messages == []


def test_rules_judge_nothing_before_the_account_was_read(unread: House) -> None:
    unread.fill(2)
    unread.wait(1)

    assert unread.woken() == {}
    assert unread.enforcement.all(AccountSnapshot)[-1].cause == "fill:1"


def test_first_read_wakes_every_rule_whatever_it_shows(unread: House) -> None:
    unread.read()

    assert unread.woken() == {name: ["read"] for name in EVERY_RULE}


def test_later_read_that_shows_nothing_new_wakes_only_those_who_wait_for_reads(house: House) -> None:
    house.clock.advance(1)
    house.read()

    woken = house.woken()
    assert LOSS not in woken
    assert woken[GUARD] == ["read"]


# ------------------------------------------------------------------------------ who is woken


def test_fill_wakes_those_who_asked_for_fills_and_tells_enforcement(house: House) -> None:
    house.fill(1)

    assert house.woken() == {name: ["fill:1"] for name in EVERY_RULE}
    assert [s.cause for s in house.enforcement.all(AccountSnapshot)] == ["fill:1"]


def test_repeated_fill_wakes_nobody_and_stores_nothing(house: House) -> None:
    fill = house.fill(1)
    house.clear()

    house.tell(Filled(fill, house.clock.mono()))

    assert house.woken() == {}
    assert all(inbox.messages == [] for inbox in house.outside)


def test_numbers_of_snapshots_rise_by_one(house: House) -> None:
    before = house.shown.seq
    house.fill(1)
    house.quote(21000.0)
    house.wait(1)

    assert house.shown.seq == before + 3


def test_permission_wakes_only_those_who_asked_for_it(house: House) -> None:
    house.tell(AccountChanged(AccountReport(ACCOUNT, NAME, can_trade=False), house.clock.mono()))

    assert house.woken() == {GUARD: ["account"]}
    assert house.shown.can_trade is False


def test_link_wakes_only_those_who_asked_for_it(house: House) -> None:
    house.tell(LinkChanged(LinkState.DOWN, house.clock.wall(), 1, "gone"))

    assert house.woken() == {GUARD: ["link"]}


def test_harmless_price_wakes_nobody(house: House) -> None:
    house.fill(2)
    house.quote(21000.0)
    house.clear()

    house.quote(20950.0)

    assert house.woken() == {}
    assert house.enforcement.messages == []
    assert house.shown.unrealized == -200 * 10_000


def test_price_that_crosses_a_bound_wakes_its_rule_once_each_way(house: House) -> None:
    house.fill(2)
    house.quote(21000.0)
    house.clear()

    house.quote(20700.0)
    assert house.woken() == {LOSS: [f"price:{MNQ.id}"]}
    house.quote(20690.0)
    assert house.woken() == {}
    house.quote(20950.0)
    assert house.woken() == {LOSS: [f"price:{MNQ.id}"]}
    assert house.enforcement.messages == []


def test_price_of_what_is_not_held_is_kept_and_numbered_nowhere(house: House) -> None:
    before = house.shown.seq

    house.quote(21000.0)

    assert house.shown.seq == before


def test_price_between_two_ticks_is_refused_and_hurts_nobody(house: House) -> None:
    house.fill(2)
    house.quote(21000.0)

    house.quote(20700.1)

    assert house.shown.unrealized == 0
    assert house.hosted.ends == []


def test_time_wakes_those_who_asked_for_it_and_not_enforcement(house: House) -> None:
    house.wait(1)

    assert house.woken() == {GUARD: ["time"]}
    assert house.enforcement.messages == []
    assert house.shown.now == house.now


def test_price_that_grows_stale_wakes_whom_it_concerned(house: House) -> None:
    house.fill(2)
    house.quote(20700.0)
    house.clear()

    house.wait(STALE_AFTER_S)
    assert LOSS not in house.woken()
    house.wait(1)
    assert house.woken()[LOSS] == ["time"]


def test_reborn_rule_is_told_how_things_stand(house: House) -> None:
    house.tell(Reborn(LIMIT))

    assert house.woken() == {name: ["reborn"] for name in EVERY_RULE}
    assert house.connection.messages == []


def test_message_given_up_is_answered_by_a_read_and_a_fresh_judgement(house: House) -> None:
    house.tell(DeadLetter(LIMIT, "it raised"))

    assert house.woken() == {name: ["dead-letter"] for name in EVERY_RULE}
    (asked,) = house.connection.all(ReadAccount)
    assert "it raised" in asked.why


def test_close_of_ours_whose_word_was_given_up_is_taken_from_what_enforcement_shows(house: House) -> None:
    """Else its fill counts as the trader's: in the limits on trades, and in the history."""
    house.fill(2, 21000.0)
    house.board.post(("enforcement", NAME), closing(Closing(MNQ.id, 2, OwnClose.REDUCE, 0)))

    house.tell(DeadLetter(f"account/{NAME}", "it raised"))
    house.fill(-2, 21010.0, pnl=400_000)

    assert [booked.own for booked in house.shown.fills] == [OwnClose.NO, OwnClose.REDUCE]


def test_message_that_another_gave_up_changes_nothing_in_whose_fills_are_whose(house: House) -> None:
    """The word of the close may still lie in the mailbox, behind a fill of the trader's."""
    house.fill(2, 21000.0)
    house.board.post(("enforcement", NAME), closing(Closing(MNQ.id, 2, OwnClose.REDUCE, 0)))

    house.tell(DeadLetter(LIMIT, "it raised"))
    house.fill(-2, 21010.0, pnl=400_000)

    assert [booked.own for booked in house.shown.fills] == [OwnClose.NO, OwnClose.NO]


def closing(*closes: Closing) -> EnforcementView:
    return msgspec.structs.replace(
        view_of(first_plan(ACCOUNT, NAME, 5.0, MORNING), None, journal_ok=True), closes=closes
    )


# ------------------------------------------------------------------------------ prices that are missing


def test_newest_price_of_an_unmeasured_position_is_asked_every_five_seconds(house: House) -> None:
    house.fill(2)
    house.wait(STALE_AFTER_S + 1)
    assert house.connection.all(ReadPrice) == [ReadPrice(MNQ.id)]

    house.wait(4.9)
    assert len(house.connection.all(ReadPrice)) == 1
    house.wait(0.1)
    assert len(house.connection.all(ReadPrice)) == 2


def test_position_nobody_can_measure_is_told_once_after_half_a_minute(house: House) -> None:
    house.fill(2)
    house.wait(STALE_AFTER_S + 1)
    for _ in range(29):
        house.wait(1)
    assert house.alerts == []

    house.wait(1)
    house.wait(60)

    assert house.alerts == [("error", f"{NAME}/unmeasured/{MNQ.id}")]


def test_position_measured_again_is_told_anew_when_it_is_lost_again(house: House) -> None:
    house.fill(2)
    for _ in range(2):
        house.wait(STALE_AFTER_S + 1)
        house.wait(BLIND_AFTER_S)
        house.quote(21000.0)
        house.wait(1)

    assert [level for level, _ in house.alerts] == ["error", "error"]


# ------------------------------------------------------------------------------ disagreement


def test_position_that_disagrees_for_a_second_is_told_shown_and_read_again(house: House) -> None:
    report = PositionReport(ACCOUNT, MNQ.id, 3, 21000.0, house.clock.wall())
    house.tell(PositionChanged(report, house.clock.mono()))
    assert len(house.connection.all(ReadAccount)) == 1
    house.wait(0.9)
    assert (house.alerts, house.shown.positions) == ([], ())
    house.clear()

    house.wait(0.1)

    assert [level for level, _ in house.alerts] == ["error"]
    assert len(house.connection.all(ReadAccount)) == 1
    assert [s.positions[0].size for s in house.enforcement.all(AccountSnapshot)] == [3]
    assert house.woken()[LIMIT] == ["position"]
    house.wait(1)
    assert len(house.alerts) == 1


def test_broker_that_reckons_otherwise_is_a_warning(house: House) -> None:
    house.fill(2, 21000.0)
    house.fill(-2, 21010.0, pnl=394_900)

    (alert,) = house.notices.all(Alert)
    assert (alert.notice.level, alert.account) == ("warning", NAME)
    assert "0.51" in alert.notice.message


def test_difference_of_a_tick_is_no_warning(house: House) -> None:
    house.fill(2, 21000.0)
    house.fill(-2, 21010.0, pnl=395_000)

    assert house.alerts == []


# ------------------------------------------------------------------------------ what is stored


def test_fill_is_stored_with_its_day_and_told_to_history(house: House) -> None:
    house.fill(-2, 21000.25, fees=7400, order=OrderId(7))

    (stored,) = house.persistence.all(StoreFill)
    (line,) = house.persistence.all(Record)
    (day,) = house.persistence.all(StoreDay)
    assert (stored.fill.id, stored.day, stored.own) == (1, DAY, OwnClose.NO)
    assert (line.id, line.kind, line.account) == (f"fill/{NAME}/1", HistoryKind.FILL, NAME)
    assert line.at == house.clock.wall()
    assert line.body == {
        "trade": 1,
        "order": 7,
        "contract": MNQ.id,
        "side": "sell",
        "size": 2,
        "price": "21000.25",
        "pnl": None,
        "fees": "0.74",
        "own": False,
    }
    assert day == StoreDay(ACCOUNT, NAME, DAY, -7400, 1)


def test_own_close_is_stored_and_told_as_ours(house: House) -> None:
    house.fill(2, 21000.0)
    house.tell(CloseSent(MNQ.id, 2, OwnClose.LOCKOUT, house.clock.mono()))
    house.clear()

    house.fill(-2, 21010.0, pnl=400_000)

    assert [(s.own, s.fill.id) for s in house.persistence.all(StoreFill)] == [(OwnClose.LOCKOUT, 2)]
    body = house.persistence.all(Record)[0].body
    assert (body["own"], body["pnl"], body["side"]) == (True, "40.00", "sell")
    assert house.persistence.all(StoreDay) == [StoreDay(ACCOUNT, NAME, DAY, 400_000, 2)]


def test_fill_without_a_contract_record_is_told_with_its_price_as_it_came(house: House) -> None:
    house.fill(1, 5.25, contract=a_contract("CL").id)

    assert house.persistence.all(Record)[0].body["price"] == "5.25"


def test_fill_between_two_ticks_counts_is_told_and_read_again(house: House) -> None:
    house.fill(3, 20999.9)

    assert house.persistence.all(Record)[0].body["price"] == "20999.9"
    assert house.shown.positions[0].size == 3
    assert [level for level, _ in house.alerts] == ["warning"]
    assert len(house.connection.all(ReadAccount)) == 1


def test_second_copy_that_knows_more_is_stored_again_as_whose_it_was(house: House) -> None:
    house.fill(2, 21000.0)
    house.tell(CloseSent(MNQ.id, 2, OwnClose.REDUCE, house.clock.mono()))
    fill = house.fill(-2, 21000.0, pnl=0)
    house.clear()

    house.tell(Filled(msgspec.structs.replace(fill, fees=7400), house.clock.mono()))

    (stored,) = house.persistence.all(StoreFill)
    assert (stored.fill.fees, stored.own) == (7400, OwnClose.REDUCE)
    assert house.persistence.all(StoreDay) == [StoreDay(ACCOUNT, NAME, DAY, -7400, 2)]
    assert house.persistence.all(Record) == []


def test_voided_fill_is_stored_as_voided_and_the_account_is_read(house: House) -> None:
    fill = house.fill(2, 21000.0, fees=7400)
    house.clear()

    house.tell(Filled(msgspec.structs.replace(fill, voided=True), house.clock.mono()))

    assert [(s.fill.voided, s.own) for s in house.persistence.all(StoreFill)] == [(True, OwnClose.NO)]
    assert house.persistence.all(StoreDay) == [StoreDay(ACCOUNT, NAME, DAY, 0, 0)]
    assert len(house.connection.all(ReadAccount)) == 1


def test_fill_that_no_stream_brought_is_stored_when_it_is_read(house: House) -> None:
    at = house.clock.wall()
    house.fills.append(Fill(FillId(9), ACCOUNT, OrderId(9), MNQ.id, at, 1, 21000.0, None, 0))
    house.positions[MNQ.id] = PositionReport(ACCOUNT, MNQ.id, 1, 21000.0, at)

    house.clock.advance(1)
    house.read()

    assert [s.fill.id for s in house.persistence.all(StoreFill)] == [9]
    assert house.shown.positions[0].size == 1
    assert house.woken() == {name: ["fill:9"] for name in EVERY_RULE}


# ------------------------------------------------------------------------------ days


def test_reset_stores_the_day_that_ended_and_begins_the_next_at_zero(house: House) -> None:
    house.fill(1, fees=7400)
    house.clear()

    house.tell(DayReset(DAY + timedelta(days=1), NEXT_RESET))

    assert house.persistence.all(StoreDay) == [StoreDay(ACCOUNT, NAME, DAY, -7400, 1)]
    assert (house.shown.realized, house.shown.fills, house.shown.cause) == (0, (), "reset")
    assert house.shown.day == DAY + timedelta(days=1)
    house.clear()
    house.tell(DayReset(DAY + timedelta(days=1), NEXT_RESET))
    assert house.persistence.messages == []


def test_reset_whose_word_was_lost_comes_with_the_next_tick(house: House) -> None:
    house.fill(1, fees=7400)
    house.clear()

    house.wait((NEXT_RESET - house.clock.wall()).total_seconds())

    assert house.persistence.all(StoreDay) == [StoreDay(ACCOUNT, NAME, DAY, -7400, 1)]
    assert (house.shown.day, house.shown.realized) == (DAY + timedelta(days=1), 0)


def test_baseline_counts_from_zero_and_wakes_those_who_count(house: House) -> None:
    house.fill(1, fees=7400)
    house.clear()

    house.tell(Rebased(ACCOUNT, house.clock.wall(), "admin"))

    assert (house.shown.realized, house.shown.fills) == (0, ())
    assert house.woken() == {name: ["reset"] for name in EVERY_RULE}
    assert house.persistence.messages == []


def test_day_begun_by_a_fast_clock_is_begun_again_after_half_a_minute(house: House) -> None:
    house.tell(DayReset(DAY + timedelta(days=1), NEXT_RESET))
    house.fill(1, fees=7400)
    house.clear()
    assert house.shown.fills == ()

    house.wait(0)
    house.wait(29.9)
    assert house.connection.all(ReadAccount) == []
    house.wait(0.1)
    assert len(house.connection.all(ReadAccount)) == 1
    assert house.shown.day == DAY
    house.read()

    assert (house.shown.day, house.shown.realized) == (DAY, -7400)
    assert house.shown.positions[0].size == 1


def test_single_late_stamp_begins_no_day_again(house: House) -> None:
    house.clock.advance((NEXT_RESET - house.clock.wall()).total_seconds())
    house.tell(Tick(house.now))
    house.fill(1, fees=7400)

    for back in (10, 0, 10):
        house.clock.advance(20)
        late = Now(NEXT_RESET - timedelta(seconds=back), house.clock.mono())
        house.tell(Tick(late))

    assert (house.shown.day, house.shown.realized) == (DAY + timedelta(days=1), -7400)


def test_fills_of_a_day_that_has_not_begun_are_shouted_about_once(house: House) -> None:
    house.fill(1, at=NEXT_RESET + timedelta(minutes=1))
    house.clear()

    house.wait(1)
    house.wait(1)

    assert house.alerts == [("critical", f"{NAME}/ahead/1")]


def test_fill_stamped_moments_after_the_reset_is_nothing_to_shout_about(house: House) -> None:
    house.clock.advance((NEXT_RESET - house.clock.wall()).total_seconds() - 2)
    house.fill(1, at=NEXT_RESET + timedelta(seconds=1))

    house.tell(Tick(house.now))

    assert house.alerts == []


# ------------------------------------------------------------------------------ whose quotes are watched


def an_order(house: House, **changes: Any) -> Order:
    at = house.clock.wall()
    order = Order(
        OrderId(7), ACCOUNT, ES.id, OrderType.LIMIT, OrderStatus.OPEN, 1, 0, at, at, limit_price=5800.0
    )
    return msgspec.structs.replace(order, **changes)


def test_quotes_of_positions_and_working_orders_are_watched(house: House) -> None:
    house.fill(1)
    house.tell(OrderChanged(an_order(house), house.clock.mono()))
    house.quote(21000.0)

    assert [w.contracts for w in house.connection.all(WatchContracts)] == [(MNQ.id,), (ES.id, MNQ.id)]


def test_quotes_go_on_for_a_minute_after_the_last_position_or_order(house: House) -> None:
    house.fill(1)
    house.fill(-1, pnl=0)
    house.clear()

    house.wait(59.9)
    assert house.connection.all(WatchContracts) == []
    house.wait(0.1)

    assert [w.contracts for w in house.connection.all(WatchContracts)] == [()]


def test_order_that_waits_for_another_is_not_watched(house: House) -> None:
    house.tell(OrderChanged(an_order(house, status=OrderStatus.SUSPENDED), house.clock.mono()))

    assert house.connection.all(WatchContracts) == []


# ------------------------------------------------------------------------------ death and rebirth


def test_reborn_account_goes_on_and_reads_what_it_may_have_missed(house: House) -> None:
    house.fill(2)
    seq = house.shown.seq
    house.clear()

    house.hosted.crash()

    assert house.shown.seq > seq
    assert house.shown.positions[0].size == 2
    assert len(house.connection.all(ReadAccount)) == 1
    assert house.persistence.all(StoreFill) == []
    assert house.woken() == {name: ["start"] for name in EVERY_RULE}


def test_reborn_account_tells_nothing_older_than_what_it_told_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies after the rules were told of a fill: to be told of the time before would end their breaches."""
    tell, failed = house.enforcement.tell, list[object]()

    def die_once(message: object, *, urgent: bool = False) -> None:
        if not failed:
            failed.append(message)
            raise RuntimeError("in the middle of telling")
        tell(message, urgent=urgent)

    monkeypatch.setattr(house.enforcement, "tell", die_once)

    house.fill(2)

    told = house.rules[LIMIT].all(AccountSnapshot)
    assert [snapshot.cause for snapshot in told] == ["fill:1", "fill:1"]
    assert [p.size for snapshot in told for p in snapshot.positions] == [2, 2]
    assert told[1].seq > told[0].seq


def test_message_that_is_not_for_an_account_is_a_crash_with_its_name(house: House) -> None:
    house.hosted.handle.tell("hello")

    wait_for(lambda: any("account cannot take str" in end for end in house.hosted.ends))


def test_account_that_inherits_nothing_numbers_on_and_forgets_no_owner(house: House) -> None:
    """After several crashes the state is dropped: what was shown, the store and the gateway must do."""
    house.fill(2, fees=7400)
    house.tell(CloseSent(MNQ.id, 2, OwnClose.LOCKOUT, house.clock.mono()))
    house.fill(-2, pnl=0)
    told = house.shown

    heir = House(board=house.board)
    heir.fills = [msgspec.structs.replace(fill, fees=0) for fill in house.fills]
    with heir.hosted:
        heir.tell(ContractRead(MNQ, heir.clock.wall()))
        assert heir.shown.seq > told.seq
        assert len(heir.connection.all(ReadAccount)) == 1
        heir.clock.advance(1)
        heir.read()

        assert [b.own for b in heir.shown.fills] == [OwnClose.NO, OwnClose.LOCKOUT]
        assert heir.shown.realized == told.realized == -7400


@pytest.mark.parametrize("crash", [True, False])
def test_crash_between_any_two_events_changes_no_figure(house: House, crash: bool) -> None:
    steps: list[Callable[[], object]] = [
        lambda: house.fill(3, 21000.0, fees=7400),
        lambda: house.quote(20990.0),
        lambda: house.fill(-1, 20990.0, pnl=-200_000),
        lambda: house.quote(20980.0),
    ]
    for step in steps:
        step()
        if crash:
            house.hosted.crash()

    assert (house.shown.realized, house.shown.unrealized) == (-207_400, -800_000)
    assert len(house.shown.fills) == 2
