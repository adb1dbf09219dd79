"""The account as rules judge it and people see it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from actors.messages import (
    TERMINAL,
    AccountSnapshot,
    ContractId,
    Money,
    Now,
    PositionReport,
    PositionView,
)
from config.instruments import root_of

from .holdings import adopt, view
from .state import NO_MARK, AccountState


def snapshot_of(
    state: AccountState, now: Now, stale_after_s: float, cause: str, cause_at: datetime | None
) -> AccountSnapshot:
    """The account as rules judge it: one number, one moment, everything measured at that moment."""
    positions = tuple(sorted(_views(state, now.mono, stale_after_s), key=lambda p: p.contract))
    realized: Money = state.ledger.realized
    report = state.report
    return AccountSnapshot(
        account=state.account,
        name=state.name,
        seq=state.seq,
        now=now,
        day=state.ledger.day,
        day_start=state.ledger.since,
        positions=positions,
        orders=tuple(s.order for s in state.orders.values() if s.order.status not in TERMINAL),
        fills=state.ledger.booked,
        realized=realized,
        unrealized=sum(p.unrealized for p in positions if p.unrealized is not None),
        unrealized_profit=sum(p.unrealized_profit for p in positions if p.unrealized_profit is not None),
        unmeasured=tuple(p.contract for p in positions if p.unrealized is None),
        suspended=bool(state.disputes),
        can_trade=report.can_trade if report else None,
        link=state.link,
        link_since=state.link_since,
        read_mono=state.read_mono,
        cause=cause,
        cause_at=cause_at,
        auth_failed=state.auth_failed,
        session_since=state.session_since,
        linked=state.linked,
    )


def _views(state: AccountState, mono: float, stale_after_s: float) -> Iterable[PositionView]:
    # A position event may be older than a read that overtook it. What it says counts only once it has
    # lasted (`told`): a read that was asked for at once settles it long before, unless REST is gone too.
    lasting = {contract: dispute for contract, dispute in state.disputes.items() if dispute.told}
    for contract, dispute in lasting.items():
        if contract not in state.book and dispute.size:
            yield _reported_only(state, contract, dispute.size)
    for contract, holding in state.book.items():
        dispute_here = lasting.get(contract)
        if dispute_here is not None and dispute_here.size == 0:
            continue
        record = state.contracts.get(contract)
        shown = view(
            holding,
            state.marks.get(contract, NO_MARK),
            record,
            mono,
            stale_after_s,
            dispute_here.size if dispute_here else None,
            contract in state.unknown,
        )
        yield shown if record is not None else msgspec.structs.replace(shown, root=root_of(contract))


def _reported_only(state: AccountState, contract: ContractId, size: int) -> PositionView:
    """A position that the gateway reports and no fill explains yet."""
    since = state.link_since or state.ledger.since
    report = PositionReport(state.account, contract, size, 0.0, since)
    holding = msgspec.structs.replace(adopt(report, None), cost=None)
    record = state.contracts.get(contract)
    shown = view(holding, NO_MARK, record, 0.0, 0.0, size, contract in state.unknown)
    return msgspec.structs.replace(shown, root=record.root if record else root_of(contract))
