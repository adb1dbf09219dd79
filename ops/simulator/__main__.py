"""`python -m ops.simulator`: a gateway on loopback until it is told to end.

Prints one JSON line with its addresses once it listens.
"""

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime

import msgspec

from ops.simulator.clock import Clock, clock_of
from ops.simulator.scenario import Scenario, load
from ops.simulator.server import RunningSimulator, serve
from ops.simulator.settings import Settings

#: Exit code for a command line or scenario that makes no sense.
BAD_CONFIGURATION = 78


def main(arguments: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        clock = clock_of(os.environ.get("RISKD_TEST_CLOCK"), datetime.now(UTC))
        scenario = load(asked.scenario) if asked.scenario else Scenario()
    except (OSError, ValueError) as error:
        print(f"cannot start the simulator: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    settings = scenario.applied_to(
        Settings(
            host=asked.host,
            port=asked.port,
            speed=asked.speed,
            seed=asked.seed,
            rate_limit=asked.rate_limit,
            bars_limit=Settings().bars_limit if asked.rate_limit else None,
        )
    )
    try:
        asyncio.run(_run(settings, clock, scenario))
    except (OSError, ValueError) as error:
        print(f"cannot run the simulator: {error}", file=sys.stderr)
        return BAD_CONFIGURATION if isinstance(error, ValueError) else 1
    return 0


async def _run(settings: Settings, clock: Clock, scenario: Scenario) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    simulator: RunningSimulator = await serve(settings, clock)
    try:
        await simulator.play(scenario)
        print(msgspec.json.encode(simulator.urls).decode(), flush=True)
        await simulator.run(until=ended)
    finally:
        await simulator.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="riskd simulator",
        description="A ProjectX gateway on loopback.",
        epilog="riskd simulator OPERATION KEY=VALUE... acts at the one that riskd up started, as a person "
        "would in the broker's screen; riskd simulator help lists the operations.",
    )
    parser.add_argument("--host", type=_loopback, default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--scenario", help="name of a built-in scenario, or a YAML file")
    parser.add_argument("--speed", type=float, default=0.0, help="how often prices move; 0 holds them still")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate-limit", type=_limit, default=200, help="requests per 60 s, or off")
    return parser


def _loopback(host: str) -> str:
    if host == "localhost" or host.startswith("127."):
        return host
    raise argparse.ArgumentTypeError(f"{host} is not a loopback address")


def _limit(text: str) -> int | None:
    return None if text == "off" else int(text)


if __name__ == "__main__":
    sys.exit(main())
