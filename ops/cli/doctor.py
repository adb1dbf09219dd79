"""`riskd doctor`: are this machine and this home fit to guard? One line per check, a cure for each fault."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from msgspec import structs

from ops.check import Check
from ops.cli.place import Place, now
from ops.cli.reading import Json
from supervisor.protocol import Exit

if TYPE_CHECKING:
    from ops.start import Sources
    from ops.units.layout import Layout, Service

MOST_CLOCK_OFF_S = 2.0
"""Deadlines trust the wall clock no further than this ahead of the gateway's time."""
ANSWER_S = 5.0


def doctor(
    ctx: typer.Context,
    online: Annotated[bool, typer.Option("--online", help="Also log in and open the hubs.")] = False,
    json: Json = False,
) -> None:
    """Check Python, the home, the configuration, the disk, the daemon; exit 1 where something is wrong."""
    place: Place = ctx.obj
    checks = list(found(place, online))
    if json:
        shown = [structs.asdict(check) for check in checks]
        place.page.json({"schema": 1, "at": now(), "checks": shown})
    else:
        for check in checks:
            place.page.line(place.page.finding(check))
    if any(check.ok is False for check in checks):
        raise typer.Exit(Exit.FAILED)


def found(place: Place, online: bool) -> Iterator[Check]:
    """Every check, from the machine to the gateway."""
    from ops.cli.doctor_config import read, settings_checks
    from ops.cli.doctor_guard import guard_checks, online_checks
    from ops.cli.doctor_home import home_checks, python, zones

    home = place.home
    yield python()
    yield zones()
    yield from home_checks(home)
    sources, unseen = _sources(place)
    if unseen:
        yield Check("configuration", None, unseen, "sudo riskd doctor")
    else:
        loaded, check = read(sources)
        yield check
        if loaded is not None:
            yield from settings_checks(loaded.settings, sources, home.database, datetime.now(UTC).date())
            if online and (url := loaded.settings.gateway.api_url) is not None:
                yield clock(url)
    yield _admin_secret(place)
    yield from _service(place)
    yield from guard_checks(place, sources)
    if online:
        yield from online_checks(place)


def _admin_secret(place: Place) -> Check:
    if place.home.admin_secret.exists():
        return Check("admin secret", True, "set")
    fact = "not set: the home's owner runs admin commands without one"
    return Check("admin secret", None, fact, "riskd secret set admin")


def _sources(place: Place) -> tuple[Sources, str]:
    """The files that are meant: a service's are those it was installed with. And why they cannot be read."""
    from ops.start import Sources
    from ops.units.layout import sources_of

    installed = _installed(place)
    if installed is None or place.named_files:
        return place.sources, ""
    _, service = installed
    files, sets, env_file = sources_of(service)
    sources = Sources(files, sets, env_file)
    for path in (*files, *((env_file,) if env_file else ())):
        if path.exists() and not os.access(path, os.R_OK):
            return sources, f"{path} is for the service's account alone"
    return sources, ""


def _installed(place: Place) -> tuple[Layout, Service] | None:
    from ops.units.layout import kind_here
    from ops.units.standing import installed

    home = place.home.folder
    return next((one for one in installed(kind_here(), Path("/")) if Path(one[0].home) == home), None)


def _service(place: Place) -> Iterator[Check]:
    """Where the home is a service's: each promise that it does not keep."""
    from ops.units.standing import running_watchdogs, standing

    installed = _installed(place)
    if installed is None:
        return
    where, service = installed
    checks = standing(where, service, Path("/"), running_watchdogs(where))
    broken = [check for check in checks if check.ok is not True]
    for check in broken:
        yield Check(f"service: {check.name}", check.ok, check.fact, check.cure)
    if not broken:
        yield Check("service", True, f"{where.label} keeps its promises")


# ------------------------------------------------------------------------------ the gateway's clock


def clock(api_url: str) -> Check:
    """The machine's clock beside the gateway's, by the date its answers carry (to the second)."""
    cure = "have the system keep its time (timedatectl set-ntp true)"
    try:
        off_s = clock_off_s(api_url)
    except (OSError, http.client.HTTPException) as error:
        return Check("clock", None, f"the gateway was not reached: {error}", "check the network")
    if off_s is None:
        return Check("clock", None, "the gateway's answers carry no date")
    fact = f"{abs(off_s):.1f} s {'ahead of' if off_s > 0 else 'behind'} the gateway"
    return Check("clock", abs(off_s) <= MOST_CLOCK_OFF_S, fact, cure)


def clock_off_s(api_url: str) -> float | None:
    """Seconds by which this machine is ahead of the gateway; None where it gives no date."""
    url = urlsplit(api_url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=ANSWER_S)
    before = time.time()
    try:
        connection.request("HEAD", url.path or "/")
        date = connection.getresponse().getheader("Date")
    finally:
        connection.close()
    if date is None:
        return None
    try:
        theirs = parsedate_to_datetime(date).timestamp() + 0.5
    except ValueError:
        return None
    return (before + time.time()) / 2 - theirs
