"""The REST half on the wire: envelope, tokens, limits, and every endpoint's payload and codes."""

from datetime import timedelta
from decimal import Decimal

import pytest

MNQ = "CON.F.US.MNQ.U26"
LONG_AGO = "2020-01-01T00:00:00Z"
LATER = "2030-01-01T00:00:00Z"


async def long_two(world):
    await world.op("price", contract="MNQ", price=21000)
    return (await world.op("order", account=1001, contract="MNQ", side="buy", size=2))["order_id"]


class TestTokens:
    @pytest.mark.parametrize(
        ("user", "key", "code"),
        [
            ("demo-user", "demo-key-1234567890", 0),
            ("somebody", "demo-key-1234567890", 1),
            ("demo-user", "wrong-key-000", 3),
        ],
    )
    def test_login_answers_its_code_and_a_token_only_for_the_right_pair(self, play, user, key, code):
        async def scene(world):
            status, answer = await world.rest("Auth/loginKey", userName=user, apiKey=key)
            assert (status, answer["errorCode"], answer["success"]) == (200, code, code == 0)
            assert (answer["token"] is not None) == (code == 0)

        play(scene)

    def test_malformed_login_is_a_bad_request(self, play):
        async def scene(world):
            status, answer = await world.rest("Auth/loginKey", userName="demo-user")
            assert status == 400
            assert answer["status"] == 400

        play(scene)

    @pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
    def test_request_without_a_token_of_ours_is_unauthorised(self, play, token):
        async def scene(world):
            world.token = token
            assert (await world.rest("Account/search"))[0] == 401

        play(scene)

    def test_token_ends_at_its_expiry_and_not_before(self, play):
        async def scene(world):
            world.clock.pass_(3599)
            assert (await world.rest("Account/search"))[0] == 200
            world.clock.pass_(1)
            assert (await world.rest("Account/search"))[0] == 401

        play(scene, token_life=timedelta(hours=1))

    def test_validate_gives_a_further_token_and_leaves_the_first_valid(self, play):
        async def scene(world):
            first = world.token
            world.token = (await world.rest("Auth/validate"))[1]["newToken"]
            assert world.token != first
            assert (await world.rest("Account/search"))[0] == 200
            world.token = first
            assert (await world.rest("Account/search"))[0] == 200

        play(scene)

    def test_logout_ends_the_token_it_came_with(self, play):
        async def scene(world):
            assert await world.code("Auth/logout") == 0
            assert (await world.rest("Account/search"))[0] == 401

        play(scene)

    def test_token_life_can_be_shortened_for_later_tokens(self, play):
        async def scene(world):
            await world.op("token_life", seconds=60)
            await world.log_in()
            world.clock.pass_(60)
            assert (await world.rest("Account/search"))[0] == 401

        play(scene)


class TestLimits:
    def test_request_over_the_limit_is_refused_until_the_window_slides(self, play):
        async def scene(world):
            statuses = [(await world.rest("Account/search"))[0] for _ in range(5)]
            assert statuses == [200, 200, 200, 200, 429]  # the login was the first of five
            world.clock.pass_(59.9)
            assert (await world.rest("Account/search"))[0] == 429
            world.clock.pass_(0.1)
            assert (await world.rest("Account/search"))[0] == 200

        play(scene, rate_limit=5)

    def test_bars_have_a_limit_of_their_own(self, play):
        async def scene(world):
            asked = {"contractId": MNQ, "startTime": LONG_AGO, "endTime": LATER}
            asked |= {"unit": 2, "unitNumber": 1, "limit": 1}
            statuses = [(await world.rest("History/retrieveBars", **asked))[0] for _ in range(3)]
            assert statuses == [200, 200, 429]
            assert (await world.rest("Account/search"))[0] == 200
            world.clock.pass_(30)
            assert (await world.rest("History/retrieveBars", **asked))[0] == 200

        play(scene, bars_limit=2)

    def test_limit_can_be_off(self, play):
        async def scene(world):
            assert {(await world.rest("Account/search"))[0] for _ in range(250)} == {200}

        play(scene, rate_limit=None)


def test_ping_needs_no_token(play):
    async def scene(world):
        async with world.http.get(f"{world.simulator.urls.api_url}/Status/ping") as answer:
            assert await answer.json() == "pong"

    play(scene)


def test_path_that_is_not_an_endpoint_is_not_found(play):
    async def scene(world):
        assert (await world.rest("Order/guess"))[0] == 404

    play(scene)


def test_accounts_are_the_visible_ones_even_when_they_may_not_trade(play):
    async def scene(world):
        await world.op("can_trade", account="PRAC-V2-1002", value=False)
        await world.op("account", account="HIDDEN", add=True, id=7, visible=False)
        await world.op("account", account="CLOSED", add=True, id=8, active=False)
        _, answer = await world.rest("Account/search", onlyActiveAccounts=True)
        assert [(row["id"], row["canTrade"]) for row in answer["accounts"]] == [(1001, True), (1002, False)]
        assert answer["accounts"][0] == {
            "id": 1001,
            "name": "PRAC-V2-1001",
            "balance": 50000,
            "canTrade": True,
            "isVisible": True,
            "simulated": True,
        }
        _, answer = await world.rest("Account/search", onlyActiveAccounts=False)
        assert [row["id"] for row in answer["accounts"]] == [1001, 1002, 8]

    play(scene)


class TestContracts:
    def test_contract_record_has_its_ticks(self, play):
        async def scene(world):
            _, answer = await world.rest("Contract/searchById", contractId="CON.F.US.TYA.Z25")
            assert answer["contract"] == {
                "id": "CON.F.US.TYA.Z25",
                "name": "ZNZ5",
                "description": "10-Year Note: Z25",
                "tickSize": 0.015625,
                "tickValue": 15.625,
                "activeContract": True,
                "symbolId": "F.US.TYA",
            }

        play(scene)

    def test_search_finds_at_most_twenty_and_nothing_live(self, play):
        async def scene(world):
            _, answer = await world.rest("Contract/search", searchText="CON", live=False)
            assert len(answer["contracts"]) == 20
            _, answer = await world.rest("Contract/search", searchText="MNQ", live=True)
            assert answer["contracts"] == []
            _, answer = await world.rest("Contract/available", live=False)
            assert MNQ in {row["id"] for row in answer["contracts"]}

        play(scene)

    def test_contract_can_be_unknown_or_lack_its_ticks(self, play):
        async def scene(world):
            await world.op("contract", contract="MNQ", known=False)
            assert await world.code("Contract/searchById", contractId=MNQ) == 1
            _, answer = await world.rest("Contract/search", searchText="MNQ")
            assert answer["contracts"] == []
            await world.op("contract", contract="CON.F.US.XYZ.Z26", tick_size=0.5, tick_value=2, ticks=False)
            _, answer = await world.rest("Contract/searchById", contractId="CON.F.US.XYZ.Z26")
            assert "tickSize" not in answer["contract"]
            await world.op("price", contract="CON.F.US.XYZ.Z26", price=10)
            await world.op("order", account=1001, contract="CON.F.US.XYZ.Z26", side="buy", size=1)
            assert (
                await world.code("Position/closeContract", accountId=1001, contractId="CON.F.US.XYZ.Z26") == 0
            )

        play(scene)


class TestBars:
    asked = {
        "contractId": MNQ,
        "live": False,
        "startTime": "2026-09-14T14:00:00Z",
        "endTime": "2026-09-14T15:00:00Z",
        "unit": 2,
        "unitNumber": 1,
        "limit": 10,
        "includePartialBar": True,
    }

    def test_contract_that_never_had_a_price_has_no_bars(self, play):
        async def scene(world):
            _, answer = await world.rest("History/retrieveBars", **self.asked)
            assert (answer["success"], answer["bars"]) == (True, [])

        play(scene)

    def test_newest_bar_is_the_price_of_now(self, play):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000, silent=True)
            world.clock.pass_(61)
            await world.op("price", contract="MNQ", price=21010.25, silent=True)
            _, answer = await world.rest("History/retrieveBars", **self.asked)
            assert [(bar["o"], bar["c"], bar["v"]) for bar in answer["bars"]] == [
                (21010.25, 21010.25, 1),
                (21000, 21000, 1),
            ]
            assert answer["bars"][0]["t"] == "2026-09-14T14:31:00.000000+00:00"

        play(scene)

    def test_halted_contract_gets_no_newer_bar_and_a_forgotten_one_none(self, play):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000)
            await world.op("halt", contract="MNQ")
            world.clock.pass_(300)
            _, answer = await world.rest("History/retrieveBars", **self.asked)
            assert len(answer["bars"]) == 1
            await world.op("price", contract="MNQ", forget=True)
            _, answer = await world.rest("History/retrieveBars", **self.asked)
            assert answer["bars"] == []

        play(scene)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"contractId": "CON.F.US.XYZ.U26"}, 1),
            ({"unit": 9}, 2),
            ({"unitNumber": 0}, 3),
            ({"limit": 0}, 4),
            ({"limit": 20_001}, 4),
        ],
    )
    def test_senseless_question_has_its_own_code(self, play, change, code):
        async def scene(world):
            assert await world.code("History/retrieveBars", **self.asked | change) == code

        play(scene)


class TestOrders:
    def test_placed_order_returns_its_id_and_a_rejected_one_too(self, play):
        async def scene(world):
            asked = {"accountId": 1001, "contractId": MNQ, "type": 2, "side": 0, "size": 1}
            _, answer = await world.rest("Order/place", **asked)
            assert (answer["success"], answer["errorCode"]) == (False, 2)
            assert answer["errorMessage"] == "No market price is available for this contract."
            assert answer["orderId"] is not None
            await world.op("price", contract="MNQ", price=21000)
            _, answer = await world.rest("Order/place", **asked)
            assert (answer["success"], answer["errorCode"], answer["errorMessage"]) == (True, 0, None)
            assert answer["orderId"] > 0

        play(scene)

    def test_bracket_legs_show_in_the_query_alone_until_the_entry_fills(self, play):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000)
            legs = {
                "stopLossBracket": {"ticks": -40, "type": 4},
                "takeProfitBracket": {"ticks": 80, "type": 1},
            }
            asked = {
                "accountId": 1001,
                "contractId": MNQ,
                "type": 1,
                "side": 0,
                "size": 1,
                "limitPrice": 20990,
            }
            await world.rest("Order/place", **asked, **legs)
            _, answer = await world.rest("Order/searchOpen", accountId=1001)
            assert [row["status"] for row in answer["orders"]] == [1]
            query = {"filter": {"accountId": 1001, "statuses": [8]}, "includeTotalCount": True}
            _, answer = await world.rest("Order/v2/query", **query)
            assert [row["type"] for row in answer["orders"]] == [1, 4]
            assert [row["stopPrice"] for row in answer["orders"]] == [None, None]
            assert answer["totalCount"] == 2
            await world.op("price", contract="MNQ", price=20990)
            _, answer = await world.rest("Order/searchOpen", accountId=1001)
            assert [(row["limitPrice"], row["stopPrice"]) for row in answer["orders"]] == [
                (None, 20980),
                (21010, None),
            ]

        play(scene)

    def test_query_pages_and_filters_newest_first(self, play):
        async def scene(world):
            ids = []
            for limit in (20000, 20010, 20020):
                asked = {"account": 1001, "contract": "MNQ", "side": "buy", "size": 1, "type": "limit"}
                ids.append((await world.op("order", **asked, price=limit))["order_id"])
                world.clock.pass_(1)
            await world.op("cancel", order=ids[1])

            async def found(**fields):
                wanted = {"accountId": 1001, **fields.pop("filter", {})}
                _, answer = await world.rest("Order/v2/query", filter=wanted, **fields)
                return [ids.index(row["id"]) for row in answer["orders"]]

            assert await found() == [2, 1, 0]
            assert await found(sortDirection="asc") == [0, 1, 2]
            assert await found(pageSize=1, pageOffset=1) == [1]
            assert await found(filter={"statuses": [3]}) == [1]
            assert await found(filter={"contractId": "CON.F.US.EP.U26"}) == []
            assert await found(filter={"createdAfter": "2026-09-14T14:30:01Z"}) == [2, 1]
            assert await found(filter={"createdBefore": "2026-09-14T14:30:01Z"}) == [1, 0]
            assert (await world.rest("Order/v2/query", pageSize=1))[0] == 400

        play(scene)

    def test_order_is_found_by_its_id_and_by_its_time(self, play):
        async def scene(world):
            order_id = await long_two(world)
            _, answer = await world.rest("Order/searchById", accountId=1001, orderId=order_id)
            assert answer["order"]["filledPrice"] == 21000
            assert await world.code("Order/searchById", accountId=1002, orderId=order_id) == 1
            window = {"accountId": 1001, "startTimestamp": LONG_AGO}
            _, answer = await world.rest("Order/search", **window)
            assert [row["id"] for row in answer["orders"]] == [order_id]
            _, answer = await world.rest("Order/search", **window, endTimestamp="2026-09-14T14:29:59Z")
            assert answer["orders"] == []

        play(scene)

    def test_order_is_modified_and_cancelled(self, play):
        async def scene(world):
            asked = {"account": 1001, "contract": "MNQ", "side": "buy", "size": 1, "type": "limit"}
            order_id = (await world.op("order", **asked, price=20000))["order_id"]
            of = {"accountId": 1001, "orderId": order_id}
            assert await world.code("Order/modify", **of, size=2, limitPrice=20001.5) == 0
            _, answer = await world.rest("Order/searchById", **of)
            assert (answer["order"]["size"], answer["order"]["limitPrice"]) == (2, 20001.5)
            assert await world.code("Order/cancel", **of) == 0
            assert await world.code("Order/cancel", **of) == 3

        play(scene)

    @pytest.mark.parametrize(
        "path", ["Order/search", "Order/searchOpen", "Order/v2/query", "Position/searchOpen", "Trade/search"]
    )
    def test_search_in_an_unknown_account_has_code_1(self, play, path):
        async def scene(world):
            body = {"accountId": 9, "startTimestamp": LONG_AGO, "filter": {"accountId": 9}}
            assert await world.code(path, **body) == 1

        play(scene)


class TestPositionsAndTrades:
    @pytest.mark.parametrize(("side", "kind"), [("buy", 1), ("sell", 2)])
    def test_position_has_its_direction_in_type_and_never_a_negative_size(self, play, side, kind):
        async def scene(world):
            await world.op("price", contract="MNQ", price=21000.25)
            await world.op("order", account=1001, contract="MNQ", side=side, size=3)
            _, answer = await world.rest("Position/searchOpen", accountId=1001)
            row = answer["positions"][0]
            assert (row["type"], row["size"], row["averagePrice"]) == (kind, 3, 21000.25)
            assert (row["contractId"], row["contractDisplayName"]) == (MNQ, "MNQU6")

        play(scene)

    def test_trades_come_newest_first_with_fees_alone_and_a_null_for_an_opening_one(self, play):
        async def scene(world):
            await long_two(world)
            world.clock.pass_(5)
            await world.op("price", contract="MNQ", price=21010)
            assert (
                await world.code("Position/partialCloseContract", accountId=1001, contractId=MNQ, size=1) == 0
            )
            _, answer = await world.rest("Trade/search", accountId=1001, startTimestamp=LONG_AGO)
            assert [(row["profitAndLoss"], row["fees"], row["side"]) for row in answer["trades"]] == [
                (20, 0.36, 1),
                (None, 0.72, 0),
            ]
            assert "commissions" not in answer["trades"][0]
            since = "2026-09-14T14:30:05Z"
            _, answer = await world.rest("Trade/search", accountId=1001, startTimestamp=since)
            assert len(answer["trades"]) == 1

        play(scene, fees=Decimal("0.36"), commissions=Decimal("0.25"))

    def test_close_answers_code_2_when_flat_and_partial_close_5_when_too_much(self, play):
        async def scene(world):
            await long_two(world)
            of = {"accountId": 1001, "contractId": MNQ}
            assert await world.code("Position/partialCloseContract", **of, size=3) == 5
            assert await world.code("Position/closeContract", **of) == 0
            assert await world.code("Position/closeContract", **of) == 2
            assert await world.code("Position/partialCloseContract", **of, size=1) == 2

        play(scene)
