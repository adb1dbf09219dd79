"""Starts daemons quickly: a process that has imported everything and does nothing but fork.

One line in (JSON: argv, env, out), one line out (the pid of the new process). Starting a daemon afresh for
every kill would take more time for importing than for everything else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Cradle:
    """The cradle as its owner sees it."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def daemon(self, argv: list[str], environment: dict[str, str], out: Path) -> int:
        """Start one; its pid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._one:
            self._process.stdin.write(json.dumps({"argv": argv, "env": environment, "out": str(out)}) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """It ends when nobody can ask any more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def main() -> None:
    import actors.connection.projectx
    import supervisor.__main__

    assert actors.connection.projectx
    # Nobody waits for the dead: they must not linger as zombies, which still have a pid.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        asked = json.loads(line)
        with warnings.catch_warnings(action="ignore"):
            pid = os.fork()  # polars warns of it: nobody uses it here
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            out = os.open(asked["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.environ.clear()
            os.environ.update(asked["env"])
            sys.exit(supervisor.__main__.main(asked["argv"]))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
