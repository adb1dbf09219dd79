"""Receipts as they are stored and shown: what was asked, each call, and when the account showed it."""

from __future__ import annotations

from typing import assert_never

from actors.messages import (
    AccountFlat,
    AccountId,
    AtMost,
    Called,
    CallRecord,
    ContractId,
    Demand,
    Flat,
    OrderAtMost,
    OrderGone,
    Receipt,
    StopAt,
    TargetAt,
)

from .effects import ReceiptChanged

NO_NEW_RISK = "no new risk"


def closed(changed: ReceiptChanged, account: AccountId) -> Receipt:
    """The receipt as it stands."""
    receipt = changed.receipt
    first = receipt.first_call_mono
    return Receipt(
        id=receipt.id,
        account=account,
        rules=receipt.rules,
        breaches=receipt.breaches,
        demand="; ".join(demand_text(demand) for demand in receipt.demands) or NO_NEW_RISK,
        opened_at=receipt.opened_at,
        calls=receipt.calls,
        rounds=receipt.rounds,
        verified=changed.verified_at is not None,
        verified_at=changed.verified_at,
        breach_to_call_ms=None if first is None else round((first - receipt.breach_mono) * 1e3, 3),
        breach_to_verified_ms=None if changed.verified_ms is None else round(changed.verified_ms, 3),
        last_error=receipt.last_error,
        notes=receipt.notes,
    )


def call_record(called: Called) -> CallRecord:
    call = called.call
    return CallRecord(
        at=called.sent_at,
        call=call.kind,
        contract=call.contract,
        size=call.size,
        outcome=called.outcome,
        code=called.code,
        text=called.text,
        took_ms=round((called.done_mono - called.sent_mono) * 1e3, 3),
        order=call.order if call.order is not None else called.order,
    )


def demand_text(demand: Demand) -> str:
    """A demand with what it is about, for a receipt."""
    contract = contract_of(demand)
    return target_text(demand) if contract is None else f"{contract} {target_text(demand)}"


def target_text(demand: Demand) -> str:
    """What must hold, without naming the contract. Prices of protective orders are in ticks."""
    match demand:
        case AccountFlat():
            return "account flat"
        case Flat():
            return "flat"
        case AtMost(size=size):
            return f"at most {size}"
        case OrderGone(order=order):
            return f"order {order} cancelled"
        case OrderAtMost(order=order, size=size):
            return f"order {order} at most {size}"
        case StopAt(ticks=ticks, size=size):
            return f"stop at {ticks} ticks or better for {size}"
        case TargetAt(ticks=ticks, size=size):
            return f"target at {ticks} ticks for {size}"
        case _:
            assert_never(demand)


def contract_of(demand: Demand) -> ContractId | None:
    return None if isinstance(demand, AccountFlat) else demand.contract
