"""What the operator decides: the whole configuration on one page, in the trader's words.

A value of these types is valid by itself; what must fit together is checked in `config.checks`. Money is in
1/10000 dollar, spans are `timedelta`, times of day and zones are what `datetime` and `zoneinfo` call them.
Build one with `config.load.load` (files), `config.checks.settings_from` (a mapping) or
`config.canonical.parse_canonical` (the configuration in force, from the store).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Discriminator, Field, PlainValidator, Tag, field_validator, model_validator

from config import versions
from config.fields import (
    Cooldown,
    Day,
    Delay,
    Duration,
    Lockout,
    Loss,
    Page,
    Profit,
    Root,
    RootOrGlob,
    Secret,
    Share,
    Span,
    TimeOfDay,
    Url,
    Weekday,
    Zone,
)
from config.instruments import exchange_root
from config.values import Unreadable, dollars, duration, share, time_of_day

type Mode = Literal["armed", "shadow", "off"]
type Level = Literal["info", "warning", "error", "critical"]
type LevelOrIgnore = Literal["ignore", "info", "warning", "error", "critical"]
type LogLevel = Literal["debug", "info", "warning", "error", "critical"]

_MOSTLY = share("80%")
_CHICAGO = ZoneInfo("America/Chicago")


class Rule(Page):
    """What every rule has. `name` is its key in the configuration, in logs, commands and the database."""

    name: ClassVar[str]
    mode: Mode = Field(
        default="armed", description="armed acts, shadow only records what it would have done, off rests"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_enabled(cls, written: Any) -> Any:
        return enabled_as_mode(written)

    @field_validator("mode", mode="before")
    @classmethod
    def _name_booleans(cls, written: Any) -> Any:
        if str(written).lower() in ("true", "false"):
            word = "armed" if str(written).lower() == "true" else '"off"'
            raise Unreadable(f"{str(written).lower()} is not a mode", f"write {word}, or enabled: {written}")
        return written


def enabled_as_mode(written: Any) -> Any:
    """`enabled: true|false` read as `mode: armed|off`; both at once are refused."""
    if not isinstance(written, Mapping) or "enabled" not in written:
        return written
    answer = str(written["enabled"]).lower()
    if answer not in ("true", "false"):
        raise Unreadable(f"enabled is {answer!r}", "write true or false, or mode: armed, shadow or off")
    if "mode" in written:
        raise Unreadable("enabled and mode say the same thing twice", "keep mode")
    rest = {key: value for key, value in written.items() if key != "enabled"}
    return {"mode": "armed" if answer == "true" else "off", **rest}


class Measured(Rule):
    """A rule that watches a figure approach its limit."""

    alert_at: Share = Field(
        default=_MOSTLY, description="one alert when this share of the limit is reached; null for none"
    )


class MaxContracts(Measured):
    """No more open contracts in the account than this."""

    name: ClassVar[str] = "max_contracts"
    limit: int = Field(default=5, gt=0, description="most contracts open at once, over all products")
    count: Literal["net", "gross"] = Field(
        default="net", description="net lets longs and shorts cancel out, gross adds them"
    )
    action: Literal["reduce", "close", "flatten"] = Field(
        default="reduce",
        description="reduce closes the excess, close the newest contract, flatten everything",
    )


class MaxContractsPerInstrument(Measured):
    """No more open contracts of one product than this; expiries of a product count together."""

    name: ClassVar[str] = "max_contracts_per_instrument"
    default_limit: Annotated[int, Field(ge=0)] | None = Field(
        default=3, description="for products not listed; null for no limit, 0 for none at all"
    )
    limits: dict[Root, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="most contracts per product, such as MNQ: 2"
    )
    unknown: Literal["default", "block", "allow"] = Field(
        default="default", description="what applies to products not listed"
    )
    action: Literal["reduce", "close"] = Field(
        default="reduce", description="close only the excess, or the product whole"
    )

    @field_validator("limits", mode="before")
    @classmethod
    def _each_root_once(cls, written: Any) -> Any:
        return _each_root_once(written)


class DailyRealizedLoss(Measured):
    """The most a day may lose: then everything is closed and the account rests until the reset."""

    name: ClassVar[str] = "daily_realized_loss"
    limit: Loss = Field(default=dollars(-500), description="the day's loss in dollars, negative")
    include_unrealized: bool = Field(default=True, description="open losses count as well as closed ones")


class DailyUnrealizedLoss(Measured):
    """The most a position (or all together) may be down while open."""

    name: ClassVar[str] = "daily_unrealized_loss"
    limit: Loss = Field(default=dollars(-300), description="the open loss in dollars, negative")
    scope: Literal["position", "account"] = Field(
        default="position", description="each position by itself, or their sum"
    )
    action: Literal["close", "flatten"] | None = Field(
        default=None,
        description="left out: close on position scope, flatten on account scope; there are no others",
    )
    lockout: Lockout = Field(default="none", description="how long no new risk is let in afterwards")

    @property
    def acts(self) -> Literal["close", "flatten"]:
        """What a breach does."""
        return self.action or ("close" if self.scope == "position" else "flatten")


class MaxUnrealizedProfit(Measured):
    """Take the profit of a position (or of all together) once it is this large."""

    name: ClassVar[str] = "max_unrealized_profit"
    target: Profit = Field(default=dollars(500), description="the open profit in dollars")
    scope: Literal["position", "account"] = Field(
        default="position", description="each position by itself, or their sum"
    )
    action: Literal["close", "breakeven", "flatten"] | None = Field(
        default=None,
        description="close takes it, breakeven moves the stop to entry; on account scope flatten",
    )
    lockout: Lockout = Field(default="none", description="how long no new risk is let in afterwards")

    @property
    def acts(self) -> Literal["close", "breakeven", "flatten"]:
        """What a breach does."""
        return self.action or ("close" if self.scope == "position" else "flatten")


class FrequencyCooldown(Page):
    """How long trading rests after too many trades in a minute, an hour, a trading day."""

    per_minute: Cooldown = Field(default=duration("60s"), description="rest after per_minute is exceeded")
    per_hour: Cooldown = Field(default=duration("30m"), description="rest after per_hour is exceeded")
    per_session: Cooldown = Field(default="until_reset", description="rest after per_session is exceeded")


class TradeFrequencyLimit(Measured):
    """No more trades in a rolling minute, a rolling hour, a trading day than this."""

    name: ClassVar[str] = "trade_frequency_limit"
    per_minute: Annotated[int, Field(gt=0)] | None = Field(
        default=3, description="most trades in any 60 seconds; null for no limit"
    )
    per_hour: Annotated[int, Field(gt=0)] | None = Field(
        default=10, description="most trades in any hour; null for no limit"
    )
    per_session: Annotated[int, Field(gt=0)] | None = Field(
        default=50, description="most trades in a trading day; null for no limit"
    )
    count: Literal["executions", "entries", "round_turns"] = Field(
        default="executions", description="every filled order, only those that add risk, or from flat to flat"
    )
    cooldown: FrequencyCooldown = FrequencyCooldown.model_construct()
    flatten: bool = Field(default=True, description="close what is open when the rest begins")


class LossTier(Page):
    """A loss on one closing order, and the rest it earns."""

    loss: Loss = Field(description="a loss on one closing order at least this deep, in dollars, negative")
    cooldown: Span = Field(description="how long trading rests")


class CooldownAfterLoss(Rule):
    """A rest after a losing trade, the longer the deeper the loss."""

    name: ClassVar[str] = "cooldown_after_loss"
    tiers: tuple[LossTier, ...] = Field(
        default=(
            LossTier.model_construct(loss=dollars(-100), cooldown=timedelta(minutes=5)),
            LossTier.model_construct(loss=dollars(-200), cooldown=timedelta(minutes=15)),
            LossTier.model_construct(loss=dollars(-300), cooldown=timedelta(minutes=30)),
        ),
        description="each tier deeper and longer than the one before; the deepest reached decides",
    )
    flatten: bool = Field(default=True, description="close what is open when the rest begins")


class NoStopLossGrace(Rule):
    """A position without a working stop is closed after a grace."""

    name: ClassVar[str] = "no_stop_loss_grace"
    mode: Mode = Field(default="off", description="armed acts, shadow only records, off rests")
    grace: Duration = Field(default=duration("60s"), description="time to place the stop; 0s closes at once")
    action: Literal["close"] = Field(default="close", description="only the unprotected position is closed")
    lockout: Lockout = Field(default="none", description="how long no new risk is let in afterwards")


class SessionBlockOutside(Rule):
    """Trading only inside a session: outside it everything is closed and the account waits for the next."""

    name: ClassVar[str] = "session_block_outside"
    session: str = Field(default="main", description="one of sessions")
    by_root: dict[Root, str] = Field(
        default={}, description="another session for a product, such as 6E: early"
    )
    respect_holidays: bool = Field(
        default=True, description="closed dates and early closes shorten the session"
    )
    close_grace: Duration = Field(
        default=duration("0s"), description="time after the end until what was open is closed"
    )

    @field_validator("by_root", mode="before")
    @classmethod
    def _each_root_once(cls, written: Any) -> Any:
        return _each_root_once(written)


class AuthLossGuard(Rule):
    """Locks while the broker forbids trading; says so when the link or the login is lost."""

    name: ClassVar[str] = "auth_loss_guard"
    check_every: Span = Field(
        default=duration("30s"), description="how often the account's permission is asked for"
    )
    on_disconnect: LevelOrIgnore = Field(default="warning", description="alert when the link is lost")
    on_auth_failure: LevelOrIgnore = Field(default="error", description="alert when the login is refused")
    repeat_every: Span = Field(default=duration("15m"), description="the alert is repeated while it lasts")
    unlock: Literal["auto", "admin"] = Field(
        default="auto", description="auto unlocks when the broker allows trading again"
    )


class SymbolBlocks(Rule):
    """Products that are not traded: their orders are cancelled, their positions closed."""

    name: ClassVar[str] = "symbol_blocks"
    blocked: tuple[RootOrGlob, ...] = Field(default=(), description="products, or globs such as *NQ*")


class StopTicks(Page):
    """How far from entry an order is placed, in ticks."""

    ticks: int = Field(gt=0, description="ticks from the entry price")


class Breakeven(Page):
    """Move the stop to entry once the price has gone far enough."""

    after_ticks: int = Field(gt=0, description="ticks in profit before the stop moves")
    offset_ticks: int = Field(default=0, ge=0, description="ticks beyond entry, in the direction of profit")


class Trailing(Page):
    """Let the stop follow the price."""

    after_ticks: int = Field(ge=0, description="ticks in profit before the stop follows")
    distance_ticks: int = Field(gt=0, description="ticks between price and stop")


class TradeManagement(Rule):
    """Stops and targets placed and moved for you; only ever tighter, never a breach."""

    name: ClassVar[str] = "trade_management"
    mode: Mode = Field(default="off", description="armed acts, shadow only records, off rests")
    stop_loss: StopTicks | None = Field(default=None, description="a stop for a new position that has none")
    take_profit: StopTicks | None = Field(
        default=None, description="a target for a new position that has none"
    )
    breakeven: Breakeven | None = Field(default=None, description="the stop goes to entry")
    trailing: Trailing | None = Field(default=None, description="the stop follows the price")


class DailyRealizedProfit(Measured):
    """Enough for a day: then everything is closed and the account rests until the reset."""

    name: ClassVar[str] = "daily_realized_profit"
    target: Profit = Field(default=dollars(1000), description="the day's profit in dollars")
    include_unrealized: bool = Field(default=True, description="open profits count as well as closed ones")
    message: str = Field(
        default="Daily profit target reached: the day is done.", description="what the alert says"
    )


class LossStreak(Rule):
    """A rest after several losing trades in a row."""

    name: ClassVar[str] = "loss_streak"
    mode: Mode = Field(default="off", description="armed acts, shadow only records, off rests")
    losses: int = Field(default=3, ge=2, description="losing round turns in a row")
    lockout: Cooldown = Field(default="until_reset", description="how long trading rests")


def _off[R: Rule](rule: type[R]) -> R:
    return rule.model_construct(mode="off")


class Rules(Page):
    """The rules of an account. A rule that the configuration leaves out is off."""

    max_contracts: MaxContracts = _off(MaxContracts)
    max_contracts_per_instrument: MaxContractsPerInstrument = _off(MaxContractsPerInstrument)
    daily_realized_loss: DailyRealizedLoss = _off(DailyRealizedLoss)
    daily_unrealized_loss: DailyUnrealizedLoss = _off(DailyUnrealizedLoss)
    max_unrealized_profit: MaxUnrealizedProfit = _off(MaxUnrealizedProfit)
    trade_frequency_limit: TradeFrequencyLimit = _off(TradeFrequencyLimit)
    cooldown_after_loss: CooldownAfterLoss = _off(CooldownAfterLoss)
    no_stop_loss_grace: NoStopLossGrace = _off(NoStopLossGrace)
    session_block_outside: SessionBlockOutside = _off(SessionBlockOutside)
    auth_loss_guard: AuthLossGuard = _off(AuthLossGuard)
    symbol_blocks: SymbolBlocks = _off(SymbolBlocks)
    trade_management: TradeManagement = _off(TradeManagement)
    daily_realized_profit: DailyRealizedProfit = _off(DailyRealizedProfit)
    loss_streak: LossStreak = _off(LossStreak)

    def each(self) -> Iterator[Rule]:
        """Every rule in the order of this page, off ones included."""
        return (getattr(self, name) for name in type(self).model_fields)


class Budget(Page):
    """How many requests the gateway allows, and how many of them only enforcement may use."""

    requests: int = Field(default=200, gt=0, description="requests the gateway accepts within `per`")
    per: Span = Field(default=duration("60s"), description="the window in which they are counted")
    reserved: int = Field(default=40, ge=0, description="kept for protective calls")


class Gateway(Page):
    """Where the broker is and how to log in; `kind: simulator` starts one and fills in the addresses."""

    kind: Literal["projectx", "simulator"] = Field(
        default="projectx",
        description="simulator: `up` also starts a simulated gateway and fills in the rest",
    )
    api_url: Url | None = Field(default=None, description="requests go here; http:// on loopback only")
    user_hub_url: Url | None = Field(default=None, description="orders, fills and positions come from here")
    market_hub_url: Url | None = Field(default=None, description="prices come from here")
    username: str | None = Field(default=None, description="the login, usually ${PROJECT_X_USERNAME}")
    api_key: Secret | None = Field(default=None, description="where the key is kept, never the key itself")
    request_timeout: Span = Field(
        default=duration("5s"), description="an answer later than this is an unknown outcome"
    )
    reconcile_every: Span = Field(
        default=duration("3s"), description="stretched so that reads use at most half of the budget"
    )
    budget: Budget = Budget.model_construct()

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses that are known."""
        return tuple(url for url in (self.api_url, self.user_hub_url, self.market_hub_url) if url is not None)


class Account(Page):
    """One guarded account, by the gateway's name or id, with what differs from the rules for all."""

    name: str = Field(min_length=1, description="name or id as the gateway gives it")
    rules: dict[str, dict[str, Any]] = Field(
        default={}, description="overrides, merged key by key over rules"
    )


class TradingDay(Page):
    """When a trading day turns into the next."""

    reset: TimeOfDay = Field(default=time_of_day("17:00"), description="the day's figures start from zero")
    timezone: Zone = Field(default=_CHICAGO, description="in which zone the reset is read")


class Session(Page):
    """A window of trading: start inclusive, end exclusive, on the days on which it starts."""

    start: TimeOfDay = Field(description="trading is allowed from here on")
    end: TimeOfDay = Field(description="trading is over at this time")
    timezone: Zone | None = Field(default=None, description="left out: the trading day's")
    days: tuple[Weekday, ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri"), min_length=1, description="weekdays on which it starts"
    )
    overnight: bool = Field(default=False, description="the window ends on the day after it starts")


class EarlyClose(Page):
    """A date on which the exchange closes early; `close` is read in the trading day's zone."""

    date: Day = Field(description="such as 2026-11-27")
    close: TimeOfDay = Field(description="sessions end at this time at the latest")
    reason: str = Field(default="", description="for people")


class Holidays(Page):
    """The exchange's closed dates and early closes, and what the operator adds to them."""

    calendar: Literal["cme", "none"] = Field(default="cme", description="the built-in table of the exchange")
    closed: tuple[Day, ...] = Field(default=(), description="further dates without trading")
    early_closes: tuple[EarlyClose, ...] = Field(default=(), description="further dates that end early")


class Quotes(Page):
    """How old a price may be before it is asked again, and when being unmeasured is an alert."""

    stale_after: Span = Field(default=duration("10s"), description="an older price is asked for anew")
    blind_after: Span = Field(
        default=duration("30s"), description="a position without a price for this long is alerted"
    )


class Tamper(Page):
    """How hard it is to loosen what was set in a calm hour."""

    admin_unlock: Literal["allowed", "never"] = Field(
        default="allowed", description="never: not even an admin ends a lockout before its time"
    )
    loosen_after: Delay = Field(
        default=None, description="how long a laxer setting waits: next_reset, a duration, or null"
    )
    witness: str | None = Field(
        default=None, description="a file outside the home that also notes lockouts and their end"
    )


class Control(Page):
    """Who else may use the control socket: user names, or @groups."""

    traders: tuple[str, ...] = Field(default=(), description="may also lock, flatten and panic")
    viewers: tuple[str, ...] = Field(default=(), description="may read")


class Alert(Page):
    """Where alerts go, from which level on, and of which kinds."""

    to: Secret = Field(description="where the target's address is kept, as apprise writes it")
    level: Level = Field(default="warning", description="alerts below this are not sent there")
    only: tuple[str, ...] = Field(default=(), description="kinds such as lockout or link; left out: all")


class Rotate(Page):
    """When a log file is put aside."""

    size_mb: int = Field(default=100, gt=0, description="at this size")
    every: Span = Field(default=duration("1d"), description="or at this age")


class Logging(Page):
    """What is logged and how long it is kept."""

    level: LogLevel = Field(default="info", description="lines below this are not written")
    json_lines: bool = Field(
        default=True, alias="json", description="one JSON object a line; false: text for people"
    )
    modules: dict[str, LogLevel] = Field(default={}, description="another level for a part, by logger name")
    rotate: Rotate = Rotate.model_construct()
    keep: Span = Field(default=duration("30d"), description="older files are deleted")
    compress: bool = Field(default=True, description="files put aside are gzipped")


class Metrics(Page):
    """A loopback port for monitoring, or none."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="serves /metrics, /healthz and /readyz on 127.0.0.1"
    )


class Watchdog(Page):
    """When the daemon counts as stuck or grown too large."""

    heartbeat_deadline: Span = Field(
        default=duration("3s"), description="a daemon silent for this long is replaced"
    )
    memory_limit_mb: int = Field(
        default=500, gt=0, description="a daemon that holds more memory than this is replaced"
    )


class Process(Page):
    """How the daemon runs: pinned to one core or not, and by which way requests are sent."""

    pin: Literal["auto", "off"] = Field(default="auto", description="auto: one core where there are two")
    transport: Literal["stock", "fast"] = Field(
        default="stock", description="how requests travel; this version has the stock transport alone"
    )


class Chaos(Page):
    """Whether faults may be provoked; on loopback gateways only."""

    enabled: bool = Field(default=False, description="lets `riskd chaos` break parts on purpose")


def _all_or_list(written: Any) -> str:
    return "all" if isinstance(written, str) else "list"


class Settings(Page):
    """The configuration of one home: one login, its accounts and the rules they keep."""

    version: Annotated[int, PlainValidator(versions.version)] = Field(
        default=versions.NEWEST, description="which schema the file is written in"
    )
    gateway: Gateway
    accounts: Annotated[
        Annotated[Literal["all"], Tag("all")] | Annotated[tuple[Account, ...], Tag("list")],
        Discriminator(_all_or_list),
    ] = Field(description="which accounts of the login are guarded: a list, or all active ones")
    trading_day: TradingDay = TradingDay.model_construct()
    sessions: dict[str, Session] = Field(default={}, description="windows of trading, by names of your own")
    holidays: Holidays = Holidays.model_construct()
    quotes: Quotes = Quotes.model_construct()
    unknown_contract: Literal["close", "alert"] = Field(
        default="close", description="what happens to a position whose contract riskd cannot price"
    )
    resting_stops: Literal["ignore", "alert", "require"] = Field(
        default="ignore",
        description="whether a position must have a stop at the gateway, should riskd be away",
    )
    rules: Rules = Rules.model_construct()
    tamper: Tamper = Tamper.model_construct()
    control: Control = Control.model_construct()
    alerts: tuple[Alert, ...] = Field(default=(), description="where alerts are sent")
    logging: Logging = Logging.model_construct()
    metrics: Metrics = Metrics.model_construct()
    watchdog: Watchdog = Watchdog.model_construct()
    process: Process = Process.model_construct()
    chaos: Chaos = Chaos.model_construct()

    def for_account(self, *known_as: str) -> Rules:
        """The rules that hold for an account, by its name (and id). Raises `KeyError` for one not guarded."""
        if self.accounts == "all":
            return self.rules
        for account in self.accounts:
            if account.name in known_as:
                return Rules.model_validate(overlaid(self.rules.model_dump(), account.rules))
        raise KeyError(known_as)


def overlaid(under: Any, over: Any) -> Any:
    """Two written values merged key by key: mappings at every depth, anything else replaced."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    return {
        **under,
        **{key: overlaid(under[key], value) if key in under else value for key, value in over.items()},
    }


def _each_root_once(written: Any) -> Any:
    seen: dict[str, str] = {}
    for key in written if isinstance(written, Mapping) else ():
        root = exchange_root(str(key))
        if root in seen:
            raise Unreadable(f"{seen[root]} and {key} are the same product", f"keep {root}")
        seen[root] = str(key)
    return written
