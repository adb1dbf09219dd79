"""The control endpoint: operations beyond those the other tests use on their way, and its manners."""

import asyncio
from decimal import Decimal

import pytest

from ops.simulator.control import OPERATIONS

MNQ = "CON.F.US.MNQ.U26"
ES = "CON.F.US.EP.U26"


def test_help_lists_every_operation_with_its_fields(play):
    async def scene(world):
        ops = (await world.op("help"))["ops"]
        assert len(ops) == len(OPERATIONS)
        assert all(described["what"] for described in ops.values())
        assert ops["price"]["fields"]["contract"] == "required"
        assert ops["order"]["fields"]["type"] == "market"

    play(scene)


def test_operation_is_posted_as_json(play):
    async def scene(world):
        url = world.simulator.urls.control_url
        async with world.http.post(
            url, json={"op": "price", "contract": "MNQ", "price": "21000.25"}
        ) as answer:
            assert (answer.status, await answer.json()) == (200, {"contract": MNQ})
        async with world.http.post(url, json={"op": "cancel", "order": 1}) as answer:
            assert (answer.status, await answer.json()) == (400, {"error": "no order 1"})

    play(scene)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"op": "dance"}, "dance"),
        ({"op": "price", "contract": "MNQ"}, "give price, or some of last, bid and ask"),
        ({"op": "price", "contract": "XYZ", "price": 1}, "no contract XYZ"),
        ({"op": "price", "contract": "MNQ", "prize": 1}, "unknown field `prize`"),
        ({"op": "order", "account": 7, "contract": "MNQ", "side": "buy", "size": 1}, "no account 7"),
        ({"op": "order", "account": 1001, "contract": "MNQ", "side": "buy", "size": 1}, "No market price"),
        (
            {"op": "order", "account": 1001, "contract": "MNQ", "side": "long", "size": 1},
            "Invalid enum value",
        ),
        ({"op": "close", "account": 1001, "contract": "MNQ"}, r"Position not found. \(code 2\)"),
        ({"op": "position", "account": 1001, "contract": "MNQ", "size": 1}, "entry price"),
        ({"op": "position", "account": 1001, "contract": "MNQ", "size": 0}, "no position"),
        ({"op": "void", "trade": 5}, "no trade 5"),
        ({"op": "contract", "contract": "CON.F.US.XYZ.Z26"}, "give tick_size and tick_value"),
        ({"op": "account", "account": "NEW", "add": True}, "give an id"),
        ({"op": "fill", "order": 1, "size": 1, "price": 1}, "No such working order"),
        ({"op": "wait", "calls": 1, "timeout": 0.01}, "nothing of the kind within 0.01 s"),
        ({"op": "emit_fill", "account": 1001, "contract": "MNQ", "side": "buy"}, "No market price"),
        ({"op": "trade", "account": 1001, "contract": "MNQ", "pnl": 1, "size": 0}, "size must be positive"),
    ],
)
def test_operation_that_cannot_be_done_says_why(play, asked, why):
    async def scene(world):
        with pytest.raises(ValueError, match=why):
            await world.simulator.control(asked)

    play(scene)


class TestTrading:
    def test_account_goes_by_id_or_name_and_contract_by_root_or_id(self, play):
        async def scene(world):
            for account, contract in ((1001, "ES"), ("1001", ES), ("PRAC-V2-1001", "EP")):
                await world.op("order", account=account, contract=contract, side="buy", size=1, price=5800)
            positions = (await world.op("state"))["positions"]
            assert [(row["contractId"], row["size"]) for row in positions] == [(ES, 3)]

        play(scene)

    def test_market_order_with_a_price_moves_the_market_to_it_first(self, play):
        async def scene(world):
            answer = await world.op("order", account=1001, contract="MNQ", side="buy", size=1, price=21000)
            assert (answer["status"], answer["order"]["filledPrice"]) == ("filled", 21000)
            prices = (await world.op("state"))["prices"]
            assert prices == {MNQ: {"last": 21000, "bid": 21000, "ask": 21000}}

        play(scene)

    @pytest.mark.parametrize(
        ("fields", "shown"),
        [
            ({"type": "limit", "price": 20990}, (1, 20990, None, None)),
            ({"type": "stop", "price": 21010}, (4, None, 21010, None)),
            ({"type": "stop_limit", "price": 21010, "limit_price": 21020}, (3, 21020, 21010, None)),
            ({"type": "trailing", "price": 21010}, (5, None, 21010, 10)),
        ],
    )
    def test_order_types_take_their_price_where_it_belongs(self, play, fields, shown):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000)
            row = (await world.op("order", account=1001, contract="MNQ", side="buy", size=1, **fields))[
                "order"
            ]
            assert (row["type"], row["limitPrice"], row["stopPrice"], row.get("trailPrice")) == shown
            moved = (await world.op("modify", order=row["id"], size=2, price=21005))["order"]
            if fields["type"] == "limit":
                assert moved["status"] == 2
            else:
                assert (moved["size"], moved["stopPrice"]) == (2, 21005)

        play(scene)

    def test_order_placed_silently_is_known_to_the_gateway_but_told_to_nobody(self, play):
        async def scene(world):
            listener = await world.listen_user()
            asked = {
                "account": 1001,
                "contract": "MNQ",
                "side": "sell",
                "size": 1,
                "type": "stop",
                "price": 20990,
            }
            placed = await world.op("order", **asked, silent=True)
            assert await listener.silent()
            _, answer = await world.rest("Order/searchOpen", accountId=1001)
            assert [row["id"] for row in answer["orders"]] == [placed["order_id"]]
            await world.op("cancel", order=placed["order_id"], silent=True)
            assert await listener.silent()

        play(scene)

    def test_working_order_is_filled_in_parts_on_demand(self, play):
        async def scene(world):
            listener = await world.listen_user()
            asked = {
                "account": 1001,
                "contract": "MNQ",
                "side": "buy",
                "size": 3,
                "type": "limit",
                "price": 20990,
            }
            order = (await world.op("order", **asked))["order_id"]
            await listener.event()
            assert (await world.op("fill", order=order, size=1, price=20990))["status"] == "open"
            _, (argument,) = await listener.event()
            assert (argument["data"]["status"], argument["data"]["fillVolume"]) == (1, 1)

        play(scene)

    def test_close_takes_all_or_some(self, play):
        async def scene(world):
            await world.op("order", account=1001, contract="MNQ", side="sell", size=3, price=21000)
            await world.op("close", account=1001, contract="MNQ", size=2)
            assert [row["size"] for row in (await world.op("state"))["positions"]] == [1]
            await world.op("close", account=1001, contract="MNQ")
            assert (await world.op("state"))["positions"] == []
            assert (await world.op("calls"))["calls"] == []

        play(scene)


class TestPositionsAndTrades:
    def test_adopted_position_has_no_trade_and_the_time_it_was_opened(self, play):
        async def scene(world):
            listener = await world.listen_user()
            adopted = {"account": 1001, "contract": "MNQ", "side": "sell", "size": 2, "price": 21000.5}
            await world.op("position", **adopted, at="2026-09-13T20:00:00Z")
            _, (argument,) = await listener.event()
            data = argument["data"]
            assert (data["type"], data["size"], data["averagePrice"]) == (2, 2, 21000.5)
            assert data["creationTimestamp"] == "2026-09-13T20:00:00.000000+00:00"
            assert (await world.op("state"))["trades"] == []
            await world.op("position", account=1001, contract="MNQ", size=0)
            _, (argument,) = await listener.event()
            assert (argument["action"], argument["data"]["averagePrice"]) == (2, 21000.5)

        play(scene)

    @pytest.mark.parametrize(
        ("side", "size", "pnl", "exit_"),
        [
            ("buy", 1, 100, 21050),
            ("sell", 2, 50, 20987.5),
            ("buy", 1, -200, 20900),
            ("buy", 1, "0.3", 21000.25),
        ],
    )
    def test_booked_round_trip_has_two_half_turns_and_the_pnl_asked_for(self, play, side, size, pnl, exit_):
        async def scene(world):
            listener = await world.listen_user()
            booked = {"account": 1001, "contract": "MNQ", "side": side, "size": size, "pnl": pnl}
            answer = await world.op("trade", **booked, price=21000, at="2026-09-14T10:00:00Z")
            events = await listener.events(5)
            names = [target.removeprefix("GatewayUser") for target, _ in events]
            assert names == ["Trade", "Position", "Trade", "Position", "Account"]
            opening, closing = events[0][1][0]["data"], events[2][1][0]["data"]
            assert "profitAndLoss" not in opening
            assert (closing["profitAndLoss"], closing["price"]) == (float(pnl), exit_)
            assert [opening["side"], closing["side"]] == ([0, 1] if side == "buy" else [1, 0])
            assert closing["creationTimestamp"] == "2026-09-14T10:00:00.000000+00:00"
            assert answer["trades"] == [opening["id"], closing["id"]]
            balance = Decimal(50_000) + Decimal(pnl) - 4 * size * Decimal("0.5")
            assert events[4][1][0]["data"]["balance"] == float(balance)
            assert events[3][1][0]["data"]["size"] == 0

        play(scene, fees=Decimal("0.5"), commissions=Decimal("0.5"))

    def test_round_trip_is_not_booked_over_an_open_position(self, play):
        async def scene(world):
            await world.op("order", account=1001, contract="MNQ", side="buy", size=1, price=21000)
            with pytest.raises(ValueError, match="trade it with order"):
                await world.op("trade", account=1001, contract="MNQ", pnl=1)

        play(scene)

    def test_voided_trade_is_told_and_its_money_given_back(self, play):
        async def scene(world):
            listener = await world.listen_user()
            booked = await world.op("trade", account=1001, contract="MNQ", pnl=-30, fees="1.5")
            await listener.events(5)
            await world.op("void", trade=booked["trades"][1])
            (_, trade), (_, account) = await listener.events(2)
            assert (trade[0]["data"]["voided"], trade[0]["data"]["profitAndLoss"]) == (True, -30)
            assert account[0]["data"]["balance"] == 49998.5

        play(scene)


class TestGatewayItself:
    def test_account_is_changed_and_added(self, play):
        async def scene(world):
            listener = await world.listen_user()
            await world.op("account", account=1001, balance="49000.5", simulated=False)
            _, (argument,) = await listener.event()
            assert (argument["data"]["balance"], argument["data"]["simulated"]) == (49000.5, False)
            await world.op("account", account="PRAC-3", add=True, id=3)
            assert len((await world.rest("Account/search"))[1]["accounts"]) == 3

        play(scene)

    def test_acting_calls_are_kept_with_stamps_and_outcomes_and_reads_only_counted(self, play):
        async def scene(world):
            await world.rest("Position/searchOpen", accountId=1001)
            await world.code("Position/closeContract", accountId=1001, contractId=MNQ)
            world.clock.pass_(5)
            place = {"accountId": 1001, "contractId": MNQ, "type": 4, "side": 1, "size": 1, "stopPrice": 1.5}
            _, answer = await world.rest("Order/place", **place)
            calls = (await world.op("calls"))["calls"]
            assert [(call["seq"], call["path"], call["status"], call["code"]) for call in calls] == [
                (1, "Position/closeContract", 200, 2),
                (2, "Order/place", 200, 0),
            ]
            assert calls[1]["body"] == place
            assert calls[1]["order_id"] == answer["orderId"]
            assert calls[1]["at_mono"] - calls[0]["at_mono"] == 5
            assert (await world.op("calls", since=1))["calls"] == calls[1:]
            assert (await world.op("state"))["requests"]["Position/searchOpen"] == 1
            await world.op("reset_calls")
            assert (await world.op("calls"))["calls"] == []
            await world.code("Position/closeContract", accountId=1001, contractId=MNQ)
            assert [call["seq"] for call in (await world.op("calls"))["calls"]] == [3]

        play(scene)

    def test_call_is_kept_while_its_answer_is_held_back(self, play):
        async def scene(world):
            await world.op("fault", name="delay", seconds=30)
            asked = asyncio.create_task(world.rest("Order/cancel", accountId=1001, orderId=1))
            await world.op("wait", calls=1)
            (call,) = (await world.op("calls"))["calls"]
            assert (call["status"], call["code"]) == (None, None)
            asked.cancel()

        play(scene)

    def test_fill_answers_with_the_moments_its_events_were_written(self, play):
        async def scene(world):
            with pytest.raises(ValueError, match="nobody is subscribed"):
                await world.op(
                    "emit_fill", account=1001, contract="MNQ", side="buy", price=21000, timeout=0.01
                )
            await world.listen_user()
            answer = await world.op("emit_fill", account=1001, contract="MNQ", side="buy")
            assert set(answer["written"]) >= {"GatewayUserTrade", "GatewayUserPosition"}
            assert answer["written"]["GatewayUserPosition"] == world.clock.mono()

        play(scene)

    def test_any_record_can_be_sent_to_a_hub(self, play):
        async def scene(world):
            listener = await world.listen("user")
            answer = await world.op(
                "emit", hub="user", target="GatewayUserTrade", arguments=[{"data": {"id": "x"}}]
            )
            assert answer == {"connections": 1}
            assert await listener.event() == ("GatewayUserTrade", [{"data": {"id": "x"}}])

        play(scene)

    def test_wait_ends_as_soon_as_the_subscribers_are_there(self, play):
        async def scene(world):
            waiting = asyncio.create_task(world.op("wait", subscribers=1, topic="GatewayUserOrder"))
            await world.listen("user", ("Orders", 1001))
            await waiting

        play(scene)
