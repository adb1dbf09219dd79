"""The accounts of this login: found as the gateway names them, armed, and then introduced to events."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio

from actors.connection.port import ContractsLoaded, LoadContracts
from actors.enforcement.view import EnforcementView
from actors.logs import adopt, checkpoint, get_logger
from actors.messages import AccountReport, StoreMeta
from supervisor.arming import DIRECTORY, Armed, Directory, Unguardable, arm, choose, introduce, roots_of
from supervisor.driver import Refused, Supervisor, Unanswered
from supervisor.failures import Failures
from supervisor.life import REPLACE_ME, Alerting, Ending, Life
from supervisor.tree import Parts

log = get_logger("riskd.supervisor")

RECORDS_WAIT_S = 20.0
"""How long arming waits for the contract records of configured roots before it goes on without."""
ARM_PAUSES_S = (0.1, 1.0, 5.0)


class Accounts:
    """Which accounts are guarded: all that the configuration names, each by this guard alone."""

    def __init__(
        self,
        parts: Callable[[], Parts],
        supervisor: Supervisor,
        armed: dict[str, Armed],
        life: Life,
        failures: Failures,
        alert: Alerting,
        last_seen: bytes | None,
        claim: Callable[[int], str] | None,
    ) -> None:
        """`last_seen`: the directory that the store kept. `claim`: takes an account for this guard alone, or
        says who has it."""
        self._parts, self._supervisor, self._armed = parts, supervisor, armed
        self._life, self._failures, self._alert = life, failures, alert
        self._last_seen, self._claim = last_seen, claim
        self.found: tuple[AccountReport, ...] = ()
        """As the gateway last named them, guarded or not."""
        self.named = False
        """Whether the gateway has named any list of accounts since the start."""
        self.introduced: set[str] = set()
        """Those of the armed ones that events come to."""
        self.arming = trio.Lock()
        """Held by whoever arms accounts or lets them go."""
        self._rules_told = False
        self._records = trio.Event()
        self._loaded: ContractsLoaded | None = None

    # ------------------------------------------------------------------ found

    async def arm_known(self) -> None:
        """After a restart: the accounts last seen are armed before any contact, lockouts in force."""
        if self._life.first_start or self._last_seen is None:
            return
        known = msgspec.json.decode(self._last_seen, type=Directory)
        reports = tuple(AccountReport(id_, name, None) for id_, name in known.accounts)  # type: ignore[arg-type]
        try:
            chosen = choose(self._parts().settings, reports)
        except Unguardable as error:
            log.warning("program.directory_differs", why=str(error))
            return
        for account in chosen:
            await self._arm(account)
        self._introduce()

    async def arm_found(self, found: tuple[AccountReport, ...]) -> None:
        """The gateway named the login's accounts: those to guard that are not armed yet are armed now."""
        self.found = found
        if not self.named:
            self.named = True
            checkpoint(3, "gateway connected", accounts=len(found))
            adopt()
        try:
            chosen = choose(self._parts().settings, found)
        except Unguardable as error:
            self._cannot_guard(str(error), error.hint)
            return
        missing = [account for account in chosen if account.name not in self._armed]
        if missing:
            self._life.begin("reading contracts")
            await self._load_records()
        for account in missing:
            await self._arm(account)
        self._tell_rules()
        self._introduce()
        directory = Directory(tuple((int(a.id), a.name) for a in chosen))
        self._supervisor.handle("persistence").tell(StoreMeta(DIRECTORY, msgspec.json.encode(directory)))

    def _cannot_guard(self, why: str, hint: str) -> None:
        if self._life.may_refuse:
            self._life.end(Ending(78, why, hint))
            return
        log.error("program.cannot_guard", why=why)
        self._alert("critical", f"{why}. {hint}", f"cannot-guard/{why}")

    async def _load_records(self) -> None:
        """Ask for the contract records of every configured root; a root nobody knows refuses the start."""
        roots = roots_of(self._parts().settings)
        if not roots:
            return
        self._records = trio.Event()
        self._supervisor.handle("connection").tell(LoadContracts(roots, (), self._parts().tree))
        with trio.move_on_after(RECORDS_WAIT_S):
            await self._records.wait()
        if self._loaded is not None and self._loaded.unknown_roots:
            unknown = ", ".join(self._loaded.unknown_roots)
            self._cannot_guard(
                f"the gateway knows no contract of {unknown}",
                "correct the root where the configuration names it",
            )

    def records_came(self, loaded: ContractsLoaded) -> None:
        """The contract records that were asked for are read."""
        self._loaded = loaded
        self._records.set()

    # ------------------------------------------------------------------ armed

    async def _arm(self, account: AccountReport) -> None:
        """Once: after a restart the accounts last seen and the gateway's own list may come together."""
        async with self.arming:
            if account.name not in self._armed and self.is_ours(account):
                await self._arm_one(account)

    def is_ours(self, account: AccountReport) -> bool:
        """Whether no other guard has it. One that has it at a restart may go: the next listing asks again."""
        try:
            held = self._claim(account.id) if self._claim is not None else ""
        except OSError as error:
            # Guarding twice is worse than once, guarding not at all is worse than either.
            text = f"cannot tell whether another guard has {account.name}: {error}"
            self._alert("warning", text, f"claimed/{account.name}")
            return True
        if not held:
            return True
        why = f"cannot guard {account.name}: {held}"
        hint = "end that one (riskd down --home ...), or leave the account to it"
        if self._life.may_refuse:
            self._life.end(Ending(1, why, hint))
        else:
            self._alert("critical", f"{why}. {hint}", f"claimed/{account.name}")
        return False

    async def _arm_one(self, account: AccountReport) -> None:
        self._life.begin(f"arming {account.name}")
        armed = await self._armed_at_last(account)
        if armed is None:
            return
        self._armed[account.name] = armed
        if armed.failed and self._life.may_refuse:
            texts = "; ".join(f"{rule}: {why}" for rule, why in armed.failed.items())
            self._life.end(
                Ending(1, f"a rule did not pass its self-test: {texts}", "this is a defect: please report it")
            )
        self._forgive(armed)
        for rule, why in armed.failed.items():
            self._alert("critical", f"rule {rule} is not guarding {account.name}: {why}", f"unarmed/{rule}")

    async def _armed_at_last(self, account: AccountReport) -> Armed | None:
        """An actor that fails to start takes its account's start down: tried again, then by a new process."""
        for pause in ARM_PAUSES_S:
            try:
                return await arm(self._parts(), self._supervisor, account)
            except (Refused, Unanswered) as error:
                log.error("program.not_armed", account=account.name, why=str(error))
                await trio.sleep(pause)
        self._life.end(Ending(REPLACE_ME, f"{account.name} could not be armed", "see riskd logs"))
        return None

    def _forgive(self, armed: Armed) -> None:
        """Rules that were given up in an earlier life run again, or are not wanted any more: nobody else
        would end the lock that stands for them."""
        name = armed.guarded.name
        view = self._parts().board.read(("enforcement", name), EnforcementView)
        for rule in () if view is None else view.given_up:
            if rule not in armed.failed and f"account/{name}/rules/{rule}" not in self._failures.given_up:
                self._failures.unlock_for(name, rule)

    def rearmed(self, name: str, armed: Armed) -> None:
        """The account was armed afresh under a changed configuration."""
        self._armed[name] = armed
        self.introduced.discard(name)
        self._introduce()

    # ------------------------------------------------------------------ introduced

    def _introduce(self) -> None:
        """Have guarded what is armed: all of it first, then events, so that none finds half a guard."""
        for name in self._armed.keys() - self.introduced:
            self.introduced.add(name)
            introduce(self._supervisor, self._armed[name].guarded)

    def _tell_rules(self) -> None:
        if self._rules_told or not self._armed:
            return
        self._rules_told = True
        configured = sum(a.configured for a in self._armed.values())
        running = sum(bool(built.number) for a in self._armed.values() for built in a.guarded.rules)
        checkpoint(4, f"rules armed {running} of {configured}", accounts=sorted(self._armed))
        checkpoint(5, "loop running", accounts=len(self._armed))
