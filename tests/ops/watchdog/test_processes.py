"""The watchdog over a real (tiny) daemon process: killed, suspended, hung, told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from ops.watchdog.process import Process, end_recorded, wait_gone
from supervisor.home import Home
from supervisor.identity import identity_of, recorded

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

STAND_IN = Path(__file__).with_name("stand_in.py")


class Guard:
    """A watchdog process over a stand-in daemon."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, mode: str = "well", **more: str) -> None:
        environment = dict(os.environ, PYTHONPATH=str(STAND_IN.parents[3]), **more)
        command = [sys.executable, str(STAND_IN), "watchdog", "--home", str(self.home.folder), mode]
        with (self.home.folder / "said.jsonl").open("ab") as said:
            self.process = subprocess.Popen(command, env=environment, stdout=said)

    def said(self, event: str) -> list[dict[str, str]]:
        lines = (self.home.folder / "said.jsonl").read_bytes().splitlines()
        return [found for line in lines if (found := msgspec.json.decode(line))["event"] == event]

    def waiting(self) -> list[int]:
        """Pids of those that stand by in this home."""
        processes = psutil.process_iter(["cmdline"])
        found = [(p.pid, p.info["cmdline"] or []) for p in processes]
        return [pid for pid, words in found if "standby" in words and str(self.home.folder) in words]

    @property
    def watchdog(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def starts(self) -> list[dict[str, str]]:
        with suppress(FileNotFoundError):
            lines = (self.home.folder / "starts.jsonl").read_bytes().splitlines()
            return [msgspec.json.decode(line) for line in lines]
        return []

    def daemon(self, restart: int = 0) -> int:
        """The pid of the running daemon with this number."""
        until(lambda: len(self.starts()) > restart)
        pid = int(self.starts()[restart]["pid"])
        until(lambda: (found := recorded(self.home.daemon)) is not None and found.pid == pid)
        return pid

    def end(self) -> None:
        with suppress(ProcessLookupError):
            if self.process is not None:
                self.process.kill()
                self.process.wait(5)
        end_recorded(self.home.daemon)
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.home.folder / "helper").read_text()), signal.SIGKILL)
        for start in self.starts():
            with suppress(ProcessLookupError):
                os.kill(int(start["pid"]), signal.SIGKILL)


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    made = Guard(Home(tmp_path))
    try:
        yield made
    finally:
        made.end()


def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def test_killed_daemon_is_replaced_at_once_and_told_why(guard: Guard) -> None:
    guard.start()
    os.kill(guard.daemon(), signal.SIGKILL)

    guard.daemon(restart=1)

    assert [s["RISKD_RESTART"] for s in guard.starts()] == ["0", "1"]
    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "ended by signal 9"
    assert float(guard.starts()[1]["RISKD_DOWN_SINCE"]) <= time.monotonic()
    assert guard.starts()[0]["RISKD_DOWN_SINCE"] == ""


def test_suspended_daemon_is_killed_and_replaced(guard: Guard) -> None:
    guard.start()
    suspended = guard.daemon()
    os.kill(suspended, signal.SIGSTOP)

    guard.daemon(restart=1)

    assert identity_of(suspended) is None
    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "suspended"


def test_hung_daemon_leaves_its_stacks_and_is_replaced(guard: Guard) -> None:
    guard.start()
    hung = guard.daemon()
    (guard.home.folder / "hang").touch()

    guard.daemon(restart=1)

    assert identity_of(hung) is None
    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "no heartbeat for 0.8 s"
    stacks = [line["stacks"] for line in guard.said("watchdog.killed")]
    assert "in daemon" in stacks[0], "where it hung is kept although the next one has its own page"


def test_interpreter_that_is_held_by_c_code_leaves_its_stacks_and_is_replaced(guard: Guard) -> None:
    guard.start()
    guard.daemon()
    (guard.home.folder / "hold").touch()

    guard.daemon(restart=1)

    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "no heartbeat for 0.8 s"
    assert "in daemon" in guard.said("watchdog.killed")[0]["stacks"]


def test_one_stands_by_and_takes_over(guard: Guard) -> None:
    guard.start()
    first = guard.daemon()
    until(lambda: len(guard.waiting()) == 1)
    os.kill(first, signal.SIGKILL)

    guard.daemon(restart=1)

    assert guard.starts()[1]["RISKD_STOOD_BY"] == "yes"
    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "ended by signal 9"


@pytest.mark.parametrize("mode", ["unfit", "mute"])
def test_one_that_stood_by_and_fails_to_start_is_followed_by_a_fresh_process(guard: Guard, mode: str) -> None:
    guard.start(mode)
    first = guard.daemon()
    until(lambda: len(guard.waiting()) == 1)
    os.kill(first, signal.SIGKILL)

    guard.daemon(restart=1)

    assert guard.starts()[1]["RISKD_RESTART"] == "2"
    assert "RISKD_STOOD_BY" not in guard.starts()[1]


def test_one_that_stands_by_ends_with_its_watchdog_however_that_ends(guard: Guard) -> None:
    guard.start()
    guard.daemon()
    until(lambda: len(guard.waiting()) == 1)

    guard.watchdog.kill()

    guard.watchdog.wait(10)
    until(lambda: not guard.waiting())


def test_restart_that_was_asked_for_takes_a_fresh_process(guard: Guard) -> None:
    guard.start()
    guard.daemon()
    until(lambda: len(guard.waiting()) == 1)
    (guard.home.folder / "replace").touch()

    guard.daemon(restart=1)

    assert "RISKD_STOOD_BY" not in guard.starts()[1]


def test_daemon_that_grew_too_large_is_asked_to_end_and_replaced_by_the_one_that_stands_by(
    guard: Guard,
) -> None:
    guard.start()
    guard.daemon()
    until(lambda: len(guard.waiting()) == 1)
    (guard.home.folder / "grow").touch()

    guard.daemon(restart=1)

    assert guard.starts()[1]["RISKD_RESTART_CAUSE"].startswith("memory of ")
    assert guard.starts()[1]["RISKD_STOOD_BY"] == "yes"
    assert guard.said("watchdog.stop_asked"), "asked, not killed"


def test_helper_that_a_dead_daemon_left_is_ended(guard: Guard) -> None:
    guard.start("helper")
    first = guard.daemon()
    told = guard.home.folder / "helper"
    until(lambda: told.exists() and told.read_text() != "")
    helper = int(told.read_text())
    os.kill(first, signal.SIGKILL)

    guard.daemon(restart=1)

    until(lambda: identity_of(helper) is None)


def test_without_pidfd_a_killed_daemon_is_found_and_replaced(guard: Guard) -> None:
    guard.start(RISKD_TEST_NO_PIDFD="1")
    os.kill(guard.daemon(), signal.SIGKILL)

    guard.daemon(restart=1)

    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "ended by signal 9"


def test_daemon_that_was_told_to_end_ends_the_watchdog(guard: Guard) -> None:
    guard.start()
    guard.daemon()
    (guard.home.folder / "down").touch()

    assert guard.watchdog.wait(10) == 0
    assert len(guard.starts()) == 1
    assert not guard.home.watchdog.exists()


def test_watchdog_told_to_stop_stops_the_daemon_first(guard: Guard) -> None:
    guard.start()
    pid = guard.daemon()
    guard.watchdog.terminate()

    assert guard.watchdog.wait(10) == 0
    assert identity_of(pid) is None
    assert len(guard.starts()) == 1


def test_daemon_that_asks_to_be_replaced_is_no_failure(guard: Guard) -> None:
    guard.start()
    guard.daemon()
    (guard.home.folder / "replace").touch()

    guard.daemon(restart=1)

    assert guard.starts()[1]["RISKD_RESTART_CAUSE"] == "restart asked for"


def test_refusal_at_the_first_start_ends_the_watchdog_with_its_code_and_reason(guard: Guard) -> None:
    guard.start("refused")

    assert guard.watchdog.wait(10) == 1
    assert msgspec.json.decode(guard.home.ended.read_bytes())["why"] == "cannot log in: wrong key"
    assert len(guard.starts()) == 1


def test_daemon_that_keeps_crashing_is_started_in_safe_mode(guard: Guard) -> None:
    guard.start("crash")

    until(lambda: len(guard.starts()) > 3)

    assert [s["safe"] for s in guard.starts()[:4]] == ["False", "False", "False", "True"]


def test_killed_watchdog_leaves_the_daemon_and_the_next_one_adopts_it(guard: Guard) -> None:
    guard.start()
    pid = guard.daemon()
    guard.watchdog.kill()
    guard.watchdog.wait(10)
    assert identity_of(pid) is not None

    guard.start()
    until(lambda: (found := recorded(guard.home.watchdog)) is not None and found.pid == guard.watchdog.pid)
    os.kill(pid, signal.SIGKILL)

    guard.daemon(restart=1)
    assert len(guard.starts()) == 2


def test_daemon_that_was_starting_when_its_watchdog_died_is_adopted_in_place_of_a_second_one(
    guard: Guard,
) -> None:
    guard.start("slow")
    until(lambda: len(guard.starts()) == 1)
    first = int(guard.starts()[0]["pid"])
    guard.watchdog.kill()
    guard.watchdog.wait(10)

    guard.start("slow", RISKD_TEST_RESTARTED="1")  # its daemon finds the home taken, and ends
    until(lambda: bool(guard.said("watchdog.adopted")))

    assert guard.said("watchdog.adopted")[0]["pid"] == first
    os.kill(first, signal.SIGKILL)
    until(lambda: (found := recorded(guard.home.daemon)) is not None and found.pid != first)


def test_identity_tells_a_process_from_a_later_one_with_its_pid(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        identity = identity_of(child.pid)
        assert identity is not None
        record = tmp_path / "record.json"
        record.write_bytes(msgspec.json.encode({"pid": identity.pid, "start_ticks": identity.start_ticks}))
        assert recorded(record) == identity
        record.write_bytes(
            msgspec.json.encode({"pid": identity.pid, "start_ticks": identity.start_ticks - 1})
        )
        assert recorded(record) is None

        process = Process(identity)
        process.send(signal.SIGKILL)
        assert wait_gone(process, 5)
        child.wait(5)
        process.send(signal.SIGKILL)
        process.close()
    finally:
        child.kill()
        child.communicate()
