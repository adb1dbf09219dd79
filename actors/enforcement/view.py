"""Enforcement as status, watch and the control plane read it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from actors.messages import AccountId, ContractId, Demand, Lockout, OwnClose, Receipt

from .effects import ReceiptChanged
from .memory import OpenReceipt, Pursuit
from .pursuit import CLOSES
from .receipts import closed
from .turn import Plan


class Stand(Struct, frozen=True, gc=False):
    """A demand that acts now."""

    rule: str
    demand: Demand
    receipt: str


class Decision(Struct, frozen=True, gc=False):
    """The last thing that was decided for the account, for people."""

    at: datetime
    id: str
    rule: str
    text: str


class Closing(Struct, frozen=True, gc=False):
    """A close of ours that may still fill: what the account is told of as it goes out."""

    contract: ContractId
    size: int
    """Contracts that it could take when it went out, with the sign of the position."""
    cause: OwnClose
    own_before: int
    """Contracts that fills of our own had closed when it went out; -1 when that is not known any more."""


class EnforcementView(Struct, frozen=True, gc=False):
    """Posted on the board under `("enforcement", ACCOUNT)` after every change."""

    account: AccountId
    lockouts: tuple[Lockout, ...]
    unlock_time: datetime | None
    """The latest expiry; None when one has none or the account is not locked."""
    demands: tuple[Stand, ...]
    reducing: bool
    """Something was demanded that the account was not yet seen to comply with."""
    frozen: bool
    attempts: int
    in_flight: int
    open_receipts: tuple[OpenReceipt, ...]
    receipts: tuple[Receipt, ...]
    """The newest that were closed, oldest first."""
    last_decision: Decision | None
    given_up: tuple[str, ...] = ()
    journal_ok: bool = True
    rests: bool = False
    """No snapshot alone makes it act: it waits for what a rule or a person asks."""
    closes: tuple[Closing, ...] = ()

    @property
    def locked(self) -> bool:
        return bool(self.lockouts)

    def receipt(self, id_: str) -> Receipt | None:
        """A receipt by its id, as it stands, open or closed; None when it is not among the newest."""
        for one in self.open_receipts:
            if one.id == id_:
                return closed(ReceiptChanged(one), self.account)
        return next((one for one in self.receipts if one.id == id_), None)


def view_of(plan: Plan, last_decision: Decision | None, *, journal_ok: bool) -> EnforcementView:
    memory = plan.memory
    lockouts = memory.lockouts
    return EnforcementView(
        memory.account,
        lockouts.in_force,
        lockouts.unlock_time,
        tuple(Stand(one.rule, one.demand, one.receipt) for one in memory.standing if one.acts),
        any(not receipt.managed for receipt in memory.receipts.values()),
        lockouts.locked and not lockouts.flattens,
        memory.attempts,
        sum(pursuit.flying for pursuit in memory.pursuits.values()),
        tuple(memory.receipts.values()),
        plan.receipts,
        last_decision,
        memory.given_up,
        journal_ok,
        not (lockouts.in_force or memory.wishes or memory.ours or any(one.acts for one in memory.standing)),
        tuple(_closing(p, lockouts.locked) for p in memory.pursuits.values() if p.call.kind in CLOSES),
    )


def _closing(pursuit: Pursuit, locked: bool) -> Closing:
    claims = max(pursuit.claims, pursuit.call.size)
    return Closing(
        pursuit.call.contract,
        claims if pursuit.before >= 0 else -claims,
        OwnClose.LOCKOUT if locked else OwnClose.REDUCE,
        pursuit.own_before,
    )
