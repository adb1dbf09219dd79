"""What `status` and its relatives say, from what the actors last published. Pure: `now` is an input.

Nobody is asked and nothing is woken: a reader takes immutable values off the board and this page turns
them into the contract's JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from msgspec import Struct

from actors.connection.link import LinkView
from actors.messages import (
    AccountSnapshot,
    Contract,
    Figure,
    LinkState,
    Lockout,
    Mode,
    Now,
    Order,
    OrderStatus,
    OrderType,
    PositionView,
)
from actors.money import money_text, price_text
from actors.persistence.queries import StoreView
from actors.rules.protection import is_protected
from actors.rules.registry import BuiltRule
from actors.rules.view import RuleView
from supervisor import answers
from supervisor.answers import SCHEMA, Decision, Note, Pending, Reason

NEAR = 0.8
"""Share of its limit from which a rule counts as near it."""
STORE_LATE_S = 1.0
READ_LATE_S = 60.0
_SIX_PLACES = Decimal("0.000001")
_NO_FIGURE = Figure(None, None, None, None, None)


class EnforcementSeen(Struct, frozen=True):
    """What one account's enforcement last published."""

    lockouts: tuple[Lockout, ...] = ()
    reducing: bool = False
    """A demand is not verified yet."""
    attempts: int = 0
    last: Decision | None = None


class RuleSeen(Struct, frozen=True):
    """One configured rule of an account; `view` None until its actor has published."""

    built: BuiltRule
    view: RuleView | None
    uncovered_ms: float = 0.0
    failed: str | None = None
    """Why it does not guard (self-test failed, given up), beyond what the view says."""


class AccountSeen(Struct, frozen=True):
    id: int
    name: str
    snapshot: AccountSnapshot | None
    enforcement: EnforcementSeen
    rules: tuple[RuleSeen, ...]
    off: int = 0
    """Rules whose mode is off."""


class Seen(Struct, frozen=True):
    """Everything `status` is made from, gathered at one moment."""

    now: Now
    accounts: tuple[AccountSeen, ...]
    link: LinkView | None
    store: StoreView | None
    daemon: answers.DaemonFacts
    watchdog: answers.WatchdogFacts | None
    safe_mode: bool = False
    holidays_known: bool = True
    faults: tuple[Reason, ...] = ()
    """Further reasons to be degraded that only the program knows: an actor given up, a file that differs."""
    notes: tuple[Note, ...] = ()
    pending: tuple[Pending, ...] = ()
    test_clock: str | None = None
    dead_letters: int = 0
    latency: answers.Latency = answers.Latency()


def status(seen: Seen) -> answers.Status:
    accounts = tuple(_account(account) for account in seen.accounts)
    state, reasons = top_state(seen, accounts)
    return answers.Status(
        schema=SCHEMA,
        at=seen.now.wall,
        state=state,
        reasons=reasons,
        notes=seen.notes,
        pending=seen.pending,
        test_clock=seen.test_clock,
        dead_letters=seen.dead_letters,
        daemon=seen.daemon,
        watchdog=seen.watchdog,
        link=_link(seen),
        rules=_counts(seen.accounts),
        latency=seen.latency,
        accounts=accounts,
    )


def positions(seen: Seen) -> dict[str, object]:
    return _listed(seen, "positions", lambda account: account.positions)


def orders(seen: Seen) -> dict[str, object]:
    return _listed(seen, "orders", lambda account: account.orders)


def lockouts(seen: Seen) -> dict[str, object]:
    return _listed(seen, "lockouts", lambda account: account.lockouts)


def rules(seen: Seen, rule: str | None = None) -> dict[str, object]:
    return _listed(
        seen, "rules", lambda account: [r for r in account.rules if rule is None or r.rule == rule]
    )


def _listed(seen: Seen, name: str, part: Any) -> dict[str, object]:
    entries = [
        {"account": account.name, **msgspec.structs.asdict(entry)}
        for account in map(_account, seen.accounts)
        for entry in part(account)
    ]
    return {"schema": SCHEMA, "at": seen.now.wall, name: entries}


# ---------------------------------------------------------------------- the state in a word


def top_state(seen: Seen, accounts: tuple[answers.Account, ...]) -> tuple[str, tuple[Reason, ...]]:
    """The worst of safe_mode, blind, degraded, locked, guarding; and every reason for it."""
    safe = _safe_mode(seen)
    blind = _blind(seen)
    degraded = (*_uncovered(seen), *_store(seen), *_unread(seen), *_surroundings(seen), *seen.faults)
    locked = tuple(_locked(accounts))
    reasons = (*safe, *blind, *degraded, *locked)
    for state, found in (("safe_mode", safe), ("blind", blind), ("degraded", degraded), ("locked", locked)):
        if found:
            return state, reasons
    return "guarding", ()


def _safe_mode(seen: Seen) -> tuple[Reason, ...]:
    text = "safe mode: rules are not judged; new risk is refused on every account. riskd restart leaves it"
    return (Reason("safe_mode", text),) if seen.safe_mode else ()


def _blind(seen: Seen) -> tuple[Reason, ...]:
    link = seen.link
    if link is None:
        return (Reason("link_down", "not connected yet", seen.daemon.started_at),)
    match link.state:
        case LinkState.LIVE:
            if not (behind := _behind(seen)):
                return ()
            text = f"what was read is not taken in yet: {', '.join(behind)}"
            return (Reason("link_blind", text, link.since),)
        case LinkState.BLIND:
            return (Reason("link_blind", f"no live events: {link.reason}", link.since),)
        case LinkState.DOWN:
            return (Reason("link_down", f"the gateway does not answer: {link.reason}", link.since),)


def _behind(seen: Seen) -> tuple[str, ...]:
    """Accounts that do not show yet what the link brought: their figures are not to be called fine."""
    return tuple(
        account.name
        for account in seen.accounts
        if account.snapshot is None or account.snapshot.link is not LinkState.LIVE
    )


def _uncovered(seen: Seen) -> tuple[Reason, ...]:
    if seen.safe_mode:
        return ()
    if not seen.accounts:
        return (Reason("no_account", "no account is guarded yet", seen.daemon.started_at),)
    failed = [
        f"{rule.built.name} on {account.name}: {why}"
        for account in seen.accounts
        for rule in account.rules
        if (why := _why_failed(rule))
    ]
    if not failed:
        return ()
    counts = _counts(seen.accounts)
    text = f"{counts.armed + counts.shadow} of {counts.configured} rules guard: {'; '.join(failed)}"
    return (Reason("rules", text),)


def _store(seen: Seen) -> tuple[Reason, ...]:
    store = seen.store
    if store is None:
        return (Reason("store", "the store has not reported yet", seen.daemon.started_at),)
    since = seen.now.wall - timedelta(seconds=store.late_s)
    if not store.ok:
        return (Reason("store", f"the store cannot be written: {store.error}", since),)
    if store.late_s > STORE_LATE_S:
        return (Reason("store", f"the store is late: {store.backlog} rows wait", since),)
    if store.witness_error is not None:
        return (Reason("witness", store.witness_error, None),)
    return ()


def _unread(seen: Seen) -> tuple[Reason, ...]:
    link = seen.link
    if link is None or not link.last_read_mono:
        return ()
    age_s = seen.now.mono - link.last_read_mono
    if age_s <= READ_LATE_S:
        return ()
    text = f"the gateway was not read for {age_s:.0f} s"
    return (Reason("gateway_read", text, seen.now.wall - timedelta(seconds=age_s)),)


def _surroundings(seen: Seen) -> Iterable[Reason]:
    if seen.watchdog is None:
        yield Reason("watchdog", "no watchdog: nobody replaces the daemon if it dies")
    if not seen.holidays_known:
        yield Reason("holidays", "the holiday table has ended: sessions run without holidays. Update riskd")


def _locked(accounts: Iterable[answers.Account]) -> Iterable[Reason]:
    for account in accounts:
        if account.state == "halted":
            yield Reason("halted", f"{account.name}: the broker does not allow trading (canTrade)")
        elif account.lockouts:
            named = ", ".join(lockout.rule for lockout in account.lockouts)
            since = min(lockout.since for lockout in account.lockouts)
            yield Reason("locked", f"{account.name} is locked by {named}", since)


def _why_failed(rule: RuleSeen) -> str | None:
    return rule.failed or (rule.view.failed if rule.view is not None else None)


def _counts(accounts: Iterable[AccountSeen]) -> answers.RuleCounts:
    """Rules over all accounts; armed and shadow count those that guard, so that configured may be more."""
    all_of_them = tuple(accounts)
    listed = [rule for account in all_of_them for rule in account.rules]
    runs = [rule.built.mode for rule in listed if not _why_failed(rule)]
    off = sum(account.off for account in all_of_them)
    return answers.RuleCounts(len(listed), runs.count(Mode.ARMED), runs.count(Mode.SHADOW), off)


def _link(seen: Seen) -> answers.LinkFacts:
    link = seen.link
    if link is None:
        return answers.LinkFacts(LinkState.DOWN.value, seen.daemon.started_at, 0, None)
    age_s = seen.now.mono - link.last_event_mono if link.last_event_mono else None
    rounded = None if age_s is None else round(max(age_s, 0.0), 3)
    state = LinkState.BLIND if link.state is LinkState.LIVE and _behind(seen) else link.state
    return answers.LinkFacts(state.value, link.since, link.generation, rounded)


# ---------------------------------------------------------------------- one account


def _account(seen: AccountSeen) -> answers.Account:
    snapshot = seen.snapshot
    locked = tuple(map(_lockout, seen.enforcement.lockouts))
    realized = snapshot.realized if snapshot else 0
    unrealized = snapshot.unrealized if snapshot else 0
    return answers.Account(
        id=seen.id,
        name=seen.name,
        state=account_state(seen),
        can_trade=snapshot.can_trade if snapshot else None,
        realized=money_text(realized),
        unrealized=money_text(unrealized),
        net=money_text(realized + unrealized),
        trades=len(snapshot.fills) if snapshot else 0,
        positions=tuple(_position(p, snapshot.orders) for p in snapshot.positions) if snapshot else (),
        orders=_orders(snapshot) if snapshot else (),
        lockouts=locked,
        rules=tuple(_rule(rule, seen) for rule in seen.rules),
        attempts=seen.enforcement.attempts,
        last_decision=seen.enforcement.last,
    )


def account_state(seen: AccountSeen) -> str:
    if seen.snapshot is not None and seen.snapshot.can_trade is False:
        return "halted"
    if seen.enforcement.lockouts:
        return "locked"
    return "reducing" if seen.enforcement.reducing else "active"


def _lockout(lockout: Lockout) -> answers.LockoutFacts:
    return answers.LockoutFacts(
        lockout.rule, lockout.kind.value, lockout.since, lockout.until, lockout.reason
    )


def _position(position: PositionView, orders: tuple[Order, ...]) -> answers.Position:
    record, mark = position.record, position.loss_mark
    average = None
    if record is not None and position.cost_ticks is not None and position.size:
        average = _price(record, Fraction(position.cost_ticks) / position.size)
    notional = None
    if record is not None and mark is not None:
        notional = money_text(abs(position.size) * mark * record.tick_value)
    return answers.Position(
        contract=position.contract,
        root=position.root,
        size=position.size,
        average_price=average,
        mark=None if record is None or mark is None else price_text(record, mark),
        unrealized=None if position.unrealized is None else money_text(position.unrealized),
        notional=notional,
        protected=is_protected(position, orders),
    )


def _price(record: Contract, ticks: Fraction) -> str:
    """A price that may lie between ticks: exact on the grid, six places off it."""
    if ticks.denominator == 1:
        return price_text(record, ticks.numerator)
    exact = record.tick_size * ticks.numerator / Decimal(ticks.denominator)
    return f"{exact.quantize(_SIX_PLACES).normalize():f}"


def _orders(snapshot: AccountSnapshot) -> tuple[answers.WorkingOrder, ...]:
    records = {p.contract: p.record for p in snapshot.positions if p.record is not None}
    return tuple(_order(order, records.get(order.contract)) for order in snapshot.orders)


def _order(order: Order, record: Contract | None) -> answers.WorkingOrder:
    return answers.WorkingOrder(
        id=order.id,
        contract=order.contract,
        type=_type(order),
        side="buy" if order.size > 0 else "sell",
        size=order.size,
        stop_price=_wire_price(order.stop_price, record),
        limit_price=_wire_price(order.limit_price, record),
        status=_status(order),
    )


def _type(order: Order) -> str:
    return f"unknown {order.raw_type}" if order.type is OrderType.UNKNOWN else order.type.name.lower()


def _status(order: Order) -> str:
    return f"unknown {order.raw_status}" if order.status is OrderStatus.UNKNOWN else order.status.name.lower()


def _wire_price(price: float | None, record: Contract | None) -> str | None:
    """The gateway's number as text, with the contract's decimals where they are known."""
    if price is None:
        return None
    exact = Decimal(str(price))
    if record is not None:
        places = record.tick_size.normalize().as_tuple().exponent
        if isinstance(places, int) and places < 0 and exact == round(exact, -places):
            exact = round(exact, -places)
    return f"{exact:f}"


def _rule(seen: RuleSeen, account: AccountSeen) -> answers.RuleStanding:
    figure = _figure(seen, account.snapshot)
    return answers.RuleStanding(
        rule=seen.built.name,
        mode=seen.built.mode.value,
        state=_rule_state(seen, account, figure),
        value=figure.value,
        limit=figure.limit,
        used=None if figure.used is None else round(figure.used, 4),
        headroom=figure.headroom,
        acts_at=figure.acts_at,
        uncovered_ms=round(seen.uncovered_ms, 3),
    )


def _figure(seen: RuleSeen, snapshot: AccountSnapshot | None) -> Figure:
    if seen.view is None or snapshot is None or seen.view.failed is not None:
        return _NO_FIGURE
    return seen.built.rule.figure(seen.view.state, snapshot)


def _rule_state(seen: RuleSeen, account: AccountSeen, figure: Figure) -> str:
    if _why_failed(seen):
        return "failed"
    if any(lockout.rule == seen.built.name for lockout in account.enforcement.lockouts):
        return "locked"
    if seen.view is not None and seen.view.breached:
        return "breached"
    return "near" if figure.used is not None and figure.used >= NEAR else "ok"
