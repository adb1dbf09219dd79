"""The daemon: `python -P -m supervisor --home H [--config F]... [--set K=V]... [--env-file F] [--safe-mode]`.

Started by the watchdog, never by hand; what they owe each other stands in `ops.watchdog`. Takes the home's
lock, opens the store, settles the configuration, then runs the guard and serves the control socket.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import filelock
import trio

from actors import crash_points, logs
from actors.clock import TEST_CLOCK, Clock, clock_from
from actors.logs import checkpoint, get_logger
from actors.messages import HistoryKind, Record, StoreMeta
from actors.persistence import keys
from actors.persistence.opening import CannotOpen
from actors.persistence.store import Store
from config.fields import is_loopback
from config.mistakes import ConfigurationMistakes, rendered
from config.pending import kept
from config.secrets import SecretUnavailable
from config.settings import Settings
from supervisor.anchor import keep_watchdog
from supervisor.changing import HANDLERS, ripen_in_time, take_files, watch_files
from supervisor.claims import Claims
from supervisor.configuration import Accepted, read, settle
from supervisor.control import Audited, ControlServer
from supervisor.control_socket import control_socket
from supervisor.gather import Process
from supervisor.handlers import Daemon
from supervisor.home import Home
from supervisor.identity import recorded
from supervisor.life import Ending
from supervisor.metrics import MetricsServer
from supervisor.phases import Phases, age_s
from supervisor.placement import settle_down
from supervisor.presence import Ended, Presence, refuse
from supervisor.program import Program
from supervisor.protocol import DoReload, Exit, Refused
from supervisor.reach import gateway_maker
from supervisor.readings import GuardReadings
from supervisor.roles import AdminSecret, Grants
from supervisor.winding_down import GRACE_S, TERMINATED, leave_now, obey_signals

log = get_logger("riskd.daemon")

LOCK_WAIT_S = 5.0
"""A daemon that was just replaced may need a moment to let go of the home."""


def main(argv: Sequence[str]) -> int:
    """Run the daemon; the exit code of the process."""
    arguments = parser().parse_args(argv)
    home = Home(Path(arguments.home).absolute())
    clock = clock_from(os.environ)
    try:
        home.make()
        home.ended.unlink(missing_ok=True)
        with filelock.FileLock(home.lock, timeout=LOCK_WAIT_S):
            return guard(home, clock, arguments)
    except filelock.Timeout:
        holder = recorded(home.daemon)
        who = f"another daemon (pid {holder.pid})" if holder else "another process"
        return refuse(home, Ended(1, f"cannot start: {who} guards {home.folder}", "riskd status"))
    except OSError as error:
        return refuse(home, Ended(1, f"cannot start: {error}", "is the home folder writable?"))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m supervisor", description=__doc__)
    made.add_argument("--home", required=True)
    made.add_argument("--config", action="append", default=[])
    made.add_argument("--set", action="append", default=[], dest="sets")
    made.add_argument("--env-file")
    made.add_argument("--safe-mode", action="store_true")
    return made


def guard(home: Home, clock: Clock, arguments: argparse.Namespace) -> int:
    restart = int(os.environ.get("RISKD_RESTART", "0"))
    phases = Phases(clock.mono() - age_s(), "importing")
    phases.begin("opening the store", clock.mono())
    arm_crash_points(arguments, restart)
    try:
        store = Store.open(home.database, clock.wall(), home.backups)
    except CannotOpen as error:
        return refuse(home, Ended(1, f"cannot open the store: {error}", "riskd doctor"))
    phases.begin("settling the configuration", clock.mono())
    try:
        accepted = settle(store, arguments.config, arguments.sets, arguments.env_file, restarted=restart > 0)
    except ConfigurationMistakes as error:
        store.close()
        return refuse(home, Ended(78, rendered(error.mistakes), "riskd config check"))
    except SecretUnavailable as error:
        store.close()
        return refuse(home, Ended(78, str(error), "riskd config check"))
    if not may_move_clock(accepted.settings):
        store.close()
        why = f"cannot use {TEST_CLOCK}: the configuration in force does not enable chaos on this machine"
        return refuse(home, Ended(78, why, f"unset {TEST_CLOCK}"))
    witness = accepted.settings.tamper.witness
    if witness is not None and Path(witness).absolute().is_relative_to(home.folder):
        store.close()
        why = f"cannot use tamper.witness: {witness} lies in the home that it is to outlive"
        return refuse(home, Ended(78, why, "name a file outside, best on another disk"))
    logs.start(home.logs, accepted.settings.logging, clock)
    logs.catch_crashes()
    try:
        checkpoint(1, "service start", pid=os.getpid(), restart=restart, python=sys.version.split()[0])
        checkpoint(2, "config loaded", digest=accepted.digest[:12], source=accepted.source)
        ending = trio.run(_serve, home, clock, store, accepted, restart, arguments.safe_mode, phases)
        log.info("service.ended", exit=ending.exit, why=ending.why)
    finally:
        logs.stop()
        store.close()
    if ending.exit in (0, 1, 78, TERMINATED):
        return refuse(home, Ended(ending.exit, ending.why, ending.hint, ending.left_open))
    return ending.exit


def may_move_clock(settings: Settings) -> bool:
    """A test clock, where one is set, by what is in force: the file alone may not move the time."""
    local = all(is_loopback(url) for url in settings.gateway.urls)
    return not os.environ.get(TEST_CLOCK) or (settings.chaos.enabled and local)


def arm_crash_points(arguments: argparse.Namespace, restart: int) -> None:
    """Die where the environment says: refused unless chaos is enabled and every gateway address is loopback.

    The file decides, because it happens before the store is open.
    """
    if not os.environ.get(crash_points.VARIABLE):
        return
    settings = read(arguments.config, arguments.sets, arguments.env_file).settings
    if settings.chaos.enabled and all(is_loopback(url) for url in settings.gateway.urls):
        crash_points.arm(os.environ, restart)


async def _serve(
    home: Home,
    clock: Clock,
    store: Store,
    accepted: Accepted,
    restart: int,
    safe_mode: bool,
    phases: Phases,
) -> Ending:
    daemon = Presence(home, clock, restart, safe_mode)
    program = Program(
        accepted.settings,
        home,
        clock,
        store,
        gateway_maker(accepted.secrets.api_key),
        targets=accepted.secrets.targets,
        first_start=restart == 0,
        safe_mode=safe_mode,
        on_scan=daemon.beat,
        on_phase=daemon.phase,
        grace_s=GRACE_S,
        claim=Claims(home, accepted.settings.gateway.api_url or "").take,
        standing=accepted.wanted,
        phases=phases,
    )
    daemon.program = program
    store_accepted(program, accepted)
    async with trio.open_nursery() as nursery:
        with control_socket(home) as listener:
            audit = auditor(program)
            process = Process(daemon.started_at, restart, os.environ.get(TEST_CLOCK))
            answering = Daemon(program, process, accepted)
            server = ControlServer(
                HANDLERS,
                answering,
                lambda: grants(home, accepted.settings),
                AdminSecret(home.admin_secret),
                audit,
                closed=lambda: "the guard is ending" if program.ending else "",
            )
            await nursery.start(server.serve, listener)
            nursery.start_soon(obey_signals, program, partial(leave_now, program, partial(_note, home)))
            nursery.start_soon(keep_watchdog, home, clock, lambda: program.ending is None)
            for task in (ripen_in_time, watch_files, partial(_hangups, home=home)):
                nursery.start_soon(task, answering)
            await serve_metrics(nursery, program, process)
            settle_down(accepted.settings.process.pin)
            ending = await program.run()
            daemon.stopped()
            nursery.cancel_scope.cancel()
    return ending


def _note(home: Home, code: int, why: str, left: tuple[str, ...]) -> None:
    refuse(home, Ended(code, why, "", left))


async def serve_metrics(nursery: trio.Nursery, program: Program, process: Process) -> None:
    """Metrics and health pages where a port is configured; one that is taken keeps no guard down."""
    port = program.settings.metrics.port
    if port is None:
        return
    pages = MetricsServer(GuardReadings(program, process))
    try:
        await nursery.start(pages.serve, port)
    except OSError as error:
        program.alert("error", f"cannot serve metrics on port {port}: {error}", "metrics/port")


def grants(home: Home, settings: Settings) -> Grants:
    return Grants(home.folder.stat().st_uid, settings.control.traders, settings.control.viewers)


def store_accepted(program: Program, accepted: Accepted) -> None:
    """The configuration in force is the last accepted one; a restart runs on it whatever the file says."""
    program.address("persistence").tell(StoreMeta(keys.CONFIGURATION, kept(accepted.wanted)))


def auditor(program: Program) -> Callable[[Audited], None]:
    """Every acting command and every refusal goes into the audit chain."""

    def record(audited: Audited) -> None:
        at = program.clock.wall()
        body: dict[str, object] = {
            "command": audited.command,
            "role": audited.role,
            "by": audited.by,
            "outcome": audited.outcome,
            "exit": int(audited.exit),
        }
        key = keys.history_id(HistoryKind.ADMIN, "", f"{audited.command}/{at.isoformat()}")
        program.address("persistence").tell(Record(key, HistoryKind.ADMIN, at, "", body))

    return record


async def _hangups(daemon: Daemon, home: Home) -> None:
    """SIGHUP reads the configuration again. It brings no admin secret: where one is set, it only tightens."""
    if not hasattr(signal, "SIGHUP"):
        return
    with trio.open_signal_receiver(signal.SIGHUP) as received:
        async for _ in received:
            await take_by_signal(daemon, AdminSecret(home.admin_secret).is_set())


async def take_by_signal(daemon: Daemon, secret_is_set: bool) -> None:
    """Reload as `riskd reload` does; nobody waits for an answer, so a refusal is an alert."""
    code, said = Exit.GOOD, "done"
    try:
        async with daemon.changing:
            await take_files(daemon, DoReload(), only_tightens=secret_is_set)
    except Refused as no:
        code, said = no.code, no.why
        daemon.program.alert("error", f"{no.why}. {no.hint}", f"reload/{no.why}")
    auditor(daemon.program)(Audited("reload", "admin", "SIGHUP", code, said))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
