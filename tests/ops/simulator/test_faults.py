"""Every fault of the table, by what it does on the wire."""

import asyncio
import time

import aiohttp
import msgspec
import pytest

from ops.simulator.faults import FAULTS

MNQ = "CON.F.US.MNQ.U26"
CLOSE = "Position/closeContract"
OF = {"accountId": 1001, "contractId": MNQ}
#: What each row below shows; the last test compares it with the table.
SHOWN: set[str] = set()


def shows(*names):
    SHOWN.update(names)
    return lambda function: function


async def hold(world, size=2):
    await world.op("price", contract="MNQ", price=21000)
    await world.op("position", account=1001, contract="MNQ", side="buy", size=size, price=21000)


async def sizes(world):
    return [position["size"] for position in (await world.op("state"))["positions"]]


@shows("http_401", "http_429", "http_500", "http_503")
class TestHttpErrors:
    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    @pytest.mark.parametrize(("executed", "left"), [(False, [2]), (True, [])])
    def test_status_is_answered_whether_or_not_the_close_was_executed(self, play, status, executed, left):
        async def scene(world):
            await hold(world)
            await world.op("fault", name=f"http_{status}", path=CLOSE, times=1, executed=executed)
            assert (await world.rest(CLOSE, **OF))[0] == status
            assert await sizes(world) == left
            assert (await world.rest(CLOSE, **OF))[0] == 200

        play(scene)

    @pytest.mark.parametrize("seconds", [None, 2])
    def test_rate_limit_says_when_to_come_back_only_if_asked_to(self, play, seconds):
        async def scene(world):
            await world.op("fault", name="http_429", retry_after=seconds)
            async with world.http.post(f"{world.simulator.urls.api_url}/Account/search", json={}) as answer:
                assert answer.status == 429
                assert answer.headers.get("Retry-After") == (None if seconds is None else str(seconds))

        play(scene)

    def test_fault_meets_the_paths_it_names_and_ends_when_switched_off(self, play):
        async def scene(world):
            await world.op("fault", name="http_500", path="Order/*")
            assert (await world.rest("Account/search"))[0] == 200
            assert (await world.rest("Order/searchOpen", accountId=1001))[0] == 500
            assert (await world.op("fault", name="http_500", on=False))["faults"] == []
            assert (await world.rest("Order/searchOpen", accountId=1001))[0] == 200

        play(scene)


def test_ping_can_fail_as_any_request(play):
    async def scene(world):
        await world.op("fault", name="http_503", path="Status/*")
        async with world.http.get(f"{world.simulator.urls.api_url}/Status/ping") as answer:
            assert answer.status == 503

    play(scene)


@shows("html", "bad_json")
@pytest.mark.parametrize(("name", "begins"), [("html", "<!DOCTYPE html>"), ("bad_json", '{"success":true')])
def test_answer_is_200_but_not_json(play, name, begins):
    async def scene(world):
        await world.op("fault", name=name)
        async with world.http.post(f"{world.simulator.urls.api_url}/{CLOSE}", json=OF) as answer:
            assert answer.status == 200
            text = await answer.text()
            assert text.startswith(begins)
            with pytest.raises(msgspec.DecodeError):
                msgspec.json.decode(text)

    play(scene)


@shows("drop")
@pytest.mark.parametrize(("executed", "left"), [(False, [2]), (True, [])])
def test_dropped_socket_leaves_the_asker_without_an_answer(play, executed, left):
    async def scene(world):
        await hold(world)
        await world.op("fault", name="drop", path=CLOSE, times=1, executed=executed)
        async with aiohttp.ClientSession() as http:  # a fresh connection: a kept one would be tried again
            headers = {"Authorization": f"Bearer {world.token}"}
            with pytest.raises(aiohttp.ClientError):
                await http.post(f"{world.simulator.urls.api_url}/{CLOSE}", json=OF, headers=headers)
        assert await sizes(world) == left

    play(scene)


@shows("delay")
@pytest.mark.parametrize(("executed", "meanwhile"), [(False, [2]), (True, [])])
def test_delay_holds_back_the_execution_or_the_answer(play, executed, meanwhile):
    async def scene(world):
        await hold(world)
        await world.op("fault", name="delay", path=CLOSE, seconds=0.15, executed=executed)
        asked = time.monotonic()
        answer = asyncio.create_task(world.rest(CLOSE, **OF))
        await world.op("wait", calls=1)
        assert await sizes(world) == meanwhile
        assert (await answer)[1]["success"]
        assert time.monotonic() - asked >= 0.15
        assert await sizes(world) == []

    play(scene)


@shows("refuse")
def test_business_code_is_answered_in_the_endpoints_name(play):
    async def scene(world):
        await hold(world)
        await world.op("fault", name="refuse", path=CLOSE, code=6, message="Pending.", times=1)
        status, answer = await world.rest(CLOSE, **OF)
        assert (status, answer) == (200, {"success": False, "errorCode": 6, "errorMessage": "Pending."})
        assert await sizes(world) == [2]

    play(scene)


@shows("negotiate_401", "negotiate_503")
@pytest.mark.parametrize("status", [401, 503])
def test_negotiation_is_refused_for_the_hub_named(play, status):
    async def scene(world):
        await world.op("fault", name=f"negotiate_{status}", hub="user", times=1)
        assert (await world.negotiate("market"))[0] == 200
        assert (await world.negotiate("user"))[0] == status
        assert (await world.negotiate("user"))[0] == 200

    play(scene)


@shows("negotiate_drop")
def test_negotiation_is_dropped(play):
    async def scene(world):
        await world.op("fault", name="negotiate_drop", times=1)
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.post(f"{world.hub_url('user')}/negotiate", params={"access_token": world.token})

    play(scene)


@shows("hub_close", "hub_reset", "hub_close_error")
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("hub_close", ["CLOSE"]),
        ("hub_reset", ["CLOSED"]),
        ("hub_close_error", ['{"type":7,"error":"Connection closed with an error."}', "CLOSE"]),
    ],
)
def test_connections_of_the_hub_end(play, name, seen):
    async def scene(world):
        user, market = await world.listen_user(), await world.listen_market()
        struck = asyncio.create_task(world.op("fault", name=name, hub="user"))
        records = [await user.raw() for _ in seen]
        await struck
        assert [record.replace("ERROR", "CLOSED") for record in records] == seen
        assert await market.silent()
        assert [hub["hub"] for hub in (await world.op("state"))["hubs"]] == ["market"]

    play(scene)


@shows(
    "hub_malformed",
    "hub_unknown_type",
    "hub_unknown_key",
    "hub_unknown_target",
    "hub_empty_arguments",
    "hub_odd_payload",
    "hub_completion_error",
    "hub_logout",
)
@pytest.mark.parametrize("hub", ["user", "market"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hub_malformed", None),
        ("hub_unknown_type", {"type": 99}),
        ("hub_unknown_key", {"priority": 1}),
        ("hub_unknown_target", {"target": "GatewayNews"}),
        ("hub_empty_arguments", {"arguments": []}),
        ("hub_odd_payload", {"type": 1}),
        ("hub_completion_error", {"type": 3, "error": "Failed to invoke."}),
        ("hub_logout", {"target": "GatewayLogout"}),
    ],
)
def test_odd_record_is_sent_and_the_connection_goes_on(play, hub, name, expected):
    async def scene(world):
        listener = await world.listen(hub)
        await world.op("fault", name=name, hub=hub)
        record = await listener.raw()
        if expected is None:
            with pytest.raises(msgspec.DecodeError):
                msgspec.json.decode(record)
        else:
            assert msgspec.json.decode(record).items() >= expected.items()
        assert await listener.silent()

    play(scene)


@shows("hub_freeze")
def test_frozen_connection_is_silent_and_answers_no_ping_until_it_thaws(play):
    async def scene(world):
        listener = await world.listen_user()
        await world.op("fault", name="hub_freeze", hub="user")
        await world.op("position", account=1001, contract="MNQ", side="buy", size=1, price=21000)
        await listener.ws.ping(b"there?")
        fresh = await world.listen_user()
        await world.op("position", account=1001, contract="MNQ", side="buy", size=2, price=21000)
        assert (await fresh.event())[1][0]["data"]["size"] == 2
        await world.op("fault", name="hub_freeze", on=False)
        await world.op("position", account=1001, contract="MNQ", side="buy", size=3, price=21000)
        assert (await listener.event())[1][0]["data"]["size"] == 3

    play(scene)


@shows("hub_burst")
@pytest.mark.parametrize(("hub", "target"), [("user", "GatewayUserAccount"), ("market", "GatewayQuote")])
def test_burst_comes_flat_out_and_complete(play, hub, target):
    async def scene(world):
        await world.op("price", contract="MNQ", price=21000)
        listener = await world.listen(hub)
        await world.op("fault", name="hub_burst", hub=hub, count=3000)
        assert {name for name, _ in await listener.events(3000)} == {target}

    play(scene)


async def fill_told(world, fault, count, **fields):
    """The events of a fill of one contract under a fault: targets, in order."""
    listener = await world.listen_user()
    await world.op("price", contract="MNQ", price=21000)
    await world.op("fault", name=fault, **fields)
    await world.op("order", account=1001, contract="MNQ", side="buy", size=1)
    return [target.removeprefix("GatewayUser") for target, _ in await listener.events(count)], listener


@shows("event_duplicate", "event_reorder", "event_lost")
@pytest.mark.parametrize(
    ("fault", "target", "order"),
    [
        ("event_duplicate", "GatewayUserTrade", ["Order", "Order", "Trade", "Trade", "Position", "Account"]),
        ("event_reorder", "GatewayUserTrade", ["Order", "Order", "Position", "Trade", "Account"]),
        ("event_lost", "GatewayUserTrade", ["Order", "Order", "Position", "Account"]),
        ("event_lost", "GatewayUser[TP]*", ["Order", "Order", "Account"]),
    ],
)
def test_events_are_doubled_swapped_or_lost(play, fault, target, order):
    async def scene(world):
        told, listener = await fill_told(world, fault, len(order), target=target, times=2)
        assert told == order
        assert await listener.silent()

    play(scene)


def test_event_that_nothing_follows_is_held_back_until_the_fault_is_off(play):
    async def scene(world):
        _, listener = await fill_told(world, "event_reorder", 4, target="GatewayUserAccount")
        assert await listener.silent()
        await world.op("fault", name="event_reorder", on=False)
        assert (await listener.event())[0] == "GatewayUserAccount"

    play(scene)


@shows("event_late")
def test_late_event_comes_after_those_that_followed_it(play):
    async def scene(world):
        told, _ = await fill_told(world, "event_late", 5, target="GatewayUserTrade", seconds=0.05)
        assert told == ["Order", "Order", "Position", "Account", "Trade"]

    play(scene)


@shows("event_bare", "event_nulls")
def test_events_can_have_the_shape_of_the_documents(play):
    async def scene(world):
        listener = await world.listen("user", ("Trades", 1001))
        await world.op("wait", subscribers=1, topic="GatewayUserTrade")
        await world.op("price", contract="MNQ", price=21000)
        await world.op("fault", name="event_bare")
        await world.op("fault", name="event_nulls")
        await world.op("order", account=1001, contract="MNQ", side="buy", size=1)
        _, (data,) = await listener.event()
        assert data["profitAndLoss"] is None
        assert "action" not in data

    play(scene)


@shows("market_closed")
def test_closed_market_refuses_and_fills_nothing_until_it_opens(play):
    async def scene(world):
        await hold(world)
        asked = {
            "account": 1001,
            "contract": "MNQ",
            "side": "buy",
            "size": 1,
            "type": "limit",
            "price": 20990,
        }
        await world.op("order", **asked)
        await world.op("fault", name="market_closed")
        place = {"accountId": 1001, "contractId": MNQ, "type": 2, "side": 0, "size": 1}
        assert await world.code("Order/place", **place) == 5
        assert await world.code(CLOSE, **OF) == 5
        assert await world.code("Position/partialCloseContract", **OF, size=1) == 6
        await world.op("price", contract="MNQ", price=20990)
        assert await sizes(world) == [2]
        await world.op("fault", name="market_closed", on=False)
        assert await sizes(world) == [3]

    play(scene)


@shows("bars_missing")
def test_bars_can_be_missing(play):
    async def scene(world):
        await world.op("price", contract="MNQ", price=21000)
        await world.op("fault", name="bars_missing", times=1)
        asked = {"contractId": MNQ, "startTime": "2026-09-14T14:00:00Z", "endTime": "2026-09-14T15:00:00Z"}
        asked |= {"unit": 2, "unitNumber": 1, "limit": 1, "includePartialBar": True}
        assert (await world.rest("History/retrieveBars", **asked))[1]["bars"] == []
        assert len((await world.rest("History/retrieveBars", **asked))[1]["bars"]) == 1

    play(scene)


@shows("stop_race")
@pytest.mark.parametrize(("when", "code", "left"), [("before", 2, []), ("after", 0, [(2, 2)])])
def test_stop_and_close_race_for_the_same_position(play, when, code, left):
    async def scene(world):
        await hold(world)
        await world.op("order", account=1001, contract="MNQ", side="sell", size=2, type="stop", price=20990)
        await world.op("fault", name="stop_race", when=when, times=1)
        assert await world.code(CLOSE, **OF) == code
        positions = (await world.op("state"))["positions"]
        assert [(position["type"], position["size"]) for position in positions] == left

    play(scene)


@shows("revoke_tokens")
def test_revoked_tokens_are_refused_and_a_new_login_works(play):
    async def scene(world):
        await world.op("fault", name="revoke_tokens")
        assert (await world.rest("Account/search"))[0] == 401
        assert (await world.negotiate("user"))[0] == 401
        await world.log_in()
        assert (await world.rest("Account/search"))[0] == 200

    play(scene)


@shows("down")
def test_gateway_that_is_down_refuses_connections_and_comes_back_on_the_same_port(play):
    async def scene(world):
        user = await world.listen_user()
        struck = asyncio.create_task(world.op("fault", name="down"))
        assert await user.raw() in ("CLOSED", "ERROR")
        await struck
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"{world.simulator.urls.api_url}/Status/ping")
            with pytest.raises(aiohttp.ClientConnectorError):
                await world.rest("Account/search")  # on a connection that was kept alive
            await world.op("fault", name="down", on=False)
            async with http.get(f"{world.simulator.urls.api_url}/Status/ping") as answer:
                assert answer.status == 200

    play(scene)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"name": "gremlins"}, "no fault gremlins"),
        ({"name": "html", "retry_after": 3}, "html takes no retry_after"),
        ({"name": "down", "path": "Order/*"}, "down takes no path"),
        ({"name": "hub_reset", "hub": "moon"}, "Invalid enum value 'moon'"),
    ],
)
def test_fault_that_makes_no_sense_is_refused_with_the_reason(play, asked, why):
    async def scene(world):
        with pytest.raises(ValueError, match=why):
            await world.op("fault", **asked)

    play(scene)


def test_faults_can_be_listed_and_all_switched_off(play):
    async def scene(world):
        assert set((await world.op("fault", name="list"))["faults"]) == set(FAULTS)
        await world.op("fault", name="html")
        await world.op("fault", name="market_closed")
        assert (await world.op("fault", name="all", on=False))["faults"] == []
        assert (await world.rest("Account/search"))[1]["success"]

    play(scene)


def test_every_fault_of_the_table_is_shown_here():
    assert set(FAULTS) == SHOWN
