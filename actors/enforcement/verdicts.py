"""What a rule said becomes what must hold: lockout first, then demands and wishes.

A verdict says everything its rule sees now. Demands that a price raised stay after it stops asking,
until the account is seen to comply; demands about sizes and orders follow the rule.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.messages import (
    AccountFlat,
    Breach,
    BreachId,
    ContractId,
    Demand,
    Flat,
    Lock,
    Lockout,
    Mode,
    OrderId,
    StopAt,
    TargetAt,
    Verdict,
)

from . import lockouts as locks
from .effects import BreachSeen, DemandRaised, StateSaid
from .memory import ACCOUNT, Standing, Wish, target_of
from .needs import met
from .receipts import contract_of
from .turn import Heard, Turn

type Target = tuple[str, ContractId | OrderId | None]


def take_verdict(turn: Turn, verdict: Verdict) -> None:
    """Take what one rule says of one snapshot."""
    turn.see(verdict.snapshot)
    heard = turn.heard.get(verdict.rule)
    known = () if heard is None else heard.breaches
    fresh = tuple(breach for breach in verdict.breaches if breach.id not in known)
    if verdict.mode is Mode.ARMED:
        _armed(turn, verdict, fresh)
    elif verdict.mode is Mode.SHADOW:
        _shadow(turn, verdict, () if heard is None else heard.demands)
    else:
        switched_off(turn, verdict.rule)
    for breach in fresh:
        turn.after.append(BreachSeen(breach, verdict.mode))
    _tell(turn, verdict, () if heard is None else heard.notices)
    turn.heard = {**turn.heard, verdict.rule: _heard(verdict, heard)}


def _armed(turn: Turn, verdict: Verdict, fresh: tuple[Breach, ...]) -> None:
    if verdict.condition_over and verdict.lock is None:
        turn.end(*locks.condition_over(turn.lockouts, verdict.rule, turn.now.wall))
    if verdict.lock is not None:
        _lock(turn, verdict, verdict.lock)
    asked = list[Demand]()
    wished = list[StopAt | TargetAt]()
    for demand in verdict.demands:
        if isinstance(demand, StopAt | TargetAt):
            wished.append(demand)
        elif not (isinstance(demand, AccountFlat) and _is_the_locks(turn, verdict)):
            asked.append(demand)
    if verdict.lock is not None and turn.lockouts.of(verdict.rule) is not None:
        asked.extend(Flat(contract) for contract in verdict.lock.close)
    _stand(turn, verdict, asked, fresh)
    _wish(turn, verdict, wished)


def _is_the_locks(turn: Turn, verdict: Verdict) -> bool:
    """A flat account is what the verdict's lock stands for: while that is in force its lockout asks
    for it, and when it is over, or was lifted, nobody does."""
    if verdict.lock is None:
        return False
    lockout = turn.lockouts.of(verdict.rule)
    return lockout is None or lockout.flatten


def _lock(turn: Turn, verdict: Verdict, wish: Lock) -> None:
    before = turn.lockouts.of(verdict.rule)
    changed = turn.lock(verdict.rule, wish)
    if changed is None or not changed.flatten or (before is not None and before.flatten):
        return
    causes = [breach for breach in verdict.breaches if breach.id == wish.breach] or verdict.breaches
    flatten_all(turn, changed, causes, verdict.snapshot.now.mono)


def flatten_all(turn: Turn, lockout: Lockout, causes: Iterable[Breach], breach_mono: float) -> str:
    """Open the receipt of a lockout that wants the account flat."""
    demand = AccountFlat()
    breaches = tuple(causes)
    receipt = turn.receipt(ACCOUNT, (lockout.rule,), breaches, (demand,), breach_mono)
    raised = DemandRaised(lockout.rule, demand, turn.now.wall, Mode.ARMED, breaches, receipt.id)
    turn.after.append(raised)
    return receipt.id


# ------------------------------------------------------------------------------ demands


def _stand(turn: Turn, verdict: Verdict, demands: Iterable[Demand], fresh: tuple[Breach, ...]) -> None:
    asked: dict[Target, Demand] = {target_of(demand): demand for demand in demands}
    if not asked and all(one.rule != verdict.rule for one in turn.standing):
        return
    kept = list[Standing]()
    for one in turn.standing:
        if one.rule != verdict.rule:
            kept.append(one)
            continue
        still = _still(one, asked, verdict)
        if still is not None:
            kept.append(still)
            if still.demanded and still.settled is None and fresh:
                _join(turn, verdict, still.demand, fresh)
    turn.standing = kept
    for demand in asked.values():
        if not met(demand, verdict.snapshot):
            raise_demand(turn, verdict.rule, demand, _causes(verdict, demand), verdict.snapshot.now.mono)


def _still(one: Standing, asked: dict[Target, Demand], verdict: Verdict) -> Standing | None:
    """The rule's standing demand after its new verdict. What it takes of `asked` it takes out."""
    target = target_of(one.demand)
    if one.settled is not None:
        if verdict.seq > one.settled:
            return None
        # Judged before the account complied: old news.
        asked.pop(target, None)
        return one
    demand = asked.pop(target, None)
    if demand is None:
        return msgspec.structs.replace(one, demanded=False)
    return msgspec.structs.replace(one, demand=demand, demanded=True)


def _join(turn: Turn, verdict: Verdict, demand: Demand, fresh: tuple[Breach, ...]) -> None:
    contract = contract_of(demand)
    causes = [breach for breach in fresh if contract is None or breach.contract in (None, contract)]
    if causes:
        scope = ACCOUNT if contract is None else contract
        turn.receipt(scope, (verdict.rule,), causes, (demand,), verdict.snapshot.now.mono)


def raise_demand(
    turn: Turn,
    rule: str,
    demand: Demand,
    causes: Iterable[Breach],
    breach_mono: float,
    *,
    demanded: bool = True,
) -> str:
    """From now on this must hold; the id of the receipt that will say when it did."""
    contract = contract_of(demand)
    breaches = tuple(causes)
    receipt = turn.receipt(
        ACCOUNT if contract is None else contract, (rule,), breaches, (demand,), breach_mono
    )
    turn.standing.append(Standing(rule, demand, receipt.id, demanded))
    turn.after.append(DemandRaised(rule, demand, turn.now.wall, Mode.ARMED, breaches, receipt.id))
    return receipt.id


def _causes(verdict: Verdict, demand: Demand) -> tuple[Breach, ...]:
    """The breaches that a demand answers: those of its contract, or else all."""
    contract = contract_of(demand)
    own = tuple(b for b in verdict.breaches if contract is None or b.contract in (None, contract))
    return own or verdict.breaches


def switched_off(turn: Turn, rule: str) -> None:
    """The rule is not armed any more: it asks for nothing, and nobody will say that its condition is over.
    What it began is still seen through."""
    turn.end(*locks.condition_over(turn.lockouts, rule, turn.now.wall))
    turn.standing = [
        msgspec.structs.replace(one, demanded=False) if one.rule == rule else one for one in turn.standing
    ]
    turn.wishes = tuple(wish for wish in turn.wishes if wish.rule != rule)


# ------------------------------------------------------------------------------ wishes, shadow, words


def _wish(turn: Turn, verdict: Verdict, wished: Iterable[StopAt | TargetAt]) -> None:
    new = tuple(
        Wish(verdict.rule, demand, position.size > 0, position.opened_at, not verdict.manages)
        for demand in wished
        if (position := verdict.snapshot.position(demand.contract)) is not None
    )
    targets = {target_of(wish.demand) for wish in new}
    rest = tuple(
        wish
        for wish in turn.wishes
        if wish.rule != verdict.rule or (wish.kept and target_of(wish.demand) not in targets)
    )
    if new or len(rest) != len(turn.wishes):
        before = turn.wishes
        turn.wishes = (*rest, *new)
        for wish in new:
            if wish.kept and wish not in before:
                raised = DemandRaised(
                    wish.rule, wish.demand, turn.now.wall, Mode.ARMED, _causes(verdict, wish.demand), None
                )
                turn.after.append(raised)


def _shadow(turn: Turn, verdict: Verdict, before: tuple[Demand, ...]) -> None:
    """Record what would have been done, once per episode, and do nothing."""
    told = {target_of(demand) for demand in before}
    for demand in _would_be(verdict):
        if target_of(demand) not in told:
            raised = DemandRaised(
                verdict.rule, demand, turn.now.wall, Mode.SHADOW, _causes(verdict, demand), None
            )
            turn.after.append(raised)


def _would_be(verdict: Verdict) -> tuple[Demand, ...]:
    if verdict.lock is not None and verdict.lock.flatten and AccountFlat() not in verdict.demands:
        return (*verdict.demands, AccountFlat())
    return verdict.demands


def _tell(turn: Turn, verdict: Verdict, told: tuple[str, ...]) -> None:
    for notice in verdict.notices:
        if notice.key not in told:
            turn.notify(notice.level, notice.message, notice.key, notice.component, **notice.data)
    if verdict.state is not None:
        turn.after.append(StateSaid(verdict.rule, verdict.seq, verdict.state))


def _heard(verdict: Verdict, before: Heard | None) -> Heard:
    breaches: tuple[BreachId, ...] = tuple(breach.id for breach in verdict.breaches)
    shadow = verdict.mode is Mode.SHADOW
    since = None if before is None else before.locked_since
    if verdict.lock is not None and (since is None or verdict.lock.since > since):
        since = verdict.lock.since
    return Heard(
        verdict.seq,
        breaches,
        _holds(verdict) if verdict.mode is Mode.ARMED else None,
        tuple(notice.key for notice in verdict.notices),
        since,
        _would_be(verdict) if shadow else (),
    )


def _holds(verdict: Verdict) -> str | None:
    """What stands now. A rule repeats the lock of a breach that may be over; only a lock that came
    of no breach (a condition) stands by itself."""
    if verdict.breaches:
        return verdict.breaches[0].text
    if verdict.lock is not None and verdict.lock.breach is None:
        return verdict.lock.reason
    return None
