"""Asking what is recorded where no daemon runs: through a short child, which alone opens the store."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from ops.client import outcome
from supervisor.identity import recorded
from supervisor.protocol import LENGTH_BYTES, Exit, Garbled, Refused, ask, frame, read_reply

if TYPE_CHECKING:
    from msgspec import Raw, Struct

    from supervisor.home import Home

COMMANDS = frozenset(("history", "audit.show", "audit.verify", "backup.list", "backup.now", "backup.restore"))
"""What can be answered without a daemon (`supervisor.offline` answers them)."""
LONGEST_S = 60.0


def possible(home: Home, command: str) -> bool:
    """Whether the store may be read: nothing of the guard runs, nor is being started."""
    there = home.database.exists() or (command == "backup.restore" and home.backups.is_dir())
    if command not in COMMANDS or not there:
        return False
    return recorded(home.watchdog) is None and recorded(home.daemon) is None


def call(home: Home, command: str, request: Struct, secret: str | None) -> Raw:
    """The answer, as the daemon would give it. Raises Refused."""
    payload = frame(ask(request, command, "offline", LONGEST_S, secret))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "supervisor.offline", "--home", str(home.folder)],
            input=payload,
            capture_output=True,
            timeout=LONGEST_S,
            check=False,
        )
        return outcome(read_reply(done.stdout[LENGTH_BYTES:]))
    except subprocess.TimeoutExpired:
        raise Refused(Exit.FAILED, f"cannot read the store within {LONGEST_S:g} s") from None
    except Garbled:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = said[-1] if said else "its reader ended without a word"
        raise Refused(Exit.FAILED, f"cannot read the store: {why}", "riskd doctor") from None
