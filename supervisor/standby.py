"""A daemon that waits with everything imported, so that a replacement guards without importing first.

`python -P -m supervisor.standby`, started by the watchdog while its daemon is well: imports what a daemon
needs, then waits on its standard input. One line there, `{argv, environment}`, makes it that daemon; the end
of the input (the watchdog is gone, or needs it no more) ends it. It is never forked from: it becomes the
daemon itself, so no thread that an import started is left behind in a half-copied process.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

import msgspec
from msgspec import Struct

NEEDED = (
    "supervisor.__main__",
    "actors.connection.projectx",  # the gateway's SDK takes most of a daemon's start
    "config.load",
    # What these import late, at the first connection.
    "anyio._backends._asyncio",
    "httpcore._async.http2",
    "trio._core._run",
    "rich.traceback",
    "structlog",
)


class Orders(Struct, frozen=True):
    """What a waiting daemon is told: the command line and the environment it would have been started with."""

    argv: tuple[str, ...]
    environment: dict[str, str]


def main() -> int:
    """Wait; then be the daemon, with its exit code."""
    preload()
    import supervisor.__main__ as daemon

    gc.collect()
    gc.freeze()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0
    orders = msgspec.json.decode(line, type=Orders)
    os.environ.clear()
    os.environ.update(orders.environment)
    return daemon.main(orders.argv)


def preload() -> None:
    """Import what a daemon needs, and touch nothing of it: no thread, no file, no connection is begun."""
    for name in NEEDED:
        importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main())
