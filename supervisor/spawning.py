"""Starting a process of the guard, so that it outlives the one that started it.

Watchdog, daemon and command line all start each other; each gets a session of its own, the home as its
folder, and a file for what it says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from supervisor.home import Home

MOST_OUTPUT_BYTES = 1 << 20
"""Of an output file, per start; the one before is kept beside it."""
OWN_VARIABLES = ("RISKD_RESTART", "RISKD_RESTART_CAUSE", "RISKD_DOWN_SINCE")
"""What a watchdog tells one daemon: never inherited by anybody else."""


class Watched(msgspec.Struct, frozen=True):
    """The part of HOME/run/watchdog.json that starts the same watchdog again."""

    argv: tuple[str, ...]


def spawn(
    command: Sequence[str],
    home: Home,
    output: Path,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a process of this home. `environment` None: the caller's own."""
    with output_file(output) as file:
        return subprocess.Popen(
            command,
            cwd=home.folder,
            env=None if environment is None else dict(environment),
            stdin=stdin,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def output_file(path: Path) -> BinaryIO:
    """A file for a process's output, for this user alone; a long one is put aside first."""
    if path.exists() and path.stat().st_size > MOST_OUTPUT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")


def same_watchdog(home: Home) -> list[str] | None:
    """The command that started the last watchdog: for one that died while its daemon runs on."""
    with suppress(OSError, msgspec.DecodeError):
        kept = msgspec.json.decode(home.watchdog.read_bytes(), type=Watched)
        return [sys.executable, "-P", "-m", "ops.watchdog", *kept.argv]
    return None


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment to hand on, without what was meant for its owner alone."""
    return {name: value for name, value in environment.items() if name not in OWN_VARIABLES}
