"""A position without a working stop is closed after a grace (RULE-008).

The grace runs from the moment the position was opened, or from when its stop went away; adding to the
position does not restart it, closing ends it. A position that was open before the rule was armed, or
before the account was first guarded, gets the whole grace from then. At the end the gateway's open
orders are asked once more: a stop placed in the broker's own screen may have made no event.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from actors.messages import (
    AccountSnapshot,
    Breach,
    ContractId,
    Figure,
    Flat,
    Lock,
    Now,
    OrderType,
    PositionView,
)
from config.settings import NoStopLossGrace
from config.values import duration_text

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow
from .locks import Resets, asked_for, lock_for
from .machine import Machine, breaches_of, instant_text
from .protection import is_protected, stops_of
from .rule import Judgement, Probe, Wake

READ_PATIENCE = timedelta(seconds=10)
"""How long past the grace the last look at the open orders is waited for. A gateway that answers
closes but not this question must not leave the position naked for ever."""


class Watch(Struct, frozen=True, gc=False):
    """An open position: since when it has been without a stop; None while it has one."""

    long: bool
    naked_since: datetime | None


class GraceState(Struct, frozen=True, gc=False):
    """Every open position's grace, as instants that a restart does not move."""

    armed_at: datetime | None = None
    watched: dict[ContractId, Watch] = {}
    episodes: Episodes = Episodes()


class NoStopLossGraceRule(Machine[GraceState]):
    """RULE-008."""

    name = "no_stop_loss_grace"
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.ORDER, Wake.TIME, Wake.RESET})

    def __init__(self, config: NoStopLossGrace, calendar: Resets) -> None:
        self._grace, self._lockout, self._calendar = config.grace, config.lockout, calendar

    def initial(self) -> GraceState:
        return GraceState()

    # ------------------------------------------------------------------------------ judge

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Every position is younger than the grace."""
        newest = snapshot.now.wall - self._grace
        return all(p.opened_at > newest for p in snapshot.positions)

    def judge(self, state: GraceState, snapshot: AccountSnapshot, now: Now) -> Judgement[GraceState]:
        armed_at = state.armed_at or now.wall
        watched = {p.contract: self._watch(p, state, snapshot, armed_at) for p in snapshot.positions}
        ends = {c: w.naked_since + self._grace for c, w in watched.items() if w.naked_since is not None}
        over = {c: end for c, end in ends.items() if end <= now.wall}
        judged = {
            c: end for c, end in over.items() if c in state.episodes.open or _looked(end, snapshot, now)
        }
        seen = {c: self._breach(c, end, snapshot) for c, end in judged.items()}
        episodes = follow(state.episodes, self.name, snapshot.day, {str(c): b for c, b in seen.items()})
        began = episodes.new_since(state.episodes)
        unread = sorted(over.keys() - judged.keys())
        return Judgement(
            GraceState(armed_at, watched, episodes),
            breaches_of(episodes),
            tuple(Flat(c) for c in judged),
            lock=asked_for(self._locks(began), self._locks(episodes.open.values()), now.wall),
            due=min((end for end in ends.values() if end > now.wall), default=None),
            wants_read=f"no stop is known for {', '.join(unread)}" if unread else None,
        )

    def _watch(
        self, p: PositionView, state: GraceState, snapshot: AccountSnapshot, armed_at: datetime
    ) -> Watch:
        long = p.size > 0
        if is_protected(p, snapshot.orders):
            return Watch(long, None)
        before = state.watched.get(p.contract)
        if before is None or before.long != long:
            return Watch(long, max(p.opened_at, armed_at, snapshot.session_since or armed_at))
        if before.naked_since is None:
            return Watch(long, max(p.opened_at, _went_away_at(snapshot)))
        return Watch(long, max(p.opened_at, before.naked_since))

    def _breach(self, contract: ContractId, end: datetime, snapshot: AccountSnapshot) -> Breach:
        p = snapshot.position(contract)
        stops = [] if p is None else stops_of(p, snapshot.orders)
        grace = duration_text(self._grace)
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=contract,
            value="no stop",
            limit=grace,
            mark=None,
            cause="time",
            at=end,
            text=f"{contract} has been without a stop that covers it for {grace}",
            inputs={
                "size": f"{p.size:+d}" if p is not None else "",
                "naked_since": instant_text(end - self._grace),
                "stops": ", ".join(f"{o.id} for {abs(o.rest)} at {o.stop_price}" for o in stops) or "none",
            },
        )

    def _locks(self, breaches: Iterable[Breach]) -> list[Lock]:
        if self._lockout == "none":
            return []
        return [
            lock_for(b, self._lockout, self._calendar, flatten=False, close=(b.contract,))
            for b in breaches
            if b.contract is not None
        ]

    # ------------------------------------------------------------------------------ figure, probe

    def figure(self, state: GraceState, snapshot: AccountSnapshot) -> Figure:
        """How many positions are without a stop, and when the first of them is closed."""
        since = [w.naked_since for w in state.watched.values() if w.naked_since is not None]
        first = instant_text(min(since) + self._grace) if since else None
        return Figure(str(len(since)), None, None, None, first)

    def probe(self, now: Now) -> Probe:
        record, end = sandbox.contract(), sandbox.after(now, self._grace.total_seconds())
        held = sandbox.position(record, 1, at=now.wall)
        stop = sandbox.order(record, 2, -1, now.wall, OrderType.STOP, sandbox.ENTRY - 40)
        naked = [sandbox.snapshot(at, positions=[held]) for at in (now, end)]
        safe = [sandbox.snapshot(at, positions=[held], orders=[stop]) for at in (now, end)]
        return Probe(tuple(naked), tuple(safe))


def _went_away_at(snapshot: AccountSnapshot) -> datetime:
    """When the stop was lost: at the order event's own time, where that is what was heard."""
    if snapshot.cause.startswith("order:") and snapshot.cause_at is not None:
        return snapshot.cause_at
    return snapshot.now.wall


def _looked(end: datetime, snapshot: AccountSnapshot, now: Now) -> bool:
    """Whether the open orders shown were asked for after the grace had ended."""
    past = now.wall - end
    return past >= READ_PATIENCE or snapshot.read_mono >= now.mono - past.total_seconds()
