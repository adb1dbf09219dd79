"""Arming an account: which are guarded, what the store knows of them, which rules proved themselves.

A rule is armed only after its self-test in a sandbox copy; rules loaded = rules configured, or it is said so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import trio
from msgspec import Struct

from actors.account.apply import apply
from actors.account.state import AccountState, opening
from actors.connection.port import GuardAccount
from actors.enforcement.counts import DAY_LINES, KINDS, Counts
from actors.enforcement.journal import Journal
from actors.logs import get_logger
from actors.messages import AccountReport, ContractRead, Now, Rebased, StoreMeta
from actors.persistence import keys
from actors.persistence.queries import ContractsQuery, HistoryQuery, RecoverAccount, Recovered, StoredContract
from actors.persistence.schema import instant_text
from actors.rules.registry import BuiltRule, build, build_unnumbered
from actors.rules.selftest import self_test
from actors.timers.actor import Guard, Subscribe
from config.errors import OperatorMustAct
from config.settings import Settings
from supervisor.doubts import doubted, keep_witness
from supervisor.driver import Supervisor, answer
from supervisor.tree import ACCOUNTS, Guarded, Parts, branch

log = get_logger("riskd.arming")

ASK_S = 10.0
DIRECTORY = "directory"
"""Where the store keeps the accounts last seen, so that a restart arms them before any contact."""
SAFE_MODE = "safe mode: no rule runs, new risk is refused; `riskd restart` leaves it"


class Directory(Struct, frozen=True):
    """The guarded accounts of this login as last seen."""

    accounts: tuple[tuple[int, str], ...]


class Unguardable(OperatorMustAct):
    """The configuration names accounts that this login does not have so; `hint` lists what there is."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(f"cannot guard: {why}")
        self.hint = hint


@dataclass(frozen=True)
class Armed:
    """One account that is guarded."""

    guarded: Guarded
    configured: int
    failed: dict[str, str] = field(default_factory=dict)
    """Configured rules that did not prove able to fire, with the reason."""
    unproven: tuple[BuiltRule, ...] = ()
    """Those of them that could be built at all."""
    off: int = 0


def choose(settings: Settings, found: tuple[AccountReport, ...]) -> tuple[AccountReport, ...]:
    """The accounts to guard, by the names or ids of the configuration. Raises Unguardable."""
    if settings.accounts == "all":
        if not found:
            raise Unguardable("this login has no active account", "look at the gateway's own account list")
        return found
    listed = ", ".join(sorted(f"{a.name} (id {a.id})" for a in found)) or "none"
    hint = f"active accounts of this login: {listed}"
    chosen = list[AccountReport]()
    for wanted in settings.accounts:
        hits = [a for a in found if wanted.name in (a.name, str(a.id))]
        if not hits:
            raise Unguardable(f"{wanted.name} is no active account of this login", hint)
        if len(hits) > 1:
            raise Unguardable(f"{wanted.name} names more than one account", hint)
        if hits[0] in chosen:
            raise Unguardable(f"{wanted.name} is listed twice, by its name and by its id", hint)
        chosen.append(hits[0])
    return tuple(chosen)


def roots_of(settings: Settings) -> tuple[str, ...]:
    """Every root that a configured rule names: their contract records are fetched before arming."""
    roots = set[str]()
    names = [None] if settings.accounts == "all" else [a.name for a in settings.accounts]
    for name in names:
        rules = settings.rules if name is None else settings.for_account(name)
        if rules.max_contracts_per_instrument.mode != "off":
            roots |= set(rules.max_contracts_per_instrument.limits)
        if rules.session_block_outside.mode != "off":
            roots |= set(rules.session_block_outside.by_root)
    return tuple(sorted(roots))


async def arm(parts: Parts, supervisor: Supervisor, report: AccountReport) -> Armed:
    """Restore the account, prove its rules, start its actors; `introduce` then has it guarded."""
    persistence = supervisor.handle("persistence")
    doubt = await doubted(parts, supervisor, report)
    day_start = parts.calendar.previous_reset(parts.clock.wall())
    recovered = await answer(persistence, RecoverAccount(report.id, day_start), ASK_S)
    records = await answer(persistence, ContractsQuery(), ASK_S)
    assert isinstance(recovered, Recovered)
    if doubt is not None:
        recovered = msgspec.structs.replace(recovered, lockouts=(*recovered.lockouts, doubt))
    assert isinstance(records, tuple)
    today = HistoryQuery(since=day_start, account=report.name, limit=DAY_LINES, kinds=KINDS)
    lines = await answer(persistence, today, ASK_S)
    assert isinstance(lines, tuple)
    counts = parts.board.shared(("counts", report.name), Counts, Counts)
    counts.recall(parts.calendar.trading_day(parts.clock.wall()), report.name, lines)
    # Off this thread: a count limit of many thousands makes its own proof long.
    proven, unproven, failed, off = await trio.to_thread.run_sync(prove, parts, report)
    first = first_state(parts, report, recovered, records)
    if recovered.first_guarded is None and first.session_since is not None:
        since = instant_text(first.session_since).encode()
        persistence.tell(StoreMeta(keys.first_guarded(report.id), since))
    beside = () if parts.safe_mode else build_unnumbered(parts.settings, _key(parts.settings, report))
    keeping = (*proven, *beside)
    guarded = Guarded(
        report.id,
        report.name,
        first,
        keeping,
        readable_states(keeping, recovered),
        recovered,
        Journal(parts.home.journal, report.id),
        _not_armed(parts.settings, report),
    )
    await supervisor.add_child(ACCOUNTS, branch(parts, guarded).as_child())
    keep_witness(parts, supervisor, report)
    return Armed(guarded, len(proven) + len(failed), failed, unproven, off)


def prove(
    parts: Parts, report: AccountReport
) -> tuple[tuple[BuiltRule, ...], tuple[BuiltRule, ...], dict[str, str], int]:
    """Configured rules that proved able to fire; those that did not; why, by name; how many are off."""
    now = Now(parts.clock.wall(), parts.clock.mono())
    key = _key(parts.settings, report)
    configured = [rule.name for rule in parts.settings.for_account(key).each() if rule.mode != "off"]
    built = build(parts.settings, key, parts.calendar)
    names = {one.name for one in built}
    failed = {name: "it is configured and was not built" for name in configured if name not in names}
    for one in built:
        reason = SAFE_MODE if parts.safe_mode else self_test(one, now)
        if reason is not None:
            failed[one.name] = reason
    proven = tuple(one for one in built if one.name not in failed)
    unproven = tuple(one for one in built if one.name in failed)
    return proven, unproven, failed, len(list(parts.settings.rules.each())) - len(configured)


def _not_armed(settings: Settings, report: AccountReport) -> tuple[str, ...]:
    rules = settings.for_account(_key(settings, report))
    return tuple(rule.name for rule in rules.each() if rule.mode != "armed")


def _key(settings: Settings, report: AccountReport) -> str:
    """What the configuration calls the account: its name, else its id."""
    named = settings.accounts == "all" or any(a.name == report.name for a in settings.accounts)
    return report.name if named else str(report.id)


def readable_states(rules: tuple[BuiltRule, ...], recovered: Recovered) -> dict[str, bytes]:
    """Stored rule states that this version can read; with any other the rule judges the day anew."""
    readable = dict[str, bytes]()
    for built in rules:
        stored = recovered.rule_states.get(built.name)
        if stored is None:
            continue
        try:
            built.rule.decode(stored.body)
        except msgspec.MsgspecError as error:
            log.error("arming.state_unreadable", rule=built.name, why=str(error))
            continue
        readable[built.name] = stored.body
    return readable


def first_state(
    parts: Parts, report: AccountReport, recovered: Recovered, records: tuple[StoredContract, ...]
) -> AccountState:
    """The account as the store leaves it: contract records, whose close each fill was, the baseline."""
    now = Now(parts.clock.wall(), parts.clock.mono())
    state = opening(
        report.id,
        report.name,
        parts.calendar,
        now,
        first_seq=recovered.last_seq + 1,
        session_since=recovered.first_guarded,
    )
    stored = {one.fill.id: one.fill for one in recovered.fills}
    state = msgspec.structs.replace(state, own_fills=recovered.owners(), stored=stored, report=report)
    for record in records:
        state = apply(state, ContractRead(record.contract, record.read_at), parts.calendar, now).state
    if recovered.baseline is not None and recovered.baseline > state.ledger.since:
        state = apply(state, Rebased(report.id, recovered.baseline, ""), parts.calendar, now).state
    return state


def introduce(supervisor: Supervisor, guarded: Guarded) -> None:
    """From here on events come. Enforcement first, so that lockouts are in force before the first one."""
    account = supervisor.handle(f"account/{guarded.name}")
    enforcement = supervisor.handle(f"account/{guarded.name}/enforcement")
    timers = supervisor.handle("timers")
    timers.tell(Subscribe(enforcement, guarded.id))
    timers.tell(Subscribe(account, guarded.id))
    timers.tell(Guard(guarded.id, guarded.name, guarded.recovered.last_reset))
    supervisor.handle("connection").tell(GuardAccount(guarded.id, account, enforcement))
