"""The guard, running: puts it together and lives its life, from the start of the tree to the end.

`accounts` says what is guarded, `failures` what follows when a part fails, `figures` how all of it keeps up.
`Program` runs inside trio and knows no process around it: `__main__` gives it a home and a clock, tests
give it an injected clock and a simulated gateway. Why it ended it says through `Ending`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
import trio

from actors.board import Board
from actors.clock import Clock, SystemClock
from actors.connection.budget import Limits as BudgetLimits
from actors.connection.link import LinkView
from actors.connection.loop import GatewayLoop
from actors.connection.options import Options, Outlets
from actors.connection.port import ContractsLoaded, Gateway
from actors.logs import get_logger
from actors.messages import AccountsFound, Alert, LoginRefused, Notice
from actors.notices.actor import first_state as first_notices
from actors.notices.targets import Target
from actors.persistence import keys
from actors.persistence.store import Store
from actors.timers.actor import Beat, Registry, Subscribe, first_state
from actors.timers.clock import TrustedClock
from actors.trading_day import TradingCalendar
from actors.worker import Address
from config.pending import Standing
from config.settings import Settings
from supervisor.accounts import Accounts
from supervisor.answers import Reason
from supervisor.arming import DIRECTORY, Armed
from supervisor.child_spec import SupervisorSpec
from supervisor.driver import StartFailed, Supervisor
from supervisor.events import Report
from supervisor.failures import Failures
from supervisor.figures import Figures
from supervisor.handle import DeadLetter as Letter
from supervisor.home import Home
from supervisor.hooks import SilentHooks
from supervisor.inbox import Inbox
from supervisor.life import LEAVING, Ending, Life, is_through
from supervisor.listening import Listening
from supervisor.phases import Phases
from supervisor.silence import SILENT_S
from supervisor.tree import Parts, trunk
from supervisor.winding_down import TERMINATED, wind_down

log = get_logger("riskd.supervisor")

BEAT_S = 0.05

type MakeGateway = Callable[[Settings, Clock], Callable[[], Gateway]]


class Program(SilentHooks):
    """One guard. `run` returns when it has ended, with the reason."""

    silent_after_s = SILENT_S
    """So many seconds without a word about an account that holds something are told."""

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
        phases = phases or Phases(clock.mono(), "making the parts")
        phases.begin("making the parts", clock.mono())
        self.standing = standing or Standing.settled(settings)
        """What is in force (`settings`), and what was asked for and waits."""
        self.unsure_waits = dict[str, datetime]()
        """From when commands that loosen are accepted, by a clock that the gateway has not borne out."""
        self.file_fault: Reason | None = None
        """How the files differ from what was accepted, as far as anybody looked."""
        # Read before the persistence actor owns the file.
        last_seen = store.meta(DIRECTORY)
        self.board = Board()
        self.clock: Clock = TrustedClock(clock, self.board)
        self.calendar = TradingCalendar.of(settings)
        self.armed: dict[str, Armed] = {}
        """The accounts that are guarded, by name; shared with all who look at them."""
        self.life = Life(self.clock, phases, first_start=first_start, on_phase=on_phase)
        self._on_scan, self._grace_s = on_scan, grace_s
        self._inbox = Inbox("tree")
        self._news, self._arrivals = trio.open_memory_channel[object](1000)
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
        armed, life, alert = self.armed, self.life, self.alert
        self.failures = Failures(self.clock, self.supervisor, armed, life, alert)
        self.figures = Figures(self.clock, self.board, self.supervisor, armed, self.failures.given_up)
        self.accounts = Accounts(
            lambda: self.parts, self.supervisor, armed, life, self.failures, alert, last_seen, claim
        )
        self._listening = Listening(lambda: self.parts, armed, alert)

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
            self.failures.open(nursery)
            self._inbox.open(self._arrived)
            self.life.begin("starting actors")
            try:
                await self.supervisor.start(nursery)
            except StartFailed as error:
                nursery.cancel_scope.cancel()
                return Ending(1, str(error), "see riskd logs")
            for name in ("persistence", "notices", "connection"):
                self.address("timers").tell(Subscribe(self.address(name)))
            nursery.start_soon(self._pulse)
            nursery.start_soon(self._read_news)
            await self.accounts.arm_known()
            self.life.begin("logging in")
            task_status.started()
            await self.life.over.wait()
            await self._leave()
            await self.supervisor.stop()
            await trio.to_thread.run_sync(self.loop.close)
            nursery.cancel_scope.cancel()
        assert self.life.ending is not None
        return self.life.ending

    async def _leave(self) -> None:
        """Say so before anything stops: the watchdog must know whether another one is wanted."""
        ending = self.life.ending
        assert ending is not None
        self.life.begin(LEAVING.get(ending.exit, "failing"))
        if ending.exit in (0, TERMINATED):
            left = await wind_down(self, self._grace_s)
            self.life.ending = msgspec.structs.replace(ending, left_open=left)

    @property
    def ready(self) -> bool:
        """Whether the start is through: it guards, or is up and blind."""
        return self.life.ready

    @property
    def ending(self) -> Ending | None:
        """Why it is ending; None while it guards."""
        return self.life.ending

    def move_clock(self, seconds: float) -> None:
        """Set the machine's clock as an administrator or NTP would, for this process: chaos alone asks."""
        machine = self.parts.machine
        if isinstance(machine, SystemClock):
            machine.offset_s += seconds

    def end(self, ending: Ending) -> None:
        """Stop in good order; the first reason given is the one told."""
        self.life.end(ending)

    async def _pulse(self) -> None:
        timers = self.supervisor.handle("timers")
        while True:
            timers.tell_latest("beat", Beat())
            self._look_at_link()
            self.failures.look_at_tries()
            self._listening.listen(self.silent_after_s)
            await trio.sleep(BEAT_S)

    def _look_at_link(self) -> None:
        if self.ready or self.ending is not None:
            return
        view = self.board.read(("link",), LinkView)
        introduced, named = bool(self.accounts.introduced), self.accounts.named
        if view is not None and is_through(view, self.clock.wall(), introduced=introduced, named=named):
            self._become_ready()

    def _become_ready(self) -> None:
        self.life.become_ready()
        if self.parts.safe_mode:
            text = "safe mode: no rule is judged, every account is locked against new risk"
            self.alert("critical", f"{text}. riskd restart leaves it", "safe-mode")

    # ------------------------------------------------------------------ what the connection tells

    def _arrived(self, message: object) -> None:
        if isinstance(message, ContractsLoaded):
            self.accounts.records_came(message)
            return
        try:
            self._news.send_nowait(message)
        except trio.WouldBlock:
            log.error("program.news_lost", message=type(message).__name__)

    async def _read_news(self) -> None:
        async for message in self._arrivals:
            match message:
                case AccountsFound():
                    await self.accounts.arm_found(message.accounts)
                case LoginRefused():
                    self._login_refused(message)
                case _:
                    raise TypeError(f"the tree cannot take {type(message).__name__}")

    def _login_refused(self, refused: LoginRefused) -> None:
        why = f"the gateway refused the login: {refused.text}"
        if self.life.may_refuse:
            self.end(Ending(1, why, "check gateway.username and gateway.api_key"))
            return
        self.alert("error", f"{why}. The guard keeps trying; it is blind until it gets in.", "login-refused")

    # ------------------------------------------------------------------ hooks of the supervisor

    def report(self, report: Report) -> None:
        self.failures.report(report)

    def dead_letter(self, letter: Letter) -> None:
        self.failures.dead_letter(letter)

    def refused(self, name: str, message: object) -> None:
        self.failures.refused(name, message)

    def must_restart(self, reason: str) -> None:
        self.life.must_restart(reason)

    def scanned(self, now: float) -> None:
        self.figures.scanned(now)
        if self._on_scan is not None:
            self._on_scan()

    # ------------------------------------------------------------------ what its parts say and ask

    def alert(self, level: str, text: str, key: str, account: str = "") -> None:
        """Tell people something on the guard's own behalf; `key` tells one occasion from another."""
        notice = Notice(level, "supervisor", text, key)
        self.address("notices").tell(Alert(self.clock.wall(), account, notice))

    def address(self, name: str) -> Address:
        return self.supervisor.handle(name)
