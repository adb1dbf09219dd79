"""Scenarios: an initial state and timed steps from YAML."""

import asyncio
from decimal import Decimal

import pytest

from ops.simulator.scenario import BUILT_IN, load, parse
from ops.simulator.settings import Settings

MNQ = "CON.F.US.MNQ.U26"


def test_scenario_sets_up_accounts_prices_positions_and_orders(play):
    scenario = parse(
        {
            "prices": {"MNQ": 21000, "ES": {"last": 5800, "bid": 5799.75, "ask": 5800.25}},
            "positions": [{"account": 1001, "contract": "MNQ", "side": "buy", "size": 2, "price": 21000}],
            "orders": [
                {
                    "account": 1001,
                    "contract": "MNQ",
                    "side": "sell",
                    "size": 2,
                    "type": "stop",
                    "price": 20980,
                }
            ],
        }
    )

    async def scene(world):
        await world.simulator.play(scenario)
        state = await world.op("state")
        assert len(state["prices"]) == 2
        assert [row["size"] for row in state["positions"]] == [2]
        assert [row["stopPrice"] for row in state["orders"]] == [20980]

    play(scene)


def test_script_plays_its_steps_one_after_the_other(play):
    steps = [{"after": 0, "op": "price", "contract": "MNQ", "price": price} for price in (21000, 21001)]
    steps.append({"after": 0.01, "op": "can_trade", "account": 1001, "value": False})

    async def scene(world):
        listener = await world.listen_user()
        await world.simulator.play(parse({"script": steps}))
        assert (await listener.event())[1][0]["data"]["canTrade"] is False
        assert (await world.op("state"))["prices"][MNQ]["last"] == 21001

    play(scene)


def test_step_that_cannot_be_done_ends_the_run_with_its_reason(play):
    async def scene(world):
        await world.simulator.play(parse({"script": [{"op": "cancel", "order": 5}]}))
        with pytest.raises(ValueError, match="no order 5"):
            await world.simulator.run(until=asyncio.Event())

    play(scene)


def test_settings_of_a_scenario_replace_the_defaults_and_nothing_else():
    scenario = parse(
        {"fees": 0.36, "commissions": 0.25, "accounts": [{"id": 5, "name": "A", "balance": 1000}]}
    )
    settings = scenario.applied_to(Settings(seed=7))
    assert (settings.fees, settings.commissions, settings.seed) == (Decimal("0.36"), Decimal("0.25"), 7)
    assert [(account.id, account.balance) for account in settings.accounts] == [(5, Decimal(1000))]


@pytest.mark.parametrize("document", [{"price": {}}, {"accounts": [{"id": "x", "name": "A"}]}, [], "text"])
def test_document_that_is_not_a_scenario_is_refused(document):
    with pytest.raises(ValueError, match=r".+"):
        parse(document)


def test_scenario_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("fees: 0.36\nprices: {MNQ: 21000.25}\n")
    assert load(str(path)).opening() == [{"op": "price", "contract": "MNQ", "price": 21000.25}]
    path.write_text("fees: [1")
    with pytest.raises(ValueError, match="is not YAML"):
        load(str(path))
    with pytest.raises(OSError, match="none"):
        load(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILT_IN.glob("*.yaml")))
def test_built_in_scenario_plays(play, name):
    async def scene(world):
        await world.simulator.play(load(name))

    play(scene)
