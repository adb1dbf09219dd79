"""What the band takes crosses no bound of anybody: the sides of all bounds are those of before."""

from __future__ import annotations

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from actors.account.apply import apply
from actors.account.band import Band
from actors.account.ledger import Ledger
from actors.account.state import AccountState
from actors.account.view import snapshot_of
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
    Quoted,
)
from actors.rules.bounds import Side, side
from actors.rules.rule import Bound, Measure
from tests.actors.account.tapes import ACCOUNT, DAY, ES, MNQ, NOON, NOW, START, OneDay, contract

CL = contract("CL")
OPEN = (MNQ, ES, CL)
STALE_S = 10.0
BASE = {MNQ.id: 4000, ES.id: 2000, CL.id: 7000}
SIZES = st.tuples(*(st.integers(-3, 3) for _ in OPEN)).filter(any)
MOVE = st.tuples(
    st.sampled_from(OPEN),
    st.integers(-40, 40),
    st.integers(0, 3),
    st.sampled_from(["all", "touch", "last"]),
    st.sampled_from([0.0, 0.1, 4.0, 9.0]),
)
"""A contract, ticks from where it began, half its spread, what the quote carries, seconds later."""


class Prices:
    """An account with open positions, and the prices that its contracts had."""

    def __init__(self, sizes: tuple[int, ...], drift: int, adopted: bool) -> None:
        report = AccountReport(ACCOUNT, "A", can_trade=True)
        self.state = AccountState(
            ACCOUNT, "A", Ledger(DAY, START), report=report, link=LinkState.LIVE, read_mono=1.0
        )
        self.mono, self.known = NOW.mono, dict[str, Quoted]()
        for number, (record, size) in enumerate(zip(OPEN, sizes, strict=True), 1):
            self.hear(ContractRead(record, NOON))
            if size:
                price = float(record.price(BASE[record.id]))
                fill = Fill(FillId(number), ACCOUNT, OrderId(number), record.id, NOON, size, price, None, 370)
                self.hear(Filled(fill, self.mono))
        if adopted:
            self.average_by_thirds()
        for record in OPEN:
            self.hear(self.quote(record, drift, 1, "all"))

    def average_by_thirds(self) -> None:
        """A cost that is no whole number of ticks a contract."""
        book = {c: msgspec.structs.replace(h, cost=(h.cost or 0) + 1) for c, h in self.state.book.items()}
        self.state = msgspec.structs.replace(self.state, book=book)

    def hear(self, told: object) -> None:
        self.state = apply(self.state, told, OneDay(), Now(NOON, self.mono)).state  # type: ignore[arg-type]

    def quote(self, record: object, ticks: int, half: int, what: str) -> Quoted:
        """Merged with what was known, as the ingest does."""
        assert isinstance(record, type(MNQ))
        known = self.known.get(record.id, Quoted(record.id, None, None, None, self.mono))
        at = BASE[record.id] + ticks
        changes: dict[str, object] = {"mono": self.mono}
        if what != "touch":
            changes |= {"last": float(record.price(at)), "last_mono": self.mono}
        if what != "last":
            changes |= {"bid": float(record.price(at - half)), "bid_mono": self.mono}
            changes |= {"ask": float(record.price(at + half)), "ask_mono": self.mono}
        self.known[record.id] = quote = msgspec.structs.replace(known, **changes)
        return quote

    def shown(self) -> AccountSnapshot:
        return snapshot_of(self.state, Now(NOON, self.mono), STALE_S, "price:", None)


@st.composite
def bounds(draw: st.DrawFn) -> tuple[Bound, ...]:
    found = list[Bound]()
    for measure in draw(st.lists(st.sampled_from(Measure), max_size=6)):
        if measure is Measure.PROFIT_MARK:
            record = draw(st.sampled_from(OPEN))
            limit = BASE[record.id] + draw(st.integers(-60, 60))
            kind = draw(st.sampled_from(["most", "least", "all", "all"]))
            at_most, at_least = (limit if kind == "most" else None), (limit if kind == "least" else None)
            found.append(Bound(measure, at_most, at_least, record.id))
        else:
            dollars = draw(st.integers(-900, 900)) * 10_000 + draw(st.sampled_from([0, 1, 3333]))
            most = draw(st.booleans())
            found.append(Bound(measure, dollars if most else None, None if most else dollars))
    return tuple(found)


@given(SIZES, st.integers(-20, 20), st.booleans(), bounds(), st.lists(MOVE, min_size=1, max_size=8))
@settings(deadline=None, max_examples=400)
def test_what_the_band_takes_leaves_every_side_as_it_was(
    sizes: tuple[int, ...],
    drift: int,
    adopted: bool,
    asked: tuple[Bound, ...],
    moves: list[tuple[object, int, int, str, float]],
) -> None:
    prices = Prices(sizes, drift, adopted)
    shown = prices.shown()
    band, before = Band(prices.state, shown, asked, STALE_S), side(asked, shown)
    taken = 0
    for record, ticks, half, what, later in moves:
        prices.mono += later
        quote = prices.quote(record, drift + ticks, half, what)
        if not band.takes(quote, prices.mono):
            break
        taken += 1
        prices.hear(quote)
        if quote.contract in prices.state.book:
            assert sides(prices, asked) == before
    event(f"taken {min(taken, 3)}")


def sides(prices: Prices, asked: tuple[Bound, ...]) -> Side:
    return side(asked, prices.shown())


def test_prices_that_nobody_asked_about_are_all_taken() -> None:
    prices = Prices((1, 0, 0), 0, adopted=False)
    band = Band(prices.state, prices.shown(), (), STALE_S)
    assert band.takes(prices.quote(MNQ, 1_000_000, 0, "all"), prices.mono)


def test_the_first_tick_at_which_a_loss_is_too_large_is_outside() -> None:
    """One MNQ bought at 4000 ticks; a tick is half a dollar; the bid counts."""
    prices = Prices((1, 0, 0), 0, adopted=False)
    limit = Bound(Measure.UNREALIZED, at_most=-100_000)
    band = Band(prices.state, prices.shown(), (limit,), STALE_S)
    assert band.takes(prices.quote(MNQ, -18, 1, "all"), prices.mono)
    assert not band.takes(prices.quote(MNQ, -19, 1, "all"), prices.mono)


def test_a_contract_that_cannot_be_measured_is_outside() -> None:
    prices = Prices((1, 0, 0), 0, adopted=False)
    prices.state = msgspec.structs.replace(prices.state, marks={})
    band = Band(prices.state, prices.shown(), (), STALE_S)
    assert not band.takes(prices.quote(MNQ, 0, 1, "all"), prices.mono)
    assert band.takes(prices.quote(ES, 0, 1, "all"), prices.mono)


def test_after_its_prices_could_have_turned_stale_everything_open_is_outside() -> None:
    prices = Prices((1, 0, 0), 0, adopted=False)
    band = Band(prices.state, prices.shown(), (), STALE_S)
    prices.mono += STALE_S
    assert not band.takes(prices.quote(MNQ, 0, 1, "all"), prices.mono)
