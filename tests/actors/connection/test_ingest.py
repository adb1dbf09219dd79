"""Events on their way to the accounts: partial quotes, gateway time, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actors.connection.ingest import Ingest, merged
from actors.connection.translate import Prices
from actors.messages import (
    AccountId,
    ContractId,
    Fill,
    Filled,
    FillId,
    GatewaySeen,
    LetGo,
    OrderId,
    PositionChanged,
    PositionReport,
    Quoted,
)
from tests.actors.connection.inbox import Inbox

A, B = AccountId(1), AccountId(2)
MNQ, MES = ContractId("CON.F.US.MNQ.U26"), ContractId("CON.F.US.MES.U26")
NOON = datetime(2026, 7, 31, 12, 0, tzinfo=UTC)


class Desk:
    """An ingest with two guarded accounts."""

    def __init__(self) -> None:
        self.timers, self.a, self.b = Inbox("timers"), Inbox("a"), Inbox("b")
        self.sighted: list[ContractId] = []
        self.ingest = Ingest(self.timers, self.sighted.append)
        self.ingest.guard(A, self.a)
        self.ingest.guard(B, self.b)


def fill(account: AccountId = A, contract: ContractId = MNQ, at: datetime = NOON) -> Fill:
    return Fill(FillId(1), account, OrderId(1), contract, at, 1, 19_000.0, None, 0)


def price(last: float | None = None, bid: float | None = None, at: datetime | None = None) -> Prices:
    return Prices(MNQ, last, bid, None, at)


def test_event_goes_to_its_own_account_only_and_to_nobody_when_unguarded() -> None:
    desk = Desk()
    desk.ingest.filled(fill(A), 1.0)
    desk.ingest.filled(fill(AccountId(3)), 2.0)
    assert (len(desk.a.all(Filled)), len(desk.b.all(Filled))) == (1, 0)
    desk.ingest.unguard(A)
    desk.ingest.filled(fill(A), 3.0)
    assert len(desk.a.all(Filled)) == 1
    assert desk.ingest.last_event_mono == 3.0


def test_what_comes_beside_a_fill_is_told_with_it_in_the_order_in_which_it_came() -> None:
    calls = list[Callable[[], None]]()
    a = Inbox("a")
    ingest = Ingest(Inbox("timers"), lambda contract: None, lambda seconds, call: calls.append(call))
    ingest.guard(A, a)
    before = PositionReport(A, MNQ, 1, 19_000.0, NOON)
    after = PositionReport(A, MNQ, 2, 19_000.0, NOON)

    ingest.position_changed(before, 1.0)
    assert a.messages == []
    ingest.filled(fill(), 1.0)
    ingest.position_changed(after, 1.0)
    told = Filled(fill(), 1.0, (PositionChanged(before, 1.0),))
    assert a.messages == [told]

    joined, held = calls
    joined()
    assert a.messages == [told, PositionChanged(after, 1.0)]
    held()
    assert a.messages == [told, PositionChanged(after, 1.0), LetGo()]
    ingest.position_changed(before, 2.0)
    assert len(calls) == 3


def test_contract_is_sighted_once_however_it_turns_up() -> None:
    desk = Desk()
    desk.ingest.filled(fill(), 1.0)
    desk.ingest.position_changed(PositionReport(A, MNQ, 1, 19_000.0, NOON), 1.0)
    desk.ingest.want(A, (MNQ, MES))
    assert desk.sighted == [MNQ, MES]


def test_quote_goes_to_whoever_wants_the_contract() -> None:
    desk = Desk()
    desk.ingest.want(A, (MNQ,))
    desk.ingest.want(B, (MES,))
    desk.ingest.priced(price(last=19_000.0), 1.0)
    assert set(desk.a.latest) == {MNQ}
    assert desk.b.latest == {}
    assert desk.ingest.wanted() == {MNQ, MES}
    desk.ingest.want(A, ())
    assert desk.ingest.wanted() == {MES}


def test_account_that_starts_to_watch_is_told_what_is_known_already() -> None:
    desk = Desk()
    desk.ingest.priced(price(last=19_000.0), 1.0)
    desk.ingest.want(B, (MNQ,))
    assert desk.b.wait_latest(MNQ, Quoted).last == 19_000.0


FIELDS = st.lists(
    st.tuples(*(st.none() | st.integers(1, 5).map(float) for _ in range(3))), min_size=1, max_size=20
)


@given(FIELDS)
def test_merged_quote_holds_the_newest_word_on_each_field_and_its_own_age(
    updates: list[tuple[float | None, float | None, float | None]],
) -> None:
    quote: Quoted | None = None
    for mono, (last, bid, ask) in enumerate(updates, 1):
        quote = merged(quote, Prices(MNQ, last, bid, ask, None), float(mono))
    assert quote is not None
    for index, (value, age) in enumerate(
        ((quote.last, quote.last_mono), (quote.bid, quote.bid_mono), (quote.ask, quote.ask_mono))
    ):
        said = [(update[index], float(mono)) for mono, update in enumerate(updates, 1) if update[index]]
        assert (value, age) == (said[-1] if said else (None, 0.0))


def test_first_quote_of_a_generation_tells_no_time_because_it_may_be_old() -> None:
    desk = Desk()
    friday = NOON - timedelta(days=2)
    desk.ingest.priced(price(last=1.0, at=friday), 1.0)
    assert desk.timers.latest == {}
    desk.ingest.priced(price(last=1.0, at=NOON), 2.0)
    assert desk.timers.latest["gateway"] == GatewaySeen(NOON, 2.0)
    desk.ingest.new_generation()
    desk.ingest.priced(price(last=1.0, at=NOON + timedelta(hours=1)), 3.0)
    assert desk.timers.latest["gateway"] == GatewaySeen(NOON, 2.0)


def test_price_read_by_rest_is_fresh_when_it_arrives() -> None:
    desk = Desk()
    desk.ingest.want(A, (MNQ,))
    desk.ingest.priced(price(bid=18_999.0), 1.0)
    desk.ingest.read_price(MNQ, 19_000.0, 9.0)
    quote = desk.a.wait_latest(MNQ, Quoted)
    assert (quote.last, quote.last_mono, quote.bid, quote.bid_mono) == (19_000.0, 9.0, 18_999.0, 1.0)
