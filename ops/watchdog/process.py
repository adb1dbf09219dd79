"""A process by pid and start ticks, so that a recycled pid is never taken for it or signalled.

On Linux a pidfd does both exactly; elsewhere psutil compares start times. What a system lacks is chosen
around here, on this page alone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path

import psutil

from supervisor.identity import Identity, identity_of, recorded

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""What ends a process whatever it does: elsewhere than on POSIX the plain request already does."""
DUMP: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""Has a daemon write its stacks; None where there is no such signal."""
GO_ON: signal.Signals | None = getattr(signal, "SIGCONT", None)
HAS_PIDFD = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")


class Process:
    """A running process to be watched: a child of ours, or one that was found running."""

    def __init__(self, identity: Identity, child: subprocess.Popen[bytes] | None = None) -> None:
        """Raises ProcessLookupError when it has gone already."""
        self.identity = identity
        self._child = child
        self._psutil: psutil.Process | None = None
        self.fd: int | None = None
        if HAS_PIDFD:
            self.fd = os.pidfd_open(identity.pid)
            if child is None and identity_of(identity.pid) != identity:
                self.close()
                raise ProcessLookupError(f"{identity} has gone")

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        if self.fd is not None:
            return not select.select([self.fd], [], [], 0)[0]
        return identity_of(self.identity.pid) == self.identity

    @property
    def exit_code(self) -> int | None:
        """Of a child of ours that has ended; -N when signal N ended it."""
        return self._child.returncode if self._child is not None else None

    def suspended(self) -> bool:
        """Whether it was stopped (SIGSTOP, a debugger): it cannot even notice SIGTERM."""
        process = self._by_psutil()
        with contextlib.suppress(psutil.Error):
            return process is not None and process.status() == psutil.STATUS_STOPPED
        return False

    def memory_mb(self) -> float:
        process = self._by_psutil()
        with contextlib.suppress(psutil.Error):
            return process.memory_info().rss / 1e6 if process is not None else 0.0
        return 0.0

    def send(self, number: signal.Signals | None) -> None:
        """Signal this process and no other; nothing happens when it has gone, or has no such signal here."""
        if number is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.fd is not None:
                signal.pidfd_send_signal(self.fd, number)
            elif identity_of(self.identity.pid) == self.identity:
                os.kill(self.identity.pid, number)

    def _by_psutil(self) -> psutil.Process | None:
        if self._psutil is None:
            with contextlib.suppress(psutil.Error):
                self._psutil = psutil.Process(self.identity.pid)
        return self._psutil


def end_recorded(path: Path, wait_s: float = 3.0) -> bool:
    """End the process a JSON file names (asked first, killed after `wait_s`); False when it was gone."""
    identity = recorded(path)
    if identity is not None:
        with contextlib.suppress(ProcessLookupError):
            process = Process(identity)
            try:
                process.send(signal.SIGTERM)
                if not wait_gone(process, wait_s):
                    process.send(KILL)
                    wait_gone(process, wait_s)
            finally:
                process.close()
    path.unlink(missing_ok=True)
    return identity is not None


def end_session(leader: int) -> list[int]:
    """Kill what a dead daemon left running in its session (helper programs); the pids that were ended."""
    if not hasattr(os, "getsid"):
        return []
    ended = list[int]()
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid != leader and os.getsid(pid) == leader:
                os.kill(pid, KILL)
                ended.append(pid)
    return ended


def wait_gone(process: Process, timeout_s: float) -> bool:
    """Wait for its end; False when it still runs after `timeout_s`."""
    if process.fd is not None:
        return bool(select.select([process.fd], [], [], timeout_s)[0])
    with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
        psutil.Process(process.identity.pid).wait(timeout_s)
    return not process.alive()
