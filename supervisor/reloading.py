"""Taking over a changed configuration while guarding.

Everything is proved before anything is touched; then it is stored, and each account is armed afresh under
the new rules, by the same way as at a start: lockouts from the journal, the day from store and broker. What
cannot change while running is stored too and takes effect with the next restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import trio
from msgspec import Struct

from actors.connection.port import UnguardAccount
from actors.enforcement.view import EnforcementView
from actors.messages import AccountReport, Flush, StoreMeta
from actors.persistence import keys
from actors.persistence.queries import Flushed
from actors.timers.actor import Unsubscribe, UseCalendar
from actors.trading_day import TradingCalendar
from config.canonical import canonical, diff
from config.settings import Settings
from supervisor.arming import Unguardable, arm, choose, prove
from supervisor.driver import outcome
from supervisor.program import Program
from supervisor.protocol import Exit, Refused
from supervisor.tree import ACCOUNTS

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
ASK_S = 5.0
QUIET_S = 1.0
LOOK_S = 0.005
CALM_LOOKS = 4


class Change(Struct, frozen=True):
    """One key that differs, as `reload` tells it."""

    key: str
    old: object
    new: object
    live: bool


def changes(old: Settings, new: Settings) -> tuple[Change, ...]:
    """What differs, and whether it takes effect at once."""
    return tuple(Change(key, was, now, _part(key) in LIVE) for key, was, now in diff(old, new))


def _part(key: str) -> str:
    return key.split(".")[0].split("[")[0]


def permit(program: Program, found: Iterable[Change]) -> None:
    """Raise Refused where the change must not be accepted now."""
    listed = [change for change in found if change.live]
    if listed and program.settings.tamper.loosen_after is not None:
        raise Refused(
            Exit.COOLING_OFF,
            "cannot change limits while tamper.loosen_after is set: this version does not tell tightening "
            "from loosening yet",
            "the old configuration stays in force",
        )
    locking = {
        lockout.rule
        for name in program.armed
        if (view := program.board.read(("enforcement", name), EnforcementView)) is not None
        for lockout in view.lockouts
    }
    held = sorted(rule for rule in locking if any(rule in change.key for change in listed))
    if held:
        raise Refused(
            Exit.COOLING_OFF,
            f"cannot change {', '.join(held)} while it locks an account",
            "wait for the lockout to end, or unlock first",
        )


async def reload(program: Program, settings: Settings) -> tuple[Change, ...]:
    """Put `settings` in force; what changed. Raises Refused, and then nothing has changed."""
    found = changes(program.settings, settings)
    permit(program, found)
    reports = _same_accounts(program, settings)
    parts = replace(program.parts, settings=settings, calendar=TradingCalendar.of(settings))
    for report in reports:
        failed = prove(parts, report)[2]
        if failed:
            listed = "; ".join(f"{rule}: {why}" for rule, why in failed.items())
            raise Refused(Exit.FAILED, f"cannot use it: a rule does not pass its self-test: {listed}")
    await _store(program, settings)
    program.settings, program.calendar, program.parts = settings, parts.calendar, parts
    timers = program.address("timers")
    timers.tell(UseCalendar(parts.calendar))
    if any(change.live for change in found):
        for report in reports:
            timers.tell(Unsubscribe(report.id))
            program.address("connection").tell(UnguardAccount(report.id))
            await _quiet(program, report.name)
            await program.supervisor.remove_child(f"{ACCOUNTS}/{report.name}")
            program.rearmed(report.name, await arm(parts, program.supervisor, report))
    return found


async def _quiet(program: Program, account: str) -> None:
    """Let what is under way arrive: nobody sends to the account any more."""
    parts = [h for h in program.supervisor.handles.values() if h.id.startswith(f"account/{account}")]
    calm = 0
    with trio.move_on_after(QUIET_S):
        while calm < CALM_LOOKS:
            await trio.sleep(LOOK_S)
            calm = 0 if any(h.depth or h.busy_s() for h in parts) else calm + 1


def _same_accounts(program: Program, settings: Settings) -> tuple[AccountReport, ...]:
    """The accounts that are guarded; another list of accounts needs a restart."""
    known = tuple(
        AccountReport(armed.guarded.id, name, armed.guarded.first.report.can_trade)
        if armed.guarded.first.report is not None
        else AccountReport(armed.guarded.id, name, None)
        for name, armed in program.armed.items()
    )
    try:
        chosen = choose(settings, known)
    except Unguardable as error:
        raise Refused(Exit.FAILED, f"{error}: another list of accounts", "riskd restart reads it") from error
    if len(chosen) != len(known):
        raise Refused(Exit.FAILED, "cannot guard fewer accounts while running", "riskd down, then riskd up")
    return chosen


async def _store(program: Program, settings: Settings) -> None:
    """In force means stored: a daemon that is restarted now runs on it."""
    persistence = program.supervisor.handle("persistence")
    persistence.tell(StoreMeta(keys.CONFIGURATION, canonical(settings)))
    flushed = await outcome(persistence.ask(Flush(), ASK_S))
    if not isinstance(flushed, Flushed) or not flushed.ok:
        raise Refused(Exit.FAILED, "cannot store the configuration", "check the disk")
