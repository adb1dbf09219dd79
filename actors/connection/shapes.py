"""The gateway's own shapes: what of each payload is read, under the gateway's spelling.

Null fields are left out of the stream, so whatever may be null has a default. Fields nobody reads are left
out here; `ops/docs/gateway.md` says where each one was documented or seen.
"""

# ruff: noqa: N815 - the gateway's spelling

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Account(Struct):
    """`GatewayUserAccount`, and a row of Account/search."""

    id: int
    name: str
    balance: float | None = None
    canTrade: bool | None = None
    simulated: bool | None = None


class Position(Struct):
    """`GatewayUserPosition`, and a row of Position/searchOpen."""

    accountId: int
    contractId: str
    creationTimestamp: datetime
    type: int
    size: int
    averagePrice: float | None = None


class Order(Struct):
    """`GatewayUserOrder`, and a row of the order searches."""

    id: int
    accountId: int
    contractId: str
    creationTimestamp: datetime
    status: int
    type: int
    side: int
    size: int
    updateTimestamp: datetime | None = None
    fillVolume: int | None = None
    limitPrice: float | None = None
    stopPrice: float | None = None
    trailPrice: float | None = None
    trailDistance: float | None = None
    customTag: str | None = None
    parentOrderId: int | None = None


class Trade(Struct):
    """`GatewayUserTrade`, and a row of Trade/search."""

    id: int
    accountId: int
    contractId: str
    creationTimestamp: datetime
    price: float
    side: int
    size: int
    orderId: int
    profitAndLoss: float | None = None
    fees: float | None = None
    commissions: float | None = None
    voided: bool | None = None


class Quote(Struct):
    """`GatewayQuote`: only what changed is in it."""

    lastPrice: float | None = None
    bestBid: float | None = None
    bestAsk: float | None = None
    timestamp: datetime | None = None
    lastUpdated: datetime | None = None


class MarketTrade(Struct):
    """One entry of `GatewayTrade`."""

    price: float
    timestamp: datetime | None = None


class Contract(Struct):
    """A row of the contract searches."""

    id: str
    name: str
    tickSize: float | None = None
    tickValue: float | None = None
    activeContract: bool = True


class Bar(Struct):
    """A row of History/retrieveBars."""

    t: datetime
    c: float
