"""What closes of ours have closed today, and whether that is all that one of them was for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from actors.messages import AccountSnapshot, BookedFill, CallKind, ContractId, OwnClose
from actors.rules.day_fold import AccountFolds

from .memory import Pursuit


def took_effect(pursuit: Pursuit, snapshot: AccountSnapshot) -> bool:
    """Fills of ours closed all that this close was for: what is open now was opened since.

    Then nothing is waited for: somebody who keeps buying is closed as fast the tenth time as the first.
    """
    if pursuit.call.kind not in (CallKind.CLOSE, CallKind.PARTIAL_CLOSE) or pursuit.own_before < 0:
        return False
    return own_closed(snapshot, pursuit.call.contract) - pursuit.own_before >= pursuit.call.size


def own_closed(snapshot: AccountSnapshot, contract: ContractId) -> int:
    """Contracts that closes of ours have closed today."""
    return _OWN_CLOSED.of(snapshot).get(contract, 0)


def _own_closed_with(day: Mapping[ContractId, int], booked: BookedFill) -> Mapping[ContractId, int]:
    if booked.own is OwnClose.NO:
        return day
    contract = booked.fill.contract
    return {**day, contract: day.get(contract, 0) + booked.closed}


_OWN_CLOSED = AccountFolds[Mapping[ContractId, int]]({}, _own_closed_with)
