"""Error codes, endpoint by endpoint, and what enforcement may conclude from them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from actors.connection import codes, requests
from actors.connection.codes import Meaning
from actors.messages import AccountId, Call, CallKind, ContractId, OrderId, OrderType, Outcome

CLOSE, PARTIAL, CANCEL, MODIFY, PLACE = (
    CallKind.CLOSE,
    CallKind.PARTIAL_CLOSE,
    CallKind.CANCEL,
    CallKind.MODIFY,
    CallKind.PLACE,
)


@pytest.mark.parametrize(
    ("kind", "code", "meaning"),
    [
        (CLOSE, 0, Meaning.DONE),
        (CLOSE, 2, Meaning.GONE),
        (CLOSE, 5, Meaning.LATER),
        (CLOSE, 6, Meaning.UNKNOWN),
        (CLOSE, 7, Meaning.UNKNOWN),
        (CLOSE, 8, Meaning.PERMANENT),
        (PARTIAL, 2, Meaning.GONE),
        (PARTIAL, 5, Meaning.LATER),
        (PARTIAL, 6, Meaning.LATER),
        (PARTIAL, 7, Meaning.UNKNOWN),
        (PARTIAL, 8, Meaning.UNKNOWN),
        (PARTIAL, 9, Meaning.PERMANENT),
        (CANCEL, 2, Meaning.GONE),
        (CANCEL, 4, Meaning.UNKNOWN),
        (CANCEL, 6, Meaning.PERMANENT),
        (MODIFY, 2, Meaning.LATER),
        (MODIFY, 7, Meaning.PERMANENT),
        (PLACE, 2, Meaning.LATER),
        (PLACE, 6, Meaning.UNKNOWN),
        (PLACE, 10, Meaning.PERMANENT),
        (CLOSE, 77, Meaning.LATER),
        (CLOSE, None, Meaning.UNKNOWN),
    ],
)
def test_same_number_means_what_its_own_endpoint_says(
    kind: CallKind, code: int | None, meaning: Meaning
) -> None:
    assert codes.meaning_of(kind, code) is meaning


@pytest.mark.parametrize("kind", list(CallKind))
def test_every_table_is_without_gaps(kind: CallKind) -> None:
    table = codes.table_of(kind)
    assert sorted(table) == list(range(len(table)))


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        ({"success": True, "errorCode": 0, "errorMessage": None}, Outcome.CONFIRMED, 0),
        ({"success": False, "errorCode": 2}, Outcome.CONFIRMED, 2),
        ({"success": False, "errorCode": 5, "errorMessage": "No price"}, Outcome.REFUSED, 5),
        ({"success": False, "errorCode": 7}, Outcome.UNKNOWN, 7),
        ({"success": False, "errorCode": 0}, Outcome.UNKNOWN, 0),
        ({"success": False}, Outcome.UNKNOWN, None),
        ({"success": "yes"}, Outcome.UNKNOWN, None),
        ({}, Outcome.UNKNOWN, None),
    ],
)
def test_answer_to_a_close_is_confirmed_only_by_the_gateway_word(
    answer: dict[str, object], outcome: Outcome, code: int | None
) -> None:
    assert requests.outcome_of(CLOSE, answer)[:2] == (outcome, code)


def test_text_of_a_refusal_carries_the_gateway_words() -> None:
    _, _, text = requests.outcome_of(CLOSE, {"success": False, "errorCode": 5, "errorMessage": "No price"})
    assert text == "the closing order was rejected: market closed or no price (gateway: No price)"


NOW = datetime(2026, 7, 31, 12, 0, tzinfo=UTC)


def token(claims: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.c2ln"


@pytest.mark.parametrize(
    ("written", "hours"),
    [
        (token(b'{"iat": 1000, "exp": 37000}'), 10),
        (token(b'{"exp": %d}' % (int(NOW.timestamp()) + 7200)), 2),
        (token(b'{"sub": "trader"}'), 24),
        (token(b"no json"), 24),
        ("not a token", 24),
        ("a.!!!.b", 24),
    ],
)
def test_life_of_a_token_is_read_from_the_gateways_own_clock(written: str, hours: int) -> None:
    assert requests.token_life(written, NOW) == timedelta(hours=hours)


def test_token_that_has_expired_lives_a_second_and_no_negative_time() -> None:
    assert requests.token_life(token(b'{"iat": 5000, "exp": 1000}'), NOW) == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), (None, None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
)
def test_retry_after_counts_only_in_seconds(header: str | None, seconds: float | None) -> None:
    assert requests.retry_after(header) == seconds


def call(kind: CallKind, **fields: object) -> Call:
    return Call("r/1", AccountId(1001), kind, ContractId("CON.F.US.MNQ.U26"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "path", "body"),
    [
        (call(CLOSE), "/Position/closeContract", {"accountId": 1001, "contractId": "CON.F.US.MNQ.U26"}),
        (
            call(PARTIAL, size=2),
            "/Position/partialCloseContract",
            {"accountId": 1001, "contractId": "CON.F.US.MNQ.U26", "size": 2},
        ),
        (call(CANCEL, order=OrderId(9)), "/Order/cancel", {"accountId": 1001, "orderId": 9}),
        (
            call(MODIFY, order=OrderId(9), stop_price=5802.5),
            "/Order/modify",
            {"accountId": 1001, "orderId": 9, "stopPrice": 5802.5},
        ),
        (
            call(MODIFY, order=OrderId(9), size=-2),
            "/Order/modify",
            {"accountId": 1001, "orderId": 9, "size": 2},
        ),
        (
            call(PLACE, size=-2, order_type=OrderType.STOP, stop_price=5800.25, tag="riskd-7"),
            "/Order/place",
            {
                "accountId": 1001,
                "contractId": "CON.F.US.MNQ.U26",
                "type": 4,
                "side": 1,
                "size": 2,
                "stopPrice": 5800.25,
                "customTag": "riskd-7",
            },
        ),
    ],
)
def test_call_is_sent_in_the_shape_its_endpoint_takes(asked: Call, path: str, body: object) -> None:
    assert requests.of_call(asked) == (path, body)
