"""What a story is made of: acts, what is done in them, and what must then be seen.

An act is data. Somebody does something (`does`), and within a deadline all of `sees` must hold at once.
What can be seen is a `Look`: the daemon's own status and history, and the gateway's books beside them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from config.instruments import root_of
from supervisor.answers import Account, Status

type Operation = dict[str, Any]
"""One operation on the gateway's control door: what a person does at the broker's screen."""

LONG = 1
STOPS = ("stop", "stop_limit", "trailing_stop")


# ---------------------------------------------------------------------- what is done


class KillActor(Struct, frozen=True):
    """End an actor's thread from within, as a defect would."""

    actor: str


class KillDaemon(Struct, frozen=True):
    """SIGKILL to the daemon: no farewell, nothing flushed."""


class Until(Struct, frozen=True):
    """Let the clock run to an instant of the day."""

    instant: str
    """session_end | reset"""


type Step = Operation | KillActor | KillDaemon | Until


def buy(account: str, root: str, size: int = 1, *, at: float | None = None) -> Operation:
    """A market order; with `at` the market stands there first."""
    return _market(account, root, "buy", size, at)


def sell(account: str, root: str, size: int = 1, *, at: float | None = None) -> Operation:
    return _market(account, root, "sell", size, at)


def _market(account: str, root: str, side: str, size: int, at: float | None) -> Operation:
    order: Operation = {"op": "order", "account": account, "contract": root, "side": side, "size": size}
    return order if at is None else {**order, "price": at}


def price(root: str, at: float) -> Operation:
    """The market moves."""
    return {"op": "price", "contract": root, "price": at}


# ---------------------------------------------------------------------- what is seen


class Look(Struct, frozen=True):
    """What can be seen at one moment of an act."""

    status: Status | None
    """None while no daemon answers."""
    history: list[dict[str, Any]]
    """Lines since the act began, oldest first."""
    gateway: dict[str, Any]
    """The gateway's own state."""
    before: Status | None = None
    """The daemon's status when the act began."""

    def account(self, name: str) -> Account | None:
        return _named(self.status, name)

    def was(self, name: str) -> Account | None:
        return _named(self.before, name)

    def lines(self, kind: str, account: str, rule: str = "") -> list[dict[str, Any]]:
        """Lines of one kind and account; of one rule where it is named."""
        return [
            line
            for line in self.history
            if line["kind"] == kind
            and line["account"] == account
            and (not rule or rule in (line.get("rule"), *line.get("rules", ())))
        ]

    def held(self, account: str) -> dict[str, int]:
        """Open size by root, as the gateway's books have it."""
        return {
            root_of(row["contractId"]): row["size"] if row["type"] == LONG else -row["size"]
            for row in self.gateway["positions"]
            if row["accountId"] == self._id(account) and row["size"]
        }

    def _id(self, account: str) -> int:
        return next(int(row["id"]) for row in self.gateway["accounts"] if row["name"] == account)


def _named(status: Status | None, name: str) -> Account | None:
    accounts = status.accounts if status else ()
    return next((account for account in accounts if account.name == name), None)


class Sight(Struct, frozen=True, kw_only=True):
    """Something that must be seen."""

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

    def expected(self) -> str:
        return f"{self.account} holds {_sizes(self.positions)}"

    def seen(self, look: Look) -> str:
        return f"the gateway has {_sizes(look.held(self.account))}, the guard {_sizes(self._known(look))}"

    def holds(self, look: Look) -> bool:
        return self.positions == look.held(self.account) == self._known(look)

    def _known(self, look: Look) -> dict[str, int]:
        account = look.account(self.account)
        return {position.root: position.size for position in account.positions} if account else {}


class Locked(Sight, frozen=True, kw_only=True):
    """A lockout of this rule is in force."""

    rule: str
    kind: str

    def expected(self) -> str:
        return f"{self.account} locked by {self.rule} ({self.kind})"

    def seen(self, look: Look) -> str:
        return _locks(look.account(self.account))

    def holds(self, look: Look) -> bool:
        account = look.account(self.account)
        return account is not None and (self.rule, self.kind) in [(x.rule, x.kind) for x in account.lockouts]


class Unlocked(Sight, frozen=True, kw_only=True):
    """The lockout of this rule has ended for this reason, and no other is left."""

    rule: str
    reason: str

    def expected(self) -> str:
        return f"{self.account} free again: {self.rule} ended ({self.reason})"

    def seen(self, look: Look) -> str:
        ended = [f"{line['rule']} ({line['reason']})" for line in look.lines("unlock", self.account)]
        return f"{_locks(look.account(self.account))}; ended: {', '.join(ended) or 'none'}"

    def holds(self, look: Look) -> bool:
        account = look.account(self.account)
        ended = [line["reason"] for line in look.lines("unlock", self.account, self.rule)]
        return account is not None and not account.lockouts and self.reason in ended


class Judged(Sight, frozen=True, kw_only=True):
    """The rule saw a breach, acted by these calls, and the account was seen to comply."""

    rule: str
    calls: tuple[str, ...]
    """Kinds of call that must have been confirmed, such as close."""

    def expected(self) -> str:
        return f"a breach of {self.rule}, {' and '.join(self.calls)} confirmed, compliance verified"

    def seen(self, look: Look) -> str:
        breaches = len(look.lines("breach", self.account, self.rule))
        receipts = look.lines("enforcement", self.account, self.rule)
        done = [f"{c['call']} {c['outcome']}" for receipt in receipts for c in receipt["calls"]]
        verified = "verified" if any(receipt["verified"] for receipt in receipts) else "nothing verified"
        return f"{breaches} breaches, calls: {', '.join(done) or 'none'}, {verified}"

    def holds(self, look: Look) -> bool:
        receipts = look.lines("enforcement", self.account, self.rule)
        good = [receipt for receipt in receipts if receipt["verified"]]
        done = {c["call"] for receipt in good for c in receipt["calls"] if c["outcome"] == "confirmed"}
        return bool(look.lines("breach", self.account, self.rule)) and done >= set(self.calls)


def _sizes(positions: dict[str, int]) -> str:
    return ", ".join(f"{root} {size:+d}" for root, size in sorted(positions.items())) or "nothing"


def _locks(account: Account | None) -> str:
    if account is None:
        return "no status of the account"
    return ", ".join(f"locked by {x.rule} ({x.kind})" for x in account.lockouts) or "not locked"


# ---------------------------------------------------------------------- an act


class Act(Struct, frozen=True, kw_only=True):
    """One scene: what is done, and what must be seen within so many seconds."""

    tells: str
    does: tuple[Step, ...] = ()
    sees: tuple[Sight, ...] = ()
    rule: str = ""
    """The rule that fires here, for the report."""
    account: str = ""
    within_s: float = 12.0


class Played(Struct, frozen=True, kw_only=True):
    """An act as it went."""

    act: Act
    began: datetime
    took_s: float
    missed: tuple[tuple[str, str], ...] = ()
    """What was expected, and what was seen instead."""
    history: list[dict[str, Any]] = []

    @property
    def held(self) -> bool:
        return not self.missed
