"""Narratives of the running connection: the real loop, the real SDK, the simulator on the other end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.connection.link import LinkView
from actors.connection.port import ContractsLoaded, LoadContracts
from actors.messages import (
    AccountChanged,
    AccountsFound,
    Alert,
    BrokerSnapshot,
    Call,
    Called,
    CallKind,
    ContractId,
    ContractRead,
    ContractUnknown,
    Filled,
    GatewaySeen,
    LinkChanged,
    LinkState,
    LoginRefused,
    OrderChanged,
    OrderStatus,
    Outcome,
    PositionChanged,
    Quoted,
    StoreContract,
)
from ops.simulator.settings import Settings
from ops.simulator.thread import ThreadedSimulator, run_in_thread
from tests.actors.connection.bench import A, B, Bench, projectx, running
from tests.actors.connection.inbox import Inbox

LIVE, BLIND, DOWN = LinkState.LIVE, LinkState.BLIND, LinkState.DOWN


@pytest.fixture
def sim() -> Iterator[ThreadedSimulator]:
    with run_in_thread(Settings(rate_limit=None)) as simulator:
        simulator.control({"op": "price", "contract": "MNQ", "price": 19000})
        yield simulator


@pytest.fixture
def bench(sim: ThreadedSimulator) -> Iterator[Bench]:
    with running(projectx(sim.urls)) as running_bench:
        yield running_bench


def mnq(sim: ThreadedSimulator) -> ContractId:
    (contract,) = sim.control({"op": "state"})["prices"]  # type: ignore[misc]
    return ContractId(contract)


def trade(sim: ThreadedSimulator, size: int, **extra: Any) -> None:
    side = "buy" if size > 0 else "sell"
    sim.control(
        {
            "op": "order",
            "account": A,
            "contract": "MNQ",
            "side": side,
            "size": abs(size),
            "type": "market",
            **extra,
        }
    )


def fault(sim: ThreadedSimulator, name: str, **fields: Any) -> None:
    sim.control({"op": "fault", "name": name, **fields})


def heard(sim: ThreadedSimulator, bench: Bench) -> None:
    """Wait until the gateway has the newest subscriptions of the guarded account."""
    sim.control({"op": "wait", "subscribers": 1, "topic": "GatewayUserTrade"})


def live(account: Inbox, generation: int) -> LinkChanged:
    return account.wait(LinkChanged, lambda link: link.state is LIVE and link.generation >= generation)


def test_account_is_live_only_after_its_snapshot_was_told(sim: ThreadedSimulator, bench: Bench) -> None:
    trade(sim, 3)
    account = bench.guard()
    kinds = [type(message) for message in account.messages]
    states = [m.state for m in account.messages if isinstance(m, LinkChanged)]
    assert kinds.index(BrokerSnapshot) < max(i for i, kind in enumerate(kinds) if kind is LinkChanged)
    assert states == [*states[:-1], LIVE]
    assert LIVE not in states[:-1]
    snapshot = account.all(BrokerSnapshot)[0]
    assert [(each.contract, each.size) for each in snapshot.positions] == [(mnq(sim), 3)]
    assert [fill.size for fill in snapshot.fills] == [3]


def test_snapshot_shows_suspended_bracket_children(sim: ThreadedSimulator, bench: Bench) -> None:
    bracket = {"stop_loss_ticks": 20, "take_profit_ticks": 40}
    trade(sim, 1, type="limit", price=18000, bracket=bracket)
    snapshot = bench.guard().all(BrokerSnapshot)[0]
    statuses = sorted(order.status for order in snapshot.orders)
    assert statuses == [OrderStatus.OPEN, OrderStatus.SUSPENDED, OrderStatus.SUSPENDED]


def test_fill_reaches_the_account_in_the_gateways_order(sim: ThreadedSimulator, bench: Bench) -> None:
    account = bench.guard()
    heard(sim, bench)
    account.clear()
    trade(sim, -2)
    account.wait(AccountChanged)
    events = list[type]()
    for message in account.messages:
        if isinstance(message, Filled):
            events += [type(one) for one in message.beside]
        if isinstance(message, OrderChanged | Filled | PositionChanged | AccountChanged):
            events.append(type(message))
    assert events == [OrderChanged, OrderChanged, Filled, PositionChanged, AccountChanged]
    assert account.all(Filled)[0].fill.size == account.all(PositionChanged)[0].position.size == -2


def test_contract_is_looked_up_at_first_sight_told_and_stored(sim: ThreadedSimulator, bench: Bench) -> None:
    account = bench.guard()
    heard(sim, bench)
    trade(sim, 1)
    record = account.wait(ContractRead).contract
    assert (record.id, record.root, record.tick_size, record.tick_value) == (
        mnq(sim),
        "MNQ",
        Decimal("0.25"),
        5_000,
    )
    assert bench.persistence.wait(StoreContract).contract == record


@pytest.mark.parametrize("lacks", [{"known": False}, {"ticks": False}])
def test_contract_without_record_or_ticks_is_unknown_to_the_account(
    sim: ThreadedSimulator, bench: Bench, lacks: dict[str, bool]
) -> None:
    sim.control({"op": "contract", "contract": mnq(sim), **lacks})
    account = bench.guard()
    heard(sim, bench)
    sim.control({"op": "position", "account": A, "contract": mnq(sim), "size": 1, "price": 19000})
    assert account.wait(ContractUnknown).contract == mnq(sim)


def test_failed_lookup_of_a_contract_is_no_answer_and_is_repeated(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    fault(sim, "http_500", path="Contract/searchById", times=1)
    account = bench.guard()
    heard(sim, bench)
    trade(sim, 1)
    account.wait(ContractRead)
    assert account.all(ContractUnknown) == []


def test_roots_are_loaded_as_front_months_and_unknown_ones_are_named(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    bench.tree.wait(AccountsFound)
    command = LoadContracts(("MNQ", "NQ", "6J", "NOSUCH"), (ContractId("CON.F.US.XYZ.U26"),), bench.tree)
    bench.loop.load_contracts(command)
    loaded = bench.tree.wait(ContractsLoaded)
    assert [record.root for record in loaded.known] == ["MNQ", "NQ", "6J"]
    assert loaded.known[0].id == mnq(sim)
    assert loaded.unknown_roots == ("NOSUCH",)
    assert loaded.unknown_contracts == ("CON.F.US.XYZ.U26",)


def test_watched_contract_is_quoted_with_what_earlier_quotes_said(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    account, contract = bench.guard(), mnq(sim)
    bench.loop.watch(A, (contract,))
    sim.control({"op": "wait", "subscribers": 1, "topic": "GatewayTrade"})
    sim.control({"op": "price", "contract": "MNQ", "last": 19001, "bid": 19000.75, "ask": 19001.25})
    account.wait_latest(contract, Quoted, lambda quote: quote.ask == 19001.25)
    sim.control({"op": "price", "contract": "MNQ", "bid": 19001})
    quote = account.wait_latest(contract, Quoted, lambda quote: quote.bid == 19001)
    assert (quote.last, quote.ask) == (19001, 19001.25)
    assert quote.bid_mono > quote.last_mono > 0
    bench.loop.watch(A, ())
    sim.control({"op": "wait", "subscribers": 0, "topic": "GatewayTrade"})


def test_price_that_is_stale_is_asked_by_rest(sim: ThreadedSimulator, bench: Bench) -> None:
    account, contract = bench.guard(), mnq(sim)
    bench.loop.read_price(contract)
    assert account.wait_latest(contract, Quoted).last == 19000


def test_gateway_time_comes_from_live_events(sim: ThreadedSimulator, bench: Bench) -> None:
    bench.guard()
    heard(sim, bench)
    assert "gateway" not in bench.timers.latest
    trade(sim, 1)
    seen = bench.timers.wait_latest("gateway", GatewaySeen)
    assert abs(seen.at - bench.accounts[A].wait(Filled).fill.at) < timedelta(seconds=1)


HUB_FAULTS = [
    "hub_close",
    "hub_reset",
    "hub_close_error",
    "hub_malformed",
    "hub_unknown_type",
    "hub_unknown_key",
]


@pytest.mark.parametrize("name", HUB_FAULTS)
@pytest.mark.parametrize("hub", ["user", "market"])
def test_hub_that_ends_in_any_way_makes_the_link_blind_and_then_live_again(
    sim: ThreadedSimulator, bench: Bench, name: str, hub: str
) -> None:
    account = bench.guard()
    account.clear()
    fault(sim, name, hub=hub)
    again = live(account, 2)
    states = [(link.state, link.generation) for link in account.all(LinkChanged)]
    assert states == [(BLIND, 1), (LIVE, 2)]
    assert again.since >= account.all(LinkChanged)[0].since
    snapshot = account.all(BrokerSnapshot)[-1]
    assert snapshot.generation == 2


def test_fill_missed_while_blind_is_in_the_snapshot_of_the_next_generation(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    account = bench.guard()
    heard(sim, bench)
    account.clear()
    fault(sim, "negotiate_503", times=1)
    fault(sim, "hub_reset")
    trade(sim, 2, silent=True)
    live(account, 2)
    assert account.all(Filled) == []
    snapshot = account.all(BrokerSnapshot)[-1]
    assert [fill.size for fill in snapshot.fills] == [2]
    assert [position.size for position in snapshot.positions] == [2]


def test_event_that_was_lost_is_found_by_the_steady_read(sim: ThreadedSimulator) -> None:
    with running(projectx(sim.urls), reconcile_every=0.2) as bench:
        account = bench.guard()
        trade(sim, 1, silent=True)
        found = account.wait(BrokerSnapshot, lambda snapshot: bool(snapshot.fills))
        assert found.why == "steady"
        assert account.all(Filled) == []


@pytest.mark.parametrize("name", ["hub_odd_payload", "hub_empty_arguments"])
def test_event_that_cannot_be_read_is_counted_and_made_good_by_a_read(
    sim: ThreadedSimulator, bench: Bench, name: str
) -> None:
    account = bench.guard()
    account.clear()
    fault(sim, name, hub="user")
    snapshot = account.wait(BrokerSnapshot, lambda snapshot: "malformed" in snapshot.why)
    assert snapshot.generation == 1
    assert bench.notices.wait(Alert).notice.component == "connection"
    assert account.all(LinkChanged) == []


def test_event_of_a_kind_nobody_knows_changes_nothing(sim: ThreadedSimulator, bench: Bench) -> None:
    account = bench.guard()
    heard(sim, bench)
    account.clear()
    fault(sim, "hub_unknown_target")
    fault(sim, "hub_completion_error")
    trade(sim, 1)
    account.wait(Filled)
    assert account.all(LinkChanged) == []


def test_bare_events_and_events_with_nulls_read_like_wrapped_ones(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    account = bench.guard()
    heard(sim, bench)
    fault(sim, "event_bare")
    trade(sim, 1)
    account.wait(PositionChanged, lambda event: event.position.size == 1)
    fault(sim, "event_bare", on=False)
    fault(sim, "event_nulls")
    trade(sim, -1)
    account.wait(PositionChanged, lambda event: event.position.size == 0)
    assert [event.fill.pnl for event in account.all(Filled)] == [None, 0]


def test_frozen_hub_is_noticed_by_its_silence(sim: ThreadedSimulator) -> None:
    quick = Settings(rate_limit=None, ping_every=0.2)
    with run_in_thread(quick) as sim, running(projectx(sim.urls), silent_after=1.0) as bench:
        account = bench.guard()
        fault(sim, "hub_freeze", hub="user")
        account.wait(LinkChanged, lambda link: link.state is BLIND and "silent" in link.reason)
        live(account, 2)


def test_wrong_key_is_told_to_the_tree_and_never_as_a_link(sim: ThreadedSimulator) -> None:
    with running(projectx(sim.urls, key="wrong-key-0000000000")) as bench:
        refused = bench.tree.wait(LoginRefused)
        assert refused.code == 3
        assert "cannot log in" in refused.text
        link = bench.connection.wait(LinkChanged)
        assert (link.state, link.auth_failed) == (DOWN, True)
        requests: Any = sim.control({"op": "state"})["requests"]
        assert requests == {"Auth/loginKey": 1}


def test_revoked_token_costs_a_close_nothing_but_a_login(sim: ThreadedSimulator, bench: Bench) -> None:
    account = bench.guard()
    heard(sim, bench)
    trade(sim, 1)
    account.wait(ContractRead)  # nothing else of ours is under way that could meet the 401 first
    fault(sim, "revoke_tokens")
    called = bench.call(CallKind.CLOSE, mnq(sim))
    assert (called.outcome, called.code) == (Outcome.CONFIRMED, 0)
    live(account, 2)
    calls: Any = sim.control({"op": "calls"})["calls"]
    assert [(each["path"], each["status"]) for each in calls if each["path"].startswith("Position")] == [
        ("Position/closeContract", 401),
        ("Position/closeContract", 200),
    ]


def test_same_call_is_sent_once_and_answered_each_time(sim: ThreadedSimulator, bench: Bench) -> None:
    bench.guard()
    trade(sim, 1)
    first = bench.call(CallKind.CLOSE, mnq(sim))
    bench.loop.submit(first.call, other := Inbox("reborn enforcement"))
    assert other.wait(type(first)) == first
    calls: Any = sim.control({"op": "calls"})["calls"]
    assert [each["path"] for each in calls].count("Position/closeContract") == 1


def test_call_repeated_while_it_is_under_way_is_not_sent_again(sim: ThreadedSimulator, bench: Bench) -> None:
    bench.guard()
    trade(sim, 1)
    fault(sim, "delay", path="Position/closeContract", times=1, seconds=0.2)
    call, other = Call("receipt/1", A, CallKind.CLOSE, mnq(sim)), Inbox("reborn enforcement")
    for asking in (bench.enforcement, bench.enforcement, other):
        bench.loop.submit(call, asking)
    assert other.wait(Called) == bench.enforcement.wait(Called)
    assert len(bench.enforcement.all(Called)) == 1
    calls: Any = sim.control({"op": "calls"})["calls"]
    assert [each["path"] for each in calls].count("Position/closeContract") == 1


def test_token_is_renewed_at_half_its_life_without_a_blind_moment() -> None:
    short = Settings(rate_limit=None, token_life=timedelta(seconds=4))
    with run_in_thread(short) as sim, running(projectx(sim.urls)) as bench:
        sim.control({"op": "price", "contract": "MNQ", "price": 19000})
        account = bench.guard()
        heard(sim, bench)
        account.clear()
        live(account, 2)
        trade(sim, 1)
        account.wait(Filled)
        assert [link.state for link in account.all(LinkChanged)] == [LIVE]
        requests: Any = sim.control({"op": "state"})["requests"]
        assert requests["Auth/loginKey"] == 1
        assert requests["Auth/validate"] == 1


def test_gateway_that_is_down_at_the_start_is_waited_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with run_in_thread(Settings(port=port, rate_limit=None)) as sim:
        fault(sim, "down")
        with running(projectx(sim.urls)) as bench:
            link = bench.connection.wait(LinkChanged)
            assert (link.state, link.generation) == (DOWN, 0)
            fault(sim, "down", on=False)
            bench.guard()


def test_gateway_that_goes_down_is_down_and_comes_back_live(sim: ThreadedSimulator, bench: Bench) -> None:
    account = bench.guard()
    account.clear()
    fault(sim, "down")
    account.wait(LinkChanged, lambda link: link.state is DOWN)
    assert [link.state for link in account.all(LinkChanged)] == [BLIND, DOWN]
    fault(sim, "down", on=False)
    live(account, 2)


def test_accounts_are_read_by_rest_while_no_hub_opens(sim: ThreadedSimulator) -> None:
    with running(projectx(sim.urls), reconcile_every=0.2) as bench:
        account = bench.guard()
        fault(sim, "negotiate_503")
        fault(sim, "hub_reset")
        account.wait(LinkChanged, lambda link: link.state is BLIND and link.generation == 1)
        account.clear()
        trade(sim, 2, silent=True)
        account.wait(BrokerSnapshot, lambda snapshot: bool(snapshot.positions))
        assert account.all(LinkChanged) == []
        fault(sim, "negotiate_503", on=False)
        live(account, 2)


def test_rest_that_stops_answering_is_not_called_live(sim: ThreadedSimulator) -> None:
    with running(projectx(sim.urls), reconcile_every=0.1) as bench:
        account = bench.guard()
        fault(sim, "http_503")
        account.wait(LinkChanged, lambda link: link.state is DOWN)
        fault(sim, "http_503", on=False)
        live(account, 2)


def test_each_account_is_live_by_its_own_reads(sim: ThreadedSimulator, bench: Bench) -> None:
    first = bench.guard(A)
    second = bench.guard(B)
    view = bench.board.read(("link",), LinkView)
    assert view is not None
    assert (view.state, set(view.guarded)) == (LIVE, {A, B})
    heard(sim, bench)
    first.clear()
    second.clear()
    trade(sim, 1)
    first.wait(Filled)
    assert second.all(Filled) == []


def test_account_the_login_does_not_have_stays_blind_and_leaves_the_others_live(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    bench.guard(A)
    stranger = bench.guard(type(A)(4711), live=False)
    bench.loop.drop_link("asked for")
    live(bench.accounts[A], 2)
    assert all(link.state is not LIVE for link in stranger.all(LinkChanged))
    assert stranger.all(BrokerSnapshot) == []


def test_unguarded_account_hears_nothing_more(sim: ThreadedSimulator, bench: Bench) -> None:
    first, second = bench.guard(A), bench.guard(B)
    bench.loop.unguard(A)
    sim.control({"op": "wait", "subscribers": 1, "topic": "GatewayUserTrade"})
    first.clear()
    sim.control({"op": "can_trade", "account": B, "value": False})
    trade(sim, 1)
    second.wait(AccountChanged)
    assert first.messages == []


def test_can_trade_that_was_taken_away_unheard_is_found_by_the_check(sim: ThreadedSimulator) -> None:
    with running(projectx(sim.urls), reconcile_every=0.1, check_every=0.2) as bench:
        account = bench.guard()
        sim.control({"op": "account", "account": A, "can_trade": False, "silent": True})
        account.wait(BrokerSnapshot, lambda snapshot: snapshot.account.can_trade is False)
        assert account.all(AccountChanged) == []


def test_logout_that_is_announced_checks_the_login_and_keeps_the_link(
    sim: ThreadedSimulator, bench: Bench
) -> None:
    account = bench.guard()
    account.clear()
    sim.control({"op": "reset_calls"})
    fault(sim, "hub_logout", hub="user")
    bench.notices.wait(Alert, lambda alert: "logout" in alert.notice.message)
    while not sim.control({"op": "state"})["requests"].get("Account/search"):  # type: ignore[attr-defined]
        pass
    trade(sim, 1)
    account.wait(Filled)
    assert account.all(LinkChanged) == []


def test_burst_of_quotes_does_not_hold_up_a_fill(sim: ThreadedSimulator, bench: Bench) -> None:
    account, contract = bench.guard(), mnq(sim)
    bench.loop.watch(A, (contract,))
    sim.control({"op": "wait", "subscribers": 1, "topic": "GatewayTrade"})
    fault(sim, "hub_burst", hub="market", count=1000, contract=contract)
    trade(sim, 1)
    account.wait(Filled)
    account.wait_latest(contract, Quoted)


def test_close_of_the_connection_lets_a_call_under_way_finish(sim: ThreadedSimulator) -> None:
    with running(projectx(sim.urls)) as bench:
        bench.guard()
        trade(sim, 1)
        fault(sim, "delay", path="Position/closeContract", times=1, seconds=0.3)
        under_way = Call("receipt/last", A, CallKind.CLOSE, mnq(sim))
        bench.loop.submit(under_way, bench.enforcement)
        assert bench.loop.close()
        assert bench.enforcement.wait(Called).outcome is Outcome.CONFIRMED
        bench.loop.submit(Call("receipt/late", A, CallKind.CLOSE, mnq(sim)), bench.enforcement)
        late = bench.enforcement.wait(Called, lambda called: called.call.id == "receipt/late")
        assert (late.outcome, late.text) == (Outcome.UNKNOWN, "not sent: the connection is closed")
