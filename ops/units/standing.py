"""Which promises an installed service keeps, line by line: by files, owners, modes and processes.

Reads only, and needs no rights: what the caller may not see is said to be unseen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from ops.check import Check
from ops.units.access import Account, blocked_at, weak_spot, weak_spots
from ops.units.carry import below, gid_of, uid_of
from ops.units.layout import Kind, Layout, Service, layout, sources_of
from ops.units.plan import Machine, own, unit_text

AGAIN = "riskd service install"
PRIVATE = ("riskd.db", "riskd.db-wal", "riskd.db-shm", "admin.secret", "secrets.env", "api.key")
PRIVATE_FOLDERS = ("logs", "backups", "journal")


class Running(Struct, frozen=True):
    """A process of the service."""

    pid: int
    uid: int


def installed(kind: Kind, root: Path) -> Iterator[tuple[Layout, Service]]:
    """Every service of this system that can be read."""
    for record in sorted((root / "etc").glob("riskd*/service.json")):
        if (service := _recorded(record)) is not None:
            yield layout(kind, service.name), service


def recorded_service(where: Layout, root: Path) -> Service | None:
    """What was installed under that name; None where nothing was, or it may not be read."""
    return _recorded(below(root, where.record))


def _recorded(path: Path) -> Service | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Service)
    except (OSError, msgspec.DecodeError):
        return None


def machine(where: Layout, trader: str, root: Path) -> Machine:
    """What is there already."""
    taken = _numbers_taken(root)
    return Machine(
        has_account=_number(uid_of, where.account, root) is not None,
        has_group=_number(gid_of, where.group, root) is not None,
        trader_is_member=where.group in groups_of(trader, root),
        free_number=next(number for number in range(450, 500) if not {number, number + 1} & taken),
    )


def _numbers_taken(root: Path) -> set[int]:
    tables = [root / "etc" / name for name in ("passwd", "group")]
    lines = [line for table in tables if table.exists() for line in table.read_text("utf-8").splitlines()]
    return {int(fields[2]) for line in lines if len(fields := line.split(":")) > 2 and fields[2].isdigit()}


def _number(find: object, name: str, root: Path) -> int | None:
    assert callable(find)
    try:
        return int(find(name, root))
    except OSError:
        return None


def groups_of(user: str, root: Path) -> frozenset[str]:
    """Names of the groups that list the user."""
    table = root / "etc" / "group"
    lines = table.read_text("utf-8").splitlines() if table.exists() else []
    found = (line.split(":") for line in lines)
    return frozenset(fields[0] for fields in found if len(fields) > 3 and user in fields[3].split(","))


def account(user: str, root: Path) -> Account | None:
    """A user with the groups it is in; None where there is no such user."""
    uid = _number(uid_of, user, root)
    if uid is None:
        return None
    gids = {gid for name in groups_of(user, root) if (gid := _number(gid_of, name, root)) is not None}
    table = (root / "etc" / "passwd").read_text("utf-8").splitlines()
    gids |= {int(line.split(":")[3]) for line in table if line.split(":")[0] == user}
    return Account(uid, frozenset(gids))


# ------------------------------------------------------------------------------ the lines


def standing(
    where: Layout, service: Service | None, root: Path, running: tuple[Running, ...] | None
) -> tuple[Check, ...]:
    """Every promise with whether it holds. `running`: watchdogs of its home, None: not looked for."""
    if service is None:
        unit = below(root, where.unit)
        fact = f"{where.record} cannot be read" if unit.exists() else "not installed"
        return (Check("installed", False, fact, AGAIN),)
    if os.name != "posix":
        return (_unit(where, service, root), _windows(where))
    trader, own_ = account(service.trader, root), account(where.account, root)
    if own_ is None or trader is None:
        gone = where.account if own_ is None else service.trader
        return (_unit(where, service, root), Check("accounts", False, f"there is no user {gone}", AGAIN))
    in_group = _number(gid_of, where.group, root)
    service_ = Account(own_.uid, own_.gids | ({in_group} if in_group is not None else frozenset()))
    return (
        _unit(where, service, root),
        _boot(where, root),
        *_processes(where, own_, running),
        _separate(where, service, own_, trader),
        _programs(where, service, trader, root),
        _runnable(where, service, service_, root),
        _configuration(where, trader, root),
        *_private(where, trader, service_, root),
        _modes(where, root),
        _socket(where, service, root),
    )


def _unit(where: Layout, service: Service, root: Path) -> Check:
    path = below(root, where.unit)
    try:
        same = path.read_text("utf-8") == unit_text(where, service)
    except OSError as error:
        return Check("installed", False, f"{where.unit}: {error.strerror}", AGAIN)
    fact = f"{where.unit}" if same else f"{where.unit} is not as it was written"
    return Check("installed", same, fact, AGAIN)


def _boot(where: Layout, root: Path) -> Check:
    if where.kind == "launchd":
        here = below(root, where.unit).exists()
        return Check("starts at boot", here, "by launchd" if here else "no property list", AGAIN)
    wanted = root / "etc/systemd/system/multi-user.target.wants" / where.unit.name
    on = wanted.is_symlink() or wanted.exists()
    cure = f"systemctl enable {where.unit.name}"
    return Check("starts at boot", on, "enabled" if on else "not enabled", cure)


def _processes(where: Layout, own_: Account, running: tuple[Running, ...] | None) -> Iterator[Check]:
    if running is None:
        return
    start = f"systemctl start {where.unit.name}" if where.kind == "systemd" else AGAIN
    if not running:
        yield Check("runs", False, "no watchdog of this home is seen", start)
        return
    strange = [one for one in running if one.uid != own_.uid]
    pids = ", ".join(str(one.pid) for one in running)
    fact = f"pid {pids}" if not strange else f"pid {strange[0].pid} runs as user {strange[0].uid}"
    yield Check("runs", not strange, fact, f"end it, then {start}")


def _separate(where: Layout, service: Service, own_: Account, trader: Account) -> Check:
    apart = len({own_.uid, trader.uid, 0}) == 3
    fact = f"it runs as {where.account}, {service.trader} is user {trader.uid}"
    return Check("the trader cannot end it", apart, fact, "give the trader an account of its own")


def _programs(where: Layout, service: Service, trader: Account, root: Path) -> Check:
    name = "the trader cannot write the program"
    program = below(root, where.program)
    python = below(root, Path(service.python))
    if not python.exists():
        return Check(name, False, f"there is no {service.python}", AGAIN)
    folders = [program] if python.is_relative_to(program) else [python.parent.parent]
    spot = next((spot for folder in folders for spot in weak_spots(folder, trader, root)), None)
    spot = spot or weak_spot(python, trader, root)
    fact = str(where.program) if spot is None else f"{service.trader} can change {spot}"
    return Check(name, spot is None, fact, f"chown -R root {spot}; chmod -R go-w {spot}")


def _runnable(where: Layout, service: Service, own_: Account, root: Path) -> Check:
    """The service itself must get at what it needs."""
    files, _, env_file = sources_of(service)
    needed = [Path(service.python), *files, *((env_file,) if env_file else ())]
    for path in needed:
        here = below(root, path)
        if not here.exists():
            return Check("the service can read what it needs", False, f"there is no {path}", AGAIN)
        if (stop := blocked_at(here, own_, root)) is not None:
            return Check("the service can read what it needs", False, f"not past {stop}", AGAIN)
    return Check("the service can read what it needs", True, "interpreter, configuration, secrets")


def _configuration(where: Layout, trader: Account, root: Path) -> Check:
    name = "the trader cannot write the configuration"
    try:
        spot = next(weak_spots(below(root, where.config), trader, root), None)
    except OSError as error:
        return Check(name, False, f"{where.config}: {error.strerror}", AGAIN)
    fact = str(where.config) if spot is None else f"{spot} can be changed"
    return Check(name, spot is None, fact, f"chown -R root {where.config}; chmod -R go-w {where.config}")


def _private(where: Layout, trader: Account, own_: Account, root: Path) -> Iterator[Check]:
    home = below(root, where.home)
    paths = [home / name for name in (*PRIVATE, *PRIVATE_FOLDERS)]
    open_ = [path for path in paths if _exists(path) and blocked_at(path, trader, root) is None]
    spot = next((path for path in paths if _exists(path) and weak_spot(path, trader, root)), None)
    name = "the trader cannot read or write database, logs and secrets"
    bad = open_[0] if open_ else spot
    fact = str(where.home) if bad is None else f"{bad} is open to the trader"
    yield Check(name, bad is None, fact, f"chown {own_.uid} {bad}; chmod go= {bad}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def _modes(where: Layout, root: Path) -> Check:
    """Owner and mode of the home and its folders, as they were given."""
    wanted = {where.home: 0o710, where.home / "run": 0o710}
    wanted |= {where.home / name: 0o700 for name in PRIVATE_FOLDERS}
    for path, mode in wanted.items():
        access, here = own(where, mode), below(root, path)
        try:
            seen = here.stat()
        except OSError as error:
            return Check("owners and modes", False, f"{path}: {error.strerror}", AGAIN)
        owner = _number(uid_of, access.owner, root)
        if seen.st_uid != owner or seen.st_mode & 0o777 & ~mode:
            fact = f"{path} belongs to user {seen.st_uid}, mode {seen.st_mode & 0o777:o}"
            cure = f"chown {access.owner}:{access.group} '{path}'; chmod {mode:o} '{path}'"
            return Check("owners and modes", False, fact, cure)
    return Check("owners and modes", True, "as installed")


def _socket(where: Layout, service: Service, root: Path) -> Check:
    member = where.group in groups_of(service.trader, root)
    cure = f"usermod -aG {where.group} {service.trader}; log in anew"
    fact = f"{service.trader} is {'' if member else 'not '}in group {where.group}"
    return Check("the trader may use the control socket", member, fact, cure)


def _windows(where: Layout) -> Check:
    """Access lists are not read from here."""
    fact = f"icacls {where.home} and schtasks /Query /TN {where.label} show them"
    return Check("access lists", None, fact)


def running_watchdogs(where: Layout) -> tuple[Running, ...]:
    """Watchdogs of the service's home, whoever runs them."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline", "uids"]):
        words = process.info["cmdline"] or []
        if "ops.watchdog" in words and str(where.home) in words and process.info["uids"] is not None:
            found.append(Running(process.pid, process.info["uids"].real))
    return tuple(found)
