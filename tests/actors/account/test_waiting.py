"""Who is told at once and who a moment later: rules that can ask for nothing stand back for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from actors.account.actor import AccountActor, Limits, Neighbours, Subscriber
from actors.account.ledger import Ledger
from actors.account.state import AccountState
from actors.board import Board
from actors.clock import ManualClock
from actors.messages import (
    AccountReport,
    AccountSnapshot,
    ContractRead,
    Fill,
    Filled,
    FillId,
    LinkState,
    Now,
    OrderId,
    Tick,
)
from actors.rules.registry import build
from tests.actors.connection.inbox import Inbox
from tests.actors.hosting import Hosted
from tests.builders import ACCOUNT, MORNING, NAME, a_calendar, a_contract, some_settings

MNQ = a_contract("MNQ")


class Later:
    """Calls back when a test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def pass_time(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class Account:
    """The account actor between inboxes: one rule that blocks CL, one that allows so many MNQ."""

    def __init__(self) -> None:
        settings = some_settings(
            symbol_blocks={"mode": "armed", "blocked": ["CL"]},
            max_contracts_per_instrument={"mode": "armed", "limits": {"MNQ": 2}},
        )
        self.clock, self.later, calendar = ManualClock(MORNING), Later(), a_calendar(settings)
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
        to = Neighbours(Inbox("enforcement"), Inbox(), Inbox(), Inbox())
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
                Board(),
                first,
                kept,
                self.later,
            ),
            self.clock,
        )
        self.numbers = iter(range(1, 100))

    def tell(self, message: object) -> None:
        self.hosted.handle.tell(message)
        self.hosted.settle()

    def buy(self, size: int) -> str:
        number = next(self.numbers)
        at = self.clock.wall()
        self.tell(
            Filled(
                Fill(FillId(number), ACCOUNT, OrderId(number), MNQ.id, at, size, 21000.0, None, 0),
                self.clock.mono(),
            )
        )
        return f"fill:{number}"


def causes(inbox: Inbox) -> list[str]:
    return [snapshot.cause for snapshot in inbox.all(AccountSnapshot)]


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    with made.hosted:
        made.hosted.settle()
        made.tell(ContractRead(MNQ, made.clock.wall()))
        made.later.pass_time()
        made.hosted.settle()
        for inbox in (made.blocks, made.most):
            inbox.messages.clear()
        yield made


def test_a_rule_that_may_ask_for_something_is_told_at_once_and_the_others_a_moment_later(
    account: Account,
) -> None:
    over = account.buy(3)
    assert (causes(account.most), causes(account.blocks)) == ([over], [])

    account.later.pass_time()
    account.hosted.settle()
    assert causes(account.blocks) == [over]


def test_a_rule_is_told_what_it_waited_for_before_what_it_is_told_at_once(account: Account) -> None:
    first = account.buy(1)
    assert causes(account.most) == []

    second = account.buy(2)
    assert causes(account.most) == [first, second]
    account.later.pass_time()
    account.hosted.settle()
    assert causes(account.most) == [first, second]
    assert causes(account.blocks) == [first, second]


def test_a_tick_tells_what_waited_although_nobody_called_back(account: Account) -> None:
    told = account.buy(1)
    account.later.calls.clear()

    account.tell(Tick(Now(account.clock.wall(), account.clock.mono())))

    assert causes(account.most)[0] == told
    assert causes(account.blocks)[0] == told
    again = account.buy(1)
    account.later.pass_time()
    account.hosted.settle()
    assert causes(account.most)[-1] == again
