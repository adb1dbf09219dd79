"""What `doctor` sees of the configuration: its mistakes, the login it names, the calendar, the witness."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ops.check import Check
from ops.start import Sources

if TYPE_CHECKING:
    from config.load import Loaded
    from config.settings import Settings


def read(sources: Sources) -> tuple[Loaded | None, Check]:
    """The configuration as `up` would read it, and whether it can be."""
    from config.load import load
    from config.mistakes import ConfigurationMistakes

    name = ", ".join(map(str, sources.files))
    try:
        loaded = load(sources.files, sources.sets, os.environ, sources.env_file)
    except ConfigurationMistakes as error:
        first, count = error.mistakes[0], len(error.mistakes)
        more = f" (and {count - 1} more)" if count > 1 else ""
        missing = not sources.files[0].exists()
        cure = first.hint or ("riskd config init writes a first one" if missing else "riskd config check")
        fact = f"{first.file}:{first.line}:{first.column}: {first.text}{more}"
        return None, Check("configuration", False, fact, cure)
    warnings = len(loaded.warnings)
    fact = name if not warnings else f"{name}: {warnings} warnings"
    return loaded, Check("configuration", None if warnings else True, fact, "riskd config check")


def settings_checks(settings: Settings, sources: Sources, database: Path, today: date) -> Iterator[Check]:
    """What a configuration without mistakes still depends on."""
    yield _login(settings, sources)
    if settings.holidays.calendar != "none":
        yield holidays(today)
    yield _witness(settings.tamper.witness, database)


def _login(settings: Settings, sources: Sources) -> Check:
    """The secret can be got where the configuration says; programs and keyrings are not asked."""
    from config.env_file import with_env_file
    from config.fields import EnvSecret, FileSecret
    from config.secrets import SecretUnavailable, resolve

    key = settings.gateway.api_key
    if settings.gateway.kind == "simulator":
        return Check("login", True, "the simulated gateway needs none")
    if not isinstance(key, EnvSecret | FileSecret):
        return Check("login", None, "its secret is not fetched here", "riskd account test")
    beside = sources.files[0].parent
    env_file = sources.env_file or (beside / ".env" if (beside / ".env").is_file() else None)
    try:
        resolve(key, with_env_file(os.environ, env_file), beside)
    except SecretUnavailable as error:
        return Check("login", False, str(error), "put the secret where gateway.api_key says")
    return Check("login", True, "its secret is where the configuration says")


def holidays(today: date) -> Check:
    """Sessions run without holidays once the table has ended."""
    from config.calendar import holiday_table

    table = holiday_table()
    fact = f"known to {table.last}"
    if not table.covers(today):
        return Check("holidays", False, f"{fact}: sessions run without them", "update riskd")
    return Check("holidays", None if table.ends_soon(today) else True, fact, "update riskd before")


def _witness(named: str | None, database: Path) -> Check:
    if named is None:
        fact = "none: a home that was deleted or put back would not be noticed"
        return Check("tamper witness", None, fact, "tamper.witness names a file outside the home")
    path = Path(named).expanduser()
    if path.exists():
        return Check("tamper witness", True, str(path))
    if not database.exists():
        return Check("tamper witness", True, f"{path} is made at the first start")
    cure = "put it back; without it the next start is locked until the reset"
    return Check("tamper witness", False, f"{path} is missing", cure)
