"""Answers that change what is in force, and show it: reload, rules set, config show, diff and cancel.

They join the others in `HANDLERS`, which is complete once this page is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import trio

from actors.logs import get_logger
from actors.timers.trusted import Point
from config.canonical import canonical, digest
from config.checks import settings_from
from config.mistakes import ConfigurationMistakes, rendered
from config.pending import Standing, borne_out, loosenings, withdraw
from config.secrets import SecretUnavailable
from config.settings import Settings
from supervisor.answers import Reason
from supervisor.configuration import Accepted, read
from supervisor.cooling import bear_out_waits, knows_time
from supervisor.handlers import Call, Daemon
from supervisor.program import Program
from supervisor.protocol import (
    AskConfig,
    DoCancelChange,
    DoReload,
    DoRuleMode,
    DoRuleSet,
    Exit,
    Nothing,
    Refused,
)
from supervisor.records import headed
from supervisor.reloading import Change, changes, considered, locked, put_in_force, ripened
from supervisor.trying import HANDLERS
from supervisor.waiting import concerns, pending, told

__all__ = ["HANDLERS"]

log = get_logger("riskd.configuration")

RIPEN_S = 0.2
WATCH_S = 5.0


# ------------------------------------------------------------------------------ commands


@HANDLERS.on("reload", DoReload)
async def reload_files(context: Call, request: DoReload) -> object:
    """Read the files again and put them in force; with a mistake in them the old ones stay."""
    daemon = context.parts
    async with daemon.changing:
        return await take_files(daemon, request)


async def take_files(daemon: Daemon, request: DoReload, *, only_tightens: bool = False) -> dict[str, object]:
    """Take over what the files say now. Raises Refused; then the old configuration stays in force."""
    # What was set at `up` stays set: the addresses of a simulated gateway are among it. The last word wins.
    files = request.files or daemon.accepted.files
    sets = (*(kept for kept in daemon.accepted.sets if kept not in request.sets), *request.sets)
    try:
        accepted = await trio.to_thread.run_sync(read, files, sets, daemon.accepted.env_file)
    except ConfigurationMistakes as error:
        why = "cannot reload: the old configuration stays in force"
        raise Refused(Exit.BAD_CONFIG, why, rendered(error.mistakes)) from error
    except SecretUnavailable as error:
        raise Refused(
            Exit.BAD_CONFIG, f"cannot reload: {error}", "the old configuration stays in force"
        ) from error
    loosened = frozenset[str]()
    if only_tightens:
        loosened = await trio.to_thread.run_sync(loosenings, daemon.program.settings, accepted.settings)
    if loosened:
        why = f"cannot loosen {', '.join(sorted(loosened))} without the admin secret"
        raise Refused(Exit.NOT_PERMITTED, why, "riskd reload asks for it")
    return await _put(daemon, accepted)


@HANDLERS.on("rules.mode", DoRuleMode)
async def rules_mode(context: Call, request: DoRuleMode) -> object:
    """Arm, shadow or switch off one rule, for one account or for all."""
    async with context.parts.changing:
        return await _change_rule(context.parts, request.account, request.rule, "mode", request.mode)


@HANDLERS.on("rules.set", DoRuleSet)
async def rules_set(context: Call, request: DoRuleSet) -> object:
    """Set one key of one rule; the value is read by the rule's own schema."""
    async with context.parts.changing:
        return await _change_rule(context.parts, request.account, request.rule, request.key, request.value)


@HANDLERS.on("config.cancel", DoCancelChange)
async def config_cancel(context: Call, request: DoCancelChange) -> object:
    """Withdraw a change that waits; what is in force stays as it is."""
    daemon = context.parts
    async with daemon.changing:
        before = told(daemon.program.standing)
        chosen = [one for one in before if one.id == request.change]
        if not chosen:
            listed = ", ".join(one.id for one in before) or "none"
            raise Refused(
                Exit.FAILED, f"cannot cancel {request.change}: no such change", f"waiting: {listed}"
            )
        standing = withdraw(daemon.program.standing, chosen[0].keys)
        accepted = msgspec.structs.replace(daemon.accepted, standing=standing, source="command")
        await put_in_force(daemon.program, standing)
        daemon.accepted = accepted
        left = {one.id for one in told(standing)}
        gone = [one.change for one in before if one.id not in left]
        return headed(
            daemon, text=f"withdrawn: {'; '.join(gone)}", withdrawn=gone, pending=pending(daemon.program)
        )


@HANDLERS.on("config.show", AskConfig)
async def config_show(context: Call, request: AskConfig) -> object:
    """What is in force, every value spelled out; secrets only as where they are kept."""
    accepted = context.parts.accepted
    origins = dict(accepted.origins) if request.origin else {}
    waits = {one.key for one in accepted.wanted.waiting} if request.origin else set()
    return headed(
        context.parts,
        config=msgspec.json.decode(accepted.canonical),
        digest=accepted.digest,
        source=accepted.source,
        origins={**origins, **dict.fromkeys(waits, "in force until a change takes effect")},
    )


@HANDLERS.on("config.diff", Nothing)
async def config_diff(context: Call, request: Nothing) -> object:
    """What the files say now beside what was accepted, and what of that still waits."""
    daemon = context.parts
    settings, mistakes = await trio.to_thread.run_sync(_look, daemon.accepted)
    accepted = daemon.program.standing.wanted
    found = changes(accepted, settings) if settings is not None else ()
    return headed(
        daemon,
        differences=[{"key": c.key, "in_force": c.old, "file": c.new} for c in found],
        mistakes=mistakes,
        pending=pending(daemon.program),
    )


def _look(accepted: Accepted) -> tuple[Settings | None, list[dict[str, object]]]:
    """What the files hold now, or the mistakes in them."""
    try:
        return read(accepted.files, accepted.sets, accepted.env_file).settings, []
    except ConfigurationMistakes as error:
        fields = ("file", "line", "column", "key", "text", "hint")
        return None, [{field: getattr(one, field) for field in fields} for one in error.mistakes]
    except SecretUnavailable as error:
        where: dict[str, object] = {
            "file": accepted.files[0] if accepted.files else "",
            "line": 1,
            "column": 1,
        }
        return None, [{**where, "key": "", "text": str(error), "hint": ""}]


async def _change_rule(daemon: Daemon, account: str | None, rule: str, key: str, value: str) -> object:
    """Over what was asked for last, as `--set` would write it."""
    wanted = daemon.program.standing.wanted
    if rule not in type(wanted.rules).model_fields:
        known = ", ".join(type(wanted.rules).model_fields)
        raise Refused(Exit.USAGE, f"cannot find rule {rule}", f"rules: {known}")
    document = msgspec.json.decode(canonical(wanted))
    for rules in _rules_of(daemon, document, account):
        _assign(rules.setdefault(rule, {}), key, _written(value))
    try:
        settings = settings_from(document)
    except ConfigurationMistakes as error:
        raise Refused(Exit.BAD_CONFIG, f"cannot set {rule}.{key}", rendered(error.mistakes)) from error
    accepted = msgspec.structs.replace(
        daemon.accepted, settings=settings, standing=Standing.settled(settings), source="command"
    )
    answer = await _put(daemon, accepted)
    beginning = "rules." if account is None else f"accounts.{daemon.account(account).guarded.name}.rules."
    waits = [one for one in told(daemon.program.standing) if concerns(one, beginning, f"{rule}.{key}")]
    if waits:
        answer |= {"effective_at": waits[0].effective_at(daemon.program), "change": waits[0].id}
    return answer


def _assign(page: dict[str, Any], key: str, value: object) -> None:
    """`cooldown.per_minute` is a key of a key."""
    *above, last = key.split(".")
    for step in above:
        inner = page.get(step)
        page = page.setdefault(step, {}) if isinstance(inner, dict | None) else {}
    page[last] = value


def _rules_of(daemon: Daemon, document: Any, account: str | None) -> list[dict[str, Any]]:
    """The mappings in which the rule is written: those for all, or one account's own."""
    if account is None:
        return [document["rules"]]
    guarded = daemon.account(account).guarded
    if document["accounts"] == "all":
        raise Refused(Exit.FAILED, "cannot set a rule for one account of all", "list the accounts by name")
    names = (guarded.name, str(guarded.id))
    return [entry.setdefault("rules", {}) for entry in document["accounts"] if entry["name"] in names]


def _written(value: str) -> object:
    """A value as the configuration would have it: YAML's flow style, else the word itself."""
    from config.mistakes import Mistake
    from config.tree import Source, plain
    from config.yaml_reader import read_yaml

    mistakes: list[Mistake] = []
    read_as = read_yaml(Source("value", value, mistakes))
    return value if mistakes or read_as is None or not value.strip() else plain(read_as)


async def _put(daemon: Daemon, asked: Accepted) -> dict[str, object]:
    """Put what was asked for in force as far as it may be now; what changed, and what waits."""
    program = daemon.program
    standing = await considered(program, asked.settings)
    found = await put_in_force(program, standing)
    settings = standing.in_force
    daemon.accepted = msgspec.structs.replace(
        asked, settings=settings, canonical=canonical(settings), digest=digest(settings), standing=standing
    )
    program.file_fault = None
    waits = pending(program)
    restart = [change.key for change in found if not change.live]
    log.info("configuration.accepted", changes=len(found), waiting=len(waits), restart=restart)
    return headed(
        daemon,
        text=_summary(found, len(waits)),
        changes=told_changes(found),
        pending=waits,
        restart_needed=restart,
    )


def _summary(found: tuple[Change, ...], waits: int) -> str:
    if not found and not waits:
        return "reloaded: nothing differs"
    now = sum(change.live for change in found)
    said = [f"{now} in force", f"{waits} waiting", f"{len(found) - now} after a restart"]
    return f"reloaded: {', '.join(part for part in said if not part.startswith('0 '))}"


def told_changes(found: Iterable[Change]) -> list[dict[str, object]]:
    return [{"key": c.key, "old": c.old, "new": c.new, "effect": c.effect} for c in found]


# ------------------------------------------------------------------------------ as time passes


async def ripen_in_time(daemon: Daemon) -> None:
    """Put in force what waited long enough; runs as long as the guard."""
    program, refused = daemon.program, ""
    began, known = Point(program.clock.wall(), program.clock.mono()), knows_time(program)
    while True:
        try:
            if knows_time(program) and not known:
                await _bear_out(daemon, program.clock.wall() - began.carried(program.clock.mono()))
                known = True
            if _is_due(program):
                async with daemon.changing:
                    await _ripen(daemon)
            refused = ""
        except Refused as no:  # tried again; said once, unless it passes by itself
            if str(no) == refused:
                program.alert("error", f"a change that is due cannot take effect: {no}", "config/due")
            refused = str(no)
        await trio.sleep(RIPEN_S)


async def _bear_out(daemon: Daemon, jump: timedelta) -> None:
    """The gateway was heard for the first time: what waited by our own clock waits by its."""
    bear_out_waits(daemon.program, jump)
    async with daemon.changing:
        if daemon.program.standing.unsure:
            await put_in_force(daemon.program, borne_out(daemon.program.standing, jump))


def _is_due(program: Program) -> bool:
    if not program.standing.due:
        return False
    now, held = program.clock.wall(), locked(program)
    return any(at is None or (at <= now and not held(key)) for key, at in program.standing.due.items())


async def _ripen(daemon: Daemon) -> None:
    program = daemon.program
    standing = await ripened(program, program.clock.wall())
    found = await put_in_force(program, standing)
    settings = standing.in_force
    daemon.accepted = msgspec.structs.replace(
        daemon.accepted,
        settings=settings,
        canonical=canonical(settings),
        digest=digest(settings),
        standing=standing,
    )
    for change in found:
        log.info("configuration.loosened", key=change.key, old=change.old, new=change.new)
        text = (
            f"{change.key} is now {change.new} (was {change.old}): it was asked for and has waited its time"
        )
        program.alert("warning", text, f"config/loosened/{change.key}/{change.new}")


async def watch_files(daemon: Daemon) -> None:
    """Notice when the files say something else than what was accepted; runs as long as the guard."""
    # Files just read say what was accepted, and a start has better things to do than to read them again.
    seen: object = None if daemon.accepted.source == "store" else _signature(daemon.accepted)
    while True:
        await trio.sleep(WATCH_S)
        accepted = daemon.accepted
        signature = await trio.to_thread.run_sync(_signature, accepted)
        if signature != seen:
            seen = signature
            settings, mistakes = await trio.to_thread.run_sync(_look, accepted)
            daemon.program.file_fault = _fault(accepted.wanted.wanted, settings, len(mistakes))


def _signature(accepted: Accepted) -> object:
    return digest(accepted.wanted.wanted), _stamps(accepted.files)


def _stamps(files: Iterable[str]) -> tuple[object, ...]:
    def stamp(file: str) -> object:
        try:
            found = Path(file).stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    return tuple(stamp(file) for file in files)


def _fault(accepted: Settings, found: Settings | None, mistakes: int) -> Reason | None:
    if found is None:
        return Reason(
            "config_mistaken", f"the configuration file has {mistakes} mistakes: riskd config check"
        )
    differs = changes(accepted, found)
    if not differs:
        return None
    return Reason(
        "config_differs", f"the configuration file differs in {len(differs)} keys: riskd config diff"
    )
