"""Names under which things are kept: one place, so that writer and reader agree."""

from __future__ import annotations

from actors.messages import AccountId, HistoryKind

CONFIGURATION = "configuration"
"""The configuration in force: the last one accepted."""
GATEWAY_TIME = "gateway_time"
"""The last gateway time known, with the boot it was measured in (timers)."""
LAST_BACKUP = "last_backup"
STORE_ID = "store_id"
"""Tells this store from any other, whatever is in it."""
LOCKOUTS_LOST = "lockouts_lost"
"""When a store was rebuilt without all of its lockouts, and why (`Doubt`)."""


def baseline(account: AccountId) -> str:
    """Since when the day's figures count after `riskd reset` (an instant as text)."""
    return f"baseline/{account}"


def first_guarded(account: AccountId) -> str:
    """When the account was first guarded (an instant as text)."""
    return f"first_guarded/{account}"


def doubt(account: AccountId) -> str:
    """When and why it was found that lockouts of the account may be missing (`Doubt`)."""
    return f"doubt/{account}"


def last_reset(account: AccountId) -> str:
    """The instant of the last reset carried out (as text); written by timers alone."""
    return f"last_reset/{account}"


def history_id(kind: HistoryKind, account: str, key: str) -> str:
    """Id of a line of history; `key` is unique among the lines of that kind of that account (a name)."""
    return f"{kind.value}/{account}/{key}"
