"""Taking over a changed configuration while guarding.

What tightens takes effect at once, what loosens waits as `tamper` says. Everything is proved before anything
is touched; then it is stored, and each account that it concerns is armed afresh, by the same way as at a
start: lockouts from the journal, the day from store and broker. What cannot change while running is stored
too and takes effect with the next restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

import msgspec
import trio
from msgspec import Struct

from actors.connection.port import UnguardAccount
from actors.enforcement.view import EnforcementView
from actors.messages import AccountReport, Flush, StoreMeta
from actors.persistence import keys
from actors.persistence.queries import Flushed
from actors.timers.actor import Unsubscribe, UseCalendar
from actors.trading_day import TradingCalendar
from actors.worker import ActorDied
from config.canonical import diff
from config.pending import Held, Standing, accept, kept, loosenings, ripen
from config.settings import Settings
from supervisor.arming import DIRECTORY, Directory, Unguardable, arm, choose, prove
from supervisor.cooling import accepted_from, knows_time
from supervisor.driver import Refused as TreeRefused
from supervisor.driver import StartFailed, outcome
from supervisor.holding import everything_held, held_by
from supervisor.program import Program
from supervisor.protocol import Exit, Refused
from supervisor.tree import ACCOUNTS, Parts

LIVE = frozenset(
    {
        "rules",
        "accounts",
        "sessions",
        "holidays",
        "trading_day",
        "quotes",
        "unknown_contract",
        "resting_stops",
        "tamper",
    }
)
"""Parts of the configuration that take effect without a restart."""
UP_ONLY = frozenset({"watchdog"})
"""Parts that the watchdog is started with."""
ASK_S = 5.0
QUIET_S = 1.0
LOOK_S = 0.005
CALM_LOOKS = 4


class Change(Struct, frozen=True):
    """One key that differs, as `reload` tells it."""

    key: str
    old: object
    new: object

    @property
    def live(self) -> bool:
        return _part(self.key) in LIVE

    @property
    def effect(self) -> str:
        """When it takes effect: now | restart | up."""
        return "now" if self.live else "up" if _part(self.key) in UP_ONLY else "restart"


def changes(old: Settings, new: Settings) -> tuple[Change, ...]:
    """What differs, and whether it takes effect at once."""
    return tuple(Change(key, was, now) for key, was, now in diff(old, new))


def _part(key: str) -> str:
    return key.split(".")[0].split("[")[0]


def locked(program: Program) -> Held:
    """What must not loosen now: the parts of the rules that lock an account; all, while that is not known."""
    found: dict[str, set[str]] = {}
    for name, armed in program.armed.items():
        view = program.board.read(("enforcement", name), EnforcementView)
        if view is None:
            return everything_held
        rules = {lockout.rule for lockout in view.lockouts}
        if rules:
            found[name] = found[str(armed.guarded.id)] = rules
    return held_by(found) if program.armed else everything_held


async def considered(program: Program, wanted: Settings) -> Standing:
    """What comes of asking for a configuration now. Raises Refused where a lock stands against it."""
    now = program.clock.wall()
    due, held = accepted_from(program, now), locked(program)
    if due is None:
        loose = await trio.to_thread.run_sync(loosenings, program.settings, wanted)
        refuse_held(key for key in loose - program.standing.due.keys() if held(key))
    waits, sure = due is not None, knows_time(program)
    taken = partial(accept, program.standing, wanted, due, waits=waits, held=held, sure=sure)
    return await trio.to_thread.run_sync(taken)


def refuse_held(found: Iterable[str]) -> None:
    keys_held = sorted(found)
    if keys_held:
        raise Refused(
            Exit.COOLING_OFF,
            f"cannot loosen {', '.join(keys_held)} while it locks an account",
            "wait for the lockout to end, or unlock first",
        )


async def ripened(program: Program, now: datetime) -> Standing:
    """With what is due by now in force."""
    fresh = accepted_from(program, now) or now
    taken = partial(ripen, program.standing, now, fresh, locked(program), sure=knows_time(program))
    return await trio.to_thread.run_sync(taken)


async def put_in_force(program: Program, standing: Standing) -> tuple[Change, ...]:
    """Put `standing` in force; what changed. Raises Refused, and then nothing has changed."""
    found = await trio.to_thread.run_sync(changes, program.settings, standing.in_force)
    if found:
        async with program.accounts.arming:
            await _exchange(program, standing, found)
    else:
        await _store(program, standing, ())
    # Last: until then status says that it waits.
    program.standing = standing
    return found


async def _exchange(program: Program, standing: Standing, found: tuple[Change, ...]) -> None:
    settings = standing.in_force
    reports = _chosen(program, settings)
    parts = replace(program.parts, settings=settings, calendar=TradingCalendar.of(settings))
    concerned = [report for report in reports if _concerns(program, report, settings, found)]
    others = [r.name for r in concerned if r.name not in program.armed and not program.accounts.is_ours(r)]
    if others:
        raise Refused(Exit.FAILED, f"cannot guard {', '.join(others)}: another guard does", "riskd doctor")
    for report in concerned:
        failed = (await trio.to_thread.run_sync(prove, parts, report))[2]
        if failed and not parts.safe_mode:
            listed = "; ".join(f"{rule}: {why}" for rule, why in failed.items())
            raise Refused(Exit.FAILED, f"cannot use it: a rule does not pass its self-test: {listed}")
    await _store(program, standing, reports)
    program.settings, program.calendar, program.parts = settings, parts.calendar, parts
    program.address("timers").tell(UseCalendar(parts.calendar))
    for name in program.armed.keys() - {report.name for report in reports}:
        await _disarm(program, name)
        del program.armed[name]
    for report in concerned:
        await _armed_afresh(program, parts, report)


async def _armed_afresh(program: Program, parts: Parts, report: AccountReport) -> None:
    """An account that was let go must not stay so: what cannot be armed now is armed by a fresh daemon."""
    try:
        await _disarm(program, report.name)
        program.accounts.rearmed(report.name, await arm(parts, program.supervisor, report))
    except (TimeoutError, ActorDied, TreeRefused, StartFailed) as error:
        program.must_restart(f"{report.name} could not be armed under the changed configuration: {error}")


def _concerns(program: Program, report: AccountReport, settings: Settings, found: Iterable[Change]) -> bool:
    """Whether anything changed for the account: what is under way on the others is left alone."""
    if report.name not in program.armed or any(_part(c.key) in LIVE - {"rules", "accounts"} for c in found):
        return True
    names = (report.name, str(report.id))
    return program.settings.for_account(*names) != settings.for_account(*names)


async def _disarm(program: Program, name: str) -> None:
    armed = program.armed.get(name)
    if armed is None:
        return
    program.address("timers").tell(Unsubscribe(armed.guarded.id))
    program.address("connection").tell(UnguardAccount(armed.guarded.id))
    await _quiet(program, name)
    await program.supervisor.remove_child(f"{ACCOUNTS}/{name}")


async def _quiet(program: Program, account: str) -> None:
    """Let what is under way arrive: nobody sends to the account any more."""
    parts = [h for h in program.supervisor.handles.values() if h.id.startswith(f"account/{account}")]
    calm = 0
    with trio.move_on_after(QUIET_S):
        while calm < CALM_LOOKS:
            await trio.sleep(LOOK_S)
            calm = 0 if any(h.depth or h.busy_s() for h in parts) else calm + 1


def _chosen(program: Program, settings: Settings) -> tuple[AccountReport, ...]:
    """The accounts to guard, of those that the gateway named."""
    known = dict[str, AccountReport]()
    for name, armed in program.armed.items():
        report = armed.guarded.first.report
        known[name] = AccountReport(armed.guarded.id, name, report.can_trade if report else None)
    known |= {report.name: report for report in program.accounts.found}
    if not known:
        return ()
    try:
        return choose(settings, tuple(known.values()))
    except Unguardable as error:
        raise Refused(Exit.FAILED, str(error), error.hint) from error


async def _store(program: Program, standing: Standing, reports: tuple[AccountReport, ...]) -> None:
    """In force means stored: a daemon that is restarted now runs on it."""
    persistence = program.supervisor.handle("persistence")
    persistence.tell(StoreMeta(keys.CONFIGURATION, kept(standing)))
    if reports:
        directory = Directory(tuple((int(report.id), report.name) for report in reports))
        persistence.tell(StoreMeta(DIRECTORY, msgspec.json.encode(directory)))
    try:
        flushed = await outcome(persistence.ask(Flush(), ASK_S))
    except (TimeoutError, ActorDied) as error:
        why = "cannot tell whether the configuration was stored: the old one stays in force"
        raise Refused(Exit.UNKNOWN, why, "riskd status shows the store") from error
    if not isinstance(flushed, Flushed) or not flushed.ok:
        raise Refused(Exit.FAILED, "cannot store the configuration", "check the disk")
