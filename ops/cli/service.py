"""The guard as a service of the machine: install it, remove it, and see what it keeps."""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import structs

from ops.cli.page import Page, talk
from ops.cli.place import Place, admin_secret, confirm, now
from ops.cli.reading import Json
from ops.cli.table import group
from supervisor.home import Home
from supervisor.protocol import Exit, Nothing, OfAccounts, Refused
from supervisor.roles import AdminSecret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from config.settings import Settings
    from ops.units.intake import Caller
    from ops.units.layout import Layout, Service
    from ops.units.plan import Sources as Taken
    from ops.units.steps import Step

service = group("The guard as a service: started at boot, under an account of its own.")

Name = Annotated[str, typer.Option("--name", metavar="N", help="A second login is a second service.")]
Trader = Annotated[
    str | None, typer.Option("--trader", metavar="USER", help="Who trades (the caller by default).")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be written and done; do nothing.")]
Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="Act below this folder (an image, a trial).")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TOP = Path("/")


@service.command()
def install(
    ctx: typer.Context,
    name: Name = "default",
    trader: Trader = None,
    python: Annotated[
        str | None,
        typer.Option("--python", metavar="PATH", help="The machine's Python that the service runs on."),
    ] = None,
    dry_run: DryRun = False,
    root: Root = TOP,
) -> None:
    """Install the guard as a service that starts at boot and that the trader can neither end nor change.

    An installed configuration stays unless --config names another; what is in force changes by reload only.
    """
    from ops.units.layout import kind_here, layout
    from ops.units.plan import install as planned
    from ops.units.standing import machine

    place: Place = ctx.obj
    where = layout(kind_here(), name)
    caller = _caller(place, name, trader or _who(), python, root)
    made, sources = _taken(place, where, caller, root)
    steps = planned(where, made, sources, machine(where, caller.trader, root))
    obstacles = list(_obstacles(where, caller, sources.program, root))
    if dry_run:
        _print(place.page, steps)
        for obstacle in obstacles:
            talk(f"would be refused: {obstacle}")
        return
    if obstacles:
        raise Refused(Exit.NOT_PERMITTED, f"cannot install the service: {obstacles[0]}")
    _ask_secret(Home(caller.home))
    _carry_out(steps, root)
    place.page.line(f"{where.label} is installed: riskd service status shows what it keeps")


@service.command()
def uninstall(
    ctx: typer.Context,
    name: Name = "default",
    dry_run: DryRun = False,
    root: Root = TOP,
    yes: Yes = False,
) -> None:
    """End the service and start it no more (loosens: may have to wait). Its home stays."""
    from ops.units.carry import below
    from ops.units.layout import kind_here, layout
    from ops.units.plan import uninstall as planned

    place: Place = ctx.obj
    where = layout(kind_here(), name)
    steps = planned(where)
    if dry_run:
        _print(place.page, steps)
        return
    if not below(root, where.unit).exists():
        raise Refused(Exit.FAILED, f"cannot remove {where.label}: it is not installed")
    if root == TOP:
        _refuse_ordinary_user("remove a service")
        _permit(Place(str(where.home)), where, yes)
    _carry_out(steps, root)
    place.page.line(f"{where.label} has ended and starts no more")


@service.command()
def status(ctx: typer.Context, name: Name = "default", root: Root = TOP, json: Json = False) -> None:
    """Which of its promises the service keeps; exit 1 where one is not kept."""
    from ops.units.layout import kind_here, layout
    from ops.units.standing import recorded_service, running_watchdogs, standing

    place: Place = ctx.obj
    where = layout(kind_here(), name)
    found = recorded_service(where, root)
    running = running_watchdogs(where) if root == TOP and found else None
    checks = standing(where, found, root, running)
    if json:
        shown = [structs.asdict(check) for check in checks]
        answer = {"schema": 1, "at": now(), "name": name, "unit": str(where.unit), "home": str(where.home)}
        place.page.json({**answer, "installed": found is not None, "checks": shown})
    else:
        for check in checks:
            place.page.line(place.page.finding(check))
    if any(check.ok is False for check in checks):
        raise typer.Exit(Exit.FAILED)


# ------------------------------------------------------------------------------ who, and from where


def _who() -> str:
    """The person at the keyboard, also behind sudo."""
    found = os.environ.get("SUDO_USER") or getpass.getuser()
    if found == "root":
        why = "cannot tell who trades: root is asked for a name"
        raise Refused(Exit.USAGE, why, "--trader USER")
    return found


def _caller(place: Place, name: str, trader: str, python: str | None, root: Path) -> Caller:
    from ops.units.carry import uid_of
    from ops.units.intake import Caller, default_python

    if sys.platform != "win32":
        try:
            if uid_of(trader, root) == 0:
                raise Refused(Exit.USAGE, "cannot guard root: root can end anything", "--trader USER")
        except OSError as error:
            raise Refused(Exit.USAGE, f"cannot guard {trader}: {error.strerror}", "--trader USER") from None
    home = _home_of(place, trader)
    files = place.files if place.named_files else (home.config,)
    env_file = Path(place.env_file) if place.env_file else None
    return Caller(name, trader, files, place.sets, env_file, home.folder, python or default_python())


def _home_of(place: Place, trader: str) -> Home:
    """The home that is taken over: the one named, else the trader's own (behind sudo it is not root's)."""
    if place.named_home or sys.platform == "win32":
        return place.home
    import pwd

    shared = "Library/Application Support" if sys.platform == "darwin" else ".local/share"
    try:
        return Home(Path(pwd.getpwnam(trader).pw_dir, shared, "riskd"))
    except KeyError:
        return place.home


def _taken(place: Place, where: Layout, caller: Caller, root: Path) -> tuple[Service, Taken]:
    """What is installed: afresh from the caller's files, or again with the configuration that is there."""
    from ops import start
    from ops.units.intake import program_to_copy, settled
    from ops.units.plan import Sources as Taken
    from ops.units.standing import recorded_service

    before = recorded_service(where, root)
    if before is not None and not place.named_files:
        program = program_to_copy(where)
        python = str(where.python) if program else sys.executable
        note = f"the configuration in {where.config} stays; --config FILE replaces it"
        again = structs.replace(before, trader=caller.trader, python=python)
        return again, Taken(program, caller.base_python, notes=(note,))
    loaded = start.read_configuration(start.Sources(caller.files, caller.sets, caller.env_file), talk)
    return settled(where, caller, loaded, os.environ)


# ------------------------------------------------------------------------------ permission


def _obstacles(where: Layout, caller: Caller, program: str | None, root: Path) -> Iterator[str]:
    """What keeps the plan from being carried out here."""
    from ops.units.intake import still_running, unreachable

    if root == TOP:
        if not _is_administrator():
            yield "it takes an administrator. sudo riskd service install"
        if where.kind == "systemd" and shutil.which("systemctl") is None:
            yield "there is no systemd here. Run riskd up --foreground under the service manager you have"
        python = caller.base_python if program else sys.executable
        if (why := unreachable(python)) is not None:
            yield f"{why}. --python names a Python that is installed for the whole machine"
    if (why := still_running(caller.home)) is not None:
        yield why


def _is_administrator() -> bool:
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0


def _refuse_ordinary_user(what: str) -> None:
    if not _is_administrator():
        raise Refused(Exit.NOT_PERMITTED, f"cannot {what}: it takes an administrator", "sudo riskd …")


def _ask_secret(home: Home) -> None:
    """An admin command: where a secret is set it is asked, of root too."""
    kept = AdminSecret(home.admin_secret)
    if kept.is_set() and not kept.is_right(admin_secret(home)):
        raise Refused(Exit.NOT_PERMITTED, "cannot do this without the admin secret")


def _permit(installed: Place, where: Layout, yes: bool) -> None:
    """The running guard is asked: it keeps the waiting times, and knows what is open."""
    try:
        found = installed.ask("positions", OfAccounts())["positions"]
    except Refused as no:
        if no.code is not Exit.NOT_RUNNING:
            raise
        _permit_offline(installed.home, where)
        return
    if found:
        open_ = ", ".join(f"{one['account']} {one['root']}" for one in found)
        confirm(f"{open_} open: nobody will guard that. Remove the service?", yes=yes)
    installed.ask("service.uninstall", Nothing())


def _settings(found: Service) -> Settings:
    from config.load import load
    from ops.units.layout import sources_of

    files, sets, env_file = sources_of(found)
    return load(files, sets, os.environ, env_file).settings


def _permit_offline(home: Home, where: Layout) -> None:
    from config.mistakes import ConfigurationMistakes
    from ops.units.standing import recorded_service

    _ask_secret(home)
    found = recorded_service(where, TOP)
    try:
        waits = found is not None and _settings(found).tamper.loosen_after
    except ConfigurationMistakes:
        waits = "next_reset"  # what cannot be read counts as asking for time
    if waits:
        why = f"cannot remove {where.label} now: tamper.loosen_after asks for time and the guard does not run"
        raise Refused(Exit.COOLING_OFF, why, "start it, then ask again: it names the instant")


# ------------------------------------------------------------------------------ doing


def _print(page: Page, steps: Sequence[Step]) -> None:
    from ops.units.steps import told

    for step in steps:
        for line in told(step):
            page.line(line)


def _carry_out(steps: Sequence[Step], root: Path) -> None:
    from ops.units.carry import carry_out

    carry_out(steps, root, lambda line: talk(f"  {line}"))
