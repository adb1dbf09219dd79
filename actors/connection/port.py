"""What a gateway is for the rest of the program, and how an acting call is handed to it.

`projectx.ProjectXGateway` implements it on the SDK; a fake one in the tests passes the same contract
tests. Everything here runs on the gateway loop; nobody else touches a gateway object. A gateway never
retries, never hides a wait but that for its budget slot, and never guesses: what it cannot tell it
raises or answers as `unknown`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from actors.address import Address
from actors.connection.budget import BudgetView, Lane
from actors.connection.traffic import Traffic
from actors.connection.translate import Listed, Malformed, Prices
from actors.messages import (
    AccountId,
    AccountReport,
    Call,
    Contract,
    ContractId,
    Fill,
    Order,
    OrderId,
    Outcome,
    PositionReport,
)
from config.errors import GatewayMustAct

REBORN = "reborn"
"""The `why` of a read with which a reborn account also wants link, records and quotes again."""


class GatewayError(GatewayMustAct):
    """A request to the gateway that brought no usable answer."""


class NoAnswer(GatewayError):
    """Timeout, refused or dropped socket, 5xx, or an answer that is no JSON: nothing is known."""


class Unavailable(NoAnswer):
    """Not asked: the endpoint failed so often that it is left alone for a while (`breaker`)."""


class Unauthorized(GatewayError):
    """HTTP 401: the token is not accepted (any more); nothing was carried out."""


class RateLimited(GatewayError):
    """HTTP 429: nothing was carried out; reads stand back for `wait_s` seconds."""

    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Refused(GatewayError):
    """A definite no of the gateway to a read, with its code."""

    def __init__(self, text: str, code: int | None) -> None:
        super().__init__(text)
        self.code = code


class LoginDenied(Refused):
    """The login itself was refused for good: wrong key, unknown user, agreements not signed."""


class NotKnown(GatewayError):
    """The gateway answered that it does not know the contract, or its record lacks tick data."""


class Session(Struct, frozen=True, gc=False):
    """A login in force. The token itself never leaves the gateway object."""

    number: int
    """Counts logins and renewals, so that a 401 for an older one is recognised."""
    lifetime_s: float
    """Seconds the token is good for from now."""


class Answer(Struct, frozen=True, gc=False):
    """The outcome of one acting call as the gateway object saw it."""

    outcome: Outcome
    code: int | None
    text: str
    sent_at: datetime
    sent_mono: float
    done_mono: float
    order: OrderId | None = None


class Ears(Protocol):
    """Who listens to one pair of hubs. Called in the receive step, so it must be quick and never raise."""

    def account_changed(self, account: AccountReport, mono: float) -> None: ...

    def position_changed(self, position: PositionReport, mono: float) -> None: ...

    def order_changed(self, order: Order, mono: float) -> None: ...

    def filled(self, fill: Fill, mono: float) -> None: ...

    def priced(self, prices: Prices, mono: float) -> None: ...

    def malformed(self, error: Malformed) -> None:
        """A user event that could not be read: counted, and made good by a read."""
        ...

    def unpriced(self, error: Malformed) -> None:
        """A market event that could not be read: counted; the next one brings the price."""
        ...

    def logged_out(self) -> None:
        """The gateway announced a logout (`GatewayLogout`; its meaning is not documented)."""
        ...

    def lost(self, why: str) -> None:
        """A hub died or was closed: this pair brings nothing more that can be relied on."""
        ...


class Hubs(Protocol):
    """One open pair of hubs (user and market). Subscriptions are fire and forget on this gateway."""

    async def guard(self, account: AccountId) -> None:
        """Subscribe orders, positions and trades of the account."""
        ...

    async def unguard(self, account: AccountId) -> None: ...

    async def watch(self, contract: ContractId) -> None:
        """Subscribe quotes and market trades of the contract (never depth)."""
        ...

    async def unwatch(self, contract: ContractId) -> None: ...

    def silent_since(self) -> float:
        """Monotonic second of the last sign of life of the quieter hub, pings included."""
        ...

    async def close(self) -> None: ...


class Gateway(Protocol):
    """A trading gateway. Reads raise a GatewayError or Malformed; `act` raises Unauthorized only."""

    async def login(self) -> Session:
        """Log in with user name and key; raises LoginDenied where that is refused for good."""
        ...

    async def renew(self) -> Session:
        """A fresh token for the present session, else a new login."""
        ...

    async def accounts(self, lane: Lane) -> tuple[AccountReport, ...]:
        """Every active account of the login."""
        ...

    async def open_hubs(self, ears: Ears) -> Hubs:
        """Connect both hubs with the present token and subscribe account changes."""
        ...

    async def positions(self, account: AccountId, lane: Lane) -> tuple[PositionReport, ...]: ...

    async def orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        """Orders that are not final, suspended bracket children included."""
        ...

    async def open_orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        """Working orders by the gateway's other search (it leaves suspended ones out)."""
        ...

    async def fills(self, account: AccountId, since: datetime, lane: Lane) -> tuple[Fill, ...]: ...

    async def contract(self, contract: ContractId) -> Contract:
        """The contract's record; raises NotKnown for a definite no."""
        ...

    async def search_contracts(self, text: str, live: bool) -> tuple[Listed, ...]:
        """Contracts that match a product code; those without tick data are left out."""
        ...

    async def newest_price(self, contract: ContractId, live: bool) -> float | None:
        """The close of the newest bar, None where there is none."""
        ...

    async def act(self, call: Call) -> Answer:
        """Send an acting call once. Whatever is not a clear answer is Answer(unknown)."""
        ...

    async def ready(self, lane: Lane, requests: int) -> None:
        """Wait until so many requests of this lane could go out one after the other."""
        ...

    def budget(self) -> BudgetView: ...

    def traffic(self) -> Traffic:
        """Requests so far, and the endpoints that are left alone."""
        ...

    async def close(self) -> None: ...


class CallSender(Protocol):
    """Where enforcement hands its calls; from any thread, returns at once, answered by `Called`.

    The same `Call.id` is sent once only: a repeated one gets the answer of the first.
    """

    def submit(self, call: Call, reply_to: Address) -> None: ...


# ---------------------------------------------------------------- messages to the connection


class GuardAccount(Struct, frozen=True, gc=False, tag=True):
    """Guard this account: its events, snapshots and link state go to these addresses."""

    account: AccountId
    address: Address
    enforcement: Address


class UnguardAccount(Struct, frozen=True, gc=False, tag=True):
    """Stop guarding the account: nothing more is told to its addresses."""

    account: AccountId


class LoadContracts(Struct, frozen=True, gc=False, tag=True):
    """Fetch the records of these roots' front months and of these contracts (before arming, and daily).

    Answered to `reply_to` by ContractsLoaded once each of them has a definite answer.
    """

    roots: tuple[str, ...]
    contracts: tuple[ContractId, ...]
    reply_to: Address


class ContractsLoaded(Struct, frozen=True, gc=False, tag=True):
    """The answer to LoadContracts: what the gateway knows and what it definitely does not."""

    known: tuple[Contract, ...]
    unknown_roots: tuple[str, ...]
    unknown_contracts: tuple[ContractId, ...]


class DropLink(Struct, frozen=True, gc=False, tag=True):
    """Close the hubs as if the gateway had: the machine slept, or chaos."""

    why: str
