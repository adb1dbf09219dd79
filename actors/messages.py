"""Every message that crosses a mailbox: events in the past tense, commands in the imperative.

Units, settled where the gateway's payload is translated and never again:

- size is signed: long and buy > 0, short and sell < 0 (the gateway's own sizes never are);
- `Money` is an integer of 1/10000 dollar (every tick value of the exchange is whole in it);
  amounts that a partial close made fractional are exact `Fraction`s of the same unit;
- prices on the wire stay the gateway's numbers until the account puts them on the contract's
  tick grid (`Contract.ticks`); from there on they are whole ticks;
- every instant is an aware UTC datetime; `mono` is seconds of the monotonic clock.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import NewType

from msgspec import Struct

from config.errors import GatewayMustAct

AccountId = NewType("AccountId", int)
ContractId = NewType("ContractId", str)
OrderId = NewType("OrderId", int)
FillId = NewType("FillId", int)
BreachId = NewType("BreachId", str)

type Money = int
type Exact = int | Fraction

MONEY_SCALE = 10_000


class Now(Struct, frozen=True, gc=False):
    """The moment of a decision: trusted wall time for deadlines, `mono` seconds for ages and waits."""

    wall: datetime
    mono: float


# ---------------------------------------------------------------------- what the gateway reports


class OffGrid(GatewayMustAct, ValueError):
    """A price that is not a whole number of its contract's ticks."""


class Contract(Struct, frozen=True, gc=False):
    """One listed contract as the gateway's own record gives it (Contract/searchById)."""

    id: ContractId
    root: str
    """The exchange's root (`NQ`, though the gateway says `ENQ`)."""
    name: str
    tick_size: Decimal
    tick_value: Money
    tick: float
    """`tick_size` as the nearest float: only to put wire prices on the grid."""

    def ticks(self, price: float) -> int:
        """Put a wire price on the tick grid; raises OffGrid rather than round a price away."""
        count = round(price / self.tick)
        if abs(count * self.tick - price) > self.tick * 1e-3:
            raise OffGrid(f"{price!r} is no multiple of {self.tick_size} in {self.id}")
        return count

    def price(self, ticks: int) -> Decimal:
        return self.tick_size * ticks


class OrderType(IntEnum):
    """Gateway numbers, gateway documentation; `UNKNOWN` keeps a number that nobody documented."""

    UNKNOWN = -1
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderStatus(IntEnum):
    UNKNOWN = -1
    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8


STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


class Order(Struct, frozen=True, gc=False):
    """One order as last heard of. `size` is signed: a buy is positive whatever its purpose."""

    id: OrderId
    account: AccountId
    contract: ContractId
    type: OrderType
    status: OrderStatus
    size: int
    filled: int
    """Contracts already filled, with the sign of `size`."""
    created_at: datetime
    updated_at: datetime
    limit_price: float | None = None
    stop_price: float | None = None
    trail: float | None = None
    tag: str | None = None
    parent: OrderId | None = None
    raw_type: int = 0
    raw_status: int = 0

    @property
    def rest(self) -> int:
        """What may still fill, signed."""
        return self.size - self.filled

    @property
    def working(self) -> bool:
        """May still fill now: everything but a final status and a suspended bracket child.

        An unknown status or a pending cancellation counts as working, because it may be risk.
        """
        return self.status not in TERMINAL and self.status is not OrderStatus.SUSPENDED


class Fill(Struct, frozen=True, gc=False):
    """One execution (the gateway's `Trade`), counted once by its id whichever way it arrives."""

    id: FillId
    account: AccountId
    order: OrderId
    contract: ContractId
    at: datetime
    size: int
    price: float
    pnl: Money | None
    """Null on an opening half-turn; null is not zero: a scratch has 0."""
    fees: Money
    """`fees` + `commissions`, of this half only."""
    voided: bool = False


class PositionReport(Struct, frozen=True, gc=False):
    """The gateway's word on one open contract; size 0 means closed."""

    account: AccountId
    contract: ContractId
    size: int
    average: float
    created_at: datetime


class AccountReport(Struct, frozen=True, gc=False):
    """The gateway's word on the account. `can_trade` None means that the field was missing."""

    id: AccountId
    name: str
    can_trade: bool | None
    balance: Money | None = None
    simulated: bool | None = None


class LinkState(StrEnum):
    """`live`: hubs and REST; `blind`: no live hub; `down`: REST does not answer either."""

    LIVE = "live"
    BLIND = "blind"
    DOWN = "down"


# ------------------------------------------------------------------ events: connection -> account


class OrderChanged(Struct, frozen=True, gc=False, tag=True):
    order: Order
    mono: float


class PositionChanged(Struct, frozen=True, gc=False, tag=True):
    position: PositionReport
    mono: float


class Filled(Struct, frozen=True, gc=False, tag=True):
    fill: Fill
    mono: float
    """Monotonic second at which it was read off the socket."""
    beside: tuple[OrderChanged | PositionChanged, ...] = ()
    """What the gateway told of the account right before, and nobody was told of yet."""


class LetGo(Struct, frozen=True, gc=False, tag=True):
    """To the account, a few ms after trading was told to it: whoever could wait is to be told now."""


class AccountChanged(Struct, frozen=True, gc=False, tag=True):
    account: AccountReport
    mono: float


class Quoted(Struct, frozen=True, gc=False, tag=True):
    """What changed of a contract's prices, as sent; a field not sent is None (quotes are partial)."""

    contract: ContractId
    last: float | None
    bid: float | None
    ask: float | None
    mono: float
    last_mono: float = 0.0
    """When conflated: the arrival of each field, which age separately."""
    bid_mono: float = 0.0
    ask_mono: float = 0.0


class ContractRead(Struct, frozen=True, gc=False, tag=True):
    """The contract record arrived (fetched before arming, on first sight, and daily)."""

    contract: Contract
    at: datetime


class ContractUnknown(Struct, frozen=True, gc=False, tag=True):
    """The gateway answered that it does not know the contract, or its record lacks tick data."""

    contract: ContractId
    reason: str


class BrokerSnapshot(Struct, frozen=True, gc=False, tag=True):
    """The broker's truth by REST: positions, trades of the trading day, orders incl. suspended.

    Both position reads agreed, so `positions` holds exactly the effect of `fills`.
    """

    account: AccountReport
    positions: tuple[PositionReport, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    fills_since: datetime
    """Start of the window in which `fills` is complete."""
    started_mono: float
    """Monotonic second before the first request was sent: what it shows is at least this new."""
    finished_mono: float
    generation: int
    why: str
    fills_read: bool = True
    """False: orders, then positions, and nothing else, to see whether the account complies."""


class LinkChanged(Struct, frozen=True, gc=False, tag=True):
    state: LinkState
    since: datetime
    generation: int
    reason: str
    auth_failed: bool = False


class DayReset(Struct, frozen=True, gc=False, tag=True):
    """The trading day `day` begins at `at` (timers); `missed` when it should have come earlier."""

    day: date
    at: datetime
    missed: bool = False


class Rebased(Struct, frozen=True, gc=False, tag=True):
    """An admin set the day's P&L and counters to zero at `at`; stored before it is told."""

    account: AccountId
    at: datetime
    by: str


class CloseSent(Struct, frozen=True, gc=False, tag=True):
    """A close of ours went out: fills on the closing side up to `size` are its own closes."""

    contract: ContractId
    size: int
    """Contracts asked to be closed, with the sign of the position."""
    cause: OwnClose
    mono: float
    until: datetime | None = None
    """Told again after a restart: it was over by this instant, so no fill stamped later is its own."""


class CloseVerified(Struct, frozen=True, gc=False, tag=True):
    """No close of ours is pending in this contract any more."""

    contract: ContractId


class Tick(Struct, frozen=True, gc=False, tag=True):
    """Time has passed. Sent by timers, every second and at each due deadline."""

    now: Now


# ------------------------------------------------------------ the account as rules and people see it


class OwnClose(StrEnum):
    """Whose close a fill was (rules, Own closes)."""

    NO = "no"
    LOCKOUT = "lockout"
    """Of a lockout's flatten or of an attempt while locked: feeds no rule."""
    REDUCE = "reduce"
    """Of a rule that only closes or reduces a contract: counts as a loss, never as a trade."""


class BookedFill(Struct, frozen=True, gc=False):
    """A fill of the trading day with what it did to the position."""

    fill: Fill
    opened: int
    """Contracts it opened (>= 0)."""
    closed: int
    """Contracts it closed (>= 0); a reversal does both."""
    own: OwnClose
    flat_after: bool
    """The contract was flat after it: a round turn ended here or just before a reversal."""


class Lot(Struct, frozen=True, gc=False):
    """Open contracts of one fill, newest last; an adopted position is one lot of its creation time."""

    at: datetime
    fill: FillId
    size: int


class PositionView(Struct, frozen=True, gc=False):
    """One open position with what it is worth now. Unmeasured values are None, never zero."""

    contract: ContractId
    root: str
    size: int
    cost_ticks: Exact | None
    """Sum of price ticks x size over the open contracts; None while the contract record is missing."""
    lots: tuple[Lot, ...]
    opened_at: datetime
    record: Contract | None
    loss_mark: int | None
    """Ticks: the worse of last and touch, fresh ones only; judges losses."""
    profit_mark: Exact | None
    """Ticks: last, else mid (may be a half); judges profits and moves stops."""
    unrealized: Exact | None
    """At the loss mark."""
    unrealized_profit: Exact | None
    """At the profit mark."""
    unknown: bool = False
    """The gateway does not know the contract: unmeasurable risk."""
    disputed: bool = False
    """The gateway's position disagrees with the fills seen so far; `size` is the gateway's."""


class AccountSnapshot(Struct, frozen=True, gc=False):
    """The account at one number `seq`: what rules judge and enforcement verifies against."""

    account: AccountId
    name: str
    seq: int
    now: Now
    day: date
    day_start: datetime
    positions: tuple[PositionView, ...]
    orders: tuple[Order, ...]
    """Not final: working and suspended ones."""
    fills: tuple[BookedFill, ...]
    """Of the trading day, oldest first, voided ones left out."""
    realized: Money
    """Sum of profitAndLoss less fees of `fills`."""
    unrealized: Exact
    """Sum over the measured positions at the loss mark."""
    unrealized_profit: Exact
    unmeasured: tuple[ContractId, ...]
    """Open contracts left out of the sums."""
    suspended: bool
    """A position is disputed: the sums must not be judged, realized alone is."""
    can_trade: bool | None
    link: LinkState
    link_since: datetime | None
    read_mono: float
    """The state is at least as new as a read by REST begun at this monotonic second; 0 = never read."""
    cause: str
    """What made this snapshot: `fill:ID`, `order:ID`, `position:CONTRACT`, `price:CONTRACT`, `time`, ..."""
    cause_at: datetime | None = None
    """The event's own timestamp, where it had one."""
    auth_failed: bool = False
    session_since: datetime | None = None
    linked: bool = True
    """The link was live since the account was armed: what is not live now was lost, and is not being made."""
    """When the account was first guarded (grace periods of positions older than that start here)."""

    def position(self, contract: ContractId) -> PositionView | None:
        return next((p for p in self.positions if p.contract == contract), None)


# ---------------------------------------------------------------------- what a rule decides


class Mode(StrEnum):
    ARMED = "armed"
    SHADOW = "shadow"
    OFF = "off"


class AtMost(Struct, frozen=True, gc=False, tag=True):
    """Hold at most `size` contracts (>= 0) on the side that is open; the rest is closed, never reversed."""

    contract: ContractId
    size: int


class Flat(Struct, frozen=True, gc=False, tag=True):
    """Hold nothing in this contract and no order that could open it again."""

    contract: ContractId


class AccountFlat(Struct, frozen=True, gc=False, tag=True):
    """Hold nothing, and no orders."""


class OrderGone(Struct, frozen=True, gc=False, tag=True):
    """This working order must not work any more."""

    order: OrderId
    contract: ContractId


class OrderAtMost(Struct, frozen=True, gc=False, tag=True):
    """This working order may be for at most `size` contracts (> 0), its side unchanged."""

    order: OrderId
    contract: ContractId
    size: int


class StopAt(Struct, frozen=True, gc=False, tag=True):
    """A protective stop for the whole position at this price or better (never worse), on the tick grid."""

    contract: ContractId
    ticks: int
    size: int
    """Contracts it covers (> 0)."""


class TargetAt(Struct, frozen=True, gc=False, tag=True):
    """A take-profit limit for the whole position at this price, on the tick grid."""

    contract: ContractId
    ticks: int
    size: int


type Demand = AtMost | Flat | AccountFlat | OrderGone | OrderAtMost | StopAt | TargetAt


class Breach(Struct, frozen=True, gc=False):
    """One episode of a limit being crossed, from becoming true to becoming false."""

    id: BreachId
    """`DAY/RULE/CONTRACT/CAUSE/N`: the same after any restart, so that it is recorded once."""
    rule: str
    contract: ContractId | None
    value: str
    """What was compared, as people read it: `-512.50`, `4`."""
    limit: str
    mark: str | None
    cause: str
    at: datetime
    """The event's own timestamp."""
    text: str
    """One sentence for the trader."""
    inputs: dict[str, str] = {}
    """Everything the decision used, so that it can be recomputed from the record alone."""


class LockKind(StrEnum):
    UNTIL_RESET = "until_reset"
    UNTIL_SESSION_START = "until_session_start"
    DURATION = "duration"
    CONDITION = "condition"
    MANUAL = "manual"


class Lock(Struct, frozen=True, gc=False):
    """A lockout that a rule asks for. One per (account, rule); the later expiry wins, none shortens."""

    kind: LockKind
    since: datetime
    until: datetime | None
    """None: until the condition ends or an admin lifts it."""
    reason: str
    flatten: bool
    """False freezes risk: what is open stays with its stops, may be reduced, never increased."""
    breach: BreachId | None = None
    close: tuple[ContractId, ...] = ()
    """With `flatten` False: contracts that are closed all the same; the rest is frozen."""


class Figure(Struct, frozen=True, gc=False):
    """A rule's figure for people: where it stands and where it acts."""

    value: str | None
    limit: str | None
    used: float | None
    """Share of the limit, 0.0 to 1.0 and beyond."""
    headroom: str | None
    acts_at: str | None
    """The price, count or time at which it would act, as people read it."""


class Notice(Struct, frozen=True, gc=False):
    """An alert for people. `key` names the episode: one alert per key."""

    level: str
    """info | warning | error | critical"""
    component: str
    message: str
    key: str
    data: dict[str, str] = {}


class Verdict(Struct, frozen=True, gc=False, tag=True):
    """What one rule says of one snapshot: everything that must hold now, not only what is new."""

    account: AccountId
    rule: str
    mode: Mode
    seq: int
    """Of the snapshot that was judged."""
    breaches: tuple[Breach, ...]
    """Episodes that are true now (recorded once by their id)."""
    demands: tuple[Demand, ...]
    lock: Lock | None
    notices: tuple[Notice, ...]
    snapshot: AccountSnapshot
    condition_over: bool = False
    """The condition of a `condition` lockout of this rule no longer holds."""
    manages: bool = False
    """The demands are trade management: they stand until replaced and are no breach."""
    state: bytes | None = None
    """The rule's new small state, encoded; stored with the rows of this verdict, off the hot path."""


# ------------------------------------------------------- commands: enforcement -> connection, and back


class CallKind(StrEnum):
    CLOSE = "close"
    PARTIAL_CLOSE = "partial_close"
    CANCEL = "cancel"
    MODIFY = "modify"
    PLACE = "place"


class Call(Struct, frozen=True, gc=False, tag=True):
    """One acting request for the gateway; the connection sends it once and answers with Called."""

    id: str
    """Deterministic: `RECEIPT/N`, so that a repeated command is recognised."""
    account: AccountId
    kind: CallKind
    contract: ContractId
    size: int = 0
    """Contracts for partial_close, modify and place (place: signed)."""
    order: OrderId | None = None
    order_type: OrderType | None = None
    limit_price: float | None = None
    stop_price: float | None = None
    tag: str | None = None
    """Custom tag of a placed order: how it is found again after an unknown outcome."""
    protective: bool = True


class Outcome(StrEnum):
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Called(Struct, frozen=True, gc=False, tag=True):
    """The gateway's answer to a Call, or that there was none (`unknown`: re-read, never assume)."""

    call: Call
    outcome: Outcome
    code: int | None
    text: str
    sent_at: datetime
    sent_mono: float
    done_mono: float
    order: OrderId | None = None
    """Id of a placed order."""


class AccountsFound(Struct, frozen=True, gc=False, tag=True):
    """The login answered with these accounts (connection -> tree, at every generation's login)."""

    accounts: tuple[AccountReport, ...]


class LoginRefused(Struct, frozen=True, gc=False, tag=True):
    """The gateway refused the login for good (wrong key, unknown user): the tree decides."""

    code: int | None
    text: str


class GatewaySeen(Struct, frozen=True, gc=False, tag=True):
    """A timestamp of the gateway's own and the monotonic second it was read (connection -> timers)."""

    at: datetime
    mono: float


class ReadAccount(Struct, frozen=True, gc=False, tag=True):
    """Read the account by REST now; the result reaches the account actor as BrokerSnapshot."""

    account: AccountId
    why: str
    verify: bool = False
    """To see whether the account complies: positions and working orders alone, before other reads."""


class ReadPrice(Struct, frozen=True, gc=False, tag=True):
    """Ask the newest bar of a contract whose quotes are stale; the answer arrives as Quoted."""

    contract: ContractId


class WatchContracts(Struct, frozen=True, gc=False, tag=True):
    """The account has positions or working orders in these contracts: subscribe their quotes."""

    account: AccountId
    contracts: tuple[ContractId, ...]


# ---------------------------------------------------------------------- lockouts, receipts, history


class Lockout(Struct, frozen=True, gc=False):
    """A lockout in force, keyed (account, rule)."""

    account: AccountId
    rule: str
    kind: LockKind
    since: datetime
    until: datetime | None
    reason: str
    flatten: bool
    breach: BreachId | None
    frozen_sizes: dict[str, int] | None = None
    """Without flatten: the size per contract that may stay; it only ever shrinks."""


class CallRecord(Struct, frozen=True, gc=False):
    at: datetime
    call: CallKind
    contract: ContractId
    size: int
    outcome: Outcome
    code: int | None
    text: str
    took_ms: float
    order: OrderId | None = None


class Receipt(Struct, frozen=True, gc=False):
    """What was asked of the account, each call, and when the account showed it."""

    id: str
    account: AccountId
    rules: tuple[str, ...]
    breaches: tuple[BreachId, ...]
    demand: str
    opened_at: datetime
    calls: tuple[CallRecord, ...]
    rounds: int
    verified: bool
    verified_at: datetime | None
    breach_to_call_ms: float | None = None
    breach_to_verified_ms: float | None = None
    last_error: str | None = None
    notes: tuple[str, ...] = ()
    """What else happened on the way: a stop that filled beside the close, a close of the whole instead."""


class HistoryKind(StrEnum):
    FILL = "fill"
    BREACH = "breach"
    DEMAND = "demand"
    ENFORCEMENT = "enforcement"
    LOCKOUT = "lockout"
    UNLOCK = "unlock"
    RESET = "reset"
    ALERT = "alert"
    ADMIN = "admin"
    RESTART = "restart"
    LINK = "link"


class Record(Struct, frozen=True, gc=False, tag=True):
    """One line of history. The same `id` is stored once; a later one replaces its body."""

    id: str
    kind: HistoryKind
    at: datetime
    account: str
    """The account's name; empty for what concerns none."""
    body: dict[str, object]


class Alert(Struct, frozen=True, gc=False, tag=True):
    """A notice on its way to people, with the account it concerns (empty: none)."""

    at: datetime
    account: str
    notice: Notice
    again: bool = False
    """Told once more after a restart, should the first have been lost: dropped where its key is on record."""


# ---------------------------------------------------------------------- what the store keeps


class StoreLockout(Struct, frozen=True, gc=False, tag=True):
    """Keep this lockout; the newest for its (account, rule) wins."""

    lockout: Lockout


class EndLockout(Struct, frozen=True, gc=False, tag=True):
    """The lockout is over: `expired | reset | condition | admin`."""

    account: AccountId
    rule: str
    at: datetime
    reason: str


class StoreFill(Struct, frozen=True, gc=False, tag=True):
    """Keep a fill under its id; fees known from either way it arrived are kept."""

    fill: Fill
    day: date
    own: OwnClose


class StoreRuleState(Struct, frozen=True, gc=False, tag=True):
    """A rule's small state after the snapshot `seq`, encoded by its machine."""

    account: AccountId
    rule: str
    seq: int
    body: bytes


class StoreDay(Struct, frozen=True, gc=False, tag=True):
    """One row per account and trading day; a late fill corrects it."""

    account: AccountId
    name: str
    day: date
    realized: Money
    trades: int


class StoreContract(Struct, frozen=True, gc=False, tag=True):
    contract: Contract
    read_at: datetime


class StoreReceipt(Struct, frozen=True, gc=False, tag=True):
    receipt: Receipt
    name: str


class StoreMeta(Struct, frozen=True, gc=False, tag=True):
    """A single value under a name: configuration in force, baselines, last reset, first guarded."""

    key: str
    body: bytes


class Flush(Struct, frozen=True, gc=False, tag=True):
    """Ask (not tell) this: answered once everything sent before is durable. For permissive actions."""


type StoreCommand = (
    Record
    | StoreLockout
    | EndLockout
    | StoreFill
    | StoreRuleState
    | StoreDay
    | StoreContract
    | StoreReceipt
    | StoreMeta
)


# ---------------------------------------------------------------------- control plane -> enforcement


class LockByHand(Struct, frozen=True, gc=False, tag=True):
    """`riskd lock`, `riskd panic`: flattens too when `flatten`. `until` None: until an admin lifts it."""

    account: AccountId
    until: datetime | None
    reason: str
    by: str
    flatten: bool
    now: Now


class FlattenByHand(Struct, frozen=True, gc=False, tag=True):
    """`riskd flatten`: all closed, all cancelled, no lockout."""

    account: AccountId
    by: str
    now: Now


class Unlock(Struct, frozen=True, gc=False, tag=True):
    """`riskd unlock`, already permitted by `tamper`; `rule` None means all. Asked, not told."""

    account: AccountId
    rule: str | None
    by: str
    now: Now


class SupervisorLock(Struct, frozen=True, gc=False, tag=True):
    """An armed rule was given up: lock (rule `supervisor`) and flatten until it runs again."""

    account: AccountId
    rule: str
    on: bool
    reason: str
    now: Now


class Reborn(Struct, frozen=True, gc=False, tag=True):
    """A reborn actor asks for the current state: the account answers it with a snapshot."""

    who: str


class DeadLetter(Struct, frozen=True, gc=False, tag=True):
    """A message of this account was given up: reconcile and evaluate afresh."""

    actor: str
    cause: str
