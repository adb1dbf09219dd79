"""How the link stands: pure. `live` is earned by snapshots, never assumed.

`live`: both hubs are open and every guarded account was read after its events were subscribed.
`blind`: no live hub, REST answers. `down`: REST does not answer (or refuses the login) either.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from actors.messages import AccountId, LinkChanged, LinkState

NOT_TRIED = "not connected yet"
"""The reason of a link that no attempt has been made on: it is down, and nothing has failed."""


class LinkView(Struct, frozen=True, gc=False):
    """The link as status shows it (board topic `("link",)`)."""

    state: LinkState
    since: datetime
    generation: int
    reason: str
    auth_failed: bool
    last_event_mono: float
    """Monotonic second of the last user event; 0 = none yet."""
    last_read_mono: float
    """Monotonic second at which the last complete read of an account ended; 0 = none yet."""
    token_age_s: float | None
    """Seconds since the token was issued or renewed; None while not logged in."""
    malformed: int
    """Payloads that could not be read, since the start."""
    guarded: tuple[AccountId, ...]
    undocumented: tuple[tuple[str, int, int], ...] = ()
    """Order fields with a number nobody documented, the number, and how many orders had it."""
    last_quote_mono: float = 0.0
    """Monotonic second of the market hub's last quote; 0 = none yet. Prices read by REST do not count."""


class Link(Struct, frozen=True, gc=False):
    """One link state with its history of one step; the whole link's, or one account's."""

    state: LinkState
    since: datetime
    generation: int
    reason: str
    auth_failed: bool = False

    def moved(
        self, state: LinkState, at: datetime, generation: int, reason: str, *, auth_failed: bool = False
    ) -> Link:
        """The link as it stands now; `since` moves only when the state does, a first reason stays."""
        if state is not self.state:
            return Link(state, at, generation, reason, auth_failed)
        renewed = state is LinkState.LIVE or auth_failed != self.auth_failed or self.reason == NOT_TRIED
        kept = reason if renewed else self.reason
        return replace(self, generation=generation, reason=kept, auth_failed=auth_failed)

    def differs(self, other: Link | None) -> bool:
        """Worth telling: another state, generation or login outcome."""
        if other is None:
            return True
        mine = (self.state, self.generation, self.auth_failed)
        return mine != (other.state, other.generation, other.auth_failed)

    def told(self) -> LinkChanged:
        return LinkChanged(self.state, self.since, self.generation, self.reason, self.auth_failed)


def state_of(hubs_open: bool, all_read: bool, rest_answers: bool) -> LinkState:
    """`all_read`: read by REST after the hubs' events were subscribed."""
    if hubs_open and all_read and rest_answers:
        return LinkState.LIVE
    return LinkState.BLIND if rest_answers else LinkState.DOWN
