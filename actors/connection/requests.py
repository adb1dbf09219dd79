"""What is sent to the gateway and what its answers say: pure.

Paths, bodies and envelopes as the ProjectX gateway documents them. Every answer is HTTP 200 with `success`,
`errorCode` and `errorMessage`; what the code means depends on the endpoint (`codes`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import assert_never

import msgspec

from actors.connection import codes, translate
from actors.connection.translate import Listed, Malformed, Unmeasurable
from actors.messages import AccountId, Call, CallKind, ContractId, Order, OrderId, OrderStatus, Outcome

type Body = Mapping[str, object]

FIRST_TOKEN_LIFE = timedelta(hours=24)
"""The documented life of a token, used only where its expiry cannot be read from it."""

NOT_FINAL = [
    int(status)
    for status in (
        OrderStatus.OPEN,
        OrderStatus.PENDING,
        OrderStatus.PENDING_CANCELLATION,
        OrderStatus.SUSPENDED,
    )
]
ORDER_PAGE = 100
MINUTE_BARS = 2
BARS_BACK = timedelta(days=7)


def of_call(call: Call) -> tuple[str, Body]:
    """Path and body of an acting call."""
    where: dict[str, object] = {"accountId": call.account, "contractId": call.contract}
    whose: dict[str, object] = {"accountId": call.account, "orderId": call.order}
    match call.kind:
        case CallKind.CLOSE:
            return "/Position/closeContract", where
        case CallKind.PARTIAL_CLOSE:
            return "/Position/partialCloseContract", where | {"size": abs(call.size)}
        case CallKind.CANCEL:
            return "/Order/cancel", whose
        case CallKind.MODIFY:
            return "/Order/modify", whose | _given({"size": abs(call.size) or None, **_prices(call)})
        case CallKind.PLACE:
            order = {
                "type": None if call.order_type is None else int(call.order_type),
                "side": 0 if call.size > 0 else 1,
                "size": abs(call.size),
                "customTag": call.tag,
            }
            return "/Order/place", where | _given(order | _prices(call))
        case _:
            assert_never(call.kind)


def _prices(call: Call) -> dict[str, object]:
    return {"limitPrice": call.limit_price, "stopPrice": call.stop_price}


def _given(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def open_orders(account: AccountId) -> Body:
    """Order/v2/query: the only search that shows suspended bracket children."""
    return {
        "filter": {"accountId": account, "statuses": NOT_FINAL},
        "pageSize": ORDER_PAGE,
        "pageOffset": 0,
        "includeTotalCount": True,
    }


def newest_bar(contract: ContractId, live: bool, now: datetime) -> Body:
    """History/retrieveBars for one bar, the unfinished one included; bars come newest first."""
    return {
        "contractId": contract,
        "live": live,
        "startTime": stamp(now - BARS_BACK),
        "endTime": stamp(now + timedelta(minutes=1)),
        "unit": MINUTE_BARS,
        "unitNumber": 1,
        "limit": 1,
        "includePartialBar": True,
    }


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# ---------------------------------------------------------------- answers


def outcome_of(kind: CallKind, answer: Body) -> tuple[Outcome, int | None, str]:
    """Outcome, code and sentence of an answered acting call."""
    if answer.get("success") is True:
        return Outcome.CONFIRMED, 0, "done"
    code = code_of(answer)
    entry, text = codes.failure(codes.table_of(kind), code, said(answer))
    return codes.outcome_of(entry.meaning), code, text


def code_of(answer: Body) -> int | None:
    code = answer.get("errorCode")
    return code if isinstance(code, int) else None


def said(answer: Body) -> str | None:
    """The gateway's own words, where it used any."""
    words = answer.get("errorMessage")
    return words if isinstance(words, str) else None


def placed(answer: Body) -> OrderId | None:
    """The id of a placed order; a rejected order can have one, too."""
    order = answer.get("orderId")
    return OrderId(order) if isinstance(order, int) and order else None


def more_than(answer: Body, rows: int) -> bool:
    """There are more orders than fitted on the page."""
    total = answer.get("totalCount")
    return isinstance(total, int) and total > rows


def listed(rows: Iterable[object]) -> tuple[Listed, ...]:
    """The contracts a search found; those without tick data are left out, an exact lookup says why."""
    found = []
    for row in rows:
        try:
            found.append(translate.listed(row))
        except Unmeasurable:
            continue
    return tuple(found)


def merged(first: Iterable[Order], second: Iterable[Order]) -> tuple[Order, ...]:
    """Two searches of the same orders in one; the newer word on an order counts."""
    by_id = {order.id: order for order in first}
    for order in second:
        known = by_id.get(order.id)
        if known is None or order.updated_at > known.updated_at:
            by_id[order.id] = order
    return tuple(by_id.values())


def retry_after(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not used by rate limiters and counts as absent."""
    if header is None or not header.strip().isdigit():
        return None
    return float(header)


# ---------------------------------------------------------------- token


class _Claims(msgspec.Struct):
    exp: float
    iat: float | None = None


def token_of(answer: Body, field: str) -> str:
    token = answer.get(field)
    if not isinstance(token, str) or not token:
        raise Malformed("login answer", f"no {field} in it")
    return token


def token_life(token: str, now: datetime) -> timedelta:
    """How long the token is good for, from its own `exp` (a JWT's middle part is base64url JSON)."""
    parts = token.split(".")
    if len(parts) < 2:
        return FIRST_TOKEN_LIFE
    try:
        body = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(body, type=_Claims)
        # The issuing time is the gateway's own clock; ours may be wrong.
        start = now.timestamp() if claims.iat is None else claims.iat
        return max(timedelta(seconds=1), timedelta(seconds=claims.exp - start))
    except (binascii.Error, msgspec.DecodeError, ValueError, OverflowError):
        return FIRST_TOKEN_LIFE
