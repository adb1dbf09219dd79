"""The account actor: takes events in, numbers what they changed, wakes whoever subscribed.

Prices are looked at here: a rule is woken by a price only when one of its bounds is crossed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from actors.board import Board, Lazily
from actors.clock import Clock
from actors.connection.port import REBORN
from actors.enforcement.view import EnforcementView
from actors.logs import checkpoint, get_logger
from actors.messages import (
    AccountChanged,
    AccountId,
    AccountSnapshot,
    Alert,
    BookedFill,
    BrokerSnapshot,
    CloseSent,
    CloseVerified,
    Contract,
    ContractId,
    ContractRead,
    ContractUnknown,
    DayReset,
    DeadLetter,
    Fill,
    Filled,
    FillId,
    HistoryKind,
    LetGo,
    LinkChanged,
    Notice,
    Now,
    OffGrid,
    OrderChanged,
    OwnClose,
    PositionChanged,
    Quoted,
    ReadAccount,
    ReadPrice,
    Rebased,
    Reborn,
    Record,
    StoreCommand,
    StoreDay,
    StoreFill,
    Tick,
    WatchContracts,
)
from actors.money import money_text
from actors.rules.bounds import Side, side
from actors.rules.rule import TRADED, AnyRule, Wake
from actors.tally import Tally
from actors.worker import Actor, Address

from .apply import apply, lasting_disputes
from .band import Band
from .booking import closes_out, on_grid
from .ledger import Ledger
from .state import NOTHING, AccountEvent, AccountState, Days, Step
from .view import snapshot_of

log = get_logger("riskd.account")

WATCH_ON_S = 60.0
"""Quotes of a contract go on this long after its last position or order: who trades comes back at once, and
to subscribe again while a close is on its way out would delay it."""
CLOCKS_DIFFER = timedelta(seconds=5)
"""Beyond this, a clock is wrong: trusted time is never that far ahead of the gateway's."""
TOO_EARLY_S = 30.0
TOLD = Filled | OrderChanged | PositionChanged | AccountChanged
"""Events of the account itself, told by the gateway as they happen."""
READ_PRICE_EVERY_S = 5.0
"""How often the newest bar of a stale contract is asked."""


class Subscriber(Struct, frozen=True):
    """A rule as the account sees it: where to send, what wakes it, at which prices."""

    name: str
    address: Address
    rule: AnyRule


def _urgent(rules: Iterable[Subscriber], snapshot: AccountSnapshot) -> list[Subscriber]:
    """Those that may ask for something now; trade management only where nobody else does."""
    may_ask = [rule for rule in rules if not rule.rule.can_wait(snapshot)]
    return [rule for rule in may_ask if not rule.rule.manages] or may_ask


class Limits(Struct, frozen=True, gc=False):
    """Ages of quotes, seconds (`quotes` in the configuration)."""

    stale_after_s: float
    blind_after_s: float


class Restored(Struct, frozen=True):
    """What the store knows of the account when the daemon starts."""

    first_seq: int = 1
    session_since: datetime | None = None
    fills: Mapping[FillId, OwnClose] = {}
    contracts: tuple[Contract, ...] = ()


class Neighbours(Struct, frozen=True):
    """Where the account sends."""

    enforcement: Address
    connection: Address
    persistence: Address
    notices: Address


def _after(first: AccountState, seen: AccountSnapshot) -> AccountState:
    """The state of the daemon's start for an incarnation that inherits none, brought up to what was last
    told: rules take no snapshot numbered below one they know, and the day may be another by now."""
    return msgspec.structs.replace(
        first,
        seq=max(first.seq, seen.seq),
        ledger=Ledger(seen.day, seen.day_start),
        own_fills={**first.own_fills, **{b.fill.id: b.own for b in seen.fills}},
        stored={**first.stored, **{b.fill.id: b.fill for b in seen.fills}},
    )


class AccountActor(Actor):
    """Owner of positions, orders, fills, day P&L and marks of one account."""

    def __init__(
        self,
        account: AccountId,
        name: str,
        days: Days,
        rules: tuple[Subscriber, ...],
        neighbours: Neighbours,
        limits: Limits,
        clock: Clock,
        board: Board,
        first: AccountState,
        kept: AccountState | None = None,
        *,
        holds: bool = False,
    ) -> None:
        """`holds`: rules that can wait are told with the next `LetGo`; whoever sends events sends that."""
        self._account, self._name, self._days = account, name, days
        self._rules, self._to, self._limits = rules, neighbours, limits
        self._priced = tuple(rule for rule in rules if Wake.PRICE in rule.rule.wakes_on)
        self._clock, self._board = clock, board
        seen = board.read(("snapshot", name), AccountSnapshot)
        self._reborn = kept is not None or seen is not None
        self._state = kept or (first if seen is None else _after(first, seen))
        # Told before it crashed, and kept by nobody: the message that it was made of comes again first.
        self._told_more = kept is not None and seen is not None and seen.seq > kept.seq
        if kept is not None and seen is not None and self._told_more:
            self._state = msgspec.structs.replace(kept, seq=seen.seq)
        self._sides: dict[str, Side] = {}
        self._watched: tuple[ContractId, ...] = ()
        self._used: dict[ContractId, float] = {}
        self._asked_price: dict[ContractId, float] = {}
        self._unmeasured_since: dict[ContractId, float] = {}
        self._told_ahead: FillId | None = None
        self._early_since: float | None = None
        self._holds = holds
        self._waiting: dict[str, tuple[Subscriber, list[AccountSnapshot]]] = {}
        self._tally = board.shared(("tally", "account", name), Tally, Tally)
        self._unseen: list[AccountSnapshot] = []
        """What enforcement was not told yet."""
        self._band: Band | None = None
        self._late: dict[ContractId, Quoted] = {}
        """Prices that are in the band and not in the state yet."""
        self._hurried = False
        """The contracts to watch were not looked at since the last event."""
        self._unsided: dict[str, AccountSnapshot] = {}
        """Rules told anyway: on which side of their bounds they stood then is looked at when it matters."""

    def started(self) -> None:
        self._pay()
        if not self._told_more:
            self._publish("start", None, frozenset(Wake))
        if self._reborn:
            self._read(REBORN)

    def keep(self) -> AccountState:
        return self._state

    def stopping(self) -> None:
        self._pay()

    def receive(self, message: object) -> None:
        match message:
            case Quoted():
                self._quoted(message)
            case Tick():
                self._tick(message.now)
            case (
                Filled()
                | OrderChanged()
                | PositionChanged()
                | AccountChanged()
                | ContractRead()
                | ContractUnknown()
                | BrokerSnapshot()
                | LinkChanged()
                | DayReset()
                | Rebased()
                | CloseSent()
                | CloseVerified()
            ):
                self._event(message)
            case LetGo():
                self._let_go()
            case Reborn():
                self._publish("reborn", None, frozenset(Wake))
            case DeadLetter():
                self._read(f"{message.actor} gave up a message: {message.cause}")
                if message.actor == self.me.id:
                    self._hear_again_of_closes()
                self._publish("dead-letter", None, frozenset(Wake))
            case _:
                raise TypeError(f"account cannot take {type(message).__name__}")

    def _now(self) -> Now:
        return Now(self._clock.wall(), self._clock.mono())

    # ------------------------------------------------------------------ prices

    def _quoted(self, quote: Quoted) -> None:
        if self._band is not None and self._band.takes(quote, self._clock.mono()):
            self._leave_price(quote)
            return
        self._catch_up()
        now = self._now()
        step = self._price(quote, now)
        if Wake.PRICE in step.changed:
            snapshot = self._number(step.cause, step.cause_at, now)
            for rule in self._crossed(snapshot):
                self._wake(rule, snapshot)
        else:
            snapshot = snapshot_of(self._state, now, self._limits.stale_after_s, step.cause, None)
        # While a close is on its way, what is worked out for later can wait.
        if self._hurried:
            return
        bounds = [bound for rule in self._priced for bound in rule.rule.bounds(snapshot)]
        self._band = Band(self._state, snapshot, bounds, self._limits.stale_after_s)

    def _price(self, quote: Quoted, now: Now) -> Step:
        try:
            step = apply(self._state, quote, self._days, now)
        except OffGrid as error:
            log.warning("account.price_refused", account=self._name, why=str(error))
            return Step(self._state, NOTHING, "")
        self._state = step.state
        return step

    def _leave_price(self, quote: Quoted) -> None:
        """It wakes nobody. Who looks at the account is shown it; the state takes it before anything else."""
        if not self._late:
            self._board.post(("snapshot", self._name), Lazily(self._shown))
        self._late[quote.contract] = quote

    def _catch_up(self) -> None:
        late, self._late = self._late, {}
        if late:
            now = self._now()
            for quote in late.values():
                self._price(quote, now)

    def _shown(self) -> AccountSnapshot:
        """For people, in their own thread: the account with the prices that nobody was woken for."""
        state, late, now = self._state, self._late.copy(), self._now()
        for quote in late.values():
            with contextlib.suppress(OffGrid):
                state = apply(state, quote, self._days, now).state
        return snapshot_of(state, now, self._limits.stale_after_s, "price:", None)

    def _wake(self, rule: Subscriber, snapshot: AccountSnapshot) -> None:
        self._wake_later(rule, snapshot)
        self._tell_waited(rule)

    def _wake_later(self, rule: Subscriber, snapshot: AccountSnapshot) -> None:
        """Rules judge what was read. Before, an account looks flat and idle, as if all had ended."""
        if snapshot.read_mono > 0:
            self._waiting.setdefault(rule.name, (rule, []))[1].append(snapshot)

    def _tell_waited(self, rule: Subscriber) -> None:
        """A rule is told everything, and in order."""
        for snapshot in self._waiting.pop(rule.name, (rule, ()))[1]:
            self.send(rule.address, snapshot)

    def _let_go(self) -> None:
        for rule in self._all_waiting():
            self._tell_waited(rule)
        self._tell_enforcement()
        self._pay()
        if self._hurried:
            self._hurried = False
            self._watch(self._clock.mono())

    def _all_waiting(self) -> list[Subscriber]:
        return [rule for rule, _ in self._waiting.values()]

    def _tell_enforcement(self) -> None:
        unseen, self._unseen = self._unseen, []
        for snapshot in unseen:
            self.send(self._to.enforcement, snapshot)

    def _hear_again_of_closes(self) -> None:
        """What was lost may have been the word of a close of ours, whose fill would count as the trader's."""
        view = self._board.read(("enforcement", self._name), EnforcementView)
        if view is not None:
            own = closes_out(self._state, view.closes)
            self._state = msgspec.structs.replace(self._state, own=own)

    def _enforcement_rests(self) -> bool:
        """It does nothing on account of a snapshot alone: a rule must ask first, and brings its own along."""
        view = self._board.read(("enforcement", self._name), EnforcementView)
        return view is not None and view.rests

    def _crossed(self, snapshot: AccountSnapshot, changed: frozenset[Wake] = NOTHING) -> list[Subscriber]:
        """The rules that stand on another side of a bound than before, and remember it. Whoever is woken by
        what changed is told anyway."""
        woken = []
        for rule in self._priced:
            if rule.rule.wakes_on & changed:
                self._unsided[rule.name] = snapshot
                continue
            told = self._unsided.pop(rule.name, None)
            before = self._sides.get(rule.name) if told is None else side(rule.rule.bounds(told), told)
            self._sides[rule.name] = now = side(rule.rule.bounds(snapshot), snapshot)
            if now != before:
                woken.append(rule)
        return woken

    # ------------------------------------------------------------------ everything else

    def _event(self, event: AccountEvent) -> None:
        self._disturb()
        now = self._now()
        before, told = self._state.ledger, len(self._unseen)
        first_read = self._state.read_mono <= 0
        steps = self._trade(event, now) if isinstance(event, Filled) else [self._apply(event, now)]
        first_read = first_read and self._state.read_mono > 0
        if first_read:
            self._received(event, steps)
        hurry = len(self._unseen) > told and self._tell()
        if not first_read:
            self._received(event, steps, news=_brought_news(steps))
        for step in steps:
            if hurry and not step.completed:
                self._owe(step)
            else:
                self._remember(step)
            if step.read is not None:
                self._read(step.read)
        if isinstance(event, DayReset) and Wake.RESET in steps[-1].changed:
            row = StoreDay(self._account, self._name, before.day, before.realized, len(before.booked))
            self.send(self._to.persistence, row)
        self._hurried = hurry
        if not hurry:
            self._watch(now.mono)

    def _trade(self, event: Filled, now: Now) -> list[Step]:
        """What came beside the fill, then the fill. How its own order came to it is shown with it: that order
        never worked for longer than the moment between the two."""
        steps, way = list[Step](), NOTHING
        for one in event.beside:
            if isinstance(one, OrderChanged) and one.order.id == event.fill.order:
                self._count(one, now.mono)
                step = apply(self._state, one, self._days, now)
                self._state, way = step.state, way | step.changed
                steps.append(step)
            else:
                steps.append(self._apply(one, now))
        steps.append(self._apply(event, now, way))
        return steps

    def _apply(self, event: AccountEvent, now: Now, shown_with: frozenset[Wake] = NOTHING) -> Step:
        """Change the state, and line up what that tells whom."""
        self._count(event, now.mono)
        unread = self._state.read_mono <= 0
        step = apply(self._state, event, self._days, now)
        self._state = step.state
        first_read = unread and step.state.read_mono > 0
        changed = step.changed | shown_with
        if changed or first_read:
            self._line_up(step.cause, step.cause_at, frozenset(Wake) if first_read else changed)
        return step

    def _count(self, event: AccountEvent, mono: float) -> None:
        self._tally.add(type(event).__name__)
        if isinstance(event, TOLD):
            self._tally.took(mono - event.mono, "event_age")
            self._tally.heard["event"] = event.mono

    def _received(self, event: AccountEvent, steps: list[Step], *, news: bool = True) -> None:
        """After the rules were woken, but for the first read, which opens the log of a day. `cause` leads on
        to the rules, the breaches and the receipts that came of it. A read that brought no news is none.
        """
        if isinstance(event, TOLD) or (isinstance(event, BrokerSnapshot) and news):
            what, cause = type(event).__name__, steps[-1].cause
            checkpoint(6, "event received", account=self._name, what=what, cause=cause)

    def _publish(self, cause: str, cause_at: datetime | None, changed: frozenset[Wake]) -> None:
        self._disturb()
        self._line_up(cause, cause_at, changed)
        self._tell()

    def _line_up(self, cause: str, cause_at: datetime | None, changed: frozenset[Wake]) -> None:
        """Number the state for the rules that subscribed, and for enforcement."""
        snapshot = self._number(cause, cause_at, self._now())
        crossed = self._crossed(snapshot, changed)
        for rule in self._rules:
            if rule.rule.wakes_on & changed or rule in crossed:
                self._wake_later(rule, snapshot)
        self._unseen.append(snapshot)

    def _tell(self) -> bool:
        """Tell what was lined up, enforcement last. True where a rule may ask for something that must not
        wait: then the others, and all else there is to do, wait for the next `LetGo`. Each thread woken
        before the close is on its way would take the processor from it."""
        newest = self._unseen[-1]
        traded = self._holds and newest.cause.startswith(TRADED)
        urgent = _urgent(self._all_waiting(), newest) if traded else self._all_waiting()
        for rule in urgent:
            self._tell_waited(rule)
        hurry = traded and bool(urgent)
        if not (hurry and self._enforcement_rests()):
            self._tell_enforcement()
        return hurry

    def _disturb(self) -> None:
        """Something else than prices comes."""
        self._catch_up()
        self._band = None

    def _number(self, cause: str, cause_at: datetime | None, now: Now) -> AccountSnapshot:
        self._state = msgspec.structs.replace(self._state, seq=self._state.seq + 1)
        snapshot = snapshot_of(
            self._state,
            now,
            self._limits.stale_after_s,
            cause,
            cause_at,
        )
        self._board.post(("snapshot", self._name), snapshot)
        return snapshot

    def _tick(self, now: Now) -> None:
        self._disturb()
        reset = self._days.previous_reset(now.wall)
        if reset > self._state.ledger.since:
            # The word of the new day was lost: without it no fill of that day would ever count.
            self._event(DayReset(self._days.trading_day(now.wall), reset, missed=True))
        elif self._is_too_early(now):
            self._begin_again(now)
        self._tell_ahead(now)
        self._let_go()
        snapshot = self._number("time", now.wall, now)
        crossed = self._crossed(snapshot)
        for rule in self._rules:
            if Wake.TIME in rule.rule.wakes_on or rule in crossed:
                self._wake(rule, snapshot)
        self._ask_stale(snapshot)
        self._tell_disputes(now)
        self._watch(now.mono)

    def _is_too_early(self, now: Now) -> bool:
        """Whether the day has not come for a while: a single late stamp may turn time back for a moment."""
        if now.wall >= self._state.ledger.since - CLOCKS_DIFFER:
            self._early_since = None
        elif self._early_since is None:
            self._early_since = now.mono
        return self._early_since is not None and now.mono - self._early_since >= TOO_EARLY_S

    def _begin_again(self, now: Now) -> None:
        """Begun by a clock that was wrong, in a day that has not come: no fill would count before it does."""
        day, since = self._days.trading_day(now.wall), self._days.previous_reset(now.wall)
        log.warning("account.day_begun_too_early", account=self._name, day=day.isoformat())
        self._state = msgspec.structs.replace(
            self._state,
            ledger=Ledger(day, since),
            book={},
            openings={},
            disputes={},
            drift={},
            arrived={},
            read_mono=0.0,
        )
        self._read(REBORN)

    def _tell_ahead(self, now: Now) -> None:
        """Fills of a day that has not begun here count in no limit: a clock that is slow must be set."""
        for booked in self._state.ledger.ahead[:1]:
            if booked.fill.at > now.wall + CLOCKS_DIFFER and self._told_ahead != booked.fill.id:
                self._told_ahead = booked.fill.id
                text = (
                    "this machine's clock is slow: fills are stamped in a trading day not begun here "
                    "and count in no limit until it does. Set the clock."
                )
                self._alert("critical", text, f"ahead/{booked.fill.id}")

    # ------------------------------------------------------------------ stale prices, disputes

    def _ask_stale(self, snapshot: AccountSnapshot) -> None:
        """Ask the newest bar of what nobody quotes; shout when it stays unmeasured too long."""
        mono = snapshot.now.mono
        for contract in snapshot.unmeasured:
            since = self._unmeasured_since.setdefault(contract, mono)
            if mono - self._asked_price.get(contract, float("-inf")) >= READ_PRICE_EVERY_S:
                self._asked_price[contract] = mono
                self.send(self._to.connection, ReadPrice(contract))
            if mono - since >= self._limits.blind_after_s:
                self._unmeasured_since[contract] = float("inf")
                self._alert(
                    "error",
                    f"cannot measure the open position in {contract}: no price for "
                    f"{self._limits.blind_after_s:.0f} s. Realized P&L alone is judged.",
                    f"unmeasured/{contract}",
                )
        for contract in set(self._unmeasured_since) - set(snapshot.unmeasured):
            del self._unmeasured_since[contract]

    def _tell_disputes(self, now: Now) -> None:
        self._state, lasting = lasting_disputes(self._state, now.mono)
        for contract, dispute in lasting:
            self._alert(
                "error",
                f"the gateway's position of {contract} ({dispute.size}) disagrees with its fills; "
                "sums with unrealized P&L are not judged until it agrees",
                f"dispute/{contract}/{dispute.since_mono}",
            )
            self._read("a position still disagrees with its fills")
        if lasting:
            self._publish("position", None, frozenset({Wake.POSITION, Wake.PRICE}))

    # ------------------------------------------------------------------ telling others

    def _owe(self, step: Step) -> None:
        if step.booked:
            owed = (*self._state.owed, *step.booked)
            self._state = msgspec.structs.replace(self._state, owed=owed)
        self._tell_oddities(step)

    def _pay(self) -> None:
        """Tell the store what it is owed, from before this incarnation as well."""
        if self._state.owed:
            owed, self._state = self._state.owed, msgspec.structs.replace(self._state, owed=())
            self._store(owed, ())

    def _remember(self, step: Step) -> None:
        self._pay()
        self._store(step.booked, step.completed)
        self._tell_oddities(step)

    def _tell_oddities(self, step: Step) -> None:
        if step.missed:
            log.warning("account.fills_recovered", account=self._name, count=step.missed)
        for text in step.drifted:
            self._alert("warning", text, f"drift/{self._state.seq}")

    def _store(self, fills: Iterable[BookedFill], completed: Iterable[Fill]) -> None:
        rows = list[StoreCommand]()
        for booked in fills:
            rows += (self._fill_row(booked.fill, booked.own), self._fill_record(booked))
        for fill in completed:
            found = self._state.ledger.find(fill.id)
            rows.append(self._fill_row(fill, found.own if found else OwnClose.NO))
        if rows:
            ledger = self._state.ledger
            rows.append(StoreDay(self._account, self._name, ledger.day, ledger.realized, len(ledger.booked)))
        for row in rows:
            self.send(self._to.persistence, row)

    def _fill_row(self, fill: Fill, own: OwnClose) -> StoreFill:
        return StoreFill(fill, self._days.trading_day(fill.at), own)

    def _fill_record(self, booked: BookedFill) -> Record:
        fill = booked.fill
        record = self._state.contracts.get(fill.contract)
        ticks = on_grid(record, fill.price)
        price = repr(fill.price) if record is None or ticks is None else str(record.price(ticks))
        body: dict[str, object] = {
            "trade": fill.id,
            "order": fill.order,
            "contract": fill.contract,
            "side": "buy" if fill.size > 0 else "sell",
            "size": abs(fill.size),
            "price": price,
            "pnl": None if fill.pnl is None else money_text(fill.pnl),
            "fees": money_text(fill.fees),
            "own": booked.own is not OwnClose.NO,
        }
        return Record(f"fill/{self._name}/{fill.id}", HistoryKind.FILL, fill.at, self._name, body)

    def _watch(self, mono: float) -> None:
        """Quotes of every contract with a position or a working order, now or a short while ago."""
        orders = {s.order.contract for s in self._state.orders.values() if s.order.working}
        self._used |= dict.fromkeys((*self._state.book, *orders), mono)
        self._used = {c: at for c, at in self._used.items() if mono - at < WATCH_ON_S}
        wanted = tuple(sorted(self._used))
        if wanted != self._watched:
            self._watched = wanted
            self.send(self._to.connection, WatchContracts(self._account, wanted))

    def _read(self, why: str) -> None:
        self.send(self._to.connection, ReadAccount(self._account, why))

    def _alert(self, level: str, text: str, key: str) -> None:
        notice = Notice(level, "account", text, f"{self._name}/{key}")
        self.send(self._to.notices, Alert(self._clock.wall(), self._name, notice))


def _brought_news(steps: list[Step]) -> bool:
    """Whether a read found what no event had told."""
    return any(step.booked or step.missed or step.drifted for step in steps)
