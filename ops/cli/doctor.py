"""`riskd doctor`: are this machine and this home fit to guard? One line per check, a cure for each fault."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from msgspec import Struct, structs

from ops.cli.place import Place, now
from ops.cli.reading import Json
from supervisor.home import LONGEST_SOCKET_PATH, Home
from supervisor.identity import recorded
from supervisor.protocol import DoTestAccount, Exit, Nothing, Refused

LEAST_FREE_MB = 500
SLOW_WRITE_S = 0.2


class Check(Struct, frozen=True):
    """One finding. `ok` None: worth knowing, no fault."""

    name: str
    ok: bool | None
    fact: str
    cure: str = ""


def doctor(
    ctx: typer.Context,
    online: Annotated[bool, typer.Option("--online", help="Also log in and open the hubs.")] = False,
    json: Json = False,
) -> None:
    """Check Python, the home, the configuration, the disk, the daemon; exit 1 where something is wrong."""
    place: Place = ctx.obj
    checks = [*local(place), *remote(place, online)]
    if json:
        found = [structs.asdict(check) for check in checks]
        place.page.json({"schema": 1, "at": now(), "checks": found})
    else:
        for check in checks:
            word = {True: "ok", False: "failed", None: "note"}[check.ok]
            cure = f" -> {check.cure}" if check.cure and check.ok is not True else ""
            place.page.line(f"  {place.page.state(word.ljust(6))}  {check.name}: {check.fact}{cure}")
    if any(check.ok is False for check in checks):
        raise typer.Exit(Exit.FAILED)


def local(place: Place) -> Iterator[Check]:
    """What can be seen without the daemon."""
    home = place.home
    yield Check(
        "python", (3, 12) <= sys.version_info[:2] < (3, 15), sys.version.split()[0], "use 3.12 to 3.14"
    )
    yield from _home(home)
    yield _configuration(place)
    yield _zones()
    yield Check(
        "admin secret",
        True if home.admin_secret.exists() else None,
        "set" if home.admin_secret.exists() else "not set: the home's owner runs admin commands without one",
        "riskd secret set admin",
    )


def _home(home: Home) -> Iterator[Check]:
    try:
        home.make()
    except OSError as error:
        yield Check(
            "home", False, f"{home.folder}: {error.strerror}", "name another with --home or RISKD_HOME"
        )
        return
    yield Check("home", True, str(home.folder))
    mode = stat.S_IMODE(home.folder.stat().st_mode)
    private = None if mode & 0o005 else True
    fact = f"mode {mode:o}"
    yield Check("home is private", False if mode & 0o022 else private, fact, f"chmod 750 {home.folder}")
    free_mb = shutil.disk_usage(home.folder).free // 1_000_000
    yield Check(
        "disk space", free_mb >= LEAST_FREE_MB, f"{free_mb} MB free", "make room: history is lost without"
    )
    yield _write_speed(home)
    where = (
        "in the home" if len(os.fsencode(home.run / "control.sock")) <= LONGEST_SOCKET_PATH else "elsewhere"
    )
    yield Check("control socket", True, f"{where}: {home.socket_to_call()}")


def _write_speed(home: Home) -> Check:
    probe = home.run / f".doctor-{os.getpid()}"
    started = time.monotonic()
    with probe.open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
    took_s = time.monotonic() - started
    probe.unlink()
    fact = f"{took_s * 1000:.1f} ms for a durable write"
    return Check("disk speed", took_s < SLOW_WRITE_S, fact, "is the disk a network folder, or failing?")


def _configuration(place: Place) -> Check:
    from config.load import load
    from config.mistakes import ConfigurationMistakes

    name = ", ".join(map(str, place.files))
    try:
        loaded = load(place.files, place.sets, os.environ, place.sources.env_file)
    except ConfigurationMistakes as error:
        return Check("configuration", False, f"{name}: {error.mistakes[0]}", "riskd config check")
    count = len(loaded.warnings)
    return Check("configuration", True if not count else None, name, f"{count} warnings: riskd config check")


def _zones() -> Check:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo("America/Chicago")
    except zoneinfo.ZoneInfoNotFoundError:
        return Check("time zones", False, "no data for America/Chicago", "install tzdata")
    return Check("time zones", True, "America/Chicago is known")


def remote(place: Place, online: bool) -> Iterator[Check]:
    """What the daemon knows of itself, and the gateway's answer where asked for."""
    home = place.home
    watchdog = recorded(home.watchdog)
    yield Check(
        "watchdog", watchdog is not None, f"pid {watchdog.pid}" if watchdog else "not running", "riskd up"
    )
    try:
        answer = place.ask("doctor", Nothing())
    except Refused as no:
        yield Check("daemon", no.code is not Exit.NOT_RUNNING and None, no.why, no.hint)
        return
    for entry in answer["checks"]:
        yield Check(entry["name"], entry.get("ok"), entry["fact"], entry.get("cure") or "")
    if online:
        yield from _online(lambda: place.ask("account.test", DoTestAccount(), 60.0))


def _online(test: Callable[[], object]) -> Iterator[Check]:
    try:
        answer = test()
    except Refused as no:
        yield Check("gateway", False, no.why, no.hint)
        return
    assert isinstance(answer, dict)
    for step in answer["steps"]:
        yield Check(f"gateway: {step['name']}", bool(step["ok"]), step.get("text", ""), "riskd logs")
