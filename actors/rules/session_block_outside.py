"""Trading only inside a session (RULE-009).

At the end of the session the account is locked until the next one starts, and after `close_grace`
everything is closed and cancelled; between the two what is open stays and nothing is added. A product
may have a session of its own (`by_root`): outside it, that product is closed and its orders cancelled
without a lockout. The account is locked only while no session at all is open.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    AtMost,
    Breach,
    ContractId,
    Demand,
    Figure,
    Flat,
    Lock,
    LockKind,
    Now,
    OrderGone,
)
from actors.trading_day import TradingCalendar
from config.calendar import EQUITY
from config.instruments import product_group
from config.settings import SessionBlockOutside

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow
from .exposure import closing_side, root_in, sizes, working
from .machine import Machine, breaches_of, instant_text
from .rule import Judgement, Probe, Wake

ACCOUNT = "*"
LOOK_BACK_DAYS = 400
"""How far back the last session is looked for; a year holds one."""


class Hours(Struct, frozen=True, gc=False):
    """One session at one moment: when it ends, or when it ended and starts again."""

    session: str
    ends: datetime | None
    """None while it is closed."""
    ended: datetime | None
    """While it is closed: since when; None where there never was one."""
    starts: datetime | None


class SessionState(Struct, frozen=True, gc=False):
    """What was open when its own session ended, and may stay until the grace is over."""

    episodes: Episodes = Episodes()
    kept: dict[ContractId, int] = {}


class SessionBlockOutsideRule(Machine[SessionState]):
    """RULE-009."""

    name = "session_block_outside"
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.ORDER, Wake.TIME, Wake.RESET})

    def __init__(self, config: SessionBlockOutside, calendar: TradingCalendar) -> None:
        self._calendar, self._default, self._by_root = calendar, config.session, dict(config.by_root)
        self._holidays, self._grace = config.respect_holidays, config.close_grace
        self._open: tuple[datetime, datetime] | None = None
        """A span in which every session was seen to be open."""

    def initial(self) -> SessionState:
        return SessionState()

    # ------------------------------------------------------------------------------ judge

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Inside every session."""
        return self._open is not None and self._open[0] <= snapshot.now.wall < self._open[1]

    def judge(self, state: SessionState, snapshot: AccountSnapshot, now: Now) -> Judgement[SessionState]:
        default = self._hours(None, now.wall)
        own = {root: self._hours(root, now.wall) for root in self._by_root}
        every = (default, *own.values())
        ends = [hours.ends for hours in every if hours.ends is not None]
        self._open = (now.wall, min(ends)) if len(ends) == len(every) else None
        closed = all(hours.ends is None for hours in every)
        seen, kept, demands = self._by_contract(state, snapshot, default, own, now)
        if closed:
            seen = {ACCOUNT: self._outside(every, snapshot)}
        episodes = follow(state.episodes, self.name, snapshot.day, seen)
        lock = self._lock(episodes.open[ACCOUNT], every, now) if closed else None
        if lock is not None and lock.flatten:
            demands = [AccountFlat()] if snapshot.positions or working(snapshot) else []
        return Judgement(
            SessionState(episodes, kept),
            breaches_of(episodes),
            tuple(demands),
            lock=lock,
            due=self._next_change(every, now.wall),
        )

    def _hours(self, root: str | None, now: datetime) -> Hours:
        """The session of a product, or the default one (None), which keeps the equity holidays."""
        session = self._default if root is None else self._by_root[root]
        group = EQUITY if root is None else product_group(root)
        ends = self._calendar.session_end(session, now, group=group, respect_holidays=self._holidays)
        if ends is not None:
            return Hours(session, ends, None, None)
        starts = self._calendar.next_session_start(session, now, group=group, respect_holidays=self._holidays)
        return Hours(session, None, self._ended(session, group, now), starts)

    def _ended(self, session: str, group: str | None, now: datetime) -> datetime | None:
        """When the session last ended."""
        today = now.astimezone(self._calendar.sessions[session].timezone or self._calendar.zone).date()
        for back in range(LOOK_BACK_DAYS):
            day = today - timedelta(days=back)
            window = self._calendar.session_window(session, day, group=group, respect_holidays=self._holidays)
            if window is not None and window.end <= now:
                return window.end
        return None

    def _next_change(self, every: tuple[Hours, ...], now: datetime) -> datetime | None:
        """The next instant at which a session starts or ends, or a grace is over."""
        instants = [i for hours in every for i in (hours.ends, hours.starts) if i is not None]
        instants += [hours.ended + self._grace for hours in every if hours.ended is not None]
        return min((instant for instant in instants if instant > now), default=None)

    # ------------------------------------------------------------------------------ the account

    def _outside(self, every: tuple[Hours, ...], snapshot: AccountSnapshot) -> Breach:
        since = max((h.ended for h in every if h.ended is not None), default=snapshot.day_start)
        sessions = ", ".join(dict.fromkeys(hours.session for hours in every))
        return self._breach(None, f"outside the session {sessions}", since, sessions)

    def _breach(self, contract: ContractId | None, text: str, at: datetime, session: str) -> Breach:
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=contract,
            value="closed",
            limit=session,
            mark=None,
            cause="time",
            at=at,
            text=text,
            inputs={"ended": instant_text(at), "close_grace": str(self._grace)},
        )

    def _lock(self, breach: Breach, every: tuple[Hours, ...], now: Now) -> Lock:
        starts = [hours.starts for hours in every if hours.starts is not None]
        return Lock(
            LockKind.UNTIL_SESSION_START,
            breach.at,
            min(starts, default=None),
            breach.text,
            flatten=now.wall >= breach.at + self._grace,
            breach=breach.id,
        )

    # ------------------------------------------------------------------------------ one product

    def _by_contract(
        self,
        state: SessionState,
        snapshot: AccountSnapshot,
        default: Hours,
        own: dict[str, Hours],
        now: Now,
    ) -> tuple[dict[str, Breach], dict[ContractId, int], list[Demand]]:
        """Contracts whose session is closed while another is open."""
        seen, kept, demands = dict[str, Breach](), dict[ContractId, int](), list[Demand]()
        if not own:
            return seen, kept, demands
        held = sizes(snapshot)
        for contract in sorted({*held, *(order.contract for order in working(snapshot))}):
            hours = own.get(root_in(snapshot, contract), default)
            if hours.ends is not None or hours.ended is None:
                continue
            size, over = held.get(contract, 0), now.wall >= hours.ended + self._grace
            allowed = 0 if over else _kept(state.kept, contract, snapshot, hours.ended)
            kept[contract] = allowed
            wrong = self._wrong(contract, size, allowed, snapshot)
            demands += wrong
            if wrong:
                text = f"{contract} outside its session {hours.session}"
                seen[contract] = self._breach(contract, text, hours.ended, hours.session)
        return seen, kept, demands

    def _wrong(
        self, contract: ContractId, size: int, allowed: int, snapshot: AccountSnapshot
    ) -> list[Demand]:
        """What must go of one contract: what is above `allowed`, and orders that would add to it."""
        demands = list[Demand]()
        if size and not allowed:
            demands.append(Flat(contract))
        elif abs(size) > abs(allowed):
            demands.append(AtMost(contract, abs(allowed)))
        demands += [
            OrderGone(order.id, contract)
            for order in working(snapshot)
            if order.contract == contract and not closing_side(order, size)
        ]
        return demands

    # ------------------------------------------------------------------------------ figure, probe

    def figure(self, state: SessionState, snapshot: AccountSnapshot) -> Figure:
        """When the account is locked next."""
        now = snapshot.now.wall
        ends = [h.ends for h in (self._hours(None, now), *(self._hours(r, now) for r in self._by_root))]
        last = max((end for end in ends if end is not None), default=None)
        return Figure(None, None, None, None, instant_text(last) if last is not None else None)

    def probe(self, now: Now) -> Probe:
        """Inside the next session, and when it (and any other then open) has ended."""
        opens = now.wall
        if self._hours(None, opens).ends is None:
            starts = self._hours(None, opens).starts
            if starts is None:
                return Probe((), ())
            opens = starts
        ends = self._all_closed_at(opens)
        if ends is None:
            return Probe((), ())
        held = sandbox.position(sandbox.contract(), 1, at=opens)
        story = [
            sandbox.snapshot(
                sandbox.after(now, (at - now.wall).total_seconds()), positions=[held], cause="time"
            )
            for at in (opens, ends)
        ]
        return Probe(tuple(story), tuple(story[:1]))

    def _all_closed_at(self, opens: datetime) -> datetime | None:
        """When no session is open any more; None where one follows another for as long as is looked."""
        at = opens
        for _ in range(LOOK_BACK_DAYS):
            ends = [self._hours(root, at).ends for root in (None, *self._by_root)]
            running = [end for end in ends if end is not None]
            if not running:
                return at
            at = max(running)
        return None


def _kept(
    kept: dict[ContractId, int], contract: ContractId, snapshot: AccountSnapshot, ended: datetime
) -> int:
    """The size, signed, that may stay until the grace is over: what was open at the end, never more."""
    p = snapshot.position(contract)
    if p is None or p.opened_at >= ended:
        return 0
    before = kept.get(contract, p.size)
    if before * p.size <= 0:
        return 0
    return min(before, p.size, key=abs)
