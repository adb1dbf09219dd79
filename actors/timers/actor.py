"""The timers actor: the one that reads the clock for everybody else.

The driver beats it twenty times a second. It sends a Tick once a second and at every instant that falls
due, carries out the resets of trading days, also missed ones, and notices when the clock was set.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from actors.board import Board
from actors.clock import Clock
from actors.connection.port import DropLink
from actors.logs import get_logger
from actors.messages import (
    AccountId,
    Alert,
    DayReset,
    GatewaySeen,
    HistoryKind,
    Notice,
    Now,
    ReadAccount,
    Record,
    StoreMeta,
    Tick,
)
from actors.persistence import keys
from actors.persistence.schema import instant_text
from actors.trading_day import TradingCalendar
from actors.worker import Actor, Address

from .boot import boot_id
from .deadlines import ArmDue, Armed, due_reset, holiday_notice, next_edge
from .jumps import Jump, Reading, jump
from .trusted import Trust, restored, saved, seen, trusted

log = get_logger("riskd.timers")

TICK_EVERY_S = 1.0
SAVE_EVERY_S = 10.0
BEHIND = timedelta(seconds=30)
"""A wall clock this far behind gateway time is wrong, and sessions with it."""


class Beat(Struct, frozen=True, gc=False, tag=True):
    """The driver's pulse, every 50 ms: read the clock and do what is due."""


class Subscribe(Struct, frozen=True, gc=False, tag=True):
    """Send this address every Tick and, where it belongs to a guarded account, that account's resets."""

    address: Address
    account: AccountId | None = None


class Unsubscribe(Struct, frozen=True, gc=False, tag=True):
    """The account is no longer guarded: its addresses get nothing any more."""

    account: AccountId


class Guard(Struct, frozen=True, gc=False, tag=True):
    """Carry out this account's resets from now on; its addresses are subscribed before."""

    account: AccountId
    name: str
    last_reset: datetime | None
    """The last reset that the store knows; None when the account was never guarded before."""


class UseCalendar(Struct, frozen=True, tag=True):
    """The configuration changed: days and sessions follow this calendar from now on."""

    calendar: TradingCalendar


class TimersView(Struct, frozen=True):
    """The time as the program sees it, under the board topic ("timers",)."""

    now: datetime
    """Trusted time."""
    mono: float
    """The monotonic second at which it was `now`."""
    wall: datetime
    contact: bool
    """The gateway's time is known."""
    next_edge: datetime
    holidays_known: bool
    armed: int
    jumps: int
    last_jump: str | None
    jump_mono: float | None = None
    """Monotonic second at which the last one was noticed."""
    behind_s: float = 0.0
    """Seconds by which the machine's clock is behind the gateway's, where that is too much; else 0."""


class Registry:
    """Whom timers serve. The tree owns it and timers alone write it: no crash of theirs forgets a client,
    and none carries out a reset twice."""

    def __init__(self) -> None:
        self.clients: list[Subscribe] = []
        self.names: dict[AccountId, str] = {}
        self.resets: dict[AccountId, datetime | None] = {}
        """The instant of each account's last reset."""
        self.calendar: TradingCalendar | None = None
        """The one in force since the last reload."""


class TimersState(Struct, frozen=True):
    """What the next incarnation goes on with."""

    trust: Trust
    calendar: TradingCalendar
    armed: Armed = Armed()
    edge: datetime | None = None
    before: Reading | None = None
    tick_at: float = 0.0
    save_at: float = 0.0
    jumps: int = 0
    last_jump: str | None = None
    jump_mono: float | None = None
    behind: bool = False
    day: date | None = None
    """The trading day of the last look at the holiday table."""


def first_state(
    calendar: TradingCalendar, gateway_time: bytes | None, boot: str | None = None
) -> TimersState:
    """Where timers start: `gateway_time` is what the store holds under `keys.GATEWAY_TIME`."""
    return TimersState(restored(gateway_time, boot_id() if boot is None else boot), calendar)


class Neighbours(Struct, frozen=True):
    """Where timers sends besides its clients."""

    persistence: Address
    notices: Address
    connection: Address


class TimersActor(Actor):
    """Owner of trusted time and of the day's turn."""

    deadline_s: ClassVar[float] = 0.25

    def __init__(
        self,
        kept: TimersState | None,
        first: TimersState,
        registry: Registry,
        to: Neighbours,
        clock: Clock,
        board: Board,
        boot: str | None = None,
    ) -> None:
        self._registry = registry
        self._state = replace(first, calendar=registry.calendar or first.calendar) if kept is None else kept
        self._boot = boot_id() if boot is None else boot
        self._to, self._clock, self._board = to, clock, board

    def started(self) -> None:
        self._beat()

    def keep(self) -> TimersState:
        return self._state

    def receive(self, message: object) -> None:
        match message:
            case Beat():
                self._beat()
            case GatewaySeen(at=at, mono=mono):
                self._gateway_seen(at, mono)
            case ArmDue():
                self._state = replace(self._state, armed=self._state.armed.arm(message))
            case Subscribe():
                self._subscribe(message)
            case Unsubscribe(account=account):
                self._unsubscribe(account)
            case Guard():
                self._guard(message)
            case UseCalendar(calendar=calendar):
                self._registry.calendar = calendar
                self._state = replace(self._state, calendar=calendar, edge=None)
                self._beat()
            case _:
                raise TypeError(f"timers do not know a {type(message).__name__}")

    # ---------------------------------------------------------------------------------- the beat

    def _beat(self) -> None:
        reading = Reading(self._clock.wall(), self._clock.mono())
        self._notice_jump(reading)
        trust, wall = trusted(self._state.trust, reading.wall, reading.mono)
        self._state = replace(self._state, trust=trust, before=reading)
        now = Now(wall, reading.mono)
        edge = self._passed_edge(now)
        if edge:
            self._reset_days(now)
            self._look_at_holidays(now)
        self._tick(now, everybody=edge)
        if reading.mono >= self._state.save_at:
            self._save(reading)

    def _passed_edge(self, now: Now) -> bool:
        """A reset or a session's start or end has come, or it is not known yet when the next one does."""
        edge = self._state.edge
        # A day that was turned back by the gateway's word has its edges again.
        stale = edge is None or now.wall >= edge or edge - now.wall > timedelta(days=8)
        if stale:
            self._state = replace(self._state, edge=next_edge(self._state.calendar, now.wall))
        return stale

    def _tick(self, now: Now, everybody: bool) -> None:
        due, armed = self._state.armed.due(now.wall)
        if now.mono < self._state.tick_at and not everybody:
            whom = {id(d.who): d.who for d in due}
        else:
            whom = {id(a): a for a in (*(c.address for c in self._registry.clients), *(d.who for d in due))}
            self._state = replace(self._state, tick_at=self._next_tick(now.mono))
            self._show(now)
        self._state = replace(self._state, armed=armed)
        tick = Tick(now)
        for address in whom.values():
            self.send(address, tick)

    def _next_tick(self, mono: float) -> float:
        if mono < self._state.tick_at:  # an extra one does not put off the next
            return self._state.tick_at
        steady = self._state.tick_at + TICK_EVERY_S
        return steady if steady > mono else mono + TICK_EVERY_S

    # ---------------------------------------------------------------------------------- resets

    def _reset_days(self, now: Now) -> None:
        for account in self._registry.names:
            self._reset_day(account, now)

    def _reset_day(self, account: AccountId, now: Now) -> None:
        last = self._registry.resets[account]
        reset = due_reset(self._state.calendar, last, now.wall)
        if reset is not None:
            self._carry_out(account, reset)
        elif last is None:
            self._remember(account, self._state.calendar.previous_reset(now.wall))

    def _carry_out(self, account: AccountId, reset: DayReset) -> None:
        name, cause = self._registry.names[account], "missed" if reset.missed else "scheduled"
        day = reset.day.isoformat()
        line = keys.history_id(HistoryKind.RESET, name, day)
        log.info("day.reset", account=name, day=day, cause=cause)
        self.send(
            self._to.persistence,
            Record(line, HistoryKind.RESET, reset.at, name, {"day": day, "cause": cause}),
        )
        self._remember(account, reset.at)
        for client in self._registry.clients:
            if client.account == account:
                self.send(client.address, reset)

    def _remember(self, account: AccountId, at: datetime) -> None:
        self._registry.resets[account] = at
        self.send(self._to.persistence, StoreMeta(keys.last_reset(account), instant_text(at).encode()))

    def _look_at_holidays(self, now: Now) -> None:
        day = self._state.calendar.trading_day(now.wall)
        if day == self._state.day:
            return
        notice = holiday_notice(self._state.calendar, day, first_look=self._state.day is None)
        self._state = replace(self._state, day=day)
        if notice is not None:
            self._alert(*notice)

    # ---------------------------------------------------------------------------------- clients

    def _subscribe(self, client: Subscribe) -> None:
        if client not in self._registry.clients:
            self._registry.clients.append(client)

    def _unsubscribe(self, account: AccountId) -> None:
        registry = self._registry
        registry.clients = [client for client in registry.clients if client.account != account]
        registry.names.pop(account, None)
        registry.resets.pop(account, None)

    def _guard(self, guarded: Guard) -> None:
        if guarded.account in self._registry.names:
            return
        self._registry.names[guarded.account] = guarded.name
        self._registry.resets[guarded.account] = guarded.last_reset
        self._state = replace(self._state, edge=None)
        self._beat()

    # ---------------------------------------------------------------------------------- the clock

    def _gateway_seen(self, at: datetime, mono: float) -> None:
        had_contact, wall = self._state.trust.contact, self._clock.wall()
        trust = seen(self._state.trust, at, mono, wall)
        self._state = replace(self._state, trust=trust)
        if not had_contact:
            # What was held back until the gateway was heard happens before its events are judged.
            self._state = replace(self._state, edge=None, save_at=0.0)
            self._beat()
        self._compare(wall)

    def _compare(self, wall: datetime) -> None:
        behind_s = self._behind_s(self._clock.mono(), wall)
        behind = behind_s > 0
        if behind and not self._state.behind:
            text = f"the wall clock is {behind_s:.0f} s behind the gateway; set it"
            self._alert("error", text, "clock/behind")
        if behind != self._state.behind:
            self._state = replace(self._state, behind=behind)

    def _behind_s(self, mono: float, wall: datetime) -> float:
        gateway = self._state.trust.gateway
        behind = timedelta() if gateway is None else gateway.carried(mono) - wall
        return behind.total_seconds() if behind > BEHIND else 0.0

    def _notice_jump(self, now: Reading) -> None:
        before = self._state.before
        found = None if before is None else jump(before, now)
        if found is None:
            return
        text = found.text()
        log.warning("clock.jump", kind=found.kind, seconds=found.seconds)
        jumps = self._state.jumps + 1
        self._state = replace(self._state, jumps=jumps, last_jump=text, jump_mono=now.mono, edge=None)
        self._alert("warning", f"{text}. The accounts are read again.", self._jump_key(found))
        if found.slept:
            # Sockets that slept may be dead and say nothing: live is what was read on new ones.
            self.send(self._to.connection, DropLink(text))
        for account in self._registry.names:
            self.send(self._to.connection, ReadAccount(account, text))

    def _jump_key(self, found: Jump) -> str:
        return f"clock/{found.kind}/{self._state.jumps}"

    def _save(self, reading: Reading) -> None:
        body = saved(self._state.trust, self._boot)
        if body is not None:
            self.send(self._to.persistence, StoreMeta(keys.GATEWAY_TIME, body))
        self._state = replace(self._state, save_at=reading.mono + SAVE_EVERY_S)

    # ---------------------------------------------------------------------------------- showing

    def _show(self, now: Now) -> None:
        state = self._state
        assert state.before is not None and state.edge is not None
        view = TimersView(
            now.wall,
            now.mono,
            state.before.wall,
            state.trust.contact,
            state.edge,
            state.calendar.covers(state.calendar.trading_day(now.wall)),
            len(state.armed.by_key),
            state.jumps,
            state.last_jump,
            state.jump_mono,
            self._behind_s(now.mono, state.before.wall),
        )
        self._board.post(("timers",), view)

    def _alert(self, level: str, text: str, key: str) -> None:
        at = self._clock.wall()
        self.send(self._to.notices, Alert(at, "", Notice(level, "clock", text, key)))
