"""What earlier programs got wrong, and ours must not: one test per row that no scenario covers already."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from actors.account.apply import apply
from actors.account.state import opening
from actors.messages import (
    AccountChanged,
    AccountId,
    AccountReport,
    ContractId,
    DayReset,
    Fill,
    Filled,
    FillId,
    LinkChanged,
    LinkState,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OrderStatus,
    OrderType,
    PositionChanged,
    PositionReport,
    Quoted,
)
from actors.rules.registry import build
from actors.rules.rule import Wake
from actors.rules.selftest import self_test
from actors.trading_day import TradingCalendar
from config.checks import settings_from
from config.mistakes import ConfigurationMistakes
from tests.scenarios.desk import SESSION, A, chicago, desk
from tests.scenarios.test_modes import EVERY_RULE
from tests.scenarios.traps import TRAPS, covers

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
PROJECT = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())
LOSS = {"daily_realized_loss": {"limit": -500}}
NOW = Now(datetime(2026, 3, 4, 16, tzinfo=UTC), 1000.0)
CALENDAR = TradingCalendar.of(settings_from({"gateway": {"kind": "simulator"}, "accounts": "all"}))
MNQ = ContractId("CON.F.US.MNQ.H26")
ACCOUNT = AccountId(1001)


def test_every_row_is_covered_by_a_test() -> None:
    """Given the rows of traps, when the scenario tests are read, then each row is named by at least one."""
    text = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    named = set(re.findall(r"def test_trap_([LCT]\d+)_", text))
    for group in re.findall(r"@covers\(([^)]*)\)", text):
        named |= set(re.findall(r'"([LCT]\d+)"', group))
    assert sorted(set(TRAPS) - named) == []


def configured() -> Any:
    """Every rule armed, with settings of its own."""
    armed = {name: {**config, "mode": "armed"} for name, config in EVERY_RULE.items()}
    return settings_from(
        {
            "gateway": {"kind": "simulator"},
            "accounts": "all",
            "sessions": {"main": SESSION},
            "rules": armed,
        }
    )


@covers("L21", "L23", "L31", "C9", "C11")
def test_trap_L22_every_rule_of_the_configuration_is_built_and_proves_that_it_fires() -> None:
    """Given all fourteen rules configured, when they are built, then none is missing and each fires on a
    breach made up for it, stays silent on its near miss, and would have been woken."""
    settings = configured()
    built = build(settings, A, TradingCalendar.of(settings))
    assert {one.name for one in built} == set(EVERY_RULE)
    assert {one.name: self_test(one, NOW) for one in built} == dict.fromkeys(EVERY_RULE)


def test_trap_L1_every_trigger_a_rule_waits_for_is_published() -> None:
    """Given everything that can happen to an account, when each event is applied, then every kind of change
    that some rule subscribes to comes of one of them."""
    settings = configured()
    rules = build(settings, A, TradingCalendar.of(settings))
    wanted = frozenset[Wake]().union(*(one.rule.wakes_on for one in rules))
    at = NOW.wall
    order = Order(
        OrderId(1), ACCOUNT, MNQ, OrderType.LIMIT, OrderStatus.OPEN, 1, 0, created_at=at, updated_at=at
    )
    fill = Fill(FillId(1), ACCOUNT, OrderId(1), MNQ, at, 1, 21000.0, None, 0)
    events = (
        Filled(fill, 1000.0),
        OrderChanged(order, 1000.0),
        PositionChanged(PositionReport(ACCOUNT, MNQ, 3, 21000.0, at), 1000.0),
        AccountChanged(AccountReport(ACCOUNT, A, False), 1000.0),
        LinkChanged(LinkState.BLIND, at, 1, "gone"),
        DayReset(CALENDAR.trading_day(at) + timedelta(days=1), at + timedelta(hours=7)),
    )
    state = opening(ACCOUNT, A, CALENDAR, NOW, first_seq=1, session_since=NOW.wall)
    # The clock's ticks are the account actor's own; so are prices, by the bounds that rules name.
    published = {Wake.TIME}
    for event in events:
        step = apply(state, event, CALENDAR, NOW)
        state, published = step.state, published | step.changed
    published |= apply(state, Quoted(MNQ, 21000.0, None, None, 1000.0), CALENDAR, NOW).changed
    assert wanted - published == frozenset()


def test_trap_L3_an_event_without_its_fields_is_loud_and_the_account_is_read_instead() -> None:
    """Given MNQ bought where the trade event lost its contract, when it arrives, then it is refused aloud,
    the account is read, and the fill counts all the same."""
    with desk({"max_contracts_per_instrument": {"limits": {"MNQ": 1}}}) as d:
        d.fault("event_lost", target="GatewayUser*")
        d.buy("MNQ", 2)
        d.settle()
        assert d.acts() == []
        broken = {"action": 1, "data": {"id": 1, "accountId": 1001, "price": 21000.0, "size": 2}}
        d.control(op="emit", hub="user", target="GatewayUserTrade", arguments=[broken])
        d.until(d.acts, "the excess is closed")
        d.fault("all", on=False)
        d.until(lambda: d.positions() == {"MNQ": 1}, "one is left")
        assert [
            a for a in d.history("alert") if a["component"] == "connection" and "unreadable" in a["message"]
        ]


@pytest.mark.parametrize(
    ("root", "price", "tick", "worth"),
    [
        ("MNQ", 21000, 0.25, "-0.50"),
        ("NQ", 21000, 0.25, "-5.00"),
        ("ES", 5800, 0.25, "-12.50"),
        ("CL", 70, 0.01, "-10.00"),
        ("ZN", 110, 0.015625, "-15.625"),
        ("6E", 1.1, 0.00005, "-6.25"),
    ],
)
def test_trap_L6_each_product_has_its_own_tick(root: str, price: float, tick: float, worth: str) -> None:
    """Given one contract long, when it falls by one tick, then the open P&L is that product's tick value."""
    with desk({"daily_unrealized_loss": {"limit": -300}}, prices={root: price}) as d:
        d.buy(root, 1)
        d.holds(**{root: 1})
        d.price(root, price - tick)
        d.open_pnl(worth)


def test_trap_L7_the_gateways_own_names_are_not_mistaken_for_each_other() -> None:
    """Given one MNQ and two NQ at most, when two of each are bought, then MNQ is cut and NQ, which the
    gateway calls ENQ, is not."""
    rules = {"max_contracts_per_instrument": {"limits": {"MNQ": 1, "ENQ": 2}}}
    with desk(rules, prices={"MNQ": 21000, "NQ": 21000}) as d:
        d.buy("NQ", 2)
        d.holds(NQ=2)
        d.buy("MNQ", 2)
        d.until(d.acts, "one MNQ is closed")
        d.holds(MNQ=1, NQ=2)
        assert d.acts() == [("partial_close", "MNQ", 1)]


def test_trap_L11_two_protective_orders_alike_are_two() -> None:
    """Given MNQ long 2 and two stops for one each at the same price, when the grace is over, then it is
    protected."""
    with desk({"no_stop_loss_grace": {"mode": "armed", "grace": "30s"}}) as d:
        d.buy("MNQ", 2)
        for _ in range(2):
            d.order("sell", "MNQ", 1, kind="stop", price=20980)
        d.holds(MNQ=2)
        d.advance(60)
        assert d.status(A)["positions"][0]["protected"]
        assert d.acts() == []


def test_trap_L18_a_position_that_turns_flat_is_closed_and_nothing_breaks() -> None:
    """Given a position from before, when the broker reports it flat, then it is gone and the guard goes
    on."""
    with desk(LOSS) as d:
        d.control(op="position", account=A, contract="MNQ", side="buy", size=2, price=21000)
        d.holds(MNQ=2)
        d.control(op="position", account=A, contract="MNQ", size=0)
        d.flat()
        d.book(-500)
        d.locked("daily_realized_loss")


def test_trap_L27_only_what_rules_need_is_subscribed() -> None:
    """Given open positions, when the gateway's subscriptions are looked at, then there is no depth among
    them."""
    with desk(LOSS) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        topics = {topic for hub in d.control(op="state")["hubs"] for topic, _ in hub["topics"]}
        assert "GatewayQuote" in topics
        assert "GatewayDepth" not in topics


def test_trap_L28_every_kind_of_call_is_one_the_gateway_understands() -> None:
    """Given brackets to place, move and clear, an order to cancel and positions to cut and close, when all of
    it happened, then every request was understood and accepted."""
    rules: dict[str, Any] = {
        "trade_management": {"mode": "armed", "stop_loss": {"ticks": 20}, "take_profit": {"ticks": 40}},
        "max_contracts_per_instrument": {"limits": {"ES": 2}},
        "daily_realized_loss": {"limit": -500},
    }
    with desk(rules) as d:
        d.buy("ES", 1)
        d.becomes(2, lambda: len(d.working()))
        d.advance(2)
        d.buy("ES", 2)
        d.until(lambda: ("partial_close", "ES", 1) in d.acts(), "one is closed")
        d.advance(5)
        d.holds(ES=2)
        d.becomes({2}, lambda: {o["size"] for o in d.working().values()})
        d.book(-500)
        d.flat()
        d.becomes({}, d.working)
        assert {act[0] for act in d.acts()} == {"place", "modify", "partial_close", "close", "cancel"}
        assert {call["status"] for call in d.calls()} == {200}


def test_trap_L29_a_filled_order_works_no_longer() -> None:
    """Given a resting buy, when it fills, then no order is shown, and a lock cancels nothing."""
    with desk(LOSS) as d:
        order = d.order("buy", "MNQ", 1, kind="limit", price=20900)
        d.becomes(1, lambda: len(d.status(A)["orders"]))
        d.control(op="fill", order=order, size=1, price=20900)
        d.holds(MNQ=1)
        assert d.status(A)["orders"] == ()
        d.book(-500, contract="ES")
        d.flat()
        assert d.calls("Order/cancel") == []


def test_trap_L32_a_warning_is_an_error() -> None:
    """Given a coroutine that is never awaited, when tests run, then its warning fails them."""
    assert PROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"


def test_trap_C5_one_close_that_fails_does_not_stop_the_others() -> None:
    """Given two positions to flatten, when the first close is refused, then the second goes out all the same,
    and the first is repeated."""
    with desk(LOSS) as d:
        d.buy("MNQ", 1)
        d.buy("ES", 1)
        d.holds(MNQ=1, ES=1)
        d.fault("refuse", path="Position/closeContract", code=6, message="Account rejected", times=1)
        d.book(-500, contract="CL", price=70)
        d.until(lambda: len(d.positions()) == 1, "one is closed")
        d.in_time(lambda: not d.positions(), "the other too")
        d.flat()
        assert len(d.closes()) == 3


def test_trap_C6_what_no_configuration_names_is_flattened_too() -> None:
    """Given limits for MNQ only and a position of before in GC, when the day is over, then GC is closed as
    well."""
    rules = {**LOSS, "max_contracts_per_instrument": {"limits": {"MNQ": 2}, "unknown": "allow"}}
    with desk(rules, prices={"MNQ": 21000, "GC": 2500}) as d:
        d.control(op="position", account=A, contract="GC", side="sell", size=2, price=2500)
        d.buy("MNQ", 1)
        d.holds(MNQ=1, GC=-2)
        d.book(-500, contract="ES", price=5800)
        d.flat()
        assert sorted(d.closes()) == [("close", "GC"), ("close", "MNQ")]


def test_trap_C8_twenty_breaching_quotes_send_one_close() -> None:
    """Given a slow gateway, when twenty quotes breach while the close is on its way, then it is sent once and
    nothing is turned around."""
    with desk({"daily_unrealized_loss": {"limit": -300}}) as d:
        d.buy("MNQ", 3)
        d.holds(MNQ=3)
        d.fault("delay", path="Position/*", times=1, seconds=0.15)
        for quote in range(20):
            d.price("MNQ", 20900 - quote)
        d.until(d.acts, "a close is on its way")
        d.flat()
        assert d.acts() == [("close", "MNQ")]
        assert len(d.history("breach")) == 1


@covers("C17")
def test_trap_C19_the_configured_reset_is_the_one_that_happens() -> None:
    """Given a reset at 18:15 in New York, when a day is locked, then it is until 17:15 in Chicago and ends
    then."""
    with desk(
        LOSS,
        at=chicago(2026, 3, 4, 17, 10),
        trading_day={"reset": "18:15", "timezone": "America/New_York"},
    ) as d:
        d.book(-500)
        lockout = d.locked("daily_realized_loss")["daily_realized_loss"]
        assert lockout["until"] == chicago(2026, 3, 4, 17, 15)
        d.advance_to(chicago(2026, 3, 4, 17, 14, 59))
        d.locked("daily_realized_loss")
        d.advance(1)
        d.locked()
        d.day("0.00")


@pytest.mark.parametrize("duration", ["5x", "-5m", "until_reset", "", "0", None])
def test_trap_C23_an_unreadable_duration_is_a_mistake_and_not_zero(duration: Any) -> None:
    """Given a rest that cannot be read, when the configuration is checked, then it is refused."""
    tiers = [{"loss": -100, "cooldown": duration}]
    with pytest.raises(ConfigurationMistakes):
        settings_from(
            {
                "gateway": {"kind": "simulator"},
                "accounts": "all",
                "rules": {"cooldown_after_loss": {"tiers": tiers}},
            }
        )


def test_trap_C24_a_short_rest_neither_replaces_nor_ends_a_lock_until_the_reset() -> None:
    """Given -500 a day and 60 s of rest after four trades, when both are crossed at once, then after 60 s the
    day is still locked."""
    with desk({**LOSS, "trade_frequency_limit": {"per_minute": 3}}) as d:
        d.buy("ES", 1)
        d.sell("ES", 1)
        d.book(-500)
        d.locked("daily_realized_loss", "trade_frequency_limit")
        d.advance(61)
        d.locked("daily_realized_loss")


@covers("L27")
def test_trap_C35_a_flood_of_quotes_costs_no_fill() -> None:
    """Given a burst of 3000 quotes, when fills come in the middle of it, then every one is counted."""
    with desk({"max_contracts_per_instrument": {"limits": {"MNQ": 2}}}) as d:
        d.buy("MNQ", 1)
        d.holds(MNQ=1)
        d.fault("hub_burst", hub="market", count=1500, contract=MNQ)
        d.buy("MNQ", 1)
        d.buy("ES", 1)
        d.fault("hub_burst", hub="market", count=1500, contract=MNQ)
        d.holds(MNQ=2, ES=1)
        assert d.status(A)["trades"] == 3
        assert d.acts() == []


@pytest.mark.parametrize("name", ["riskd", "risk-status", "risk-admin"])
def test_trap_C36_the_commands_that_are_promised_exist(name: str) -> None:
    """Given the names of the commands, when they are looked up, then each leads to a function."""
    module, _, function = PROJECT["project"]["scripts"][name].partition(":")
    assert callable(getattr(import_module(module), function))


STAND_INS = re.compile(r"unittest\.mock|MagicMock|freezegun|import mock|mocker\b")


@covers("T3")
def test_trap_T4_no_test_stands_in_for_ours_or_patches_the_clock() -> None:
    """Given all tests, when they are read, then none uses stand-ins that accept any call, or patches time."""
    used = [p.name for p in TESTS.rglob("*.py") if p != Path(__file__) and STAND_INS.search(p.read_text())]
    assert used == []
