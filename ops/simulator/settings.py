"""How one simulator is set up."""

from datetime import timedelta
from decimal import Decimal

import msgspec


class AccountSetup(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """An account there is from the start. `balance` in dollars."""

    id: int
    name: str
    balance: Decimal = Decimal(50_000)
    can_trade: bool = True
    visible: bool = True
    simulated: bool = True
    active: bool = True
    auto_oco: bool = True


DEFAULT_ACCOUNTS = (
    AccountSetup(id=1001, name="PRAC-V2-1001"),
    AccountSetup(id=1002, name="PRAC-V2-1002"),
)


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Ports (0: any free one), the login, fees per contract and half-turn in dollars, limits and the market.

    `rate_limit` is requests per 60 s, None for none. `speed` 0 holds prices still; 1 moves each contract
    about once a second. `requote` repeats the last quote of each contract every so many seconds (0: never).
    """

    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    user: str = "demo-user"
    api_key: str = "demo-key-1234567890"
    accounts: tuple[AccountSetup, ...] = DEFAULT_ACCOUNTS
    fees: Decimal = Decimal(0)
    commissions: Decimal = Decimal(0)
    rate_limit: int | None = 200
    bars_limit: int | None = 50
    token_life: timedelta = timedelta(hours=24)
    ping_every: float = 15.0
    speed: float = 0.0
    seed: int = 1
    requote: float = 0.0
    quote_on_subscribe: bool = True
    close_cancels_brackets: bool = False


class Urls(msgspec.Struct, frozen=True):
    """Where one simulator is reached; `api_url` includes `/api`, as the SDK wants it."""

    api_url: str
    user_hub_url: str
    market_hub_url: str
    control_url: str
