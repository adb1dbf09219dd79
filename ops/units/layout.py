"""Where a service puts what: one page per kind of system, and the command every unit runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Literal, assert_never

from msgspec import Struct

from supervisor.protocol import Exit, Refused

type Kind = Literal["systemd", "launchd", "windows"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
DEFAULT_NAME = "default"
LOCAL_SERVICE = "S-1-5-19"
"""Windows' account for services that need no rights on the machine."""


class Layout(Struct, frozen=True):
    """Paths and names of one service. `group` may use the control socket: its members are the traders."""

    kind: Kind
    label: str
    account: str
    group: str
    root: str
    """The account and group that own programs and configuration."""
    root_group: str
    home: PurePath
    program: PurePath
    config: PurePath
    unit: PurePath

    @property
    def record(self) -> PurePath:
        """What was installed, for `service status` and a later install."""
        return self.config / "service.json"

    @property
    def secrets(self) -> PurePath:
        """Names that the configuration refers to, for the service's account alone."""
        return self.home / "secrets.env"

    @property
    def python(self) -> PurePath:
        """The interpreter of the program's own environment."""
        windows = self.kind == "windows"
        return self.program / ".venv" / ("Scripts/python.exe" if windows else "bin/python")


class Service(Struct, frozen=True):
    """One service as it was, or is to be, installed."""

    name: str
    trader: str
    python: str
    arguments: tuple[str, ...]
    """What the daemon gets: `--config FILE`, `--set KEY=VALUE`, `--env-file FILE`."""
    heartbeat_s: float = 3.0
    memory_mb: int = 500
    writes: tuple[str, ...] = ()
    """Folders besides the home that it has to write to (the tamper witness)."""


def kind_here() -> Kind:
    """The kind of service manager of this system."""
    if sys.platform == "win32":
        return "windows"
    return "launchd" if sys.platform == "darwin" else "systemd"


def layout(kind: Kind, name: str = DEFAULT_NAME) -> Layout:
    """The places of the service of that name. Raises Refused (2) for a name that is none."""
    if not _NAME.fullmatch(name):
        hint = "a small letter, then up to 15 small letters, digits or dashes"
        raise Refused(Exit.USAGE, f"cannot use {name!r} as the name of a service", hint)
    label = "riskd" if name == DEFAULT_NAME else f"riskd-{name}"
    match kind:
        case "systemd":
            unit = PurePosixPath("/etc/systemd/system", f"{label}.service")
            return _posix(kind, label, "riskd", label, "root", PurePosixPath("/var/lib", label), unit)
        case "launchd":
            unit = PurePosixPath("/Library/LaunchDaemons", f"local.{label}.plist")
            home = PurePosixPath("/Library/Application Support", label)
            return _posix(kind, label, "_riskd", f"_{label}", "wheel", home, unit)
        case "windows":
            data = PureWindowsPath("C:/ProgramData", label)
            return Layout(
                *(kind, label, LOCAL_SERVICE, "", "S-1-5-32-544", ""),
                home=data / "home",
                program=PureWindowsPath("C:/Program Files/riskd"),
                config=data / "config",
                unit=data / "config" / f"{label}-task.xml",
            )
        case _:
            assert_never(kind)


def _posix(
    kind: Kind, label: str, account: str, group: str, root_group: str, home: PurePath, unit: PurePath
) -> Layout:
    return Layout(
        *(kind, label, account, group, "root", root_group),
        home=home,
        program=PurePosixPath("/opt/riskd"),
        config=PurePosixPath("/etc", label),
        unit=unit,
    )


def command(where: Layout, service: Service) -> list[str]:
    """What the unit runs: the watchdog in the foreground, which starts the daemon."""
    return [
        *(service.python, "-P", "-m", "ops.watchdog", "--home", str(where.home)),
        *("--heartbeat-deadline", f"{service.heartbeat_s:g}"),
        *("--memory-limit-mb", str(service.memory_mb)),
        *("--restarted", "--", *service.arguments),
    ]


def environment(where: Layout) -> dict[str, str]:
    """Its environment. The daemon, seeing RISKD_UNIT, leaves a dead watchdog to the unit first."""
    found = {"RISKD_UNIT": where.unit.name}
    if where.kind == "systemd":
        # One place for all services of this account: two homes for one gateway account must meet there.
        found["XDG_RUNTIME_DIR"] = RUNTIME
    return found


def sources_of(service: Service) -> tuple[tuple[Path, ...], tuple[str, ...], Path | None]:
    """Where the service's configuration is read from: files, single keys, the file of names."""
    pairs = list(zip(service.arguments[::2], service.arguments[1::2], strict=False))
    env_file = next((Path(value) for flag, value in pairs if flag == "--env-file"), None)
    files = tuple(Path(value) for flag, value in pairs if flag == "--config")
    return files, tuple(value for flag, value in pairs if flag == "--set"), env_file


RUNTIME = "/run/riskd"
