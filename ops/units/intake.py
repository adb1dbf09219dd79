"""What the caller's configuration, secrets, program and home mean for a service.

Reads them; nothing is changed. A service has no shell and no desktop: names that the configuration refers to
go into a file of its own, and what only the caller could reach is refused or said.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from msgspec import Struct

from config.edit import edited
from config.env_file import with_env_file
from config.fields import CommandSecret, EnvSecret, FileSecret, KeyringSecret
from config.load import Loaded
from config.settings import Settings
from ops.units.layout import Layout, Service
from ops.units.plan import Sources
from supervisor.home import Home
from supervisor.identity import recorded
from supervisor.protocol import Exit, Refused

HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))
"""Folders that the unit does not see (`ProtectHome`)."""
CHECKOUT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)")


class Caller(Struct, frozen=True):
    """What the command line says."""

    name: str
    trader: str
    files: tuple[Path, ...]
    sets: tuple[str, ...]
    env_file: Path | None
    home: Path
    """The home that is taken over, if there is one."""
    base_python: str


# ------------------------------------------------------------------------------ configuration and secrets


def settled(where: Layout, caller: Caller, loaded: Loaded, env: Mapping[str, str]) -> tuple[Service, Sources]:
    """The service and what it takes over. Raises Refused for a configuration that no service can run on."""
    settings = loaded.settings
    if settings.gateway.kind == "simulator":
        why = "cannot install a service for the simulated gateway: it guards nothing"
        raise Refused(Exit.BAD_CONFIG, why, "gateway.kind: projectx")
    texts = {file: loaded.texts[str(file)] for file in caller.files}
    last = caller.files[-1]
    secret_files = tuple(_key_file(where, settings, caller))
    if secret_files:
        place = json.dumps({"file": str(where.home / secret_files[0][1])})
        texts[last] = edited(texts[last], "gateway.api_key", place)
    texts[last] = _with_trader(texts[last], settings, caller.trader)
    files = tuple(
        (_installed_name(n, file, len(texts)), text) for n, (file, text) in enumerate(texts.items())
    )
    secrets = _secrets(settings, "\n".join((*texts.values(), *caller.sets)), caller, env)
    program = program_to_copy(where)
    service = Service(
        name=caller.name,
        trader=caller.trader,
        python=str(where.python) if program else sys.executable,
        arguments=_arguments(where, [name for name, _ in files], caller.sets, bool(secrets)),
        heartbeat_s=settings.watchdog.heartbeat_deadline.total_seconds(),
        memory_mb=settings.watchdog.memory_limit_mb,
        writes=_writes(where, settings),
    )
    notes = tuple(_notes(settings))
    taken = tuple(_old_home(where, caller.home))
    return service, Sources(program, caller.base_python, files, secrets, secret_files, taken, notes)


def _installed_name(number: int, file: Path, count: int) -> str:
    return "riskd.yaml" if count == 1 else f"{number:02}-{file.name}"


def _arguments(where: Layout, names: Sequence[str], sets: Sequence[str], secrets: bool) -> tuple[str, ...]:
    files = [word for name in names for word in ("--config", str(where.config / name))]
    assigned = [word for assignment in sets for word in ("--set", assignment)]
    return (*files, *assigned, *(("--env-file", str(where.secrets)) if secrets else ()))


def _with_trader(text: str, settings: Settings, trader: str) -> str:
    """The trader may act through the socket, besides those who are named already."""
    named = settings.control.traders
    return text if trader in named else edited(text, "control.traders", json.dumps([*named, trader]))


def _key_file(where: Layout, settings: Settings, caller: Caller) -> Iterator[tuple[str, str]]:
    key = settings.gateway.api_key
    if isinstance(key, KeyringSecret):
        why = "cannot install a service whose api_key is in a keyring: a service has no desktop"
        raise Refused(Exit.BAD_CONFIG, why, "gateway.api_key: {file: PATH}, or {env: NAME} with a .env")
    if isinstance(key, FileSecret):
        path = caller.files[0].parent / key.file.expanduser()
        if path != Path(where.home / "api.key"):
            yield str(path), "api.key"


def _secrets(settings: Settings, texts: str, caller: Caller, env: Mapping[str, str]) -> str | None:
    """The names that the configuration refers to and the caller has, as a file; None where there are none."""
    beside = caller.files[0].parent / ".env"
    env_file = caller.env_file or (beside if beside.is_file() else None)
    names = with_env_file(env, env_file)
    wanted = dict.fromkeys(_NAME.findall(texts))
    secrets = (settings.gateway.api_key, *(alert.to for alert in settings.alerts))
    wanted |= dict.fromkeys(secret.env for secret in secrets if isinstance(secret, EnvSecret))
    found = {name: names[name] for name in wanted if name in names}
    for name, value in found.items():
        if "\n" in value:
            raise Refused(Exit.BAD_CONFIG, f"cannot keep {name} for the service: it has several lines")
    return "".join(f'{name}="{value}"\n' for name, value in found.items()) or None


def _writes(where: Layout, settings: Settings) -> tuple[str, ...]:
    """The witness lies outside the home, so the unit has to let it be written."""
    witness = settings.tamper.witness
    if witness is None or PurePath(witness).is_relative_to(where.home):
        return ()
    return (str(PurePath(witness).parent),)


def _notes(settings: Settings) -> Iterator[str]:
    for alert in settings.alerts:
        if isinstance(alert.to, FileSecret):
            yield f"{alert.to.file} must be readable by the service's account alone, and named in full"
    for secret in (settings.gateway.api_key, *(alert.to for alert in settings.alerts)):
        if isinstance(secret, CommandSecret):
            yield f"{secret.command[0]} is run by the service's account: it must find the secret there, too"
    if settings.tamper.witness is None:
        yield "no tamper witness is set: a deleted home would not be noticed (tamper.witness)"


# ------------------------------------------------------------------------------ the home that is taken over


def _old_home(where: Layout, old: Path) -> Iterator[tuple[str, str]]:
    """Durable files of the caller's home: lockouts, history and the admin secret move in with the guard."""
    if old == Path(where.home) or Path(where.home / "riskd.db").exists() or not old.is_dir():
        return
    home = Home(old)
    names = ("riskd.db", "riskd.db-wal", "admin.secret")
    for path in (*(old / name for name in names), *_inside(home.journal), *_inside(home.backups)):
        if path.is_file():
            yield str(path), path.relative_to(old).as_posix()


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def still_running(old: Path) -> str | None:
    """Why that home cannot be taken over now."""
    home = Home(old)
    for name, record in (("watchdog", home.watchdog), ("daemon", home.daemon)):
        if (found := recorded(record)) is not None:
            return f"its {name} (pid {found.pid}) runs in {old}: riskd --home {old} down"
    return None


# ------------------------------------------------------------------------------ program and interpreter


def program_to_copy(where: Layout) -> str | None:
    """The folder whose program is copied; None where the program already lies where only admins write."""
    inside = Path(where.program) == CHECKOUT or not (CHECKOUT / "ops" / "run.py").exists()
    return None if inside else str(CHECKOUT)


def default_python() -> str:
    """The interpreter below the environment that runs this."""
    return str(Path(sys.executable).resolve())


def unreachable(python: str) -> str | None:
    """Why a service could not run this interpreter; None where it could."""
    found = Path(python)
    if not found.exists():
        return f"there is no {python}"
    real = found.resolve()
    for folder in HIDDEN:
        if real.is_relative_to(folder):
            return f"{real} lies in {folder}, which the service does not see"
    for place in (real, *real.parents):
        if os.name == "posix" and not place.stat().st_mode & stat.S_IXOTH:
            return f"others than its owner may not pass {place}"
    return None
