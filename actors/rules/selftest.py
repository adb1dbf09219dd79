"""Proof, before a rule is armed, that it can fire and does not fire at everything.

The rule's own probe is judged in a sandbox: a fresh state and the same configuration, never the
account's. It must fire on the breach and stay silent on the near miss, and every step of the breach
must be one that would have woken it, for a rule that sleeps through its trigger guards nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from actors.messages import AccountSnapshot, Now, PositionView
from actors.rules.bounds import side

from .registry import BuiltRule
from .rule import AnyRule, Judgement, Wake


def self_test(built: BuiltRule, now: Now) -> str | None:
    """Why the rule must not be armed; None when it proved itself."""
    rule = built.rule
    probe = rule.probe(now)
    if not probe.breach:
        return None  # nothing that could be breached is configured
    if not _fires(_story(rule, probe.breach)[-1:]):
        return f"{built.name} stays silent on a breach"
    if _fires(_story(rule, probe.near_miss)):
        return f"{built.name} fires on a near miss"
    for before, then in pairwise(probe.breach):
        if not _wakes(rule, before, then):
            return f"{built.name} would sleep through {then.cause}"
    return None


def _story(rule: AnyRule, snapshots: Sequence[AccountSnapshot]) -> list[Judgement[object]]:
    """Judge each in turn, with the state written down and read again in between."""
    state, judged = rule.initial(), list[Judgement[object]]()
    for snapshot in snapshots:
        answer = rule.judge(state, snapshot, snapshot.now)
        judged.append(answer)
        state = rule.decode(rule.encode(answer.state))
    return judged


def _fires(judged: Sequence[Judgement[object]]) -> bool:
    return any(answer.breaches or answer.demands or answer.lock is not None for answer in judged)


def _wakes(rule: AnyRule, before: AccountSnapshot, then: AccountSnapshot) -> bool:
    """Whether what changed between the two would have woken the rule."""
    changed = _changed(before, then)
    if changed:
        return bool(rule.wakes_on & changed)
    if _prices(before) != _prices(then):
        crossed = side(rule.bounds(before), before) != side(rule.bounds(then), then)
        return (Wake.PRICE in rule.wakes_on and crossed) or Wake.TIME in rule.wakes_on
    return Wake.TIME in rule.wakes_on


def _changed(before: AccountSnapshot, then: AccountSnapshot) -> frozenset[Wake]:
    changes = {
        Wake.FILL: before.fills != then.fills,
        Wake.POSITION: _holdings(before) != _holdings(then),
        Wake.ORDER: before.orders != then.orders,
        Wake.ACCOUNT: before.can_trade != then.can_trade,
        Wake.LINK: (before.link, before.auth_failed) != (then.link, then.auth_failed),
        Wake.RESET: before.day != then.day,
    }
    return frozenset(wake for wake, changed in changes.items() if changed)


def _holdings(snapshot: AccountSnapshot) -> list[tuple[object, ...]]:
    return [(p.contract, p.size, p.cost_ticks, p.opened_at) for p in snapshot.positions]


def _prices(snapshot: AccountSnapshot) -> list[tuple[object, ...]]:
    def marks(p: PositionView) -> tuple[object, ...]:
        return p.contract, p.loss_mark, p.profit_mark

    return [marks(p) for p in snapshot.positions]
