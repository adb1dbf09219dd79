"""How the connection is kept, where no wire can be made to behave as badly: on a gateway in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from msgspec.structs import replace

from actors.clock import SystemClock
from actors.connection.budget import Lane
from actors.connection.generation import Generation, GenerationEars
from actors.connection.ingest import Ingest
from actors.connection.port import GatewayError, NoAnswer, RateLimited, Refused, Unauthorized, Unavailable
from actors.connection.records import front_month
from actors.connection.translate import Listed, Malformed
from actors.messages import (
    AccountId,
    AccountReport,
    AccountsFound,
    Alert,
    BrokerSnapshot,
    Call,
    Called,
    CallKind,
    Contract,
    ContractId,
    ContractRead,
    ContractUnknown,
    Filled,
    LinkChanged,
    LinkState,
    LoginRefused,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Outcome,
    Quoted,
)
from tests.actors.connection.bench import A, Bench, running
from tests.actors.connection.fake_gateway import MNQ, FakeGateway, FakeHubs
from tests.actors.connection.inbox import Inbox
from tests.actors.hosting import wait_for

LIVE, BLIND, DOWN = LinkState.LIVE, LinkState.BLIND, LinkState.DOWN
CLOCK = SystemClock()
QUIET = {"reconcile_every": 3600.0}
"""No steady reads: only what a test asks for."""


@pytest.fixture
def fake() -> FakeGateway:
    return FakeGateway(CLOCK)


@contextmanager
def kept(fake: FakeGateway, **options: float) -> Iterator[Bench]:
    with running(lambda: fake, **{**QUIET, **options}) as bench:
        yield bench


def on_loop(bench: Bench, fn: Callable[[], object]) -> None:
    """Let something happen on the gateway loop, where gateways live."""
    done = threading.Event()

    def carry_out() -> None:
        fn()
        done.set()

    bench.loop.call_later(0, carry_out)
    assert done.wait(5)


def failing(*errors: tuple[str, GatewayError]) -> Callable[[str], GatewayError | None]:
    """Each named request fails once, in this order."""
    left = list(errors)

    def fail(what: str) -> GatewayError | None:
        for index, (name, error) in enumerate(left):
            if name == what:
                del left[index]
                return error
        return None

    return fail


def live(account: Inbox, generation: int = 1) -> LinkChanged:
    return account.wait(LinkChanged, lambda link: link.state is LIVE and link.generation >= generation)


@pytest.mark.parametrize(
    "failure",
    [
        ("login", NoAnswer("HTTP 503")),
        ("login", RateLimited("HTTP 429", 0.1)),
        ("login", Refused("login refused: unknown", 8)),
        ("accounts", NoAnswer("no connection")),
        ("hubs", NoAnswer("the hubs did not open")),
        ("hubs", Unauthorized("the hubs do not accept the token")),
        ("positions", NoAnswer("HTTP 500")),
        ("fills", Unauthorized("HTTP 401")),
        ("orders", NoAnswer("no answer within 5 s")),
    ],
    ids=lambda failure: f"{failure[0]}-{type(failure[1]).__name__}",
)
def test_any_step_that_fails_once_is_repeated_until_live(
    fake: FakeGateway, failure: tuple[str, GatewayError]
) -> None:
    fake.fail = failing(failure)
    with kept(fake) as bench:
        bench.guard()
        assert bench.tree.all(LoginRefused) == []


def snapshot_begun(at: float) -> BrokerSnapshot:
    report = AccountReport(A, "PRAC-V2-1001", True)
    return BrokerSnapshot(report, (), (), (), CLOCK.wall(), at, at + 1, 1, "asked")


@pytest.mark.parametrize(("begun", "read"), [(9.9, False), (10.0, True), (11.0, True)])
def test_only_a_read_begun_after_the_subscription_counts_for_live(begun: float, read: bool) -> None:
    async def play() -> bool:
        generation = Generation(1)
        generation.hubs = FakeHubs(GenerationEars(generation, silent_ingest(), NoTrouble()), 1, 0.0)
        generation.note(snapshot_begun(begun))
        assert not generation.has_read(A)
        await generation.subscribe(A, lambda: 10.0)
        generation.note(snapshot_begun(begun))
        return generation.has_read(A)

    assert asyncio.run(play()) is read


def silent_ingest() -> Ingest:
    return Ingest(Inbox("timers"), lambda contract: None)


class NoTrouble:
    """Hears of no trouble."""

    def malformed(self, error: Malformed) -> None: ...

    def unpriced(self, error: Malformed) -> None: ...

    def logged_out(self) -> None: ...

    def lost(self) -> None: ...


def test_full_read_overtaken_by_a_verification_brings_its_fills_and_nothing_older(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        fake.trade(1)
        account.clear()
        release = asyncio.Event()
        on_loop(bench, lambda: fake.held_up.update({("orders", Lane.RECONCILE): release}))
        bench.loop.read_account(A, "old", False)
        wait_for(lambda: "waits for orders" in fake.asked)
        fake.trade(1)
        bench.loop.read_account(A, "new", True)
        newer = account.wait(BrokerSnapshot, lambda snapshot: snapshot.why == "new")
        assert not newer.fills_read
        on_loop(bench, release.set)
        older = account.wait(BrokerSnapshot, lambda snapshot: snapshot.why == "old")
        assert older.started_mono < newer.started_mono
        assert (older.positions, older.orders) == (newer.positions, newer.orders)


def test_read_that_began_before_a_full_one_already_told_is_dropped(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        release = asyncio.Event()
        on_loop(bench, lambda: fake.held_up.update({("orders", Lane.VERIFY): release}))
        bench.loop.read_account(A, "old", True)
        wait_for(lambda: "waits for orders" in fake.asked)
        bench.loop.read_account(A, "new", False)
        account.wait(BrokerSnapshot, lambda snapshot: snapshot.why == "new")
        on_loop(bench, release.set)
        bench.loop.read_account(A, "newest", True)
        account.wait(BrokerSnapshot, lambda snapshot: snapshot.why == "newest")
        whys = [snapshot.why for snapshot in account.all(BrokerSnapshot) if snapshot.why != "steady"]
        assert whys == ["new", "newest"]


def test_verification_reads_orders_and_then_positions_and_nothing_else(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        fake.asked.clear()
        bench.loop.read_account(A, "complies?", True)
        read = account.wait(BrokerSnapshot)
        assert fake.asked[:2] == ["orders", "positions"]
        assert (read.fills, read.fills_read) == ((), False)


def test_positions_that_change_between_the_reads_are_read_again_until_they_agree(fake: FakeGateway) -> None:
    trades = iter([1, 1])

    def trade_during_the_read(what: str) -> None:
        size = next(trades, None) if what == "orders" else None
        if size is not None:
            fake.trade(size)

    fake.before = trade_during_the_read
    with kept(fake) as bench:
        snapshot = bench.guard().all(BrokerSnapshot)[0]
    assert [(position.size,) for position in snapshot.positions] == [(2,)]
    assert [fill.size for fill in snapshot.fills] == [1, 1]


def test_account_that_never_holds_still_is_unknown_and_not_live(fake: FakeGateway) -> None:
    fake.before = lambda what: None if what != "orders" else fake.trade(1) and None
    with kept(fake) as bench:
        account = bench.guard(live=False)
        wait_for(lambda: fake.asked.count("orders") >= 5)
        assert account.all(BrokerSnapshot) == []
        fake.before = lambda what: None
        bench.loop.read_account(A, "asked", False)
        live(account)


def test_query_for_suspended_orders_that_is_refused_falls_back_to_the_open_ones(fake: FakeGateway) -> None:
    now = CLOCK.wall()
    order = Order(OrderId(5), A, MNQ, OrderType.STOP, OrderStatus.OPEN, -1, 0, now, now)
    fake.working[order.id] = order
    fake.fail = lambda what: Refused("HTTP 400", None) if what == "orders" else None
    with kept(fake) as bench:
        assert bench.guard().all(BrokerSnapshot)[0].orders == (order,)


def test_reads_asked_for_while_one_is_under_way_share_the_next(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        release = asyncio.Event()
        on_loop(bench, lambda: fake.held_up.update({("positions", Lane.RECONCILE): release}))
        bench.loop.read_account(A, "a", False)
        wait_for(lambda: "waits for positions" in fake.asked)
        for why in ("b", "c", "d"):
            bench.loop.read_account(A, why, False)
        on_loop(bench, release.set)
        account.wait(BrokerSnapshot, lambda snapshot: "d" in snapshot.why)
        whys = [snapshot.why for snapshot in account.all(BrokerSnapshot)]
        assert [why.removeprefix("steady, ") for why in whys[:2]] in (
            ["a", "b, c, d"],
            ["steady", "a, b, c, d"],
        )


def test_one_verification_serves_everybody_who_asked_while_it_waited_for_its_slots(
    fake: FakeGateway,
) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        release = asyncio.Event()
        on_loop(bench, lambda: fake.held_up.update({("slots", Lane.VERIFY): release}))
        for why in ("a", "b", "c"):
            bench.loop.read_account(A, why, True)
        wait_for(lambda: "waits for slots" in fake.asked)
        bench.loop.read_account(A, "d", True)
        on_loop(bench, release.set)
        account.wait(BrokerSnapshot, lambda snapshot: "d" in snapshot.why)
        read = [snapshot.why for snapshot in account.all(BrokerSnapshot) if not snapshot.fills_read]
        assert read == ["a, b, c, d"]


def test_verification_does_not_queue_behind_a_steady_read(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        never = asyncio.Event()
        on_loop(bench, lambda: fake.held_up.update({("positions", Lane.RECONCILE): never}))
        bench.loop.read_account(A, "slow", False)
        bench.loop.read_account(A, "complies?", True)
        account.wait(BrokerSnapshot, lambda snapshot: snapshot.why == "complies?")
        on_loop(bench, never.set)


def test_read_that_was_not_even_asked_costs_no_link(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        left_alone = ("fills", "orders", "open orders")
        fake.fail = lambda what: Unavailable("left alone") if what in left_alone else None
        bench.loop.read_account(A, "asked", False)
        wait_for(lambda: fake.asked.count("open orders") > 4)
        assert account.all(LinkChanged) == []
        fake.fail = lambda what: None
        account.wait(BrokerSnapshot)


def test_what_is_left_alone_keeps_nobody_from_seeing_what_is_held(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        fake.trade(2)
        account.clear()
        fake.fail = lambda what: Unavailable("left alone") if what == "fills" else None
        bench.loop.read_account(A, "asked", False)
        read = account.wait(BrokerSnapshot, lambda snapshot: snapshot.why == "asked")
        assert ([each.size for each in read.positions], read.fills_read) == ([2], False)
        assert account.all(LinkChanged) == []


def test_read_without_answer_is_repeated_and_a_refused_one_is_not_an_answer(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        fake.fail = failing(("positions", NoAnswer("HTTP 500")))
        bench.loop.read_account(A, "asked", True)
        assert account.wait(BrokerSnapshot).why == "asked"
        assert account.all(LinkChanged) == []


def test_reads_without_answer_in_a_row_end_the_generation(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        dead = True
        fake.fail = lambda what: NoAnswer("HTTP 503") if dead else None
        bench.loop.read_account(A, "asked", True)
        down = account.wait(LinkChanged, lambda link: link.state is DOWN)
        assert "HTTP 503" in down.reason
        # The old pair goes on bringing events until a new one is live.
        fake.trade(1)
        account.wait(Filled)
        dead = False
        live(account, 2)


def test_lost_hub_is_blind_at_once_and_its_reason_is_kept(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        on_loop(bench, lambda: fake.pairs[-1].lose("the hub user-1 was closed"))
        assert account.all(LinkChanged)[0].state is BLIND
        assert account.all(LinkChanged)[0].reason == "the hub user-1 was closed"
        live(account, 2)
        wait_for(lambda: not fake.pairs[0].open)
        assert [pair.open for pair in fake.pairs] == [False, True]


def test_hub_that_dies_over_and_over_is_given_ever_longer_pauses(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        began = CLOCK.mono()
        for generation in range(1, 5):
            live(account, generation)
            on_loop(bench, lambda: fake.pairs[-1].lose())
        live(account, 5)
        # 0 + 0.01 + 0.25 + 0.5 s, give or take the jitter of a fifth
        assert 0.6 <= CLOCK.mono() - began <= 2.0


def test_renewed_token_replaces_the_hubs_without_a_gap(fake: FakeGateway) -> None:
    fake.lifetime = 1.0
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        live(account, 2)
        assert [link.state for link in account.all(LinkChanged)] == [LIVE]
        assert [pair.token for pair in fake.pairs][:2] == [1, 2]
        assert fake.asked.count("login") == 1
        wait_for(lambda: not fake.pairs[0].open)


def test_token_that_cannot_be_renewed_is_used_on(fake: FakeGateway) -> None:
    fake.lifetime = 0.4
    fake.fail = lambda what: NoAnswer("HTTP 503") if what == "renew" else None
    with kept(fake) as bench:
        account = bench.guard()
        wait_for(lambda: "renew" in fake.asked)
        account.clear()
        fake.trade(1)
        account.wait(Filled)
        assert account.all(LinkChanged) == []
        assert fake.asked.count("renew") == 1


def test_key_that_is_refused_later_is_told_and_not_tried_over_and_over(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        account.clear()
        fake.key = "revoked"
        fake.revoke()
        for number in range(5):
            call = Call(f"receipt/{number}", A, CallKind.CLOSE, MNQ)
            bench.loop.submit(call, bench.enforcement)
            called = bench.enforcement.wait(Called, lambda called, call=call: called.call == call)
            assert called.outcome is Outcome.UNKNOWN
            assert "cannot log in" in called.text
        link = account.wait(LinkChanged, lambda link: link.auth_failed)
        assert link.state is DOWN
        assert fake.asked.count("login") == 2
        assert len(bench.tree.all(LoginRefused)) == 1


def test_crash_inside_is_survived_from_the_login_on(fake: FakeGateway) -> None:
    crashes = iter([True])

    def crash_once(what: str) -> None:
        if what == "accounts" and next(crashes, False):
            raise RuntimeError("a bug")

    fake.before = crash_once
    with kept(fake) as bench:
        bench.guard()
        assert bench.loop.restarts == 1


def test_call_that_crashes_inside_is_unknown(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        bench.guard()

        def crash(what: str) -> None:
            if what == "close":
                raise RuntimeError("a bug")

        fake.before = crash
        called = bench.call(CallKind.CLOSE, MNQ)
        assert (called.outcome, called.text) == (Outcome.UNKNOWN, "failed inside: RuntimeError")


def test_row_that_cannot_be_read_leaves_the_account_blind_and_is_an_alert(fake: FakeGateway) -> None:
    bad = True

    def malformed(what: str) -> None:
        if bad and what == "positions":
            raise Malformed("position", "type 7 with size 3 has no direction")

    fake.before = malformed
    with kept(fake) as bench:
        account = bench.guard(live=False)
        alert = bench.notices.wait(Alert)
        assert "type 7" in alert.notice.message
        assert all(link.state is not LIVE for link in account.all(LinkChanged))
        bad = False
        bench.loop.read_account(A, "asked", False)
        live(account)


def test_late_guard_is_told_what_is_known_of_contracts(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        first = bench.guard()
        fake.trade(1)
        record = first.wait(ContractRead)
        second = Inbox("second")
        bench.accounts[A] = second
        bench.guard(A)
        assert second.all(ContractRead) == [record]


def test_reborn_account_is_told_everything_again(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        fake.trade(1)
        account.wait(ContractRead)
        bench.loop.watch(A, (MNQ,))
        wait_for(lambda: MNQ in fake.pairs[-1].contracts)
        fake.quote(19_001.0)
        account.wait_latest(MNQ, Quoted)
        account.clear()
        bench.loop.read_account(A, "reborn", False)
        account.wait(BrokerSnapshot)
        assert live(account).generation == 1
        assert len(account.all(ContractRead)) == 1
        assert account.wait_latest(MNQ, Quoted).last == 19_001.0


def test_unknown_contract_is_told_once_and_is_no_reason_to_ask_again(fake: FakeGateway) -> None:
    fake.records.clear()
    with kept(fake) as bench:
        account = bench.guard()
        fake.trade(1)
        fake.trade(1)
        account.wait(ContractUnknown)
        account.wait(Filled, lambda event: event.fill.id > 1)
        assert fake.asked.count("contract") == 1


def test_record_that_disagrees_with_its_product_is_used_and_is_an_alert(fake: FakeGateway) -> None:
    fake.records[MNQ] = replace(fake.records[MNQ], tick_value=50_000)
    with kept(fake) as bench:
        account = bench.guard()
        fake.trade(1)
        assert account.wait(ContractRead).contract.tick_value == 50_000
        assert "tick value" in bench.notices.wait(Alert).notice.message


def test_watched_contracts_are_subscribed_again_in_each_generation(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        bench.loop.watch(A, (MNQ,))
        wait_for(lambda: fake.pairs[-1].contracts == {MNQ})
        on_loop(bench, lambda: fake.pairs[-1].lose())
        live(account, 2)
        assert fake.pairs[-1].contracts == {MNQ}


def test_price_is_asked_at_most_every_five_seconds(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        account = bench.guard()
        for _ in range(3):
            bench.loop.read_price(MNQ)
        account.wait_latest(MNQ, Quoted)
        assert fake.asked.count("bars") == 1


def test_accounts_are_told_to_the_tree_when_the_list_changes(fake: FakeGateway) -> None:
    with kept(fake, check_every=0.1) as bench:
        bench.guard()
        wait_for(lambda: fake.asked.count("accounts") >= 3)
        assert len(bench.tree.all(AccountsFound)) == 1
        fake.account = replace(fake.account, id=AccountId(2002), name="NEW")
        bench.tree.wait(AccountsFound, lambda found: found.accounts[0].name == "NEW")


def test_loop_beats_while_it_is_not_stalled(fake: FakeGateway) -> None:
    with kept(fake) as bench:
        before = bench.loop.beat
        wait_for(lambda: bench.loop.beat > before)


def test_front_month_is_the_active_one_and_else_the_nearest() -> None:
    def record(name: str) -> Contract:
        return Contract(ContractId(name), "MNQ", "MNQ", Decimal("0.25"), 5_000, 0.25)

    near, far = record("CON.F.US.MNQ.Z25"), record("CON.F.US.MNQ.H26")
    assert front_month([Listed(near, False), Listed(far, True)]) is far
    assert front_month([Listed(far, True), Listed(near, True)]) is near
    assert front_month([Listed(far, False), Listed(near, False)]) is near
