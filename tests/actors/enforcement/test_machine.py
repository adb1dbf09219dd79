"""Any schedule of fills, orders, verdicts, answers, losses and crashes, against a small gateway.

While it runs: no call exceeds the open size last seen, one close per contract is out, no lock shortens,
nothing is called verified that a later read did not show. In the end, with a gateway that answers, the
account complies, every receipt is closed and nobody is asked for anything any more.
"""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.enforcement.needs import met
from actors.enforcement.orders import is_ours
from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    AtMost,
    Breach,
    Call,
    CallKind,
    Flat,
    LockKind,
    OrderStatus,
    OrderType,
    Outcome,
    Receipt,
    StopAt,
    TargetAt,
)
from tests.actors.enforcement.floor import ES, MNQ, Floor, kinds, root

LIMIT = 2
LATE_S = 6.9
"""A request may take effect this long after it was sent, and not later."""
contracts = st.sampled_from(["MNQ", "ES"])
sizes = st.integers(1, 4)


class Trading(RuleBasedStateMachine):
    """A trader, two rules, people at the desk, and a gateway that may do anything it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor()
        self.late = list[tuple[Call, float]]()
        self.episode: Breach | None = None
        self.said: tuple[object, ...] = ()
        self.judged = 0
        self.frozen_until_seen = False

    # ---------------------------------------------------------------- the trader

    @rule(what=contracts, size=sizes, buys=st.booleans(), seen=st.booleans())
    def trade(self, what: str, size: int, buys: bool, seen: bool) -> None:
        desk = self.floor.desk
        snapshot = (desk.buy if buys else desk.sell)(what, size, {"MNQ": 21000.0, "ES": 5800.0}[what])
        if seen:
            self.floor.shows(snapshot)

    @rule(what=contracts, size=sizes, buys=st.booleans(), stop=st.booleans())
    def order(self, what: str, size: int, buys: bool, stop: bool) -> None:
        price = {"MNQ": 21000.0, "ES": 5800.0}[what]
        signed = size if buys else -size
        if stop:
            self.floor.place(what, signed, stop=price)
        else:
            self.floor.place(what, signed, limit=price)

    @precondition(lambda self: self.floor.desk.snapshot().orders)
    @rule(data=st.data())
    def an_order_fills(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.floor.desk.snapshot().orders))
        self.floor.desk.change(order, status=OrderStatus.FILLED, filled=order.size)
        trade = self.floor.buy if order.rest > 0 else self.floor.sell
        trade(root(order.contract), abs(order.rest), order=order.id)

    @precondition(lambda self: self.floor.desk.snapshot().orders)
    @rule(data=st.data())
    def an_order_is_cancelled(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.floor.desk.snapshot().orders))
        self.floor.shows(self.floor.desk.cancel(order))

    # ---------------------------------------------------------------- rules and people

    @rule()
    def limit_rule_judges(self) -> None:
        """RULE-002 on MNQ: says what must hold, and once that nothing must any more."""
        floor = self.floor
        snapshot = floor.desk.snapshot("time")
        position = snapshot.position(MNQ)
        demands = (AtMost(MNQ, LIMIT),) if position is not None and abs(position.size) > LIMIT else ()
        if demands or self.said:
            floor.say("max_contracts_per_instrument", *demands, snapshot=snapshot)
        self.said = demands

    @rule(repeats=st.integers(1, 3))
    def price_is_through_the_limit(self, repeats: int) -> None:
        for _ in range(repeats):
            if self.floor.desk.snapshot().position(ES) is None:
                break
            self.episode = self.episode or self.floor.breach("daily_unrealized_loss", ES)
            self.floor.say("daily_unrealized_loss", Flat(ES), breaches=(self.episode,))

    @precondition(lambda self: self.episode is not None)
    @rule()
    def price_recovers(self) -> None:
        self.episode = None
        self.floor.say("daily_unrealized_loss")

    @rule(seconds=st.integers(1, 600), flatten=st.booleans())
    def a_cooldown_begins(self, seconds: int, flatten: bool) -> None:
        breach = self.floor.breach("cooldown_after_loss")
        lock = self.floor.lock(breach, seconds, flatten=flatten)
        self.floor.say("cooldown_after_loss", breaches=(breach,), lock=lock)

    @rule()
    def the_day_is_lost(self) -> None:
        breach = self.floor.breach("daily_realized_loss")
        lock = self.floor.lock(breach, 3600, kind=LockKind.UNTIL_RESET)
        self.floor.say("daily_realized_loss", breaches=(breach,), lock=lock)

    @rule(points=st.integers(1, 20), both=st.booleans())
    def a_bracket_is_wished(self, points: int, both: bool) -> None:
        position = self.floor.desk.snapshot().position(ES)
        if position is None:
            self.floor.say("trade_management", manages=True)
            return
        away = points * 4 * (1 if position.size > 0 else -1)
        wishes: list[StopAt | TargetAt] = [StopAt(ES, 5800 * 4 - away, abs(position.size))]
        if both:
            wishes.append(TargetAt(ES, 5800 * 4 + away, abs(position.size)))
        self.floor.say("trade_management", *wishes, manages=True)

    @rule()
    def somebody_flattens(self) -> None:
        self.floor.flatten()

    @precondition(lambda self: self.floor.lockouts.locked)
    @rule()
    def an_admin_unlocks(self) -> None:
        self.floor.unlock()

    # ---------------------------------------------------------------- the gateway

    @precondition(lambda self: self.floor.out)
    @rule(data=st.data(), told=st.booleans())
    def a_call_is_carried_out(self, data: st.DataObject, told: bool) -> None:
        self.floor.confirm(data.draw(st.sampled_from(list(self.floor.out.values()))), tell=told)

    @precondition(lambda self: self.floor.out)
    @rule(data=st.data(), code=st.sampled_from([1, 3, 5, 6, 8, 9]))
    def a_call_is_refused(self, data: st.DataObject, code: int) -> None:
        self.floor.refuse(code, data.draw(st.sampled_from(list(self.floor.out.values()))))

    @precondition(lambda self: self.floor.out)
    @rule(data=st.data(), how=st.sampled_from(["carried out", "never", "late"]))
    def an_answer_is_lost(self, data: st.DataObject, how: str) -> None:
        call = data.draw(st.sampled_from(list(self.floor.out.values())))
        if how == "late":
            self.late.append((call, self.floor.desk.now.mono + LATE_S))
        self.floor.lose(call, carried_out=how == "carried out")

    @precondition(lambda self: self.late)
    @rule()
    def a_lost_call_takes_effect_late(self) -> None:
        call, until = self.late.pop(0)
        if self.floor.desk.now.mono <= until:
            self.floor.carry_out(call)

    @rule(seconds=st.sampled_from([0.001, 0.5, 1.0, 3.0, 8.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.floor.wait(seconds)

    @rule()
    def the_account_is_read(self) -> None:
        self.floor.read()

    @rule()
    def the_account_is_shown_again(self) -> None:
        self.floor.shows()

    @rule()
    def everything_is_killed(self) -> None:
        stored = self.floor.lockouts.in_force
        for call in self.floor.out.values():
            self.late.append((call, self.floor.desk.now.mono + 100.0 + LATE_S))
        self.floor.crash(stored)
        self.episode, self.said = None, (None,)

    # ---------------------------------------------------------------- what must never happen

    @invariant()
    def nothing_is_called_verified_that_was_not_seen(self) -> None:
        floor = self.floor
        for receipt in floor.closed[self.judged :]:
            if receipt.verified:
                self._was_seen(receipt, floor.plan.snapshot)
        self.judged = len(floor.closed)
        if self.judged == 20:  # the plan shows no more than these
            floor.plan = msgspec.structs.replace(floor.plan, receipts=())
            self.judged = 0

    def _was_seen(self, receipt: Receipt, snapshot: AccountSnapshot | None) -> None:
        assert snapshot is not None
        if receipt.demand == "account flat":
            assert met(AccountFlat(), snapshot)
        for call in receipt.calls:
            if call.outcome is Outcome.CONFIRMED and call.call is CallKind.CLOSE:
                assert receipt.verified_at is not None
                assert call.at <= receipt.verified_at

    @invariant()
    def nothing_is_placed_twice(self) -> None:
        ours = [order for order in self.floor.desk.snapshot().orders if is_ours(order)]
        for type_ in (OrderType.STOP, OrderType.LIMIT):
            assert sum(order.type is type_ for order in ours) <= 1

    @invariant()
    def one_lockout_per_rule(self) -> None:
        rules = [one.rule for one in self.floor.lockouts.in_force]
        assert len(rules) == len(set(rules))

    # ---------------------------------------------------------------- in the end

    def teardown(self) -> None:
        """The gateway answers from here on: everything complies, and then it is quiet."""
        floor = self.floor
        self.late.clear()
        for _ in range(60):
            self.limit_rule_judges()
            if floor.out:
                floor.confirm()
            else:
                floor.wait(31)
                floor.read()
            if not (floor.out or floor.receipts) and self._complies():
                break
        assert self._complies(), (floor.desk.snapshot().positions, floor.plan.memory)
        assert not floor.receipts, floor.plan.memory.receipts
        floor.say("trade_management", manages=True)
        while floor.out:
            floor.confirm()
        if floor.held(ES) == 0:
            assert not any(is_ours(order) for order in floor.desk.snapshot().orders)
        before = len(floor.calls)
        for _ in range(3):
            floor.wait(31)
            floor.read()
            floor.shows()
        assert kinds(floor.calls[before:]) == []

    def _complies(self) -> bool:
        shown = self.floor.desk.snapshot()
        if self.floor.lockouts.flattens:
            return not shown.positions and not shown.orders
        position = shown.position(MNQ)
        return position is None or abs(position.size) <= LIMIT


Trading.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTrading = Trading.TestCase
