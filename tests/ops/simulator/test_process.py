"""The simulator as a process and on a thread."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from ops.simulator.remote import ROOT, run_as_process
from ops.simulator.thread import run_in_thread

pytestmark = pytest.mark.process


def clock_of(simulator):
    return datetime.fromisoformat(simulator.control({"op": "state"})["now"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_tells_its_addresses_and_ends_when_told_to(number):
    with run_as_process("--seed", "7", "--rate-limit", "off", "--scenario", "desk") as simulator:
        assert simulator.urls.api_url.startswith("http://127.0.0.1:")
        assert simulator.urls.api_url.endswith("/api")
        assert len(simulator.control({"op": "state"})["prices"]) == 7
        with pytest.raises(ValueError, match="no order 1"):
            simulator.control({"op": "cancel", "order": 1})
        simulator.process.send_signal(number)
        assert simulator.process.wait(10) == 0


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("2025-03-09T07:59:00Z", lambda: datetime(2025, 3, 9, 7, 59, tzinfo=UTC)),
        ("-86400", lambda: datetime.now(UTC) - timedelta(days=1)),
    ],
)
def test_test_clock_moves_what_the_gateway_stamps(setting, expected):
    environment = {**os.environ, "RISKD_TEST_CLOCK": setting}
    with run_as_process(environment=environment) as simulator:
        assert abs(clock_of(simulator) - expected()) < timedelta(seconds=20)


@pytest.mark.parametrize(
    ("arguments", "setting", "code", "why"),
    [
        (["--scenario", "nowhere"], "", 78, "cannot start the simulator"),
        ([], "soon", 78, "cannot start the simulator"),
        (["--host", "0.0.0.0"], "", 2, "not a loopback address"),
    ],
)
def test_senseless_start_is_refused_with_the_reason(arguments, setting, code, why):
    ended = subprocess.run(
        [sys.executable, "-m", "ops.simulator", *arguments],
        cwd=ROOT,
        env={**os.environ, "RISKD_TEST_CLOCK": setting},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == code
    assert why in ended.stderr
    assert ended.stdout == ""


def test_thread_serves_synchronous_code_and_leaves_nothing_behind():
    with run_in_thread() as simulator:
        assert simulator.control({"op": "price", "contract": "MNQ", "price": 21000})["contract"].startswith(
            "CON.F.US.MNQ"
        )
        with pytest.raises(ValueError, match="no account"):
            simulator.control({"op": "can_trade", "account": "nobody", "value": True})
    with pytest.raises(RuntimeError):
        simulator.control({"op": "state"})
