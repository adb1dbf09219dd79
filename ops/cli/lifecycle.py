"""Starting and ending the guard: up, down, restart, reload."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import talk
from ops.cli.place import Place, admin_secret, confirm, now
from supervisor.home import Home
from supervisor.identity import Identity, recorded
from supervisor.protocol import DoReload, DoStop, Exit, Nothing, OfAccounts, Refused

STOP_S = 20.0
WHEN = {"now": "", "restart": " (with riskd restart)", "up": " (with riskd down and up)"}
"""How `reload` says when a change takes effect."""
Timeout = Annotated[float, typer.Option("--timeout", metavar="S", help="How long to wait until it guards.")]


def up(
    ctx: typer.Context,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay: for service managers and containers.")
    ] = False,
    timeout: Timeout = 90.0,
) -> None:
    """Start the guard and return when it is guarding.

    A refused login ends it with 1; an unreachable gateway leaves it up, blind and retrying (exit 5).
    """
    from ops import start

    place: Place = ctx.obj
    home = place.home
    _make(home)
    _refuse_second(home)
    command, environment = _adopting(home) or _fresh(place, home)
    if foreground:
        sys.stdout.flush()
        os.chdir(home.folder)
        os.execve(command[0], command, environment)
    talk(f"starting in {home.folder}")
    _wait(place, start.detach(home, command, environment), timeout)


type Launch = tuple[list[str], dict[str, str]]
"""A command and the environment it runs in."""


def _adopting(home: Home) -> Launch | None:
    """Where the daemon runs on without a watchdog, only that is started again."""
    from ops import start
    from supervisor.spawning import same_watchdog

    daemon = recorded(home.daemon)
    if daemon is None:
        return None
    command = same_watchdog(home)
    if command is None:
        why = f"cannot watch the daemon (pid {daemon.pid}) in {home.folder}: how it was started is lost"
        raise Refused(Exit.FAILED, why, "riskd down, then riskd up")
    talk(f"the daemon (pid {daemon.pid}) runs without a watchdog: starting one for it")
    return command, start.environment_of(daemon)


def _fresh(place: Place, home: Home) -> Launch:
    """Read the configuration, start a simulator where it asks for one; the watchdog's command."""
    from ops import start

    sources = place.sources
    loaded = start.read_configuration(sources, talk)
    start.settle_test_clock(loaded)
    start.refuse_proxy(loaded)
    home.ended.unlink(missing_ok=True)
    more = start.start_simulator(home, loaded, talk) if loaded.settings.gateway.kind == "simulator" else []
    return start.watchdog_command(home, loaded, start.daemon_arguments(sources, more)), dict(os.environ)


def _make(home: Home) -> None:
    try:
        home.make()
    except OSError as error:
        why = f"cannot use {home.folder} as the home: {error.strerror}"
        raise Refused(Exit.FAILED, why, "name another with --home or RISKD_HOME") from None


def _refuse_second(home: Home) -> None:
    watchdog, daemon = recorded(home.watchdog), recorded(home.daemon)
    if watchdog is not None:
        guard = f"watchdog {watchdog.pid}" + (f", daemon {daemon.pid}" if daemon else "")
        why = f"cannot start in {home.folder}: riskd runs there already ({guard})"
        raise Refused(Exit.FAILED, why, "riskd status shows it")


def _wait(place: Place, watchdog: subprocess.Popen[bytes] | None, timeout_s: float) -> None:
    from ops import start

    state = start.wait_until_guarding(place.home, watchdog, timeout_s, talk)
    if state in ("guarding", "locked"):
        place.page.line(f"{place.page.dot(state)} {place.page.state(state.upper())}  {place.home.folder}")
        return
    answer = place.ask("status", OfAccounts())
    for reason in answer["reasons"]:
        talk(f"  ! {reason['text']}")
    place.page.line(
        f"{place.page.dot(state)} {place.page.state(state.upper())}  it stays up and goes on trying"
    )
    raise typer.Exit(Exit.DEGRADED)


def down(
    ctx: typer.Context,
    leave_open: Annotated[
        bool,
        typer.Option("--leave-open", help="End it although positions are open: nobody guards them then."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """End the guard: daemon and watchdog. Asks while positions are open."""
    place: Place = ctx.obj
    home = place.home
    watchdog = recorded(home.watchdog)
    try:
        open_ = _open_positions(place)
    except Refused as no:
        if no.code is not Exit.NOT_RUNNING or watchdog is None:
            raise
        _end_by_force(home)
        place.page.line("the guard has ended")
        return
    if open_ and not leave_open:
        confirm(f"{open_} open: nobody will guard that. End the guard?", yes=yes, hint="add --leave-open")
    from ops.start import left_open, wait_gone

    daemon = recorded(home.daemon)
    place.ask("down", DoStop(leave_open=leave_open or bool(open_)))
    wait_gone(home, daemon, watchdog)
    place.page.line("the guard has ended")
    if left := left_open(home):
        place.page.line(f"left open: {', '.join(left)}; nobody guards that now")


def _open_positions(place: Place) -> str:
    answer = place.ask("positions", OfAccounts())
    return ", ".join(f"{p['account']} {p['root']} {words.size(p['size'])}" for p in answer["positions"])


def _end_by_force(home: Home) -> None:
    from ops.start import end_by_force
    from supervisor.roles import AdminSecret

    kept = AdminSecret(home.admin_secret)
    if kept.is_set() and not kept.is_right(admin_secret(home)):
        raise Refused(Exit.NOT_PERMITTED, "cannot end the guard without the admin secret")
    end_by_force(home)


def restart(ctx: typer.Context, timeout: Timeout = 90.0) -> None:
    """Replace the daemon by a fresh one, which restores its state; leaves safe mode."""
    place: Place = ctx.obj
    before = recorded(place.home.daemon)
    place.ask("restart", Nothing())
    wait_replaced(place, before, timeout)


def wait_replaced(place: Place, before: Identity | None, timeout_s: float = 90.0) -> None:
    """Wait until another daemon guards in the place of the one there was before; print its state."""
    until = time.monotonic() + STOP_S
    while recorded(place.home.daemon) == before:
        if time.monotonic() > until:
            raise Refused(Exit.UNKNOWN, "the daemon did not end to be replaced", "riskd status")
        time.sleep(0.05)
    _wait(place, None, timeout_s)


def reload(ctx: typer.Context) -> None:
    """Read the configuration again. Tightening is immediate, loosening may have to wait.

    Where the new one is mistaken the old one stays in force.
    """
    place: Place = ctx.obj
    files = tuple(str(file.absolute()) for file in place.files) if place.config else ()
    answer: dict[str, Any] = place.ask("reload", DoReload(files, place.sets)) or {}
    for change in answer.get("changes", ()):
        place.page.line(f"  {change['key']}: {change['old']} -> {change['new']}{WHEN[change['effect']]}")
    for pending in answer.get("pending", ()):
        at = words.parsed(pending.get("effective_at"))
        place.page.line(
            f"  waits until {words.until(at, now())}: {pending.get('change')} ({pending.get('id')})"
        )
    place.page.line(str(answer.get("text") or "reloaded"))
