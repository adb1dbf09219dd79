"""The two hubs on the wire: connection ids, subscriptions, and the live shapes of events."""

import aiohttp
import msgspec
import pytest

MNQ = "CON.F.US.MNQ.U26"
ES = "CON.F.US.EP.U26"
NOW = "2026-09-14T14:30:00.000000+00:00"


def short(event):
    """An event in short: `Order 6`, `Trade None`, `Position 2`, `Account`."""
    target, (argument,) = event
    data = argument["data"]
    match target.removeprefix("GatewayUser"):
        case "Order":
            return f"Order {data['status']}"
        case "Trade":
            return f"Trade {data.get('profitAndLoss')}"
        case "Position":
            return f"Position {data['size']}"
        case name:
            return name


class TestConnections:
    @pytest.mark.parametrize("hub", ["user", "market"])
    def test_connection_id_is_good_for_one_socket(self, play, hub):
        async def scene(world):
            _, answer = await world.negotiate(hub)
            await world.open(hub, answer["connectionId"])
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await world.open(hub, answer["connectionId"])
            assert refused.value.status == 404

        play(scene)

    def test_bad_token_is_refused_at_negotiation_and_at_the_socket(self, play):
        async def scene(world):
            world.token = "nonsense"
            assert (await world.negotiate("user"))[0] == 401
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await world.open("user")
            assert refused.value.status == 401

        play(scene)

    def test_negotiation_may_be_skipped(self, play):
        async def scene(world):
            ws = await world.open("user")
            await ws.send_str('{"protocol":"json","version":1}\x1e')
            assert (await ws.receive()).data == "{}\x1e"

        play(scene)

    def test_other_protocols_are_refused_in_the_handshake(self, play):
        async def scene(world):
            ws = await world.open("user")
            await ws.send_str('{"protocol":"messagepack","version":1}\x1e')
            assert "not supported" in (await ws.receive()).data

        play(scene)

    def test_frames_are_not_compressed(self, play):
        async def scene(world):
            url = world.hub_url("user")
            async with world.http.ws_connect(url, params={"access_token": world.token}, compress=15) as ws:
                assert ws.compress == 0

        play(scene)

    def test_server_pings(self, play):
        async def scene(world):
            listener = await world.listen("user")
            assert (await listener.ws.receive()).data == '{"type":6}\x1e'

        play(scene, ping_every=0.01)

    def test_websocket_ping_is_answered(self, play):
        async def scene(world):
            listener = await world.listen("user")
            await listener.ws.ping(b"there?")
            answer = await listener.ws.receive()
            assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"there?")

        play(scene)

    def test_unknown_methods_and_pings_are_ignored(self, play):
        async def scene(world):
            listener = await world.listen("user")
            await listener.call("Heartbeat", {"timestamp": 1})
            await listener.call("SubscribeEverything", 1001)
            await listener.call("SubscribeContractQuotes", MNQ)
            await listener.ws.send_str('{"type":6}\x1e{"type":6}\x1e')
            assert await listener.silent()
            assert (await world.op("state"))["hubs"] == [{"number": 1, "hub": "user", "topics": []}]

        play(scene)

    def test_client_that_does_not_speak_signalr_is_let_go(self, play):
        async def scene(world):
            listener = await world.listen("user")
            await listener.ws.send_str("hello\x1e")
            assert await listener.raw() in ("CLOSE", "CLOSED", "CLOSING")

        play(scene)


class TestUserEvents:
    def test_market_order_is_told_as_order_order_trade_position_account(self, play):
        async def scene(world):
            listener = await world.listen_user()
            await world.op("price", contract="MNQ", price=21000)
            await world.op("order", account=1001, contract="MNQ", side="buy", size=2)
            events = await listener.events(5)
            assert [short(event) for event in events] == [
                "Order 6",
                "Order 2",
                "Trade None",
                "Position 2",
                "Account",
            ]
            assert [argument[0]["action"] for _, argument in events] == [1, 2, 0, 1, 1]

        play(scene)

    def test_null_fields_are_left_out(self, play):
        async def scene(world):
            listener = await world.listen_user()
            await world.op("price", contract="MNQ", price=21000)
            await world.op("order", account=1001, contract="MNQ", side="buy", size=1)
            (_, pending), _, (_, trade), *_ = await listener.events(5)
            assert set(pending[0]["data"]) == {
                "id",
                "accountId",
                "contractId",
                "symbolId",
                "creationTimestamp",
                "updateTimestamp",
                "status",
                "type",
                "side",
                "size",
                "fillVolume",
            }
            assert set(trade[0]["data"]) == {
                "id",
                "accountId",
                "contractId",
                "creationTimestamp",
                "price",
                "fees",
                "commissions",
                "side",
                "size",
                "voided",
                "orderId",
            }

        play(scene)

    def test_closed_position_is_action_2_type_0_size_0_and_its_entry_price(self, play):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000)
            await world.op("order", account=1001, contract="MNQ", side="sell", size=2)
            listener = await world.listen_user()
            await world.op("price", contract="MNQ", price=20990.25)
            await world.rest("Position/closeContract", accountId=1001, contractId=MNQ)
            events = await listener.events(5)
            assert [short(event) for event in events] == [
                "Order 6",
                "Order 2",
                "Trade 39",
                "Position 0",
                "Account",
            ]
            position = events[3][1][0]
            assert position["action"] == 2
            data = position["data"]
            assert (data["type"], data["size"], data["averagePrice"]) == (0, 0, 21000)
            assert events[2][1][0]["data"]["creationTimestamp"] == NOW

        play(scene)

    def test_bracket_legs_come_to_work_after_the_fill_and_one_cancels_the_other(self, play):
        async def scene(world):
            listener = await world.listen_user()
            await world.op("price", contract="MNQ", price=21000)
            bracket = {"stop_loss_ticks": 40, "take_profit_ticks": 80}
            await world.op("order", account=1001, contract="MNQ", side="buy", size=1, bracket=bracket)
            events = [short(event) for event in await listener.events(9)]
            assert events[:4] == ["Order 6", "Order 8", "Order 8", "Order 2"]
            assert events[4:] == ["Trade None", "Position 1", "Account", "Order 1", "Order 1"]
            await world.op("price", contract="MNQ", price=20990)
            events = [short(event) for event in await listener.events(5)]
            assert events == ["Order 2", "Trade -20", "Position 0", "Account", "Order 3"]

        play(scene)

    def test_events_go_to_subscribers_of_their_account_alone(self, play):
        async def scene(world):
            first = await world.listen("user", ("Positions", 1001))
            both = await world.listen("user", ("Positions", 1001), ("Positions", 1002))
            await world.op("wait", subscribers=2, topic="GatewayUserPosition")
            await world.op("position", account=1002, contract="MNQ", side="buy", size=1, price=21000)
            await world.op("position", account=1001, contract="MNQ", side="buy", size=2, price=21000)
            assert short(await first.event()) == "Position 2"
            assert [short(event) for event in await both.events(2)] == ["Position 1", "Position 2"]

        play(scene)

    def test_account_events_of_all_accounts_go_to_whoever_subscribed_without_an_id(self, play):
        async def scene(world):
            listener = await world.listen("user", ("Accounts", None))
            await world.op("wait", subscribers=1, topic="GatewayUserAccount")
            await world.op("can_trade", account=1002, value=False)
            _, (argument,) = await listener.event()
            assert (argument["data"]["id"], argument["data"]["canTrade"]) == (1002, False)

        play(scene)

    def test_unsubscribed_and_reconnected_clients_hear_nothing(self, play):
        async def scene(world):
            listener = await world.listen_user()
            await listener.call("UnsubscribePositions", 1001)
            assert await listener.silent()
            await world.op("position", account=1001, contract="MNQ", side="buy", size=1, price=21000)
            assert await listener.silent()
            await listener.ws.close()
            again = await world.listen("user")
            await world.op("position", account=1001, contract="MNQ", side="buy", size=2, price=21000)
            assert await again.silent()

        play(scene)

    def test_completion_answers_a_call_that_asks_for_one(self, play):
        async def scene(world):
            listener = await world.listen("user")
            await listener.call("SubscribeOrders", 1001, invocationId="7")
            assert msgspec.json.decode(await listener.raw()) == {"type": 3, "invocationId": "7"}
            await listener.call("Guess", invocationId="8")
            assert "error" in msgspec.json.decode(await listener.raw())

        play(scene)


class TestMarketEvents:
    def test_quote_carries_only_the_sides_that_moved_and_trades_come_as_a_list(self, play):
        async def scene(world):
            listener = await world.listen_market()
            await world.op("price", contract="MNQ", last=21000.25, bid=21000, ask=21000.5)
            quote, trade, depth = await listener.events(3)
            stamps = {"lastUpdated": NOW, "timestamp": NOW}
            prices = {"lastPrice": 21000.25, "bestBid": 21000, "bestAsk": 21000.5}
            assert quote == (
                "GatewayQuote",
                [MNQ, {"symbol": "F.US.MNQ", "contract": MNQ, **prices, **stamps}],
            )
            row = {"symbolId": "F.US.MNQ", "price": 21000.25, "type": 0, "volume": 1, "timestamp": NOW}
            assert trade == ("GatewayTrade", [MNQ, [row | {"contractId": MNQ}]])
            assert depth[0] == "GatewayDepth"
            await world.op("price", contract="MNQ", bid=20999.75)
            quote, depth = await listener.events(2)
            assert quote[1][1] == {"symbol": "F.US.MNQ", "contract": MNQ, "bestBid": 20999.75, **stamps}

        play(scene)

    @pytest.mark.parametrize(("price", "kind"), [(20999, 1), (21000, 0), (21001, 0)])
    def test_price_alone_is_last_bid_and_ask_and_a_falling_trade_is_a_sale(self, play, price, kind):
        async def scene(world):
            listener = await world.listen_market()
            await world.op("price", contract="MNQ", price=21000)
            await listener.events(3)
            await world.op("price", contract="MNQ", price=price)
            quote, trade, _ = await listener.events(3)
            assert {quote[1][1][name] for name in ("lastPrice", "bestBid", "bestAsk")} == {price}
            assert trade[1][1][0]["type"] == kind

        play(scene)

    def test_silent_price_is_told_to_nobody_but_fills(self, play):
        async def scene(world):
            market, user = await world.listen_market(), await world.listen_user()
            asked = {"account": 1001, "contract": "MNQ", "side": "buy", "size": 1, "type": "limit"}
            await world.op("order", **asked, price=20990)
            await user.event()
            await world.op("price", contract="MNQ", price=20990, silent=True)
            assert short(await user.event()) == "Order 2"
            assert await market.silent()

        play(scene)

    def test_bad_price_is_sent_but_nothing_fills_at_it(self, play):
        async def scene(world):
            listener = await world.listen_market()
            await world.op("position", account=1001, contract="MNQ", side="buy", size=1, price=21000)
            await world.op("price", contract="MNQ", last=0, bid=20999, ask=21001)
            assert (await listener.event())[1][1]["lastPrice"] == 0
            await world.rest("Position/closeContract", accountId=1001, contractId=MNQ)
            trades = (await world.op("state"))["trades"]
            assert [trade["price"] for trade in trades] == [20999]

        play(scene)

    @pytest.mark.parametrize("told", [True, False])
    def test_late_subscriber_is_shown_the_price_unless_told_not_to(self, play, told):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000)
            listener = await world.listen("market", ("ContractQuotes", MNQ))
            if told:
                assert (await listener.event())[1][1]["lastPrice"] == 21000
            assert await listener.silent()

        play(scene, quote_on_subscribe=told)

    def test_contracts_are_subscribed_one_by_one(self, play):
        async def scene(world):
            listener = await world.listen_market()
            await world.op("price", contract="ES", price=5800)
            assert await listener.silent()

        play(scene)

    def test_market_that_stands_still_repeats_its_quote_when_asked_to(self, play):
        async def scene(world):
            listener = await world.listen("market", ("ContractQuotes", MNQ))
            await world.op("wait", subscribers=1, topic="GatewayQuote")
            await world.op("price", contract="MNQ", price=21000)
            quotes = await listener.events(3)
            assert [quote[1][1]["lastPrice"] for quote in quotes] == [21000] * 3

        play(scene, requote=0.01)

    def test_random_market_moves_what_is_watched(self, play):
        async def scene(world):
            listener = await world.listen("market", ("ContractQuotes", MNQ))
            prices = [await listener.event() for _ in range(20)]
            assert len({str(quote[1][1]) for quote in prices}) > 10

        play(scene, speed=500)
