"""`riskd` as people start it: real processes, the real daemon, the simulated gateway."""

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
import pytest

from ops.simulator.settings import Settings
from ops.simulator.thread import run_in_thread
from ops.watchdog.process import end_recorded
from supervisor.home import Home
from supervisor.identity import Identity, recorded
from tests.ops.cli.stand_in import StandIn

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

ROOT = Path(__file__).parents[3]
GUARDED = """
version: 1
gateway: {GATEWAY}
accounts: all
sessions:
  main: {start: "00:00", end: "23:59", days: [mon, tue, wed, thu, fri, sat, sun]}
rules:
  max_contracts: {limit: 5}
"""
READING = (
    "positions",
    "orders",
    "lockouts",
    "rules",
    "hours",
    "history",
    "logs",
    "report week",
    "actors tree",
    "audit verify",
    "backup list",
    "account list",
    "config show --effective",
)
BY_HAND = """{{kind: projectx, api_url: "{0.api_url}", user_hub_url: "{0.user_hub_url}",
  market_hub_url: "{0.market_hub_url}", username: demo-user, api_key: {{env: TEST_KEY}}}}"""


def riskd(
    home: Home, *argv: str, timeout_s: float = 60.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RISKD_")}
    return subprocess.run(
        [sys.executable, "-m", "ops", "--home", str(home.folder), *argv],
        cwd=ROOT,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    made.make()
    yield made
    for record in (made.watchdog, made.daemon, made.simulator):
        end_recorded(record)


def configure(home: Home, gateway: str = "kind: simulator") -> None:
    home.config.write_text(GUARDED.replace("{GATEWAY}", gateway if gateway[0] == "{" else f"{{{gateway}}}"))


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def state(home: Home) -> str:
    with suppress(msgspec.DecodeError):
        return str(msgspec.json.decode(riskd(home, "status", "--json").stdout)["state"])
    return ""


def test_guard_is_started_replaced_when_killed_watched_again_and_ended(home: Home) -> None:
    """One story, because each start of the real program costs seconds."""
    configure(home)

    up = riskd(home, "up")
    assert (up.returncode, "GUARDING" in up.stdout) == (0, True), up.stderr
    daemon, watchdog, simulator = (recorded(p) for p in (home.daemon, home.watchdog, home.simulator))
    assert None not in (daemon, watchdog, simulator)

    second = riskd(home, "up")
    assert second.returncode == 1
    assert "runs there already" in second.stderr

    for words in READING:
        ran = riskd(home, *words.split(), "--json")
        assert (ran.returncode, ran.stderr) == (0, ""), words
        assert all(isinstance(msgspec.json.decode(line), dict) for line in ran.stdout.splitlines())

    broken = riskd(home, "chaos", "run", "--minutes", "0.1")
    assert (broken.returncode, "chaos.enabled" in broken.stderr) == (1, True), broken.stderr

    kill(daemon)
    until(lambda: recorded(home.daemon) not in (None, daemon) and state(home) == "guarding")

    kill(watchdog)
    until(lambda: recorded(home.watchdog) not in (None, watchdog))
    assert recorded(home.simulator) == simulator
    assert state(home) == "guarding"

    down = riskd(home, "down")
    assert (down.returncode, down.stdout) == (0, "the guard has ended\n"), down.stderr
    assert [recorded(p) for p in (home.daemon, home.watchdog, home.simulator)] == [None, None, None]
    assert riskd(home, "status", "--check").returncode == 3


def kill(process: Identity | None) -> None:
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)


def test_refused_login_ends_the_start_with_its_reason_and_leaves_nothing_running(home: Home) -> None:
    with run_in_thread(Settings()) as simulator:
        configure(home, BY_HAND.format(simulator.urls))

        up = riskd(home, "up", TEST_KEY="wrong-key-123456")

    assert up.returncode == 1
    assert "refused the login" in up.stderr
    assert "wrong-key" not in up.stdout + up.stderr
    assert [recorded(p) for p in (home.daemon, home.watchdog, home.simulator)] == [None, None, None]


def test_bad_configuration_ends_the_start_with_78_before_anything_runs(home: Home) -> None:
    configure(home)

    up = riskd(home, "up", "--set", "rules.max_contracts.limit=-1", "--set", "rulez.x=1")

    assert up.returncode == 78
    assert "2 mistakes" in up.stderr
    assert not home.watchdog.exists()


def test_test_clock_is_refused_where_chaos_is_not_enabled(home: Home) -> None:
    configure(home)

    up = riskd(home, "up", RISKD_TEST_CLOCK="+3600")

    assert up.returncode == 78
    assert "RISKD_TEST_CLOCK" in up.stderr


def test_home_that_cannot_be_written_is_one_clear_line() -> None:
    up = riskd(Home(Path("/proc/nowhere")), "up")

    assert up.returncode == 1
    assert up.stderr.count("\n") == 1
    assert "cannot use /proc/nowhere as the home" in up.stderr


def test_status_starts_without_the_heavy_parts(home: Home) -> None:
    code = (
        "import sys; from ops.cli import main; main(['--home', sys.argv[1], 'status'])\n"
        "heavy = {'trio', 'pykka', 'pydantic', 'rich', 'ruamel', 'psutil', 'project_x_py', 'actors'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(home.folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr


def test_reader_that_has_enough_causes_no_traceback(daemon: StandIn) -> None:
    line = {"id": "1", "at": "2026-03-02T20:30:00Z", "kind": "alert", "account": "", "message": "x" * 200}
    daemon.answers["history"] = {"schema": 1, "at": "2026-03-02T20:30:00Z", "history": [line] * 2000}

    reader = subprocess.Popen(
        [sys.executable, "-m", "ops", "--home", str(daemon.home.folder), "history", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.readline()
    reader.stdout.close()
    said = reader.stderr.read()
    reader.stderr.close()

    assert (reader.wait(10), said) == (0, b"")
