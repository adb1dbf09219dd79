"""The guarded accounts and what each of them has been told of the link."""

from __future__ import annotations

from dataclasses import dataclass

from actors.address import Address
from actors.clock import Clock
from actors.connection.generation import Generation
from actors.connection.link import NOT_TRIED, Link, LinkView, state_of
from actors.connection.port import GuardAccount
from actors.messages import AccountId, LinkState


@dataclass
class Guarded:
    """One guarded account: where its messages go, and how its link stands."""

    account: AccountId
    address: Address
    enforcement: Address
    link: Link
    told: Link | None = None
    due: float = 0.0
    """Monotonic second of the next steady read."""
    whole_due: float = 0.0
    """The same for one of the whole trading day."""


class Roster:
    """Works out the link of every account and of the whole, and tells each change once."""

    def __init__(self, clock: Clock, connection: Address) -> None:
        self._clock = clock
        self._connection = connection
        self._guarded: dict[AccountId, Guarded] = {}
        self.reason = NOT_TRIED
        """Why the link is not live, in people's words."""
        self.link = Link(LinkState.DOWN, clock.wall(), 0, self.reason)
        self._told: Link | None = None

    def __contains__(self, account: AccountId) -> bool:
        return account in self._guarded

    def all(self) -> tuple[Guarded, ...]:
        return tuple(self._guarded.values())

    def find(self, account: AccountId) -> Guarded | None:
        return self._guarded.get(account)

    def guard(self, command: GuardAccount) -> Guarded:
        link = Link(LinkState.DOWN, self._clock.wall(), self.link.generation, self.reason)
        guarded = Guarded(command.account, command.address, command.enforcement, link)
        self._guarded[command.account] = guarded
        return guarded

    def unguard(self, account: AccountId) -> bool:
        return self._guarded.pop(account, None) is not None

    def tell_all(self, message: object) -> None:
        for guarded in self._guarded.values():
            guarded.address.tell(message)

    def publish(self, generation: Generation, *, rest_answers: bool, auth_failed: bool) -> None:
        """Tell every account whose link changed, and the connection actor of the whole."""
        for guarded in self._guarded.values():
            state = state_of(generation.open, generation.has_read(guarded.account), rest_answers)
            guarded.link = self._moved(guarded.link, state, generation, auth_failed)
            if guarded.link.differs(guarded.told):
                guarded.told = guarded.link
                guarded.address.tell(guarded.link.told())
        all_read = bool(self._guarded) and all(map(generation.has_read, self._guarded))
        state = state_of(generation.open, all_read, rest_answers)
        self.link = self._moved(self.link, state, generation, auth_failed)
        if self.link.differs(self._told):
            self._told = self.link
            self._connection.tell(self.link.told())

    def _moved(self, link: Link, state: LinkState, generation: Generation, auth_failed: bool) -> Link:
        reason = "" if state is LinkState.LIVE else self.reason
        return link.moved(state, self._clock.wall(), generation.number, reason, auth_failed=auth_failed)

    def view(
        self,
        last_event_mono: float,
        last_read_mono: float,
        token_age_s: float | None,
        malformed: int,
        undocumented: tuple[tuple[str, int, int], ...] = (),
    ) -> LinkView:
        return LinkView(
            state=self.link.state,
            since=self.link.since,
            generation=self.link.generation,
            reason=self.link.reason,
            auth_failed=self.link.auth_failed,
            last_event_mono=last_event_mono,
            last_read_mono=last_read_mono,
            token_age_s=token_age_s,
            malformed=malformed,
            guarded=tuple(self._guarded),
            undocumented=undocumented,
        )
