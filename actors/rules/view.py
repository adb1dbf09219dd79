"""How one rule stands, as its actor publishes it for `status` and `rules`."""

from __future__ import annotations

from msgspec import Struct

from actors.messages import Mode


class RuleView(Struct, frozen=True):
    """Published on the board under `("rule", ACCOUNT, RULE)`."""

    account: str
    rule: str
    mode: Mode
    failed: str | None
    """Why it is not guarding: its self-test failed, or its actor was given up."""
    breached: bool
    state: object
    """The machine's state, for `figure` on the newest snapshot."""
    due: str | None = None
