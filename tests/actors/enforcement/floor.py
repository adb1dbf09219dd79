"""A gateway, the real account machine and enforcement's plan on one floor, one event at a time.

`Floor` says what a rule would say, carries out the calls that come of it as the gateway would (or
would not), and shows the plan what the account shows. With every step it checks what must never
happen; `crash()` puts the memory through its bytes at any point.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from actors.enforcement import plan as machine
from actors.enforcement.effects import (
    Answer,
    AskRead,
    Effect,
    LockoutOver,
    Notify,
    Reply,
    TellAccount,
)
from actors.enforcement.lockouts import Lockouts
from actors.enforcement.memory import decode, encode
from actors.enforcement.turn import Done
from actors.messages import (
    AccountSnapshot,
    Breach,
    BreachId,
    Call,
    Called,
    CallKind,
    ContractId,
    DayReset,
    Demand,
    FlattenByHand,
    Lock,
    LockByHand,
    LockKind,
    Lockout,
    Mode,
    Notice,
    Now,
    Order,
    Outcome,
    Receipt,
    SupervisorLock,
    Tick,
    Unlock,
    Verdict,
)
from tests.builders import ACCOUNT, NAME, Desk, a_contract

TIMEOUT_S = 5.0
ROUND_TRIP_S = 0.001
MNQ, ES = a_contract("MNQ").id, a_contract("ES").id
CLOSES = (CallKind.CLOSE, CallKind.PARTIAL_CLOSE)
CONFIRMED = (Outcome.CONFIRMED, 0, "done")
PRICES = {"MNQ": 21000.0, "ES": 5800.0, "NQ": 21000.0, "CL": 60.0}


def root(contract: ContractId) -> str:
    return contract.split(".")[3]


class Floor:
    """One account, its gateway and its enforcement."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.wait(1)  # the account was read before
        self.plan = machine.first_plan(ACCOUNT, NAME, TIMEOUT_S, self.desk.now.wall)
        self.calls = list[Call]()
        """Every call, in order."""
        self.out = dict[str, Call]()
        """Not answered yet."""
        self.effects = list[Effect]()
        self.reads = 0
        """Reads asked for and not carried out yet."""
        self.restarts = 0
        self._breaches = 0
        self._sent = dict[str, float]()

    # What rules and people say

    def breach(self, rule: str, contract: ContractId | None = None, at: datetime | None = None) -> Breach:
        self._breaches += 1
        return Breach(
            BreachId(f"2025-11-19/{rule}/{contract or '*'}/fill:{self._breaches}/1"),
            rule,
            contract,
            "-550.00",
            "-500.00",
            None,
            f"fill:{self._breaches}",
            at or self.desk.now.wall,
            f"{rule} is breached",
            {"net": "-550.00"},
        )

    def say(
        self,
        rule: str,
        *demands: Demand,
        breaches: tuple[Breach, ...] = (),
        lock: Lock | None = None,
        mode: Mode = Mode.ARMED,
        snapshot: AccountSnapshot | None = None,
        **more: Any,
    ) -> list[Call]:
        """What a rule says of the account as it is (or of an older snapshot)."""
        judged = snapshot or self.desk.snapshot("time")
        notices = more.pop("notices", ())
        verdict = Verdict(ACCOUNT, rule, mode, judged.seq, breaches, demands, lock, notices, judged, **more)
        return self.take(verdict)

    def lock(
        self,
        breach: Breach | None = None,
        seconds: float | None = 3600.0,
        *,
        kind: LockKind = LockKind.DURATION,
        flatten: bool = True,
        close: tuple[ContractId, ...] = (),
        since: datetime | None = None,
    ) -> Lock:
        start = since or (breach.at if breach is not None else self.desk.now.wall)
        until = None if seconds is None else start + timedelta(seconds=seconds)
        return Lock(
            kind, start, until, "the day is over", flatten, None if breach is None else breach.id, close
        )

    def lose_the_day(self, rule: str = "daily_realized_loss") -> list[Call]:
        """The usual breach: locked until the reset, all flat."""
        breach = self.breach(rule)
        lock = self.lock(breach, 7 * 3600, kind=LockKind.UNTIL_RESET)
        return self.say(rule, breaches=(breach,), lock=lock)

    def by_hand(self, *, until_s: float | None = None, flatten: bool = True) -> list[Call]:
        until = None if until_s is None else self.desk.now.wall + timedelta(seconds=until_s)
        return self.take(LockByHand(ACCOUNT, until, "enough", "ann", flatten, self.desk.now))

    def flatten(self) -> list[Call]:
        return self.take(FlattenByHand(ACCOUNT, "ann", self.desk.now))

    def unlock(self, rule: str | None = None) -> Reply:
        self.take(Unlock(ACCOUNT, rule, "root", self.desk.now))
        return self.answers[-1]

    def give_up(self, rule: str, *, on: bool = True) -> list[Call]:
        return self.take(SupervisorLock(ACCOUNT, rule, on, "it keeps crashing", self.desk.now))

    # What happens

    def shows(self, snapshot: AccountSnapshot | None = None) -> list[Call]:
        """The account sends how it stands."""
        return self.take(snapshot or self.desk.snapshot("order"))

    def buy(self, what: str, size: int, **more: Any) -> list[Call]:
        return self.take(self.desk.buy(what, size, PRICES[what], **more))

    def sell(self, what: str, size: int, **more: Any) -> list[Call]:
        return self.take(self.desk.sell(what, size, PRICES[what], **more))

    def place(self, what: str, size: int, **more: Any) -> Order:
        order = self.desk.place(what, size, **more)
        self.shows()
        return order

    def wait(self, seconds: float) -> list[Call]:
        """Time passes, and the clock says so. Nobody waits longer for an answer than the plan does."""
        self.desk.wait(seconds)
        for id_ in [
            id_ for id_ in self.out if self.desk.now.mono - self._sent[id_] > self.plan.memory.settle_s
        ]:
            del self.out[id_]
        return self.take(Tick(self.desk.now))

    def read(self) -> list[Call]:
        """The account is read; it is shown as of now."""
        self.reads = 0
        return self.take(self.desk.read())

    def reset(self) -> list[Call]:
        calls = self.take(DayReset(self.desk.now.wall.date(), self.desk.now.wall))
        self.desk.reset()
        return calls

    # What the gateway does with a call

    def confirm(self, call: Call | None = None, *, tell: bool = True) -> list[Call]:
        """The gateway carries the call out; the account shows it, then the answer comes."""
        one = call or self.next
        order = self.carry_out(one, tell=tell)
        return self.answer(one, Outcome.CONFIRMED, 0, "done", order=order)

    def refuse(self, code: int, call: Call | None = None, text: str = "refused") -> list[Call]:
        return self.answer(call or self.next, Outcome.REFUSED, code, text)

    def lose(self, call: Call | None = None, *, carried_out: bool = False) -> list[Call]:
        """No answer within the request timeout."""
        one = call or self.next
        if carried_out:
            self.carry_out(one, tell=False)
        return self.answer(one, Outcome.UNKNOWN, None, "no answer within 5 s")

    def answer(
        self, call: Call, outcome: Outcome, code: int | None, text: str, *, order: Order | None = None
    ) -> list[Call]:
        self.out.pop(call.id, None)
        self.desk.wait(ROUND_TRIP_S)
        now = self.desk.now
        id_ = None if order is None else order.id
        return self.take(Called(call, outcome, code, text, now.wall, now.mono, now.mono, id_))

    def carry_out(self, call: Call, *, tell: bool = True) -> Order | None:
        """The gateway's side: positions and orders as they are now, whatever was known when it was sent."""
        held = self.held(call.contract)
        order: Order | None = None
        match call.kind:
            case CallKind.CLOSE:
                self._close(call.contract, abs(held))
            case CallKind.PARTIAL_CLOSE:
                self._close(call.contract, call.size)
            case CallKind.CANCEL:
                if (there := self.order(call.order)) is not None:
                    self.desk.cancel(there)
            case CallKind.MODIFY:
                if (there := self.order(call.order)) is not None:
                    self._modify(call, there)
            case CallKind.PLACE:
                order = self._place(call)
        if tell:
            self.shows()
        return order

    def _close(self, contract: ContractId, size: int) -> None:
        held = self.held(contract)
        if not held:
            return
        what = root(contract)
        trade = self.desk.sell if held > 0 else self.desk.buy
        trade(what, min(size, abs(held)), PRICES[what], order=900_000 + len(self.calls))

    def _modify(self, call: Call, order: Order) -> None:
        changes: dict[str, Any] = {}
        if call.size:
            changes["size"] = call.size if order.size > 0 else -call.size
        if call.stop_price is not None:
            changes["stop_price"] = call.stop_price
        if call.limit_price is not None:
            changes["limit_price"] = call.limit_price
        self.desk.change(order, **changes)

    def _place(self, call: Call) -> Order:
        assert call.order_type is not None
        return self.desk.place(
            root(call.contract),
            call.size,
            stop=call.stop_price,
            limit=call.limit_price,
            kind=call.order_type,
            tag=call.tag,
        )

    def settle(self) -> None:
        """The gateway answers everything and is read until nothing is left to be done."""
        for _ in range(50):
            if self.out:
                self.confirm()
            elif self.reads or self.receipts:
                self.wait(0.01)
                self.read()
            else:
                return
        raise AssertionError(f"it does not settle: {self.receipts}")

    def crash(self, stored: tuple[Lockout, ...] = ()) -> list[Call]:
        """The daemon is killed and started again: memory comes from its bytes, calls are lost."""
        memory = decode(encode(self.plan.memory))
        assert memory == self.plan.memory
        self.restarts += 1
        self.out.clear()
        self.desk.now = Now(self.desk.now.wall, self.desk.now.mono + 100.0)
        return self._done(machine.restore(memory, stored, self.desk.now))

    # The step itself

    def take(self, event: machine.Input) -> list[Call]:
        """Give the plan one event; the calls that come of it."""
        return self._done(machine.step(self.plan, event, self.desk.now))

    def _done(self, done: Done) -> list[Call]:
        before = self.plan.memory.lockouts
        self.plan = done.plan
        self.effects.extend(done.after)
        assert done.changed or not done.calls, "a call goes out only after memory was written"
        for call in done.calls:
            self._check(call)
            self.calls.append(call)
            self.out[call.id] = call
            self._sent[call.id] = self.desk.now.mono
        for effect in done.after:
            if isinstance(effect, TellAccount):
                self.desk.hear(effect.message)
            elif isinstance(effect, AskRead):
                self.reads += 1
        if before != self.plan.memory.lockouts and not any(isinstance(e, LockoutOver) for e in done.after):
            never_shorter(before, self.plan.memory.lockouts)
        return list(done.calls)

    def _check(self, call: Call) -> None:
        assert call.id not in {one.id for one in self.calls}, "an id is used once"
        if call.kind in CLOSES:
            flying = [
                one for one in self.out.values() if one.contract == call.contract and one.kind in CLOSES
            ]
            assert not flying, "one close in flight per contract"
            seen = self.plan.snapshot
            assert seen is not None
            position = seen.position(call.contract)
            assert position is not None
            assert call.size <= abs(position.size), "no call exceeds the open size last read"
            if call.kind is CallKind.PARTIAL_CLOSE:
                assert 0 < call.size < abs(position.size)

    # What came of it

    @property
    def next(self) -> Call:
        """The oldest call without an answer."""
        return next(iter(self.out.values()))

    @property
    def lockouts(self) -> Lockouts:
        return self.plan.memory.lockouts

    @property
    def receipts(self) -> list[str]:
        """Open receipts that people wait for."""
        return [one.id for one in self.plan.memory.receipts.values() if not one.managed]

    @property
    def closed(self) -> tuple[Receipt, ...]:
        return self.plan.receipts

    @property
    def last(self) -> Receipt:
        return self.plan.receipts[-1]

    @property
    def answers(self) -> list[Reply]:
        return [effect.value for effect in self.effects if isinstance(effect, Answer)]

    @property
    def alerts(self) -> list[Notice]:
        return [effect.notice for effect in self.effects if isinstance(effect, Notify)]

    def seen[T](self, kind: type[T]) -> list[T]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def held(self, contract: ContractId) -> int:
        position = self.desk.snapshot().position(contract)
        return 0 if position is None else position.size

    def order(self, id_: object) -> Order | None:
        return next((order for order in self.desk.snapshot().orders if order.id == id_), None)

    @property
    def flat(self) -> bool:
        shown = self.desk.snapshot()
        return not shown.positions and not shown.orders


def never_shorter(before: Lockouts, after: Lockouts) -> None:
    for one in before.in_force:
        now = after.of(one.rule)
        assert now is not None, f"{one.rule} is gone"
        if one.until is None:
            assert now.until is None
        else:
            assert now.until is None or now.until >= one.until


def kinds(calls: list[Call]) -> list[tuple[str, str, int]]:
    """Calls as a table reads them: kind, root, size."""
    return [(call.kind.value, root(call.contract), call.size) for call in calls]
