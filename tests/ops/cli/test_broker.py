"""`riskd simulator OPERATION`: trading in the broker's place from a shell."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from ops.simulator.settings import Settings
from ops.simulator.thread import ThreadedSimulator, run_in_thread
from supervisor.home import Home
from tests.ops.cli.stand_in import Riskd

BUY = ("simulator", "order", "account=PRAC-V2-1001", "contract=MNQ", "side=buy")


@pytest.fixture
def simulator(home: Home) -> Iterator[ThreadedSimulator]:
    """A gateway, written down as `up` writes down the one it starts."""
    home.make()
    with run_in_thread(Settings()) as running:
        home.simulator.write_bytes(msgspec.json.encode({"control_url": running.urls.control_url}))
        yield running


def test_orders_and_prices_reach_the_gateway(simulator: ThreadedSimulator, riskd: Riskd) -> None:
    assert riskd("simulator", "price", "contract=MNQ", "price=21000").code == 0

    bought = riskd(*BUY, "size=2", 'bracket={"stop_loss_ticks": 40}')

    assert bought.code == 0
    assert bought.out.startswith("order ")
    assert bought.out.endswith(": filled\n")
    shown = riskd("simulator", "state").json
    assert [(p["size"], p["averagePrice"]) for p in shown["positions"]] == [(2, 21000)]
    assert [o["stopPrice"] for o in shown["orders"] if o["stopPrice"]] == [20990]


def test_help_lists_every_operation_with_its_fields(simulator: ThreadedSimulator, riskd: Riskd) -> None:
    text = riskd("simulator", "help").out

    assert "order account=REQUIRED contract=REQUIRED side=REQUIRED size=REQUIRED" in text
    assert "can_trade account=REQUIRED value=REQUIRED" in text


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ((*BUY, "size"), 2, "cannot order with 'size': not KEY=VALUE"),
        ((*BUY, "size=0"), 1, "cannot order: "),
        ((*BUY, "sise=1"), 1, "unknown field `sise`"),
        (("simulator", "fly"), 1, "cannot fly: Invalid value 'fly'"),
    ],
)
def test_refused_operation_says_why_and_where_to_look(
    simulator: ThreadedSimulator, riskd: Riskd, line: tuple[str, ...], code: int, why: str
) -> None:
    ran = riskd(*line)

    assert (ran.code, ran.out) == (code, "")
    assert why in ran.err
    assert "riskd simulator help" in ran.err


def test_without_a_simulator_the_way_to_one_is_named(riskd: Riskd, home: Home) -> None:
    never = riskd(*BUY, "size=1")
    home.make()
    home.simulator.write_text('{"control_url": "http://127.0.0.1:1/control"}')
    gone = riskd(*BUY, "size=1")

    assert (never.code, gone.code) == (3, 3)
    assert "kind: simulator" in never.err
    assert "does not answer" in gone.err
