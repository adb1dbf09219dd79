"""Which parts of the configuration a lockout holds: those of the rule that locked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from config.pending import Held

_OF_SESSIONS = ("sessions.", "holidays.", "trading_day.")
_WHOLE = ("accounts", "gateway.kind")
"""Would leave a locked account alone altogether."""


def everything_held(key: str) -> bool:
    """Before it is known what locks."""
    return True


def held_by(locked: Mapping[str, Collection[str]]) -> Held:
    """Whether a unit belongs to a rule that locks an account (name or id -> rules that lock it)."""
    rules = {rule for locking in locked.values() for rule in locking}

    def held(key: str) -> bool:
        if key.startswith("rules."):
            return key.split(".")[1] in rules
        if key.startswith(_OF_SESSIONS):
            return "session_block_outside" in rules
        return key in _WHOLE or any(_own(key, name, locking) for name, locking in locked.items())

    return held


def _own(key: str, account: str, locking: Collection[str]) -> bool:
    beginning = f"accounts.{account}"
    return key == beginning or any(key.startswith(f"{beginning}.rules.{rule}.") for rule in locking)
