"""Trying an account: each step says what it found, a failed one ends it, and no trade is left open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from actors.clock import SystemClock
from actors.connection import trial
from actors.connection.port import Answer, GatewayError, NoAnswer, Refused
from actors.connection.trial import Asked, Step, Trial
from actors.messages import Call, CallKind, Contract, ContractId, Outcome
from tests.actors.connection.fake_gateway import FakeGateway, yesterday

NAME = "PRAC-V2-1001"
DAY = yesterday(datetime(2026, 3, 4, tzinfo=UTC))
MES = ContractId("CON.F.US.MES.U26")
STEPS = ["login", "accounts", "hubs", "snapshot", "first events", "trade"]


class Practice(FakeGateway):
    """Market orders fill at once, unless told otherwise; so many closes are refused."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.places: Callable[[Call], Answer] = self._fills
        self.refuses_closes = 0

    def answer(self, outcome: Outcome, code: int | None, text: str) -> Answer:
        now = self.clock.mono()
        return Answer(outcome, code, text, self.clock.wall(), now, now)

    def _fills(self, call: Call) -> Answer:
        self.trade(call.size)
        return self.answer(Outcome.CONFIRMED, 0, "done")

    async def act(self, call: Call) -> Answer:
        if call.kind is CallKind.PLACE:
            return self.places(call)
        if self.refuses_closes:
            self.refuses_closes -= 1
            return self.answer(Outcome.REFUSED, 5, "the market is closed")
        return await super().act(call)


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for seconds here."""
    for name in ("FILL_S", "LATE_S", "FLAT_EVERY_S"):
        monkeypatch.setattr(trial, name, 0.01)


def tried(
    gateway: FakeGateway, *, trade: bool = False, accounts: tuple[str, ...] = (NAME,)
) -> tuple[Step, ...]:
    asked = Asked(accounts, trade, DAY, event_s=0.01)
    return asyncio.run(Trial(gateway, gateway.clock, asked).run())


def test_every_step_says_what_it_found() -> None:
    gateway = Practice()
    gateway.records[MES] = Contract(MES, "MES", "MESU6", Decimal("0.25"), 12_500, 0.25)
    gateway.trade(2)
    steps = tried(gateway)
    assert [step.name for step in steps] == STEPS[:-1]
    assert all(step.ok for step in steps)
    assert [step.text for step in steps[:4]] == [
        "a token for 1 day, 0:00:00",
        "PRAC-V2-1001 (simulated, may trade)",
        "both open, subscribed",
        "PRAC-V2-1001: 1 positions, 0 working orders, 1 trades today",
    ]
    assert steps[4].text.startswith("no price of MESU6 within 0.01 s (is the market closed?)")
    assert not any(pair.open for pair in gateway.pairs)


def test_one_contract_is_opened_closed_and_seen_to_be_flat() -> None:
    gateway = Practice()
    steps = tried(gateway, trade=True)
    assert (steps[-1].name, steps[-1].ok) == ("trade", True), steps
    assert "MNQU6 bought" in steps[-1].text
    assert "verified flat" in steps[-1].text
    assert [fill.size for fill in gateway.traded] == [1, -1]
    assert gateway.held == {}


@pytest.mark.parametrize(
    ("at", "error"),
    [
        ("login", NoAnswer("no connection")),
        ("accounts", NoAnswer("HTTP 503")),
        ("hubs", NoAnswer("the hubs did not open")),
        ("positions", Refused("HTTP 400", None)),
        ("search", NoAnswer("HTTP 500")),
    ],
)
def test_first_step_that_fails_is_the_last_and_says_why(at: str, error: GatewayError) -> None:
    gateway = Practice()
    gateway.fail = lambda what: error if what == at else None
    steps = tried(gateway, trade=True)
    assert [step.ok for step in steps] == [*[True] * (len(steps) - 1), False]
    assert steps[-1].text == str(error)
    assert gateway.traded == []


def test_wrong_key_and_unknown_account_are_said() -> None:
    gateway = Practice()
    gateway.key = "wrong"
    assert not tried(gateway)[-1].ok
    (_, found) = tried(Practice(), accounts=("SOMEBODY",))
    assert found.text == "not among the active ones: SOMEBODY; there are PRAC-V2-1001"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"simulated": False}, "is not known to be a simulated account"),
        ({"simulated": None}, "is not known to be a simulated account"),
        ({"can_trade": False}, "does not allow"),
    ],
)
def test_nothing_is_traded_where_money_is_real_or_trading_is_not_allowed(
    changes: dict[str, bool | None], why: str
) -> None:
    gateway = Practice()
    gateway.account = replace(gateway.account, **changes)
    last = tried(gateway, trade=True)[-1]
    assert not last.ok
    assert why in last.text
    assert gateway.traded == []


def test_contract_that_is_held_is_not_traded() -> None:
    gateway = Practice()
    gateway.trade(2)
    last = tried(gateway, trade=True)[-1]
    assert (last.name, last.ok) == ("trade", False)
    assert last.text == "no micro contract is to be had without position or order: MES, MNQ, M2K, MYM"
    assert [fill.size for fill in gateway.traded] == [2]


def test_close_that_is_refused_is_repeated_until_a_read_shows_it_flat() -> None:
    gateway = Practice()
    gateway.refuses_closes = 3
    assert tried(gateway, trade=True)[-1].ok
    assert gateway.held == {}


def test_position_that_does_not_go_away_is_shouted_about() -> None:
    gateway = Practice()
    gateway.refuses_closes = 10_000
    last = tried(gateway, trade=True)[-1]
    assert not last.ok
    assert "NOT FLAT (the market is closed): close it in the broker's own screen" in last.text


def test_order_whose_outcome_is_unknown_is_closed_and_not_called_a_success() -> None:
    gateway = Practice()

    def unknown(call: Call) -> Answer:
        gateway.trade(call.size)
        return gateway.answer(Outcome.UNKNOWN, None, "no answer within 5 s")

    gateway.places = unknown
    last = tried(gateway, trade=True)[-1]
    assert last.text == "buying 1 MNQU6: no answer within 5 s; the account is flat in it"
    assert not last.ok
    assert gateway.held == {}
