"""The guard, running: starts the tree, arms accounts as the gateway names them, answers for what dies.

`Program` runs inside trio and knows no process around it: `__main__` gives it a home and a clock, tests
give it an injected clock and a simulated gateway. Why it ended it says through `Ending`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio
from msgspec import Struct

from actors.board import Board
from actors.clock import Clock, SystemClock
from actors.connection.budget import Limits as BudgetLimits
from actors.connection.link import NOT_TRIED, LinkView
from actors.connection.loop import GatewayLoop
from actors.connection.options import Options, Outlets
from actors.connection.port import ContractsLoaded, Gateway, LoadContracts
from actors.enforcement.view import EnforcementView
from actors.logs import adopt, checkpoint, get_logger
from actors.messages import (
    AccountReport,
    AccountsFound,
    AccountSnapshot,
    Alert,
    DeadLetter,
    HistoryKind,
    LinkState,
    LoginRefused,
    Notice,
    Now,
    ReadAccount,
    Record,
    StoreMeta,
    SupervisorLock,
)
from actors.notices.actor import first_state as first_notices
from actors.notices.targets import Target
from actors.persistence import keys
from actors.persistence.keys import history_id
from actors.persistence.store import Store
from actors.tally import Tally, percentile
from actors.timers.actor import Beat, Registry, Subscribe, first_state
from actors.timers.clock import TrustedClock
from actors.trading_day import TradingCalendar
from actors.worker import Address
from config.pending import Standing
from config.settings import Settings
from supervisor.answers import Latency, Percentiles, Reason
from supervisor.arming import (
    DIRECTORY,
    Armed,
    Directory,
    Unguardable,
    arm,
    choose,
    introduce,
    roots_of,
)
from supervisor.child_spec import SupervisorSpec
from supervisor.driver import Refused, StartFailed, Supervisor, Unanswered
from supervisor.events import Report
from supervisor.handle import DeadLetter as Letter
from supervisor.home import Home
from supervisor.hooks import SilentHooks
from supervisor.inbox import Inbox
from supervisor.phases import Phases
from supervisor.silence import SILENT_S, Silence, in_session, listened
from supervisor.tree import Parts, trunk
from supervisor.winding_down import TERMINATED, wind_down

log = get_logger("riskd.supervisor")

BEAT_S = 0.05
LISTEN_S = 1.0
RETRY_GIVEN_UP_S = 60.0
"""A rule that was given up is tried again after this long; until then its account is locked."""
RECORDS_WAIT_S = 20.0
"""How long arming waits for the contract records of configured roots before it goes on without."""
BLIND_S = 10.0
"""A start takes the link through blindness for a moment; longer, and blind is what it is."""
ARM_PAUSES_S = (0.1, 1.0, 5.0)


class Ending(Struct, frozen=True):
    """Why the program ends, in the operator's words, with the exit code of the process."""

    exit: int
    why: str
    hint: str = ""
    left_open: tuple[str, ...] = ()


REPLACE_ME = 75
"""Asked for by an operator: replaced at once, out of safe mode."""
CANNOT_GO_ON = 70
"""A part that only a new process cures: replaced, and counted as a failure."""

LEAVING = {0: "stopping", 1: "stopping", 78: "stopping", REPLACE_ME: "restarting"}
"""What the watchdog is told by the exit code; any other end is a failure."""

type MakeGateway = Callable[[Settings, Clock], Callable[[], Gateway]]


class Program(SilentHooks):
    """One guard. `run` returns when it has ended, with the reason."""

    silent_after_s = SILENT_S

    def __init__(
        self,
        settings: Settings,
        home: Home,
        clock: Clock,
        store: Store,
        make_gateway: MakeGateway,
        *,
        targets: tuple[Target, ...] = (),
        first_start: bool = True,
        safe_mode: bool = False,
        on_scan: Callable[[], None] | None = None,
        on_phase: Callable[[str], None] | None = None,
        grace_s: float = 0.0,
        claim: Callable[[int], str] | None = None,
        standing: Standing | None = None,
        phases: Phases | None = None,
    ) -> None:
        """`grace_s`: how long an end waits for closes that are under way. `claim`: takes an account for
        this guard alone, or says who has it."""
        self.settings, self.home, self.store = settings, home, store
        self._phases = phases or Phases(clock.mono(), "making the parts")
        self._phases.begin("making the parts", clock.mono())
        self.standing = standing or Standing.settled(settings)
        """What is in force (`settings`), and what was asked for and waits."""
        self.file_fault: Reason | None = None
        """How the files differ from what was accepted, as far as anybody looked."""
        self.first_start = first_start
        # Read before the persistence actor owns the file.
        self.stored_directory = store.meta(DIRECTORY)
        self.board = Board()
        self.clock: Clock = TrustedClock(clock, self.board)
        self.calendar = TradingCalendar.of(settings)
        self.armed: dict[str, Armed] = {}
        self.found: tuple[AccountReport, ...] = ()
        self.ready = False
        self.given_up: dict[str, str] = {}
        self._handled: dict[str, int] = {}
        """How many messages an actor had handled when it was given up."""
        self._trying: dict[str, int] = {}
        """Given-up actors that were started again, with what they had handled before."""
        self.uncovered_ms: dict[str, float] = {}
        self._died_of: dict[str, str] = {}
        """Why an actor that is being replaced died."""
        self.actor_restarts = 0
        self._silence: dict[str, Silence | None] = {}
        self._listened = 0.0
        self._on_scan, self._on_phase, self._grace_s = on_scan, on_phase, grace_s
        self._claim = claim
        self._scanned = clock.mono()
        self._inbox = Inbox("tree")
        self._news, self._arrivals = trio.open_memory_channel[object](1000)
        self._records = trio.Event()
        self._loaded: ContractsLoaded | None = None
        self.arming = trio.Lock()
        """Held by whoever arms accounts or lets them go."""
        self._ending: Ending | None = None
        self._over = trio.Event()
        self._connected = False
        self._rules_told = False
        self._introduced: set[str] = set()
        self._nursery: trio.Nursery | None = None
        self.supervisor = self._supervise(trunk(lambda: self.parts), clock)
        self.loop = self._keep_gateway(make_gateway(settings, self.clock))
        self.parts = Parts(
            settings,
            self.calendar,
            self.clock,
            clock,
            self.board,
            store,
            home,
            self.supervisor.handle,
            self.loop,
            self._outlets(),
            self._inbox,
            first_state(self.calendar, store.meta(keys.GATEWAY_TIME)),
            Registry(),
            first_notices(targets, store.alerts(), clock.mono()),
            targets,
            safe_mode,
        )

    def _supervise(self, root: SupervisorSpec, clock: Clock) -> Supervisor:
        return Supervisor(root, clock, self)

    def _keep_gateway(self, make: Callable[[], Gateway]) -> GatewayLoop:
        return GatewayLoop(make, self._options(), self._outlets(), self.clock)

    def _options(self) -> Options:
        gateway = self.settings.gateway
        budget = gateway.budget
        return Options(
            day_start=self.calendar.previous_reset,
            reconcile_every=gateway.reconcile_every.total_seconds(),
            check_every=self.settings.rules.auth_loss_guard.check_every.total_seconds(),
            limits=BudgetLimits(
                requests=budget.requests, per=budget.per.total_seconds(), reserved=budget.reserved
            ),
        )

    def _outlets(self) -> Outlets:
        handle = self.supervisor.handle
        return Outlets(
            self._inbox,
            handle("connection"),
            handle("persistence"),
            handle("notices"),
            handle("timers"),
            self.board,
        )

    # ------------------------------------------------------------------ life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> Ending:
        """Guard until told to end. Everything started here is stopped in reverse before it returns."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._inbox.open(self._arrived)
            self._phase("starting actors")
            try:
                await self.supervisor.start(nursery)
            except StartFailed as error:
                nursery.cancel_scope.cancel()
                return Ending(1, str(error), "see riskd logs")
            for name in ("persistence", "notices", "connection"):
                self.address("timers").tell(Subscribe(self.address(name)))
            nursery.start_soon(self._pulse)
            nursery.start_soon(self._read_news)
            await self._arm_known()
            self._phase("logging in")
            task_status.started()
            await self._over.wait()
            await self._leave()
            await self.supervisor.stop()
            await trio.to_thread.run_sync(self.loop.close)
            nursery.cancel_scope.cancel()
        assert self._ending is not None
        return self._ending

    async def _leave(self) -> None:
        """Say so before anything stops: the watchdog must know whether another one is wanted."""
        assert self._ending is not None
        self._phase(LEAVING.get(self._ending.exit, "failing"))
        if self._ending.exit in (0, TERMINATED):
            left = await wind_down(self, self._grace_s)
            self._ending = msgspec.structs.replace(self._ending, left_open=left)

    @property
    def ending(self) -> Ending | None:
        """Why it is ending; None while it guards."""
        return self._ending

    def move_clock(self, seconds: float) -> None:
        """Set the machine's clock as an administrator or NTP would, for this process: chaos alone asks."""
        machine = self.parts.machine
        if isinstance(machine, SystemClock):
            machine.offset_s += seconds

    def end_for(self, code: int, why: str) -> None:
        self.end(Ending(code, why))

    def end(self, ending: Ending) -> None:
        """Stop in good order; the first reason given is the one told."""
        if self._ending is None:
            self._ending = ending
            log.info("program.ends", exit=ending.exit, why=ending.why)
        self._over.set()

    def _phase(self, phase: str) -> None:
        log.info("program.phase", phase=phase)
        self._phases.begin(phase, self.clock.mono())
        if self._on_phase is not None:
            self._on_phase(phase)

    async def _pulse(self) -> None:
        timers = self.supervisor.handle("timers")
        while True:
            timers.tell_latest("beat", Beat())
            self._look_at_link()
            self._look_at_tries()
            self._listen()
            await trio.sleep(BEAT_S)

    def _listen(self) -> None:
        """Once a second: whether an account that holds something has gone silent."""
        now = Now(self.clock.wall(), self.clock.mono())
        if now.mono - self._listened < LISTEN_S:
            return
        self._listened = now.mono
        is_open = in_session(self.calendar, tuple(self.settings.sessions), now.wall)
        link = self.board.read(("link",), LinkView)
        quoted = 0.0 if link is None else link.last_quote_mono
        for name, armed in self.armed.items():
            tally = self.board.read(("tally", "account", name), Tally) or Tally()
            snapshot = self.board.read(("snapshot", name), AccountSnapshot)
            self._silence[name], silent = listened(
                self._silence.get(name),
                snapshot,
                max(tally.heard.get("event", 0.0), quoted),
                now.mono,
                in_session=is_open,
                after_s=self.silent_after_s,
            )
            if silent:
                minutes = self.silent_after_s / 60
                text = (
                    f"nothing was heard of {name} for {minutes:.0f} minutes although it holds something and "
                    "its market is open; it is read again. Compare with the broker's screen."
                )
                self.alert("warning", text, f"silent/{name}/{now.wall.isoformat()}", name)
                self.address("connection").tell(ReadAccount(armed.guarded.id, "silence"))

    def _look_at_link(self) -> None:
        if self.ready or self._ending is not None:
            return
        view = self.board.read(("link",), LinkView)
        if view is None:
            return
        if view.state is LinkState.LIVE and self._introduced:
            self._become_ready()
        elif view.state is LinkState.DOWN and not self._connected and _has_failed(view):
            # Unreachable: up, blind and retrying is a state of its own, not a failed start.
            self._become_ready()
        elif view.state is LinkState.BLIND and self._introduced and self._has_been_blind_s(view) > BLIND_S:
            # REST answers and the hubs cannot be had: accounts are read and guarded, only later.
            self._become_ready()

    def _has_been_blind_s(self, view: LinkView) -> float:
        return (self.clock.wall() - view.since).total_seconds()

    def _become_ready(self) -> None:
        self.ready = True
        log.info("program.guarding", **self._phases.told(self.clock.mono()))
        self._phase("ready")
        if self.parts.safe_mode:
            text = "safe mode: no rule is judged, every account is locked against new risk"
            self.alert("critical", f"{text}. riskd restart leaves it", "safe-mode")

    # ------------------------------------------------------------------ what the connection tells

    def _arrived(self, message: object) -> None:
        if isinstance(message, ContractsLoaded):
            self._loaded = message
            self._records.set()
            return
        try:
            self._news.send_nowait(message)
        except trio.WouldBlock:
            log.error("program.news_lost", message=type(message).__name__)

    async def _read_news(self) -> None:
        async for message in self._arrivals:
            match message:
                case AccountsFound():
                    await self._accounts_found(message.accounts)
                case LoginRefused():
                    self._login_refused(message)
                case _:
                    raise TypeError(f"the tree cannot take {type(message).__name__}")

    async def _accounts_found(self, found: tuple[AccountReport, ...]) -> None:
        self.found = found
        if not self._connected:
            self._connected = True
            checkpoint(3, "gateway connected", accounts=len(found))
            adopt()
        try:
            chosen = choose(self.settings, found)
        except Unguardable as error:
            self._cannot_guard(str(error), error.hint)
            return
        missing = [account for account in chosen if account.name not in self.armed]
        if missing:
            self._phase("reading contracts")
            await self._load_records()
        for account in missing:
            await self._arm(account)
        self._tell_rules()
        self._introduce()
        directory = Directory(tuple((int(a.id), a.name) for a in chosen))
        self.supervisor.handle("persistence").tell(StoreMeta(DIRECTORY, msgspec.json.encode(directory)))

    def _cannot_guard(self, why: str, hint: str) -> None:
        if self.first_start and not self.ready:
            self.end(Ending(78, why, hint))
            return
        log.error("program.cannot_guard", why=why)
        self.alert("critical", f"{why}. {hint}", f"cannot-guard/{why}")

    def _login_refused(self, refused: LoginRefused) -> None:
        why = f"the gateway refused the login: {refused.text}"
        if self.first_start and not self.ready:
            self.end(Ending(1, why, "check gateway.username and gateway.api_key"))
            return
        self.alert("error", f"{why}. The guard keeps trying; it is blind until it gets in.", "login-refused")

    async def _load_records(self) -> None:
        """Ask for the contract records of every configured root; a root nobody knows refuses the start."""
        roots = roots_of(self.settings)
        if not roots:
            return
        self._records = trio.Event()
        self.supervisor.handle("connection").tell(LoadContracts(roots, (), self._inbox))
        with trio.move_on_after(RECORDS_WAIT_S):
            await self._records.wait()
        if self._loaded is not None and self._loaded.unknown_roots:
            unknown = ", ".join(self._loaded.unknown_roots)
            self._cannot_guard(
                f"the gateway knows no contract of {unknown}",
                "correct the root where the configuration names it",
            )

    # ------------------------------------------------------------------ arming

    async def _arm_known(self) -> None:
        """After a restart: the accounts last seen are armed before any contact, lockouts in force."""
        stored = self.stored_directory
        if self.first_start or stored is None:
            return
        known = msgspec.json.decode(stored, type=Directory)
        reports = tuple(AccountReport(id_, name, None) for id_, name in known.accounts)  # type: ignore[arg-type]
        try:
            chosen = choose(self.settings, reports)
        except Unguardable as error:
            log.warning("program.directory_differs", why=str(error))
            return
        for account in chosen:
            await self._arm(account)
        self._introduce()

    def rearmed(self, name: str, armed: Armed) -> None:
        """The account was armed afresh under a changed configuration."""
        self.armed[name] = armed
        self._introduced.discard(name)
        self._introduce()

    def _introduce(self) -> None:
        """Have guarded what is armed: all of it first, then events, so that none finds half a guard."""
        for name in self.armed.keys() - self._introduced:
            self._introduced.add(name)
            introduce(self.supervisor, self.armed[name].guarded)

    async def _arm(self, account: AccountReport) -> None:
        """Once: after a restart the accounts last seen and the gateway's own list may come together."""
        async with self.arming:
            if account.name not in self.armed and self.is_ours(account):
                await self._arm_one(account)

    def is_ours(self, account: AccountReport) -> bool:
        """Whether no other guard has it. One that has it at a restart may go: the next listing asks again."""
        try:
            held = self._claim(account.id) if self._claim is not None else ""
        except OSError as error:
            # Guarding twice is worse than once, guarding not at all is worse than either.
            text = f"cannot tell whether another guard has {account.name}: {error}"
            self.alert("warning", text, f"claimed/{account.name}")
            return True
        if not held:
            return True
        why = f"cannot guard {account.name}: {held}"
        hint = "end that one (riskd down --home ...), or leave the account to it"
        if self.first_start and not self.ready:
            self.end(Ending(1, why, hint))
        else:
            self.alert("critical", f"{why}. {hint}", f"claimed/{account.name}")
        return False

    async def _arm_one(self, account: AccountReport) -> None:
        self._phase(f"arming {account.name}")
        armed = await self._armed_at_last(account)
        if armed is None:
            return
        self.armed[account.name] = armed
        if armed.failed and self.first_start and not self.ready:
            texts = "; ".join(f"{rule}: {why}" for rule, why in armed.failed.items())
            self.end(
                Ending(1, f"a rule did not pass its self-test: {texts}", "this is a defect: please report it")
            )
        self._forgive(armed)
        for rule, why in armed.failed.items():
            self.alert("critical", f"rule {rule} is not guarding {account.name}: {why}", f"unarmed/{rule}")

    async def _armed_at_last(self, account: AccountReport) -> Armed | None:
        """An actor that fails to start takes its account's start down: tried again, then by a new process."""
        for pause in ARM_PAUSES_S:
            try:
                return await arm(self.parts, self.supervisor, account)
            except (Refused, Unanswered) as error:
                log.error("program.not_armed", account=account.name, why=str(error))
                await trio.sleep(pause)
        self.end(Ending(REPLACE_ME, f"{account.name} could not be armed", "see riskd logs"))
        return None

    def _forgive(self, armed: Armed) -> None:
        """Rules that were given up in an earlier life run again, or are not wanted any more: nobody else
        would end the lock that stands for them."""
        name = armed.guarded.name
        view = self.board.read(("enforcement", name), EnforcementView)
        for rule in () if view is None else view.given_up:
            if rule not in armed.failed and f"account/{name}/rules/{rule}" not in self.given_up:
                self._lock_for(name, rule, "the rule runs again", on=False)

    def _tell_rules(self) -> None:
        if self._rules_told or not self.armed:
            return
        self._rules_told = True
        configured = sum(a.configured for a in self.armed.values())
        running = sum(bool(built.number) for a in self.armed.values() for built in a.guarded.rules)
        checkpoint(4, f"rules armed {running} of {configured}", accounts=sorted(self.armed))
        checkpoint(5, "loop running", accounts=len(self.armed))

    # ------------------------------------------------------------------ hooks of the supervisor

    def report(self, report: Report) -> None:
        line = report.line()
        if report.expected:
            log.info("actor.stopped", actor=report.id, line=line)
        elif report.kind in ("exited", "gave_up", "escalated", "restart_failed", "start_failed", "overdue"):
            log.error("actor.failed", kind=report.kind, actor=report.id, line=line)
        elif report.kind == "restarted":
            log.warning("actor.restarted", actor=report.id, line=line)
        match report.kind:
            case "exited" if report.reason is not None:
                self._died_of[report.id] = report.reason.describe()
            case "restarted":
                self._restarted(report)
            case "gave_up" | "escalated":
                self._gave_up(report)
            case "started":
                self._runs_again(report.id)
            case _:
                return

    def _restarted(self, report: Report) -> None:
        self.actor_restarts += 1
        uncovered = report.uncovered_ms or 0.0
        self.uncovered_ms[report.id] = self.uncovered_ms.get(report.id, 0.0) + uncovered
        at = self.clock.wall()
        body: dict[str, object] = {
            "actor": report.id,
            "cause": self._died_of.pop(report.id, "asked for"),
            "uncovered_ms": round(uncovered, 3),
        }
        account = account_of(report.id) or ""
        key = f"{report.id}/{report.epoch}/{at.isoformat()}"
        record = Record(history_id(HistoryKind.RESTART, account, key), HistoryKind.RESTART, at, account, body)
        self.supervisor.handle("persistence").tell(record)
        self._runs_again(report.id)

    def _gave_up(self, report: Report) -> None:
        why = report.reason.describe() if report.reason else report.kind
        self.given_up[report.id] = why
        self._trying.pop(report.id, None)
        self._handled[report.id] = self.supervisor.handle(report.id).handled
        self.alert("critical", f"{report.id} keeps failing and was given up: {why}", f"gave-up/{report.id}")
        account, rule = account_of(report.id), rule_of(report.id)
        if account is None or rule is None:
            self.must_restart(f"{report.id} was given up")
            return
        built = next(b for b in self.armed[account].guarded.rules if b.name == rule)
        if built.mode == "armed" and not built.manages:
            self._lock_for(account, rule, why, on=True)
        if self._nursery is not None:
            self._nursery.start_soon(self._try_again, report.id)

    async def _try_again(self, actor: str) -> None:
        await trio.sleep(RETRY_GIVEN_UP_S)
        if actor in self.given_up:
            try:
                await self.supervisor.restart(actor)
            except Refused as error:
                log.error("actor.not_restarted", actor=actor, why=str(error))

    def _runs_again(self, actor: str) -> None:
        """Started is not running: it has to handle something first, or the lock would flap."""
        if actor in self.given_up:
            # Its first message may have been handled before this is called; a quiet market sends no other.
            now = self.supervisor.handle(actor).handled
            self._trying[actor] = min(now, self._handled.pop(actor, now))

    def _look_at_tries(self) -> None:
        for actor, handled in list(self._trying.items()):
            if self.supervisor.handle(actor).handled > handled:
                del self._trying[actor]
                self._recovered(actor)

    def _recovered(self, actor: str) -> None:
        del self.given_up[actor]
        account, rule = account_of(actor), rule_of(actor)
        if account is not None and rule is not None:
            self._lock_for(account, rule, "the rule runs again", on=False)

    def _lock_for(self, account: str, rule: str, reason: str, *, on: bool) -> None:
        guarded = self.armed[account].guarded
        now = Now(self.clock.wall(), self.clock.mono())
        enforcement = self.supervisor.handle(f"account/{account}/enforcement")
        enforcement.tell(SupervisorLock(guarded.id, rule, on, reason, now), urgent=True)

    def dead_letter(self, letter: Letter) -> None:
        log.error(
            "actor.dead_letter", actor=letter.id, message=type(letter.message).__name__, cause=letter.cause
        )
        account = account_of(letter.id)
        if account is None or account not in self.armed or not letter.poison:
            return
        self._reconcile(account, letter.id, letter.cause)
        self.alert("error", f"{letter.id} could not handle a message: {letter.cause}", f"dead/{letter.id}")

    def refused(self, name: str, message: object) -> None:
        """User events are never dropped: one that a full lane refused marks the account for reconcile."""
        log.error("actor.mailbox_full", actor=name, message=type(message).__name__)
        account = account_of(name)
        if account is not None and account in self.armed:
            self._reconcile(account, name, "its mailbox was full")

    def _reconcile(self, account: str, actor: str, cause: str) -> None:
        guarded = self.armed[account].guarded
        self.supervisor.handle(f"account/{account}").tell(DeadLetter(actor, cause), urgent=True)
        self.supervisor.handle("connection").tell(ReadAccount(guarded.id, f"{actor}: {cause}"))

    def must_restart(self, reason: str) -> None:
        log.critical("program.must_be_replaced", why=reason)
        self.end(Ending(CANNOT_GO_ON, reason))

    def scanned(self, now: float) -> None:
        self._scanned = now
        if self._on_scan is not None:
            self._on_scan()

    # ------------------------------------------------------------------ what status and heartbeat show

    def coverage(self) -> tuple[int, int]:
        """Rules whose actor runs, and rules configured."""
        running = sum(
            f"account/{name}/rules/{built.name}" not in self.given_up
            for name, armed in self.armed.items()
            for built in armed.guarded.rules
            if built.number
        )
        return running, sum(armed.configured for armed in self.armed.values())

    def scan_age_s(self) -> float:
        """Seconds since the supervisor's last scan."""
        return self.clock.mono() - self._scanned

    def slowness(self) -> tuple[float, str, float]:
        """Age of the oldest waiting message in ms, and who is longest in a handler, with its ms."""
        oldest = slowest_ms = 0.0
        slowest = ""
        for handle in list(self.supervisor.handles.values()):
            oldest = max(oldest, handle.oldest_s())
            busy_ms = handle.busy_s() * 1000
            if busy_ms > slowest_ms:
                slowest, slowest_ms = handle.id, busy_ms
        return oldest * 1000, slowest, slowest_ms

    def latency(self) -> Latency:
        """Percentiles over the last receipts and events of all accounts."""
        calls = [
            receipt.breach_to_call_ms
            for name in self.armed
            if (view := self.board.read(("enforcement", name), EnforcementView)) is not None
            for receipt in view.receipts
            if receipt.breach_to_call_ms is not None
        ]
        ages = [
            seconds * 1e3
            for name in self.armed
            if (tally := self.board.read(("tally", "account", name), Tally)) is not None
            and (spans := tally.spans().get(("event_age",))) is not None
            for seconds in list(spans.recent)
        ]
        return Latency(_percentiles(ages), _percentiles(calls))

    def alert(self, level: str, text: str, key: str, account: str = "") -> None:
        notice = Notice(level, "supervisor", text, key)
        self.address("notices").tell(Alert(self.clock.wall(), account, notice))

    def address(self, name: str) -> Address:
        return self.supervisor.handle(name)


def _percentiles(ms: list[float]) -> Percentiles:
    p50, p99 = percentile(ms, 0.5), percentile(ms, 0.99)
    return Percentiles() if p50 is None or p99 is None else Percentiles(round(p50, 3), round(p99, 3))


def _has_failed(view: LinkView) -> bool:
    """An attempt failed, and not because the login was refused: that ends a first start."""
    return bool(view.reason) and view.reason != NOT_TRIED and not view.auth_failed


def account_of(actor: str) -> str | None:
    """The account's name in an actor's id, None for what belongs to none."""
    parts = actor.split("/")
    return parts[1] if parts[0] == "account" and len(parts) > 1 else None


def rule_of(actor: str) -> str | None:
    parts = actor.split("/")
    return parts[3] if len(parts) > 3 and parts[2] == "rules" else None
