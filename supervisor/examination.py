"""A short look at a home without a daemon: `python -P -m supervisor.examination --home H [--config F]…`

Holds the home's lock while it reads the store, so that no daemon starts into it; prints one JSON object. For
`riskd doctor`, which itself never opens the store.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import filelock
import msgspec
from msgspec import Struct

from actors.persistence.examining import VERSION, Examined, examine
from config.canonical import diff
from config.load import load
from config.mistakes import ConfigurationMistakes
from config.pending import restored
from supervisor.home import Home


class Found(Struct, frozen=True):
    """What `doctor` is told."""

    sqlite: str
    held_by: int | None = None
    """Who holds the home's lock; the store was not looked at then. 0: nobody can tell who."""
    state: str = "missing"
    why: str = ""
    differs: tuple[str, ...] | None = None
    """Keys in which the files differ from what was accepted; None where there is nothing to compare."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supervisor.examination", description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--config", action="append", default=[], type=Path)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--env-file", type=Path)
    asked = parser.parse_args(argv)
    home = Home(asked.home.absolute())
    sys.stdout.write(
        msgspec.json.encode(found(home, asked.config, asked.sets, asked.env_file)).decode() + "\n"
    )
    return 0


def found(home: Home, files: Sequence[Path], sets: Sequence[str], env_file: Path | None) -> Found:
    """What the home holds; changes nothing in it."""
    if not home.lock.exists():  # nobody has ever started here: leave no trace either
        return _looked_at(home, files, sets, env_file)
    lock = filelock.FileLock(home.lock, timeout=0)
    try:
        with lock:
            return _looked_at(home, files, sets, env_file)
    except filelock.Timeout:
        return Found(VERSION, held_by=holder(home.lock))
    except PermissionError as error:
        return Found(VERSION, state="unreadable", why=f"{home.lock}: {error.strerror}")


def _looked_at(home: Home, files: Sequence[Path], sets: Sequence[str], env_file: Path | None) -> Found:
    try:
        store = examine(home.database)
    except OSError as error:
        return Found(VERSION, state="unreadable", why=str(error.strerror))
    return Found(VERSION, None, store.state, store.why, _differs(store, files, sets, env_file))


def _differs(
    store: Examined, files: Sequence[Path], sets: Sequence[str], env_file: Path | None
) -> tuple[str, ...] | None:
    if store.configuration is None or not files:
        return None
    try:
        settings = load(files, sets, os.environ, env_file).settings
    except ConfigurationMistakes:
        return None  # reported by itself
    # With what still waits for its time: that is in the file, and no deviation.
    accepted = restored(store.configuration).wanted
    return tuple(key for key, _, _ in diff(accepted, settings))


def holder(path: Path) -> int:
    """The process that holds a file's lock, as the kernel lists it; 0 where it cannot be told."""
    try:
        seen, table = path.stat(), Path("/proc/locks").read_text("ascii")
    except OSError:
        return 0
    place = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
    return next((int(f[4]) for line in table.splitlines() if (f := line.split())[5:6] == [place]), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
