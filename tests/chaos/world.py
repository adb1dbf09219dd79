"""The guard and its broker on one thread and one clock, with a seeded choice of who moves next.

Everything of the guard is the product's own: the program on trio, the supervisor, every actor, the journal,
the connection's asyncio code and SQLite. What is replaced is what decides *when*: actors are stepped, the
asyncio loop turns one round at a time, trio's clock and the actors' are one ManualClock, and the gateway's
requests, answers and events lie on an agenda. The same seed gives the same run, to the message.

A process may die at any step. What was not in the store (SQLite, in memory, held by the world) or in the
journal's file is gone; requests that had left travel on; the next process goes the product's own way of
recovery.
"""

from __future__ import annotations

import math
import random
import shutil
import sqlite3
import tempfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import trio
import trio._core._run as trio_run
from sqlite_utils import Database

from actors.address import Answer, Envelope
from actors.clock import Clock, ManualClock
from actors.connection.link import LinkView
from actors.connection.loop import GatewayLoop
from actors.connection.port import Gateway
from actors.enforcement.view import EnforcementView
from actors.messages import AccountSnapshot, Call, LinkState, StoreMeta
from actors.persistence import keys
from actors.persistence.opening import Opening
from actors.persistence.schema import instant_text, migrations
from actors.persistence.store import Store
from config.checks import settings_from
from config.settings import Settings
from supervisor import arming
from supervisor.child_spec import SupervisorSpec
from supervisor.driver import Supervisor
from supervisor.events import Report
from supervisor.handle import DeadLetter
from supervisor.home import Home
from supervisor.life import Ending
from supervisor.program import Program
from tests.chaos import invariants, sights
from tests.chaos.agenda import Agenda
from tests.chaos.broker import ACCOUNT, Broker
from tests.chaos.ending import End, ended
from tests.chaos.eventloop import SteppedGatewayLoop
from tests.chaos.gateway import SimGateway
from tests.chaos.lives import How, Life, Point, Site, SteppedSupervisor
from tests.scenarios.clock import WEDNESDAY_10

NAME = "PRAC-V2-1001"
"""The one guarded account."""
BOOT_S = 10.0
"""From the start of the first process to the first step of the script."""
QUANTUM_S = 1.0
"""Where nothing is on its way, time passes in steps of this: the beats of a machine that is slow."""
BEAT_S = 0.009
"""Steps of time while a thread is held up."""
SOON_S = 0.06
REQUOTE_S = 4.0
APART_S = 0.4
"""Nothing is done sooner after the step before: what that one set off is on its way."""
READ_S = 3.5
"""Longer than from one steady read to the next."""
LATE_S = 120.0
"""A world that has not come to rest so long after it should have is stuck."""
WAKES = 400_000
ASK_S = 10.0


class Stuck(AssertionError):
    """The world did not come to rest."""


class Choice(Protocol):
    """Who moves next, and what goes wrong."""

    def pick(self, count: int) -> int:
        """One of so many that could move now."""
        ...

    def strikes(self, site: Site) -> How | None: ...

    def between(self, world: World) -> None:
        """Called before each step; may let things happen, or time pass."""
        ...


class Plain:
    """The run that nothing disturbs: whoever became ready first moves first. Writes down every site."""

    def __init__(self) -> None:
        self.sites: list[Site] = []

    def pick(self, count: int) -> int:
        del count
        return 0

    def strikes(self, site: Site) -> How | None:
        self.sites.append(site)
        return None

    def between(self, world: World) -> None:
        pass


class Act(Protocol):
    """One step of a script: something that the trader, the market, the broker or an admin does."""

    def __call__(self, world: World) -> None: ...


class VirtualTime(trio.abc.Clock):
    """Trio's clock is the world's; it never waits, for the world moves the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._mono = clock.mono

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._mono()

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0.0 if deadline <= self._mono() else 0.001


class Process(Program):
    """One life of the daemon in the world."""

    def __init__(self, world: World, store: Store, *, first_start: bool, safe_mode: bool) -> None:
        self.world = world
        self.stepped: SteppedGatewayLoop
        super().__init__(
            world.settings,
            world.home,
            world.clock,
            store,
            world.make_gateway,
            first_start=first_start,
            safe_mode=safe_mode,
        )
        self.parts = replace(self.parts, pause=lambda seconds: None)
        self.safe_mode = safe_mode

    def _supervise(self, root: SupervisorSpec, clock: Clock) -> Supervisor:
        world = self.world
        world.ready = {}
        life = type("Life", (Life,), {"watcher": world, "queue": world.ready})
        supervised = type("Supervised", (SteppedSupervisor,), {"watcher": world})
        supervisor = supervised(root, clock, self, chance=random.Random(world.seed), incarnation=life)
        assert isinstance(supervisor, Supervisor)
        return supervisor

    def _keep_gateway(self, make: Callable[[], Gateway]) -> GatewayLoop:
        world = self.world
        self.stepped = SteppedGatewayLoop(make, self._options(), self._outlets(), self.clock, world.handing)
        return self.stepped

    def report(self, report: Report) -> None:
        self.world.reports[report.kind] += 1
        super().report(report)

    def dead_letter(self, letter: DeadLetter) -> None:
        if letter.poison:
            self.world.letters += 1
        super().dead_letter(letter)


class World:
    """One run of one scenario."""

    def __init__(
        self,
        rules: dict[str, Any],
        script: tuple[tuple[float, Act], ...],
        choice: Choice,
        *,
        seed: int = 0,
        at: datetime = WEDNESDAY_10,
        quantum_s: float = QUANTUM_S,
        wakes: int = WAKES,
        **document: Any,
    ) -> None:
        self.seed, self.choice, self.quantum_s, self._wakes = seed, choice, quantum_s, wakes
        self.settings = settings_of(_key(rules), _key(document))
        self.clock = ManualClock(at - timedelta(seconds=BOOT_S))
        self.agenda = Agenda(self.clock)
        self.broker = Broker(self.clock, self.agenda)
        self._script = deque(script)
        self._began = self.clock.mono() + BOOT_S
        self.home = Home(Path())
        self.db: sqlite3.Connection
        self.process: Process | None = None
        self.ready: dict[Life, None] = {}
        self.life: Life | None = None
        self.steps = 0
        self.messages = 0
        self.deaths = 0
        self.letters = 0
        self.part = 0
        """How many steps of the script were played."""
        self.taking: object = None
        """The message in work."""
        self.handing_over = False
        self.trace = 0
        """A running sum over who moved and what was taken: two runs with the same one are the same run."""
        self.met: Counter[str] = Counter()
        self.reports: Counter[str] = Counter()
        self.died_over: list[tuple[str, str]] = []
        """Rules struck over a snapshot, with its cause."""
        self.failures: list[str] = []
        self._taken: Counter[str] = Counter()
        self._starts: Counter[str] = Counter()
        self._stuck: list[tuple[Life, Envelope, float]] = []
        self._poisoned: set[str] = set()
        self._dying = False
        self._seen: EnforcementView | None = None
        self._requoted = 0.0
        self.flat_asked = False
        self.further_unrest: Callable[[], str] = str
        """What else must be over before a script goes on."""
        self.locked: dict[str, datetime | None] = {}
        """Every lockout ever shown as in force."""
        self._asking: list[tuple[Answer, str, Callable[[], object]]] = []
        self.may_be_blind = False
        self._tasks = Tasks()
        self._late_since: float | None = None
        self._calm_since: float | None = None
        self._acted_at = -math.inf
        self.safe_mode = False
        self.name = NAME
        self.ending: Ending | None = None
        self.end: End | None = None

    # ------------------------------------------------------------ the operator

    def ask(self, actor: str, make: Callable[[], object]) -> None:
        """Ask an actor, again and again until it answers; the world does not rest before."""
        self._asking.append((self.guard.supervisor.handle(actor).ask(make(), ASK_S), actor, make))

    def _ask_again(self) -> None:
        """Whoever got no answer, for its actor or the whole process died, asks again."""
        waiting, self._asking = self._asking, []
        for answer, actor, make in waiting:
            if answer.done() and answer.exception() is None:
                continue
            if answer.done() or answer not in self.guard.supervisor.asks:
                self.ask(actor, make)
            else:
                self._asking.append((answer, actor, make))

    # ------------------------------------------------------------ Watcher

    def strikes(self, life: Life, point: Point, nth: int = 0) -> How | None:
        if self._dying:
            return None
        name = life.home.id
        message = self._starts[name] if point == "start" else self._taken[name] + (point == "before_take")
        how = self.choice.strikes(Site(self.part, name, message, point, nth))
        if point == "after_take" and name in self._poisoned:
            self._poisoned.discard(name)
            how = "crash"
        elif how == "poison":
            self._poisoned.add(name)
        if how is not None:
            sights.struck(self, life, how)
        return how

    def took(self, life: Life, envelope: Envelope) -> None:
        name = life.home.id
        self._taken[name] += 1
        self.messages += 1
        self.taking = envelope.message
        sights.took(self, name, envelope.message)
        self._note(name, type(envelope.message).__name__)

    def die(self) -> None:
        """The process ends here, as by kill -9."""
        self._dying = True

    def stuck(self, life: Life, envelope: Envelope) -> None:
        found = self.guard.supervisor.levels.find(life.home.id)
        seconds = 1.5 if found is None or found[1].spec.replace_when_hung else 3.0
        self._stuck.append((life, envelope, self.clock.mono() + seconds))
        self.ready.pop(life, None)

    def handing(self, call: Call) -> None:
        """Enforcement hands a call over: a boundary like any other."""
        del call
        if self.life is not None:
            self.handing_over = True
            try:
                self.life.sending()
            finally:
                self.handing_over = False

    def _note(self, *what: str) -> None:
        self.trace = zlib.crc32("|".join(what).encode(), self.trace)

    # ------------------------------------------------------------ playing

    def play(self) -> World:
        """Run the script to its end, over as many processes as it takes."""
        with own_chance(self.seed), self._folder():
            self.db = blank(self.clock.wall())
            first = True
            while not self._is_over():
                self._dying = False
                self._tasks = Tasks()
                trio.run(self._live, first, clock=VirtualTime(self.clock), instruments=[self._tasks])
                first = False
        return self

    @contextmanager
    def _folder(self) -> Iterator[None]:
        where = "/dev/shm" if Path("/dev/shm").is_dir() else None
        folder = tempfile.mkdtemp(prefix="riskd-world-", dir=where)
        self.home = Home(Path(folder))
        try:
            self.home.journal.mkdir()
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _live(self, first: bool) -> None:
        if self.db.in_transaction:
            self.db.rollback()
        store = Store(Database(self.db, execute_plugins=False), self.home.database, self.home.backups, GOOD)
        process = self.process = Process(self, store, first_start=first, safe_mode=self.safe_mode)
        self._stuck.clear()
        async with trio.open_nursery() as nursery:
            self.ending = None
            nursery.start_soon(self._guarding, process)
            # What the program itself raises comes out of the nursery, which is cancelled then.
            while self._turns() and not nursery.cancel_scope.cancel_called:
                await trio.lowlevel.checkpoint()
            self._end_process(process)
            nursery.cancel_scope.cancel()

    async def _guarding(self, process: Process) -> None:
        self.ending = await process.run()

    def _end_process(self, process: Process) -> None:
        if not self._is_over():
            self.deaths += 1
        else:
            self._see_the_end(process)
        sights.process_over(self, process)
        self.broker.connections.clear()
        self.ready.clear()
        process.stepped.stepped.die()
        # One that could not start is started again by its watchdog, like one that asks to be replaced.
        if self.ending is not None and self.ending.exit not in (1, 75):
            self.failures.append(f"the guard ended: {self.ending}")
            self._script.clear()

    def _see_the_end(self, process: Process) -> None:
        """What is compared and checked is taken before anything is taken down."""
        self.end = ended(self, process)
        self.failures += invariants.broken(self, process)

    @property
    def guard(self) -> Process:
        assert self.process is not None
        return self.process

    # ------------------------------------------------------------ one step

    def _turns(self) -> bool:
        """Step whoever is picked until it is trio's turn (True) or the process is over."""
        loop, agenda, ready, choice = self.guard.stepped.stepped, self.agenda, self.ready, self.choice
        mono, are_ready = self.clock.mono, self._tasks.are_ready
        while not (self._dying or not self._script or self.ending is not None):
            self.steps += 1
            if self.steps > self._wakes:
                raise Stuck(f"no end after {self.steps} steps: {self.unrest()}")
            choice.between(self)
            if self._dying:
                return False
            now = mono()
            movers: list[Any] = [None] if are_ready(now) else []
            if loop.has_work(now):
                movers.append(loop)
            if agenda.is_due(now):
                movers.append(agenda)
            movers += ready
            if not movers:
                self._rest()
                continue
            mover = movers[choice.pick(len(movers))] if len(movers) > 1 else movers[0]
            if mover is None:
                self._note("main")
                return True
            if type(mover) is Agenda or mover is loop:
                self._note(type(mover).__name__)
                mover.step()
            elif not mover.step():
                ready.pop(mover, None)
        return False

    def _rest(self) -> None:
        """Nobody has anything to do: those who were held up go on, the script goes on, or time passes."""
        now = self.clock.mono()
        self._look_at_locks()
        for each in self._stuck:
            life, envelope, until = each
            if now >= until:
                self._stuck.remove(each)
                self.met[sights.WOKE] += life.home.incumbent is not life
                life.resume(envelope)
                return
        if self._asking and self.guard.ready:
            self._ask_again()
            if self.ready:
                return
        if self._script and now >= self._began + self._script[0][0] and self._may_go_on(self._script[0][1]):
            self._late_since = self._calm_since = None
            self._acted_at = now
            self.requote()
            _, act = self._script.popleft()
            self.part += 1
            self._taken.clear()
            self._starts.clear()
            act(self)
            return
        self._look_if_late(now)
        self.pass_time(self._span(now))

    def _look_at_locks(self) -> None:
        view = self.guard.board.read(("enforcement", NAME), EnforcementView)
        if view is not None and view is not self._seen:
            self._seen = view
            self.locked.update((lockout.rule, lockout.until) for lockout in view.lockouts)

    def _span(self, now: float) -> float:
        """How long time passes at once: to the next thing on its way, else a whole beat."""
        loop = self.guard.stepped.stepped.next_due()
        soon = min(self.agenda.next_due(), loop if loop - now < SOON_S else math.inf)
        script = self._began + self._script[0][0] if self._script else math.inf
        # Who looks for hung threads grants them what the machine lost: it must not look like a slow one then.
        beat = BEAT_S if self._stuck else self.quantum_s
        ends = [soon, now + beat, script if script > now else math.inf]
        return max(min(ends) - now, 1e-4)

    def dawdle(self, seconds: float) -> None:
        """Time passes while there is work: somebody is slow. Never past the next step of the script."""
        script = self._began + self._script[0][0] if self._script else math.inf
        left = script - self.clock.mono()
        if left > 0:
            self.pass_time(min(seconds, left))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.clock.mono() - self._requoted >= REQUOTE_S:
            self.requote()

    def requote(self) -> None:
        self._requoted = self.clock.mono()
        if not self.broker.down:
            self.broker.requote_all()

    def _look_if_late(self, now: float) -> None:
        if not self._script or now < self._began + self._script[0][0]:
            return
        if self._late_since is None:
            self._late_since = now
            self.met["a step of the script had to wait"] += 1
        if now - self._late_since > LATE_S:
            raise Stuck(f"not at rest for {LATE_S:.0f} s: {self.unrest()}")

    # ------------------------------------------------------------ what is seen

    def _is_over(self) -> bool:
        return not self._script

    def _may_go_on(self, act: Act) -> bool:
        """At rest; and where it was late, for long enough that every rule has judged what was read."""
        if hasattr(act, "restless"):
            return True
        now = self.clock.mono()
        if self.unrest() or now - self._acted_at < APART_S:
            self._calm_since = None
            return False
        if self._late_since is not None and self._calm_since is None:
            self._calm_since = now
        return self._calm_since is None or now - self._calm_since >= READ_S

    def unrest(self) -> str:
        """What is still going on, in words; empty when nothing is."""
        guard = self.guard
        board = guard.board
        link = board.read(("link",), LinkView)
        view = board.read(("enforcement", NAME), EnforcementView)
        snapshot = board.read(("snapshot", NAME), AccountSnapshot)
        if not guard.ready or link is None:
            return "not guarding yet"
        if link.state is not LinkState.LIVE and not self.may_be_blind:
            return f"the link is {link.state}"
        if view is None or snapshot is None:
            return "the account was not seen yet"
        if snapshot.link is not LinkState.LIVE and not self.may_be_blind:
            return "the account has not taken in what the link brought"
        if view.reducing or view.in_flight:
            return f"enforcement is at work: {view.open_receipts}"
        if snapshot.suspended:
            return "a position is disputed"
        if snapshot.unmeasured:
            return "a position is not measured"
        if self._stuck:
            return "a thread is held up"
        if self._asking:
            return "a command was not answered yet"
        if guard.store.backlog.count:
            return "rows are not stored yet"
        if further := self.further_unrest():
            return further
        down = [h.id for h in guard.supervisor.handles.values() if h.incumbent is None and h.closed is None]
        return f"not running: {', '.join(down)}" if down else ""

    @property
    def now_s(self) -> float:
        """Seconds since the script began."""
        return self.clock.mono() - self._began

    def make_gateway(self, settings: Settings, clock: Clock) -> Callable[[], Gateway]:
        from actors.connection.budget import Limits

        budget, timeout = settings.gateway.budget, settings.gateway.request_timeout.total_seconds()
        limits = Limits(budget.requests, budget.per.total_seconds(), budget.reserved)
        return lambda: SimGateway(self.broker, clock, timeout, limits)


GOOD = Opening("good")


def blank(now: datetime) -> sqlite3.Connection:
    """An empty store in memory, with today's backup already made."""
    conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    conn.deserialize(_blank(instant_text(now)))
    return conn


@cache
def _blank(now: str) -> bytes:
    conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db = Database(conn, execute_plugins=False)
    migrations.apply(db)
    store = Store(db, Path("nowhere.db"), Path("nowhere"), GOOD)
    store.apply([StoreMeta(keys.LAST_BACKUP, now.encode())])
    return conn.serialize()


class Tasks(trio.abc.Instrument):
    """How many of trio's tasks are to run: also those of a round of which only a part has run yet."""

    def __init__(self) -> None:
        self.waiting = 0

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        del task
        self.waiting += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        del task
        self.waiting -= 1

    def are_ready(self, now: float) -> bool:
        """Whether trio has a task to run, a call to make, or a deadline that has come."""
        runner = trio_run.GLOBAL_RUN_CONTEXT.runner
        queue = runner.entry_queue
        due = runner.deadlines.next_deadline() <= now
        return bool(self.waiting > 0 or due or queue.queue or queue.idempotent_queue)


async def _inline(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    del options
    await trio.lowlevel.checkpoint()
    return call(*args)


@contextmanager
def own_chance(seed: int) -> Iterator[None]:
    """Trio's own dice are the seed's, its worker threads are none, and self-tests are remembered."""
    threads, prove = trio.to_thread.run_sync, arming.prove
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio_run._r = random.Random(seed)
    trio.to_thread.run_sync = _inline  # type: ignore[assignment]
    arming.prove = _proven  # type: ignore[assignment]
    try:
        yield
    finally:
        trio.to_thread.run_sync, arming.prove = threads, prove


_proofs: dict[tuple[object, bool], Any] = {}
_prove = arming.prove


def _proven(parts: Any, report: Any) -> Any:
    """A self-test is pure; a thousand worlds with the same rules need it once."""
    key = (id(parts.settings), parts.safe_mode)
    if key not in _proofs:
        _proofs[key] = _prove(parts, report)
    return _proofs[key]


def _key(document: dict[str, Any]) -> str:
    import json

    return json.dumps(document, sort_keys=True)


@cache
def settings_of(rules: str, document: str) -> Settings:
    import json

    session = {"start": "08:30", "end": "15:00", "timezone": "America/Chicago"}
    return settings_from(
        {
            "gateway": {"kind": "simulator", "request_timeout": "2s"},
            "accounts": [{"name": NAME}],
            "sessions": {"main": session},
            "rules": json.loads(rules),
            **json.loads(document),
        }
    )


__all__ = ["ACCOUNT", "NAME", "Act", "Choice", "Plain", "Stuck", "World"]
