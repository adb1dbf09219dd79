"""What a service unit is told: the real datagrams, by the pure order of events and by a running watchdog."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from ops.watchdog.__main__ import make_room
from ops.watchdog.notify import announcer
from ops.watchdog.process import end_recorded
from ops.watchdog.verdict import Start, begin
from supervisor.heartbeat import Beat, Phase
from supervisor.home import Home
from supervisor.identity import identity_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
STAND_IN = Path(__file__).with_name("stand_in.py")


class Unit:
    """The service manager's end of the notify socket."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(20)

    def told(self) -> list[str]:
        """Every datagram that has arrived, without the status lines."""
        found = []
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                found += _words(self._socket.recv(4096))
        return found

    def until(self, word: str) -> list[str]:
        """Wait for a word; everything up to it."""
        found: list[str] = []
        self._socket.settimeout(20)
        while word not in found:
            found += _words(self._socket.recv(4096))
        return found

    def close(self) -> None:
        self._socket.close()


def _words(datagram: bytes) -> list[str]:
    return [line for line in datagram.decode().splitlines() if not line.startswith("STATUS=")]


@contextmanager
def unit() -> Iterator[tuple[Unit, Path]]:
    with tempfile.TemporaryDirectory(prefix="rn-", dir="/tmp") as folder:
        made = Unit(Path(folder))
        try:
            yield made, Path(folder)
        finally:
            made.close()


def beat(counter: int, phase: Phase = Phase.READY) -> Beat:
    return Beat(counter, 10, 20, 0.0, phase=phase)


def test_unit_is_told_ready_once_and_alive_only_while_the_counter_moves() -> None:
    with unit() as (told, _):
        environment = {"NOTIFY_SOCKET": str(told.path)}
        said = announcer(environment)
        assert environment == {}, "the daemon must not inherit it"

        said.started(0.0, 0)
        said.looked(0.1, beat(1, Phase.STARTING))
        assert told.told() == ["WATCHDOG=1"]
        said.looked(1.5, beat(2))
        assert told.told() == ["READY=1", "WATCHDOG=1"]
        said.looked(2.0, beat(3))
        assert told.told() == [], "at most once a second"
        said.looked(9.0, beat(3))
        said.looked(9.5, None)
        assert told.told() == [], "a counter that stands still is no sign of life"
        said.looked(10.0, beat(4))
        assert told.told() == ["WATCHDOG=1"]


def test_replacing_the_daemon_is_a_sign_of_life_and_stopping_is_said_once() -> None:
    with unit() as (told, _):
        said = announcer({"NOTIFY_SOCKET": str(told.path)})

        said.started(5.0, 3)
        said.looked(5.2, beat(1, Phase.STOPPING))
        said.stopping()

        assert told.told() == ["WATCHDOG=1", "STOPPING=1"]


def test_abstract_socket_is_reached_and_no_socket_is_no_fault() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"riskd-test-{os.getpid()}"
        listening.bind(f"\0{name}")
        announcer({"NOTIFY_SOCKET": f"@{name}"}).looked(0.0, beat(1))
        assert listening.recv(100).startswith(b"READY=1")
    for nothing in ({}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"NOTIFY_SOCKET": "garbage"}):
        announcer(dict(nothing)).looked(0.0, beat(1))


def test_start_by_a_service_counts_as_a_restart() -> None:
    view, steps = begin(1.0, restarted=True)

    assert steps == (Start(1, False, "started by the service"),)
    assert view.restart == 1
    assert begin(1.0)[1] == (Start(0, False, ""),)


@pytest.mark.process
def test_watchdog_tells_the_unit_through_start_replacement_and_end() -> None:
    with unit() as (told, folder):
        home = Home(folder / "home")
        environment = dict(os.environ, PYTHONPATH=str(STAND_IN.parents[3]), NOTIFY_SOCKET=str(told.path))
        command = [sys.executable, str(STAND_IN), "watchdog", "--home", str(home.folder), "well"]
        watchdog = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            assert told.until("READY=1")[0] == "WATCHDOG=1"
            daemon = int((home.folder / "starts.jsonl").read_text().split('"pid":"')[1].split('"')[0])
            os.kill(daemon, signal.SIGKILL)
            assert "STOPPING=1" not in told.until("WATCHDOG=1")
            watchdog.send_signal(signal.SIGTERM)
            told.until("STOPPING=1")
            assert watchdog.wait(20) == 0
        finally:
            watchdog.kill()
            watchdog.wait(5)
            end_recorded(home.daemon)


@pytest.mark.process
def test_units_own_watchdog_takes_the_place_of_another_and_only_then() -> None:
    with unit() as (_, folder):
        home = Home(folder / "home")
        home.make()
        other = subprocess.Popen(["sleep", "60"])
        try:
            home.watchdog.write_bytes(msgspec.json.encode(identity_of(other.pid)))

            assert not make_room(home, {})
            assert other.poll() is None

            assert make_room(home, {"NOTIFY_SOCKET": "/run/systemd/notify"})
            assert other.wait(5) == -signal.SIGKILL
            assert not make_room(home, {"NOTIFY_SOCKET": "/run/systemd/notify"})
        finally:
            other.kill()
            other.wait(5)
