"""What the watchdog makes of what it sees. Pure: one look in, the new view and the steps to take out.

It suspects itself first: a look that comes late (the machine slept, the watchdog was paused) proves
nothing against the daemon, which is then given a full period again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

import msgspec
from msgspec import Struct

from supervisor.heartbeat import Beat, Phase

REPLACE_ME = 75
TERMINATED = 143
REFUSED_CODES = (1, 78)
ASKED_FOR = "restart asked for"


class Limits(Struct, frozen=True):
    """Seconds, counts, megabytes."""

    heartbeat_s: float = 3.0
    """A counter that stands still for longer is a hung daemon."""
    start_s: float = 60.0
    """From the start to the first beat."""
    warm_start_s: float = 10.0
    """The same for one that had everything imported before it was needed."""
    stop_s: float = 10.0
    ask_again_s: float = 0.5
    stopped_s: float = 0.4
    """How long the daemon may be seen suspended (SIGSTOP) before it is replaced."""
    stalled_s: float = 15.0
    """Age of the oldest unprocessed message from which a beating daemon counts as stalled."""
    pause_s: float = 0.25
    longest_pause_s: float = 30.0
    settled_s: float = 60.0
    """Ready for this long: earlier failures are forgotten."""
    tally: int = 5
    tally_s: float = 120.0
    safe_s: float = 600.0
    """Ready in safe mode for this long without a crash: the rules are tried again."""
    memory_mb: float = 500.0
    memory_every_s: float = 5.0


class Look(Struct, frozen=True):
    """What one look shows. `exit_code` is None while it runs, and for an adopted daemon that has gone."""

    now: float
    alive: bool
    exit_code: int | None = None
    suspended: bool = False
    beat: Beat | None = None
    """Of this very process; None before its first."""
    memory_mb: float = 0.0
    warm: bool = False
    """This daemon was standing by with everything imported."""
    told_to_stop: bool = False
    told_again: bool = False
    """A second time, within seconds: it is to end at once."""


class Adopted(Struct, frozen=True):
    """A daemon that was found running, and what it says of itself."""

    beat: Beat
    restart: int = 0
    safe_mode: bool = False


class Stage(StrEnum):
    STARTING = "starting"
    """Started, no beat yet."""
    LIVE = "live"
    WAITING = "waiting"
    """Ended; the next start is at `until`."""
    ENDING = "ending"
    """It was told to stop and does."""
    REPLACING = "replacing"
    """It was told to stop so that a fresh one can take over."""


class View(Struct, frozen=True):
    """What the watchdog remembers between two looks. Instants are monotonic seconds."""

    stage: Stage
    since: float
    looked_at: float
    restart: int = 0
    """Number of the running daemon: 0 is the first."""
    counter: int = -1
    moved_at: float = 0.0
    dumped: bool = False
    suspended_at: float | None = None
    stalled_at: float | None = None
    ready_at: float | None = None
    was_ready: bool = False
    until: float = 0.0
    failures: tuple[float, ...] = ()
    safe_mode: bool = False
    cause: str = ""
    down_since: float | None = None
    """Since when nobody guards; None while somebody does."""
    forwarded_at: float = 0.0
    """When the second asking was last passed on."""
    no_failure: bool = False
    """It is replaced because that was asked for, out of safe mode, however it ends."""


class Start(Struct, frozen=True, tag=True):
    restart: int
    safe_mode: bool
    cause: str
    down_since: float | None = None


class Dump(Struct, frozen=True, tag=True):
    """Have the daemon write its stacks: it may not answer much longer."""


class Kill(Struct, frozen=True, tag=True):
    why: str


class AskToStop(Struct, frozen=True, tag=True):
    why: str


class End(Struct, frozen=True, tag=True):
    """The guard is over: leave with this exit code."""

    code: int
    why: str


type Step = Start | Dump | Kill | AskToStop | End


def begin(
    now: float, adopted: Adopted | None = None, *, restarted: bool = False
) -> tuple[View, tuple[Step, ...]]:
    """The first view: of a daemon to be started, or of a running one that is adopted.

    `restarted`: a service starts it; nobody waits at a terminal to mend what would refuse a first start.
    """
    if adopted is not None:
        return View(
            Stage.LIVE,
            now,
            now,
            restart=adopted.restart,
            counter=adopted.beat.counter,
            moved_at=now,
            was_ready=True,
            safe_mode=adopted.safe_mode,
        ), ()
    number = int(restarted)
    cause = "started by the service" if restarted else ""
    return View(Stage.STARTING, now, now, restart=number, cause=cause), (Start(number, False, cause),)


def judge(view: View, look: Look, limits: Limits, chance: float) -> tuple[View, tuple[Step, ...]]:
    """One look: the new view and what to do. `chance` (0 to 1) spreads the pauses between starts."""
    late = look.now - view.looked_at > limits.heartbeat_s
    view = msgspec.structs.replace(view, looked_at=look.now)
    if view.stage is Stage.WAITING:
        return _wait(view, look)
    if not look.alive:
        return _ended(view, look, limits, chance)
    if late:
        return _pardoned(view, look.now), ()
    match view.stage:
        case Stage.ENDING | Stage.REPLACING:
            return _until_gone(view, look, limits)
        case Stage.STARTING | Stage.LIVE:
            return _watch(view, look, limits)
        case _:
            assert_never(view.stage)


def pause(failures: int, limits: Limits, chance: float) -> float:
    """Seconds before the next start: none after the first failure, then doubling, spread by `chance`."""
    if failures <= 1:
        return 0.0
    longest = min(limits.pause_s * 2.0 ** min(failures - 2, 20), limits.longest_pause_s)
    return longest * (0.5 + 0.5 * chance)


def _wait(view: View, look: Look) -> tuple[View, tuple[Step, ...]]:
    if look.told_to_stop:
        return view, (End(0, "told to stop"),)
    if look.now < view.until:
        return view, ()
    fresh = _started(view, look.now)
    return fresh, (Start(fresh.restart, fresh.safe_mode, fresh.cause, fresh.down_since),)


def _started(view: View, now: float) -> View:
    return View(
        Stage.STARTING,
        now,
        now,
        restart=view.restart + 1,
        was_ready=view.was_ready,
        failures=view.failures,
        safe_mode=view.safe_mode,
        cause=view.cause,
        down_since=view.down_since,
    )


def _ended(view: View, look: Look, limits: Limits, chance: float) -> tuple[View, tuple[Step, ...]]:
    code = look.exit_code
    if look.told_to_stop or code == 0:
        return view, (End(0, "stopped"),)
    if code in REFUSED_CODES and view.restart == 0 and not view.was_ready:
        return view, (End(code, "refused to start"),)
    # It said that it was told to end; only an exit code of its own choosing contradicts that.
    if view.stage is Stage.ENDING and (code is None or code < 0 or code == TERMINATED):
        return view, (End(0, "stopped"),)
    view = _gone(view, look.now)
    if code == REPLACE_ME or view.no_failure:
        waiting = msgspec.structs.replace(
            view,
            stage=Stage.WAITING,
            until=look.now,
            failures=(),
            safe_mode=False,
            cause=view.cause or ASKED_FOR,
            no_failure=False,
        )
        return _wait(waiting, look)
    recent = tuple(at for at in view.failures if look.now - at < limits.tally_s)
    failures = (*recent, look.now)
    waiting = msgspec.structs.replace(
        view,
        stage=Stage.WAITING,
        until=look.now + pause(len(failures), limits, chance),
        failures=failures,
        safe_mode=view.safe_mode or len(failures) >= limits.tally,
        cause=view.cause or _cause(code),
    )
    return _wait(waiting, look)


def _gone(view: View, now: float) -> View:
    """Nobody guards: since the last beat of one that hung, since now of one that just ended."""
    hung = view.stage is Stage.REPLACING and view.counter >= 0
    since = view.down_since if view.down_since is not None else (view.moved_at if hung else now)
    cause = view.cause if view.stage is Stage.REPLACING else ""
    return msgspec.structs.replace(view, down_since=since, cause=cause)


def _cause(code: int | None) -> str:
    if code is None:
        return "ended"
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _pardoned(view: View, now: float) -> View:
    return msgspec.structs.replace(
        view, since=now, moved_at=now, dumped=False, suspended_at=None, stalled_at=None
    )


def _until_gone(view: View, look: Look, limits: Limits) -> tuple[View, tuple[Step, ...]]:
    if view.stage is Stage.REPLACING and look.told_to_stop:
        return msgspec.structs.replace(view, stage=Stage.ENDING), ()
    view = _noted_suspension(view, look)
    if view.stage is Stage.ENDING and look.told_again and _may_ask_again(view, look, limits):
        return msgspec.structs.replace(view, forwarded_at=look.now), (AskToStop("told again"),)
    if _is_suspended(view, look, limits):
        return msgspec.structs.replace(view, suspended_at=None), (Kill("suspended"),)
    if look.now - view.since < limits.stop_s:
        return view, ()
    again = msgspec.structs.replace(view, since=look.now)
    return again, (Kill(f"did not stop within {limits.stop_s:g} s"),)


def _may_ask_again(view: View, look: Look, limits: Limits) -> bool:
    """Not so soon after the last asking that the daemon takes both for one."""
    return look.now - max(view.since, view.forwarded_at) >= limits.ask_again_s


def _watch(view: View, look: Look, limits: Limits) -> tuple[View, tuple[Step, ...]]:
    if look.told_to_stop:
        return _leaving(view, look.now, Stage.ENDING), (AskToStop("told to stop"),)
    view, beat = _noted(view, look, limits), look.beat
    if beat is not None and beat.phase is Phase.STOPPING:
        return _leaving(view, look.now, Stage.ENDING), ()
    if beat is not None and beat.phase is Phase.RESTARTING:
        asked = _leaving(view, look.now, Stage.REPLACING, ASKED_FOR)
        return msgspec.structs.replace(asked, no_failure=True), ()
    if beat is not None and beat.phase is Phase.FAILING:
        return _leaving(view, look.now, Stage.REPLACING), ()
    if why := _hopeless(view, look, limits):
        return _leaving(view, look.now, Stage.REPLACING, why), (Kill(why),)
    if look.memory_mb > limits.memory_mb:
        why = f"memory of {look.memory_mb:.0f} MB: the limit is {limits.memory_mb:g}"
        return _leaving(view, look.now, Stage.REPLACING, why), (AskToStop(why),)
    if view.safe_mode and view.ready_at is not None and look.now - view.ready_at >= limits.safe_s:
        why = f"{limits.safe_s / 60:g} minutes in safe mode without a crash"
        leaving = _leaving(view, look.now, Stage.REPLACING, why)
        return msgspec.structs.replace(leaving, no_failure=True), (AskToStop(why),)
    if view.stage is Stage.LIVE and not view.dumped and look.now - view.moved_at > limits.heartbeat_s / 2:
        return msgspec.structs.replace(view, dumped=True), (Dump(),)
    return view, ()


def _leaving(view: View, now: float, stage: Stage, why: str = "") -> View:
    return msgspec.structs.replace(view, stage=stage, since=now, cause=why, suspended_at=None)


def _noted(view: View, look: Look, limits: Limits) -> View:
    """The view with this look's beat, suspension and age taken in."""
    now, beat = look.now, look.beat
    view = _noted_suspension(view, look)
    if beat is None:
        return view
    if beat.counter != view.counter:
        view = msgspec.structs.replace(
            view, stage=Stage.LIVE, counter=beat.counter, moved_at=now, dumped=False
        )
    stalled = beat.oldest_ms > limits.stalled_s * 1000
    ready_at = (view.ready_at or now) if beat.phase is Phase.READY else None
    settled = ready_at is not None and now - ready_at >= limits.settled_s
    return msgspec.structs.replace(
        view,
        stalled_at=(view.stalled_at or now) if stalled else None,
        ready_at=ready_at,
        was_ready=view.was_ready or ready_at is not None,
        down_since=None if ready_at is not None else view.down_since,
        failures=() if settled else view.failures,
    )


def _noted_suspension(view: View, look: Look) -> View:
    since = (view.suspended_at or look.now) if look.suspended else None
    return msgspec.structs.replace(view, suspended_at=since)


def _is_suspended(view: View, look: Look, limits: Limits) -> bool:
    return view.suspended_at is not None and look.now - view.suspended_at >= limits.stopped_s


def _hopeless(view: View, look: Look, limits: Limits) -> str:
    """Why this daemon will not come back by itself; empty while it may."""
    if _is_suspended(view, look, limits):
        return "suspended"
    if view.stage is Stage.STARTING:
        grace_s = limits.warm_start_s if look.warm else limits.start_s
        late = look.now - view.since > grace_s
        return f"no heartbeat {grace_s:g} s after the start" if late else ""
    if look.now - view.moved_at > limits.heartbeat_s:
        return f"no heartbeat for {limits.heartbeat_s:g} s"
    if view.stalled_at is not None and look.now - view.stalled_at > limits.heartbeat_s:
        beat = look.beat
        return f"stalled: messages wait for {limits.stalled_s:g} s ({beat.slowest if beat else ''})"
    return ""
