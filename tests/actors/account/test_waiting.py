"""Who is told at once and who a moment later: rules that can ask for nothing stand back for the others."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.account.actor import AccountActor, Limits, Neighbours, Subscriber
from actors.account.ledger import Ledger
from actors.account.state import AccountState
from actors.board import Board
from actors.clock import ManualClock
from actors.enforcement.plan import first_plan
from actors.enforcement.view import view_of
from actors.messages import (
    AccountReport,
    AccountSnapshot,
    ContractRead,
    Fill,
    Filled,
    FillId,
    LetGo,
    LinkState,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OrderStatus,
    OrderType,
    StoreFill,
    Tick,
)
from actors.rules.registry import build
from tests.actors.connection.inbox import Inbox
from tests.actors.hosting import Hosted
from tests.builders import ACCOUNT, MORNING, NAME, a_calendar, a_contract, some_settings

MNQ = a_contract("MNQ")


class Account:
    """The account actor between inboxes: one rule that blocks CL, one that allows so many MNQ."""

    def __init__(self, *, holds: bool = True) -> None:
        settings = some_settings(
            symbol_blocks={"mode": "armed", "blocked": ["CL"]},
            max_contracts_per_instrument={"mode": "armed", "limits": {"MNQ": 2}},
        )
        self.clock, calendar = ManualClock(MORNING), a_calendar(settings)
        now = self.clock.wall()
        first = AccountState(
            ACCOUNT,
            NAME,
            Ledger(calendar.trading_day(now), calendar.previous_reset(now)),
            report=AccountReport(ACCOUNT, NAME, can_trade=True),
            link=LinkState.LIVE,
            read_mono=self.clock.mono(),
        )
        built = {one.name: one for one in build(settings, NAME, calendar)}
        self.blocks, self.most = Inbox("blocks"), Inbox("most")
        rules = (
            Subscriber("symbol_blocks", self.blocks, built["symbol_blocks"].rule),
            Subscriber("most", self.most, built["max_contracts_per_instrument"].rule),
        )
        self.enforcement, self.persistence = Inbox("enforcement"), Inbox("persistence")
        self.board = Board()
        to = Neighbours(self.enforcement, Inbox(), self.persistence, Inbox())
        self.hosted = Hosted(
            f"account/{NAME}",
            lambda kept: AccountActor(
                ACCOUNT,
                NAME,
                calendar,
                rules,
                to,
                Limits(10.0, 60.0),
                self.clock,
                self.board,
                first,
                kept,
                holds=holds,
            ),
            self.clock,
        )
        self.numbers = iter(range(1, 100))

    def tell(self, message: object) -> None:
        self.hosted.handle.tell(message)
        self.hosted.settle()

    def enforcement_shows(self, *, rests: bool) -> None:
        """What enforcement shows of itself."""
        at_rest = view_of(first_plan(ACCOUNT, NAME, 5.0, MORNING), None, journal_ok=True)
        self.board.post(("enforcement", NAME), msgspec.structs.replace(at_rest, rests=rests))

    def let_go(self) -> None:
        self.tell(LetGo())

    def buy(self, size: int) -> str:
        number = next(self.numbers)
        self.tell(Filled(self.fill(number, size), self.clock.mono()))
        return f"fill:{number}"

    def fill(self, number: int, size: int) -> Fill:
        return Fill(
            FillId(number), ACCOUNT, OrderId(number), MNQ.id, self.clock.wall(), size, 21000.0, None, 0
        )

    def order(self, number: int, status: OrderStatus, filled: int = 0) -> OrderChanged:
        at = self.clock.wall()
        order = Order(OrderId(number), ACCOUNT, MNQ.id, OrderType.MARKET, status, 1, filled, at, at)
        return OrderChanged(order, self.clock.mono())


def causes(inbox: Inbox) -> list[str]:
    return [snapshot.cause for snapshot in inbox.all(AccountSnapshot)]


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    with made.hosted:
        made.hosted.settle()
        made.tell(ContractRead(MNQ, made.clock.wall()))
        made.let_go()
        for inbox in (made.blocks, made.most, made.enforcement):
            inbox.messages.clear()
        yield made


def test_a_rule_that_may_ask_for_something_is_told_at_once_and_the_others_a_moment_later(
    account: Account,
) -> None:
    over = account.buy(3)
    assert (causes(account.most), causes(account.blocks)) == ([over], [])

    account.let_go()
    assert causes(account.blocks) == [over]


def test_a_rule_is_told_what_it_waited_for_before_what_it_is_told_at_once(account: Account) -> None:
    first = account.buy(1)
    assert causes(account.most) == []

    second = account.buy(2)
    assert causes(account.most) == [first, second]
    account.let_go()
    assert causes(account.most) == [first, second]
    assert causes(account.blocks) == [first, second]


def test_a_tick_tells_what_waited_although_nobody_called_back(account: Account) -> None:
    told = account.buy(1)
    account.tell(Tick(Now(account.clock.wall(), account.clock.mono())))

    assert causes(account.most)[0] == told
    assert causes(account.blocks)[0] == told
    again = account.buy(1)
    account.let_go()
    assert causes(account.most)[-1] == again


def test_while_a_rule_may_ask_enforcement_and_the_store_are_not_woken_by_a_fill(account: Account) -> None:
    account.enforcement_shows(rests=True)
    account.buy(3)
    assert account.enforcement.all(AccountSnapshot) == []
    assert account.persistence.all(StoreFill) == []

    account.let_go()
    assert [row.fill.id for row in account.persistence.all(StoreFill)] == [1]
    assert causes(account.enforcement) == ["fill:1"]


def test_a_fill_that_the_store_is_owed_outlives_the_account(account: Account) -> None:
    account.buy(3)
    account.tell("nonsense")
    assert account.hosted.ends
    assert {row.fill.id for row in account.persistence.all(StoreFill)} == {1}


def test_enforcement_that_may_act_by_itself_is_told_at_once(account: Account) -> None:
    account.enforcement_shows(rests=False)
    told = account.buy(3)
    assert causes(account.enforcement) == [told]


def test_how_an_order_came_to_its_fill_is_shown_with_the_fill(account: Account) -> None:
    number = 7
    beside = (account.order(number, OrderStatus.OPEN), account.order(number, OrderStatus.FILLED, 1))
    account.tell(Filled(account.fill(number, 3), account.clock.mono(), beside))

    [snapshot] = account.most.all(AccountSnapshot)
    assert (snapshot.cause, snapshot.orders) == ("fill:7", ())


def test_another_order_beside_a_fill_is_told_before_it(account: Account) -> None:
    beside = (account.order(8, OrderStatus.OPEN),)
    account.tell(Filled(account.fill(7, 3), account.clock.mono(), beside))

    assert causes(account.most) == ["order:8", "fill:7"]
    assert [order.id for order in account.most.all(AccountSnapshot)[1].orders] == [8]


def test_a_repeated_fill_does_not_hide_what_came_beside_it(account: Account) -> None:
    fill = Filled(account.fill(7, 1), account.clock.mono())
    account.tell(fill)
    account.let_go()
    account.most.messages.clear()
    beside = (account.order(7, OrderStatus.OPEN), account.order(9, OrderStatus.OPEN))
    account.tell(Filled(fill.fill, fill.mono, beside))

    assert [order.id for order in account.most.all(AccountSnapshot)[-1].orders] == [7, 9]


STORY = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(-2, 3).filter(bool), st.integers(0, 2)),
        st.tuples(
            st.just("order"), st.integers(1, 4), st.sampled_from([OrderStatus.OPEN, OrderStatus.CANCELLED])
        ),
        st.tuples(st.just("tick"), st.just(0), st.just(0)),
        st.tuples(st.just("let go"), st.just(0), st.just(0)),
        st.tuples(st.just("rests"), st.booleans(), st.just(0)),
    ),
    max_size=15,
)


def told(story: list[tuple[str, int, int]], *, holds: bool) -> list[list[AccountSnapshot]]:
    """What each rule and enforcement were told by the end."""
    account = Account(holds=holds)
    with account.hosted:
        account.tell(ContractRead(MNQ, account.clock.wall()))
        for kind, first, second in story:
            account.clock.advance(0.001)
            match kind:
                case "fill":
                    number = next(account.numbers)
                    beside = [account.order(number, OrderStatus.OPEN)] * bool(second)
                    beside += [account.order(50 + number, OrderStatus.OPEN)] * (second > 1)
                    fill = account.fill(number, first)
                    account.tell(Filled(fill, account.clock.mono(), tuple(beside)))
                case "order":
                    account.tell(account.order(first + 60, OrderStatus(second)))
                case "tick":
                    account.tell(Tick(Now(account.clock.wall(), account.clock.mono())))
                case "rests":
                    account.enforcement_shows(rests=bool(first))
                case _:
                    account.let_go()
        account.let_go()
        inboxes = (account.most, account.blocks, account.enforcement)
        return [inbox.all(AccountSnapshot) for inbox in inboxes]


@given(STORY)
@settings(deadline=None, max_examples=25)
def test_everybody_is_told_the_same_in_the_same_order_whether_some_wait_or_not(
    story: list[tuple[str, int, int]],
) -> None:
    assert told(story, holds=True) == told(story, holds=False)
