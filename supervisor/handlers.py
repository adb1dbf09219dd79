"""What the daemon answers, one function per command of the table: look, ask, act, wait for the outcome."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec
import trio

from actors.enforcement.effects import Accepted as OrderAccepted
from actors.enforcement.effects import Denied, Unlocked
from actors.enforcement.view import EnforcementView
from actors.logs import get_logger
from actors.messages import (
    AccountSnapshot,
    FlattenByHand,
    Flush,
    HistoryKind,
    LockByHand,
    Now,
    Order,
    Rebased,
    Record,
    StoreMeta,
    Unlock,
)
from actors.persistence import keys
from actors.persistence.queries import Flushed, HistoryQuery, Why, WhyQuery
from actors.persistence.schema import instant_text
from actors.worker import ActorDied
from supervisor.arming import Armed
from supervisor.configuration import Accepted
from supervisor.control import Context, Handlers
from supervisor.cooling import permit_loosening
from supervisor.driver import Refused as TreeRefused
from supervisor.driver import outcome
from supervisor.gather import Process, seen
from supervisor.life import REPLACE_ME, Ending
from supervisor.program import Program
from supervisor.protocol import (
    AskActor,
    AskHistory,
    AskWhy,
    DoChaos,
    DoFlatten,
    DoLock,
    DoPanic,
    DoReset,
    DoStop,
    DoUnlock,
    Exit,
    Nothing,
    OfAccounts,
    OfRules,
    Refused,
)
from supervisor.status import Seen
from supervisor.status import lockouts as lockouts_of
from supervisor.status import orders as orders_of
from supervisor.status import positions as positions_of
from supervisor.status import rules as rules_of
from supervisor.status import status as status_of

log = get_logger("riskd.control")

ASK_S = 5.0
VERIFY_S = 30.0
"""How long `flatten`, `panic` and `lock` wait for the account to show that it is flat."""
POLL_S = 0.02
SHORTEST_SWITCH_S = 1e-6
VERSION = importlib.metadata.version("riskd")
HANDLERS: Handlers[Daemon] = Handlers()


@dataclass
class Daemon:
    """What the handlers work with."""

    program: Program
    process: Process
    accepted: Accepted
    changing: trio.Lock = field(default_factory=trio.Lock)
    """Held by whoever changes the configuration in force."""

    def seen(self) -> Seen:
        return seen(self.program, self.process)

    def account(self, name: str) -> Armed:
        """The guarded account of that name or id. Raises Refused."""
        for armed in self.program.armed.values():
            if name in (armed.guarded.name, str(armed.guarded.id)):
                return armed
        listed = ", ".join(sorted(self.program.armed)) or "none yet"
        raise Refused(Exit.FAILED, f"cannot find account {name}", f"guarded accounts: {listed}")

    def now(self) -> Now:
        return Now(self.program.clock.wall(), self.program.clock.mono())

    async def ask(self, actor: str, message: object, timeout_s: float = ASK_S) -> object:
        """Ask an actor; no answer in time is an outcome unknown."""
        try:
            return await outcome(self.program.supervisor.handle(actor).ask(message, timeout_s))
        except TimeoutError as error:
            raise Refused(Exit.UNKNOWN, f"no answer from {actor} in time", "look at riskd status") from error
        except ActorDied as error:
            raise Refused(Exit.UNKNOWN, f"{actor} died while it was asked", "look at riskd status") from error


type Call = Context[Daemon]


# ------------------------------------------------------------------------------------------ reading


@HANDLERS.on("version", Nothing)
async def version(context: Call, request: Nothing) -> object:
    return {
        "schema": 1,
        "at": context.parts.program.clock.wall(),
        "version": VERSION,
        "pid": os.getpid(),
    }


@HANDLERS.on("status", OfAccounts)
async def status(context: Call, request: OfAccounts) -> object:
    whole = status_of(context.parts.seen())
    if not request.accounts:
        return whole
    chosen = {context.parts.account(name).guarded.name for name in request.accounts}
    kept = tuple(account for account in whole.accounts if account.name in chosen)
    return msgspec.structs.replace(whole, accounts=kept)


def _of(context: Call, names: tuple[str, ...]) -> Seen:
    """This moment, of these accounts only where some are named."""
    whole = context.parts.seen()
    chosen = {context.parts.account(name).guarded.name for name in names}
    if not chosen:
        return whole
    return msgspec.structs.replace(whole, accounts=tuple(a for a in whole.accounts if a.name in chosen))


@HANDLERS.on("positions", OfAccounts)
async def positions(context: Call, request: OfAccounts) -> object:
    return positions_of(_of(context, request.accounts))


@HANDLERS.on("orders", OfAccounts)
async def orders(context: Call, request: OfAccounts) -> object:
    return orders_of(_of(context, request.accounts))


@HANDLERS.on("lockouts", OfAccounts)
async def lockouts(context: Call, request: OfAccounts) -> object:
    return lockouts_of(_of(context, request.accounts))


@HANDLERS.on("rules", OfRules)
async def rules(context: Call, request: OfRules) -> object:
    moment = _of(context, request.accounts)
    known = sorted({rule.built.name for account in moment.accounts for rule in account.rules})
    if request.rule is not None and request.rule not in known:
        raise Refused(Exit.FAILED, f"cannot find rule {request.rule}", f"rules that run: {', '.join(known)}")
    return rules_of(moment, request.rule)


@HANDLERS.on("hours", OfAccounts)
async def hours(context: Call, request: OfAccounts) -> object:
    daemon = context.parts
    calendar, now = daemon.program.calendar, daemon.now().wall
    sessions = [
        {
            "session": name,
            "open": calendar.is_open(name, now),
            "next_start": calendar.next_session_start(name, now),
            "end": calendar.session_end(name, now),
        }
        for name in daemon.program.settings.sessions
    ]
    return {
        "schema": 1,
        "at": now,
        "trading_day": calendar.trading_day(now),
        "next_reset": calendar.next_reset(now),
        "sessions": sessions,
    }


@HANDLERS.on("why", AskWhy)
async def why(context: Call, request: AskWhy) -> object:
    account = None if request.account is None else context.parts.account(request.account).guarded.name
    found = await context.parts.ask("persistence", WhyQuery(request.id, account))
    if found is None:
        raise Refused(
            Exit.FAILED, "cannot explain: no such decision", "riskd history --kind breach lists them"
        )
    assert isinstance(found, Why)
    return {"schema": 1, "at": context.parts.now().wall, **msgspec.structs.asdict(found)}


@HANDLERS.on("history", AskHistory)
async def history(context: Call, request: AskHistory) -> object:
    account = None if request.account is None else context.parts.account(request.account).guarded.name
    kind = None if request.kind is None else HistoryKind(request.kind)
    query = HistoryQuery(kind, request.since, request.until, account, request.limit)
    found = await context.parts.ask("persistence", query)
    return {"schema": 1, "at": context.parts.now().wall, "history": found}


@HANDLERS.on("actors.tree", Nothing)
async def actors_tree(context: Call, request: Nothing) -> object:
    daemon = context.parts
    return {"schema": 1, "at": daemon.now().wall, **daemon.program.supervisor.tree()}


@HANDLERS.on("actors.show", AskActor)
async def actors_show(context: Call, request: AskActor) -> object:
    node = _find(context.parts.program.supervisor.tree(), request.id)
    if node is None:
        raise Refused(Exit.FAILED, f"cannot find actor {request.id}", "riskd actors tree lists them")
    return {"schema": 1, "at": context.parts.now().wall, **node}


def _find(node: dict[str, object], name: str) -> dict[str, object] | None:
    if node["id"] == name:
        return node
    children = node["children"]
    assert isinstance(children, tuple | list)
    return next((hit for child in children if (hit := _find(child, name)) is not None), None)


# ------------------------------------------------------------------------------- towards safety


@HANDLERS.on("lock", DoLock)
async def lock(context: Call, request: DoLock) -> object:
    daemon = context.parts
    armed, now = daemon.account(request.account), daemon.now()
    until = request.until
    if request.for_s is not None:
        until = now.wall + timedelta(seconds=request.for_s)
    command = LockByHand(armed.guarded.id, until, request.reason, context.by, False, now)
    answer = await daemon.ask(f"account/{armed.guarded.name}/enforcement", command)
    return {
        "schema": 1,
        "at": daemon.now().wall,
        **_accepted(daemon, armed, answer),
        **_locked(daemon, armed),
    }


@HANDLERS.on("flatten", DoFlatten)
async def flatten(context: Call, request: DoFlatten) -> object:
    daemon = context.parts
    armed = daemon.account(request.account)
    command = FlattenByHand(armed.guarded.id, context.by, daemon.now())
    answer = await daemon.ask(f"account/{armed.guarded.name}/enforcement", command)
    return await _until_verified(daemon, (armed,), [_accepted(daemon, armed, answer)])


@HANDLERS.on("panic", DoPanic)
async def panic(context: Call, request: DoPanic) -> object:
    """Flatten and lock every account; one that does not answer does not stop the others."""
    daemon = context.parts
    answers = list[dict[str, object]]()
    accounts = tuple(daemon.program.armed.values())
    for armed in accounts:
        reason = request.reason or "panic"
        command = LockByHand(armed.guarded.id, None, reason, context.by, True, daemon.now())
        try:
            answer = await daemon.ask(f"account/{armed.guarded.name}/enforcement", command)
        except Refused as no:
            answers.append({"account": armed.guarded.name, "accepted": False, "text": no.why})
            continue
        answers.append(_accepted(daemon, armed, answer))
    told = await _until_verified(daemon, accounts, answers)
    for armed, answer in zip(accounts, answers, strict=True):
        answer |= _locked(daemon, armed)
    silent = [str(answer["account"]) for answer in answers if not answer["accepted"]]
    if silent:
        why = f"cannot tell whether {', '.join(silent)} is locked: no answer from its enforcement"
        raise Refused(Exit.UNKNOWN, why, "riskd lockouts; the others are locked and flat")
    return told


def _accepted(daemon: Daemon, armed: Armed, answer: object) -> dict[str, object]:
    if isinstance(answer, Denied):
        raise Refused(Exit.FAILED, answer.text)
    assert isinstance(answer, OrderAccepted)
    return {"account": armed.guarded.name, "accepted": True, "text": answer.text}


def _locked(daemon: Daemon, armed: Armed) -> dict[str, object]:
    """The lock by hand as it stands: a later end than the one asked for wins, none shortens."""
    view = daemon.program.board.read(("enforcement", armed.guarded.name), EnforcementView)
    found = next((one for one in (view.lockouts if view else ()) if one.rule == "manual"), None)
    return {"locked": found is not None, "locked_until": None if found is None else found.until}


async def _until_verified(
    daemon: Daemon, accounts: tuple[Armed, ...], answers: list[dict[str, object]]
) -> dict[str, object]:
    """Wait for the outcome: every account seen flat, or exit 8 with what is left."""
    board = daemon.program.board
    with trio.move_on_after(VERIFY_S):
        while any(_reducing(daemon, armed) for armed in accounts):  # noqa: ASYNC110 - the board wakes nobody
            await trio.sleep(POLL_S)
    left = [armed.guarded.name for armed in accounts if _reducing(daemon, armed)]
    if left:
        raise Refused(
            Exit.UNKNOWN,
            f"not verified flat yet: {', '.join(left)}; the guard keeps trying",
            "riskd status, riskd why --last",
        )
    for answer in answers:
        snapshot = board.read(("snapshot", str(answer["account"])), AccountSnapshot)
        flat = snapshot is not None and not snapshot.positions and not any(map(_works, snapshot.orders))
        answer["verified"] = flat
    return {"schema": 1, "at": daemon.now().wall, "accounts": answers}


def _works(order: Order) -> bool:
    return order.working


def _reducing(daemon: Daemon, armed: Armed) -> bool:
    view = daemon.program.board.read(("enforcement", armed.guarded.name), EnforcementView)
    return view is not None and view.reducing


# ------------------------------------------------------------------------------------------ admin


@HANDLERS.on("service.uninstall", Nothing)
async def service_uninstall(context: Call, request: Nothing) -> object:
    """Whether the service may be removed now; the command line does it."""
    daemon = context.parts
    await permit_loosening(daemon.program, "service uninstall", daemon.now().wall)
    return {"text": "the service may be removed"}


@HANDLERS.on("down", DoStop)
async def down(context: Call, request: DoStop) -> object:
    daemon = context.parts
    held = {
        name: len(snapshot.positions)
        for name in daemon.program.armed
        if (snapshot := daemon.program.board.read(("snapshot", name), AccountSnapshot)) and snapshot.positions
    }
    if held and not request.leave_open:
        listed = ", ".join(f"{name} ({count})" for name, count in held.items())
        raise Refused(
            Exit.FAILED,
            f"cannot stop without a word on the open positions of {listed}",
            "riskd flatten first, or riskd down --leave-open",
        )
    await permit_loosening(daemon.program, "down", daemon.now().wall)
    context.after_reply(lambda: daemon.program.end(Ending(0, f"asked to stop by {context.by}")))
    return {"schema": 1, "at": daemon.now().wall, "stopping": True, "left_open": sorted(held)}


@HANDLERS.on("restart", Nothing)
async def restart(context: Call, request: Nothing) -> object:
    daemon = context.parts
    context.after_reply(lambda: daemon.program.end(Ending(REPLACE_ME, f"restart asked for by {context.by}")))
    return {"schema": 1, "at": daemon.now().wall, "pid": os.getpid(), "restarting": True}


@HANDLERS.on("unlock", DoUnlock)
async def unlock(context: Call, request: DoUnlock) -> object:
    """Ended only once that is durable; refused where the condition still holds."""
    daemon = context.parts
    armed = daemon.account(request.account)
    if daemon.program.settings.tamper.admin_unlock == "never" and not _only_open_ended_hand(
        daemon, armed, request.rule
    ):
        raise Refused(Exit.COOLING_OFF, "cannot unlock: tamper.admin_unlock is never")
    # With the lockout in its name: one that came later, or longer, is not what was asked about.
    what = f"unlock/{armed.guarded.id}/{request.rule or 'all'}/{_meant(daemon, armed, request.rule)}"
    await permit_loosening(daemon.program, what, daemon.now().wall)
    command = Unlock(armed.guarded.id, request.rule, context.by, daemon.now())
    answer = await daemon.ask(f"account/{armed.guarded.name}/enforcement", command)
    if isinstance(answer, Denied):
        raise Refused(Exit.FAILED, answer.text)
    assert isinstance(answer, Unlocked)
    await _durable(daemon)
    if answer.refused and not answer.ended:
        first = answer.refused[0]
        raise Refused(Exit.FAILED, f"cannot unlock {first.rule}: {first.text}")
    return {
        "schema": 1,
        "at": daemon.now().wall,
        "account": armed.guarded.name,
        "ended": list(answer.ended),
        "refused": [{"rule": no.rule, "text": no.text} for no in answer.refused],
    }


def _meant(daemon: Daemon, armed: Armed, rule: str | None) -> str:
    """Names the lockouts to be ended by since and until when. Raises Refused where there is none."""
    view = daemon.program.board.read(("enforcement", armed.guarded.name), EnforcementView)
    if view is None:
        raise Refused(Exit.FAILED, "cannot unlock: it is not known yet what locks the account", "try again")
    meant = [lockout for lockout in view.lockouts if rule in (None, lockout.rule)]
    if not meant:
        raise Refused(
            Exit.FAILED,
            f"cannot unlock {rule}: it has no lockout in force"
            if rule
            else "cannot unlock: the account is not locked",
        )
    until = max((instant_text(lockout.until) for lockout in meant if lockout.until), default="open")
    return f"{instant_text(max(lockout.since for lockout in meant))}/{until}"


def _only_open_ended_hand(daemon: Daemon, armed: Armed, rule: str | None) -> bool:
    """A manual lock without end can be lifted even under `never`."""
    view = daemon.program.board.read(("enforcement", armed.guarded.name), EnforcementView)
    if view is None:
        return False
    meant = [lockout for lockout in view.lockouts if rule in (None, lockout.rule)]
    return bool(meant) and all(lockout.rule == "manual" and lockout.until is None for lockout in meant)


@HANDLERS.on("reset", DoReset)
async def reset(context: Call, request: DoReset) -> object:
    """The day's P&L, counts and tiers start from zero now; stored before it takes effect. Ends no lockout."""
    daemon = context.parts
    armed, now = daemon.account(request.account), daemon.now()
    if daemon.program.settings.tamper.admin_unlock == "never":
        raise Refused(Exit.COOLING_OFF, "cannot reset: tamper.admin_unlock is never")
    await permit_loosening(daemon.program, f"reset/{armed.guarded.id}", now.wall)
    name = armed.guarded.name
    persistence = daemon.program.address("persistence")
    persistence.tell(StoreMeta(keys.baseline(armed.guarded.id), instant_text(now.wall).encode()))
    body: dict[str, object] = {
        "day": daemon.program.calendar.trading_day(now.wall).isoformat(),
        "cause": "admin",
        "by": context.by,
    }
    line = keys.history_id(HistoryKind.RESET, name, f"admin/{instant_text(now.wall)}")
    persistence.tell(Record(line, HistoryKind.RESET, now.wall, name, body))
    await _durable(daemon)
    daemon.program.address(f"account/{name}").tell(Rebased(armed.guarded.id, now.wall, context.by))
    return {"schema": 1, "at": now.wall, "account": name, "baseline": now.wall}


async def _durable(daemon: Daemon) -> None:
    """What permits more risk must be on disk before it counts."""
    flushed = await daemon.ask("persistence", Flush())
    if not isinstance(flushed, Flushed) or not flushed.ok:
        error = flushed.error if isinstance(flushed, Flushed) else "no answer"
        raise Refused(Exit.FAILED, f"cannot store the change: {error}", "check the disk")


@HANDLERS.on("actors.restart", AskActor)
async def actors_restart(context: Call, request: AskActor) -> object:
    daemon = context.parts
    try:
        await daemon.program.supervisor.restart(request.id)
    except TreeRefused as error:
        raise Refused(Exit.FAILED, f"cannot restart {request.id}: {error}") from error
    return {"schema": 1, "at": daemon.now().wall, "id": request.id, "restarted": True}


@HANDLERS.on("chaos", DoChaos)
async def chaos(context: Call, request: DoChaos) -> object:
    """Break something on purpose; only where chaos is enabled and the gateway is this machine."""
    from actors.connection.port import DropLink
    from config.fields import is_loopback

    daemon = context.parts
    settings, supervisor = daemon.program.settings, daemon.program.supervisor
    if not settings.chaos.enabled or not all(is_loopback(url) for url in settings.gateway.urls):
        raise Refused(
            Exit.FAILED, "cannot do chaos here", "set chaos.enabled and point the gateway at this machine"
        )
    try:
        match request.what:
            case "kill":
                supervisor.kill(request.id)
            case "crash":
                supervisor.crash(request.id)
            case "hang":
                supervisor.hang(request.id, request.for_s)
            case "drop-link":
                daemon.program.address("connection").tell(DropLink("chaos"), urgent=True)
            case "clock":
                daemon.program.move_clock(request.for_s)
            case "switch-interval":
                sys.setswitchinterval(max(request.for_s, SHORTEST_SWITCH_S))
    except (KeyError, TreeRefused) as error:
        why = f"cannot {request.what} {request.id}: there is no such actor"
        raise Refused(Exit.FAILED, why, "riskd actors tree lists them") from error
    return {"schema": 1, "at": daemon.now().wall, "what": request.what, "id": request.id}
