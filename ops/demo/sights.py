"""What must be seen in an act: each sight tells what it expects and what is there instead."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from config.instruments import root_of
from ops.demo.look import Look
from supervisor.answers import Account, WorkingOrder


class Sight(Struct, frozen=True, kw_only=True):
    """Something that must be seen of an account."""

    account: str

    def expected(self) -> str:
        """What must be seen, in words."""
        raise NotImplementedError

    def seen(self, look: Look) -> str:
        """What is seen of it, in words."""
        raise NotImplementedError

    def holds(self, look: Look) -> bool:
        raise NotImplementedError


class Holds(Sight, frozen=True, kw_only=True):
    """The account holds exactly this, in the gateway's books and to the daemon's knowledge."""

    positions: dict[str, int]
    orders: int | None = None
    """How many orders work; None where that does not matter."""

    def expected(self) -> str:
        return f"{self.account} holds {_sizes(self.positions)}{_orders(self.orders)}"

    def seen(self, look: Look) -> str:
        working = look.working(self.account)
        return (
            f"the gateway has {_sizes(look.held(self.account))}{_orders(working)}, "
            f"the guard {_sizes(self._known(look))}"
        )

    def holds(self, look: Look) -> bool:
        if self.orders is not None and look.working(self.account) != self.orders:
            return False
        return self.positions == look.held(self.account) == self._known(look)

    def _known(self, look: Look) -> dict[str, int] | None:
        account = look.account(self.account)
        return None if account is None else {each.root: each.size for each in account.positions}


class Traded(Sight, frozen=True, kw_only=True):
    """So many executions in the gateway's books, and no more: nothing was doubled or reversed."""

    fills: int

    def expected(self) -> str:
        return f"{self.fills} executions in {self.account}"

    def seen(self, look: Look) -> str:
        return f"{look.executions(self.account)} executions"

    def holds(self, look: Look) -> bool:
        return look.executions(self.account) == self.fills


class WorkingStop(Sight, frozen=True, kw_only=True):
    """One protective stop works in this product, at this price."""

    root: str
    at: str

    def expected(self) -> str:
        return f"a stop in {self.root} at {self.at}"

    def seen(self, look: Look) -> str:
        return f"stops at {', '.join(self._prices(look)) or 'no price'}"

    def holds(self, look: Look) -> bool:
        return [Decimal(one) for one in self._prices(look)] == [Decimal(self.at)]

    def _prices(self, look: Look) -> list[str]:
        found = _orders_in(look, self.account, self.root)
        return [str(order.stop_price) for order in found if order.stop_price]


class WorkingTarget(WorkingStop, frozen=True, kw_only=True):
    """One target works in this product, at this price."""

    def expected(self) -> str:
        return f"a target in {self.root} at {self.at}"

    def seen(self, look: Look) -> str:
        return f"targets at {', '.join(self._prices(look)) or 'no price'}"

    def _prices(self, look: Look) -> list[str]:
        found = _orders_in(look, self.account, self.root)
        return [str(order.limit_price) for order in found if order.limit_price]


class Locked(Sight, frozen=True, kw_only=True):
    """A lockout of this rule was set; a short one may be over by the time it is looked for."""

    rule: str
    kind: str

    def expected(self) -> str:
        return f"{self.account} locked by {self.rule} ({self.kind})"

    def seen(self, look: Look) -> str:
        return _locks(look.account(self.account))

    def holds(self, look: Look) -> bool:
        if self.kind == "duration" and look.lines("lockout", self.account, self.rule):
            return True
        return (self.rule, self.kind) in _in_force(look.account(self.account))


class Unlocked(Sight, frozen=True, kw_only=True):
    """The lockout of this rule has ended for this reason, and no other is left."""

    rule: str
    reason: str

    def expected(self) -> str:
        return f"{self.account} free again: the lockout of {self.rule} ended ({self.reason})"

    def seen(self, look: Look) -> str:
        ended = [f"{line['rule']} ({line['reason']})" for line in look.lines("unlock", self.account)]
        return f"{_locks(look.account(self.account))}; ended: {', '.join(ended) or 'none'}"

    def holds(self, look: Look) -> bool:
        account = look.account(self.account)
        ended = [line["reason"] for line in look.lines("unlock", self.account, self.rule)]
        return account is not None and not account.lockouts and self.reason in ended


class Free(Sight, frozen=True, kw_only=True):
    """The account is not locked, and this is what its day has realized."""

    realized: str

    def expected(self) -> str:
        return f"{self.account} not locked, {self.realized} realized"

    def seen(self, look: Look) -> str:
        account = look.account(self.account)
        return f"{_locks(account)}, {account.realized if account else 'nothing'} realized"

    def holds(self, look: Look) -> bool:
        account = look.account(self.account)
        return account is not None and not account.lockouts and account.realized == self.realized


class Attempted(Sight, frozen=True, kw_only=True):
    """So many tries to take risk on the locked account were noticed."""

    attempts: int

    def expected(self) -> str:
        return f"{self.attempts} attempt on the locked {self.account}"

    def seen(self, look: Look) -> str:
        account = look.account(self.account)
        return f"{account.attempts if account else 'no account with'} attempts"

    def holds(self, look: Look) -> bool:
        account = look.account(self.account)
        return account is not None and account.attempts == self.attempts


class Managed(Sight, frozen=True, kw_only=True):
    """The rule had these kinds of call carried out, confirmed, and verified in the account."""

    rule: str
    calls: tuple[str, ...]

    def expected(self) -> str:
        return f"{' and '.join(self.calls)} by {self.rule} confirmed and verified"

    def seen(self, look: Look) -> str:
        receipts = look.lines("enforcement", self.account, self.rule)
        done = [f"{call['call']} {call['outcome']}" for receipt in receipts for call in receipt["calls"]]
        verified = any(receipt["verified"] for receipt in receipts)
        return f"calls: {', '.join(done) or 'none'}; {'verified' if verified else 'nothing verified'}"

    def holds(self, look: Look) -> bool:
        receipts = [one for one in look.lines("enforcement", self.account, self.rule) if one["verified"]]
        calls = (call for receipt in receipts for call in receipt["calls"])
        return bool(receipts) and {call["call"] for call in calls if call["outcome"] == "confirmed"} >= set(
            self.calls
        )


class Judged(Managed, frozen=True, kw_only=True):
    """The rule saw a breach; what it demanded was carried out by these calls and verified."""

    def expected(self) -> str:
        return f"a breach of {self.rule}; {Managed.expected(self)}"

    def seen(self, look: Look) -> str:
        breaches = len(look.lines("breach", self.account, self.rule))
        return f"{breaches} breaches; {Managed.seen(self, look)}"

    def holds(self, look: Look) -> bool:
        return bool(look.lines("breach", self.account, self.rule)) and Managed.holds(self, look)


class Restarted(Sight, frozen=True, kw_only=True):
    """An actor died and another took its place."""

    actor: str

    def expected(self) -> str:
        return f"{self.actor} restarted"

    def seen(self, look: Look) -> str:
        return f"restarted: {', '.join(self._restarted(look)) or 'nobody'}"

    def holds(self, look: Look) -> bool:
        return self.actor in self._restarted(look)

    def _restarted(self, look: Look) -> list[str]:
        return [line["actor"] for line in look.history if line["kind"] == "restart"]


class Returned(Sight, frozen=True, kw_only=True):
    """Another daemon guards, with a live link."""

    def expected(self) -> str:
        return "another daemon guards"

    def seen(self, look: Look) -> str:
        if look.status is None:
            return "no daemon answers"
        daemon = look.status.daemon
        return (
            f"daemon {daemon.pid}, {daemon.restarts} restarts, {look.status.state}, {look.status.link.state}"
        )

    def holds(self, look: Look) -> bool:
        now, before = look.status, look.before
        return (
            now is not None
            and before is not None
            and now.daemon.pid != before.daemon.pid
            and now.state in ("guarding", "locked")
        )


class Steady(Sight, frozen=True, kw_only=True):
    """The same daemon as before, with a live link, and no message given up."""

    def expected(self) -> str:
        return "the same daemon, its link live, no message given up"

    def seen(self, look: Look) -> str:
        status = look.status
        if status is None:
            return "no daemon answers"
        link = status.link.state
        return f"daemon {status.daemon.pid}, link {link}, {status.dead_letters} messages given up"

    def holds(self, look: Look) -> bool:
        now, before = look.status, look.before
        if now is None or before is None:
            return False
        same = now.daemon.pid == before.daemon.pid and now.dead_letters == before.dead_letters
        return same and now.link.state == "live"


class Unchanged(Sight, frozen=True, kw_only=True):
    """Lockouts, day, positions and orders of the account are what they were when the act began."""

    def expected(self) -> str:
        return f"{self.account} as it was before"

    def seen(self, look: Look) -> str:
        return f"before: {_standing(look.was(self.account))}; now: {_standing(look.account(self.account))}"

    def holds(self, look: Look) -> bool:
        was = look.was(self.account)
        return was is not None and _standing(was) == _standing(look.account(self.account))


def _standing(account: Account | None) -> str:
    if account is None:
        return "no status"
    locks = ", ".join(f"{lock.rule} {lock.kind} {lock.since} to {lock.until}" for lock in account.lockouts)
    positions = ", ".join(f"{p.root} {p.size:+d} from {p.average_price}" for p in account.positions)
    orders = ", ".join(sorted(f"{o.type} {o.stop_price or o.limit_price}" for o in account.orders))
    return (
        f"realized {account.realized}; lockouts: {locks or 'none'}; "
        f"positions: {positions or 'none'}; orders: {orders or 'none'}"
    )


def _orders_in(look: Look, account: str, root: str) -> list[WorkingOrder]:
    found = look.account(account)
    return [order for order in found.orders if root_of(order.contract) == root] if found else []


def _in_force(account: Account | None) -> list[tuple[str, str]]:
    return [(lock.rule, lock.kind) for lock in account.lockouts] if account else []


def _locks(account: Account | None) -> str:
    if account is None:
        return "no status of the account"
    return ", ".join(f"locked by {rule} ({kind})" for rule, kind in _in_force(account)) or "not locked"


def _sizes(positions: dict[str, int] | None) -> str:
    if positions is None:
        return "no status"
    return ", ".join(f"{root} {size:+d}" for root, size in sorted(positions.items())) or "nothing"


def _orders(count: int | None) -> str:
    return "" if count is None else f" and {count} working orders"
