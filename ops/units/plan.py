"""Installing and removing a service as lists of steps. Pure: what the machine has is an input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import assert_never

import msgspec
from msgspec import Struct

from ops.units import launchd, systemd, windows
from ops.units.layout import Layout, Service
from ops.units.steps import Access, Copy, Folder, Program, Remove, Run, Say, Step, Write

_LEFT = Access("", "", 0)
"""Access is the system's own: `icacls` lines follow."""
ADMINISTRATORS, SYSTEM = "*S-1-5-32-544", "*S-1-5-18"


class Machine(Struct, frozen=True):
    """What is there already."""

    has_account: bool = False
    has_group: bool = False
    trader_is_member: bool = False
    free_number: int = 450
    """A user and group number that nobody has (macOS asks for one)."""


class Sources(Struct, frozen=True):
    """What is taken over from the caller, read and settled."""

    program: str | None
    """Folder whose program is copied; None where it stays where it is."""
    base_python: str
    """The interpreter that the copied program makes its environment with."""
    files: tuple[tuple[str, str], ...] = ()
    """Configuration files: name and text. None: the installed ones stay."""
    secrets: str | None = None
    """The text of secrets.env; None: it stays as it is."""
    secret_files: tuple[tuple[str, str], ...] = ()
    """Secrets in files of their own: where each is, and its name in the service's home."""
    old_home: tuple[tuple[str, str], ...] = ()
    """Files of the home that is taken over: where each is, and its place in the service's home."""
    notes: tuple[str, ...] = ()


def install(where: Layout, service: Service, sources: Sources, machine: Machine) -> tuple[Step, ...]:
    """Everything from accounts to the started service."""
    return (
        *_accounts(where, service, machine),
        *_program(where, sources),
        *_folders(where, service),
        *_taken_over(where, service, sources),
        *_unit(where, service),
        *_rights(where, service),
        *_started(where),
        *(Say(note) for note in sources.notes),
        Say(f"{service.trader} reaches the guard with RISKD_HOME={where.home} (after logging in anew)"),
    )


def uninstall(where: Layout) -> tuple[Step, ...]:
    """The service ends and starts no more; what it knew stays."""
    kept = (
        f"{where.home}, {where.config} and the account {where.account} stay: lockouts and history are there"
    )
    return (*_stopped(where), Remove(where.unit), *_forgotten(where), Say(kept))


# ------------------------------------------------------------------------------ accounts, program, folders


def _accounts(where: Layout, service: Service, machine: Machine) -> Iterator[Step]:
    match where.kind:
        case "systemd":
            yield from _linux_accounts(where, service, machine)
        case "launchd":
            yield from _mac_accounts(where, service, machine)
        case "windows":
            return
        case _:
            assert_never(where.kind)


def _linux_accounts(where: Layout, service: Service, machine: Machine) -> Iterator[Step]:
    if not machine.has_account:
        why = "an account that nobody can log in to"
        yield Run(("groupadd", "--system", "--force", where.account), "its group", "--prefix")
        home = ("--gid", where.account, "--home-dir", str(where.home), "--no-create-home")
        shell = ("--shell", "/usr/sbin/nologin")
        yield Run(("useradd", "--system", *home, *shell, where.account), why, "--prefix")
    if not machine.has_group and where.group != where.account:
        yield Run(("groupadd", "--system", where.group), "who may use the control socket", "--prefix")
    if not machine.trader_is_member:
        member = ("usermod", "--append", "--groups", where.group, service.trader)
        yield Run(member, f"{service.trader} may use the control socket", "--prefix")


def _mac_accounts(where: Layout, service: Service, machine: Machine) -> Iterator[Step]:
    number = str(machine.free_number)
    if not machine.has_account:
        user = f"/Users/{where.account}"
        yield from _mac_group(where.account, number)
        for key, value in (
            ("UniqueID", number),
            ("PrimaryGroupID", number),
            ("UserShell", "/usr/bin/false"),
            ("NFSHomeDirectory", str(where.home)),
            ("IsHidden", "1"),
        ):
            yield Run(("dscl", ".", "-create", user, key, value), "an account that nobody can log in to")
    if not machine.has_group and where.group != where.account:
        yield from _mac_group(where.group, str(machine.free_number + 1))
    if not machine.trader_is_member:
        member = ("dseditgroup", "-o", "edit", "-a", service.trader, "-t", "user", where.group)
        yield Run(member, f"{service.trader} may use the control socket")


def _mac_group(name: str, number: str) -> Iterator[Step]:
    yield Run(("dscl", ".", "-create", f"/Groups/{name}", "PrimaryGroupID", number), f"group {name}")


def _program(where: Layout, sources: Sources) -> Iterator[Step]:
    if sources.program is None:
        return
    windows_ = where.kind == "windows"
    group = "" if windows_ else where.root_group
    yield Program(PurePath(sources.program), where.program, "" if windows_ else where.root, group)
    set_up = (sources.base_python, str(where.program / "ops" / "run.py"), "version")
    why = "set up the program's own environment"
    yield Run(set_up if windows_ else ("env", f"RISKD_PYTHON={sources.base_python}", *set_up), why)
    if not windows_:
        # Whatever the umask was, and whatever the installer left open.
        sealed = ("chmod", "-R", "u+rwX,go=u,go-w", str(where.program))
        yield Run(sealed, "everybody reads the program, nobody else writes it")


def _folders(where: Layout, service: Service) -> Iterator[Step]:
    # The trader's group passes through to the socket, and sees nothing else.
    yield Folder(where.config, _admins(where, 0o750))
    yield Folder(where.home, own(where, 0o710))
    yield Folder(where.home / "run", own(where, 0o710))
    for name in ("logs", "backups", "journal"):
        yield Folder(where.home / name, own(where, 0o700))
    for folder in service.writes:
        yield Folder(PurePath(folder), own(where, 0o700))


def _taken_over(where: Layout, service: Service, sources: Sources) -> Iterator[Step]:
    for name, text in sources.files:
        yield Write(where.config / name, text, _admins(where, 0o640))
    if sources.secrets is not None:
        yield Write(where.secrets, sources.secrets, own(where, 0o600), secret=True)
    for source, name in (*sources.secret_files, *sources.old_home):
        yield Copy(PurePath(source), where.home / name, own(where, 0o600))
    record = msgspec.json.format(msgspec.json.encode(service)).decode() + "\n"
    yield Write(where.record, record, _admins(where, 0o640))


def own(where: Layout, mode: int) -> Access:
    """For the service's account, its group as the mode says."""
    return _LEFT if where.kind == "windows" else Access(where.account, where.group, mode)


def _admins(where: Layout, mode: int) -> Access:
    """Written by administrators, read by the service's group."""
    return _LEFT if where.kind == "windows" else Access(where.root, where.group, mode)


# ------------------------------------------------------------------------------ the unit


def unit_text(where: Layout, service: Service) -> str:
    """The unit file as this version writes it."""
    match where.kind:
        case "systemd":
            return systemd.unit(where, service)
        case "launchd":
            return launchd.plist(where, service)
        case "windows":
            return windows.task(where, service)
        case _:
            assert_never(where.kind)


def _unit(where: Layout, service: Service) -> Iterator[Step]:
    text = unit_text(where, service)
    if where.kind == "windows":
        yield Write(where.unit, text, _LEFT)
        wrapped = where.config / f"{where.label}-wrapper.xml"
        yield Write(wrapped, windows.wrapper(where, service), _LEFT)
        return
    yield Write(where.unit, text, Access(where.root, where.root_group, 0o644))


def _rights(where: Layout, service: Service) -> Iterator[Step]:
    """Windows: access lists instead of modes."""
    if where.kind != "windows":
        return
    service_, trader = f"*{where.account}", service.trader
    full = (f"{ADMINISTRATORS}:(OI)(CI)F", f"{SYSTEM}:(OI)(CI)F")
    reads = (f"{service_}:(OI)(CI)RX", f"{trader}:(OI)(CI)RX")
    yield _icacls(where.program, "programs: administrators write, the trader reads", *full, *reads)
    yield _icacls(where.config, "configuration: administrators write, the trader reads", *full, *reads)
    mine = f"{service_}:(OI)(CI)M"
    yield _icacls(where.home, "database, logs and secrets: the service alone", *full, mine)
    # The address and key of the control port: the trader talks to the guard through them.
    yield _icacls(where.home / "run", "the control port's key: the trader reads", *full, mine, reads[1])


def _icacls(folder: PurePath, why: str, *grants: str) -> Run:
    return Run(("icacls.exe", str(folder), "/inheritance:r", "/grant:r", *grants), why)


def _started(where: Layout) -> Iterator[Step]:
    match where.kind:
        case "systemd":
            yield Run(("systemctl", "daemon-reload"), "read the unit")
            yield Run(("systemctl", "enable", where.unit.name), "start it at boot", "--root")
            # Not waited for: it is ready once the gateway let it in.
            yield Run(("systemctl", "--no-block", "restart", where.unit.name), "start it now")
        case "launchd":
            yield Run(("launchctl", "bootout", f"system/{where.unit.stem}"), "end it", may_fail=True)
            yield Run(("launchctl", "enable", f"system/{where.unit.stem}"), "start it at boot")
            yield Run(("launchctl", "bootstrap", "system", str(where.unit)), "start it now")
        case "windows":
            create = ("schtasks.exe", "/Create", "/TN", where.label, "/XML", str(where.unit), "/F")
            yield Run(create, "start it at boot")
            yield Run(("schtasks.exe", "/Run", "/TN", where.label), "start it now")
        case _:
            assert_never(where.kind)


def _stopped(where: Layout) -> Iterator[Step]:
    match where.kind:
        case "systemd":
            yield Run(("systemctl", "disable", where.unit.name), "start it no more", "--root")
            yield Run(("systemctl", "stop", where.unit.name), "end it")
        case "launchd":
            yield Run(("launchctl", "disable", f"system/{where.unit.stem}"), "start it no more")
            yield Run(("launchctl", "bootout", f"system/{where.unit.stem}"), "end it", may_fail=True)
        case "windows":
            yield Run(("schtasks.exe", "/End", "/TN", where.label), "end it", may_fail=True)
            yield Run(("schtasks.exe", "/Delete", "/TN", where.label, "/F"), "start it no more")
        case _:
            assert_never(where.kind)


def _forgotten(where: Layout) -> Iterator[Step]:
    if where.kind == "systemd":
        yield Run(("systemctl", "daemon-reload"), "forget the unit")
