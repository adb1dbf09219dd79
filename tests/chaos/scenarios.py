"""What happens in the world of the simulation, as data: rules, and a script of what people and market do.

Times are seconds from the start of the script. A step waits until the guard has come to rest, so prices
hold still until then, as the promise demands (design: any schedule of faults gives the fault-free outcome).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from typing import Any

from msgspec import Struct

from actors.messages import AccountId, FlattenByHand, LockByHand, Now, Unlock
from ops.simulator.records import OrderType
from tests.chaos.broker import ACCOUNT, FINE, Hitch
from tests.chaos.world import NAME, Act, World
from tests.scenarios.clock import WEDNESDAY_10, chicago

STOP, LIMIT = OrderType.STOP, OrderType.LIMIT
ENFORCEMENT = f"account/{NAME}/enforcement"


class Scenario(Struct, frozen=True):
    """One story. `document` holds further top keys of the configuration."""

    name: str
    rules: dict[str, Any]
    script: tuple[tuple[float, Act], ...]
    at: datetime = WEDNESDAY_10
    document: dict[str, Any] = {}

    def world(self, choice: Any, **terms: Any) -> World:
        return World(self.rules, self.script, choice, at=self.at, **{**self.document, **terms})


# ---------------------------------------------------------------- what may happen


def price(root: str, value: float) -> Act:
    return lambda w: w.broker.price(w.broker.contract_of(root), Fraction(str(value)))


def buy(root: str, size: int) -> Act:
    """At the market; a negative size sells."""

    def act(world: World) -> None:
        world.broker.order(world.broker.contract_of(root), size)

    return act


def rest(root: str, size: int, kind: OrderType, at: float) -> Act:
    """A resting order of the trader's."""

    def act(world: World) -> None:
        world.broker.order(world.broker.contract_of(root), size, kind, Fraction(str(at)))

    return act


def in_parts(root: str, size: int, at: float, first: int) -> Act:
    """A resting order of which a part fills at once; the rest follows when the price comes."""

    def act(world: World) -> None:
        contract = world.broker.contract_of(root)
        order = world.broker.order(contract, size, LIMIT, Fraction(str(at)))
        world.broker.fill_part(order, first)

    return act


def may_trade(value: bool) -> Act:
    return lambda w: w.broker.can_trade(value)


def hitch(*paths: str, **what: Any) -> Act:
    """Whatever goes to these paths meets this from now on; without paths everything is fine again."""

    def act(world: World) -> None:
        wanted = frozenset(paths)
        world.broker.scripted = lambda path: Hitch(**what) if path in wanted else FINE

    return act


def cut(*, reachable: bool = True) -> Act:
    """The hubs end and cannot be opened; without `reachable` REST is gone, too."""

    def act(world: World) -> None:
        world.broker.scripted = lambda path: Hitch("http_500") if path == "hubs" else FINE
        world.broker.down = not reachable
        world.may_be_blind = True
        world.broker.cut("the link was cut")

    return act


def back() -> Act:
    """The gateway answers again."""

    def act(world: World) -> None:
        world.broker.scripted = lambda path: FINE
        world.broker.down = False
        world.may_be_blind = False

    return even_so(act)


def both(first: Act, second: Act) -> Act:
    """At the same moment."""

    def act(world: World) -> None:
        first(world)
        second(world)

    return act


def nothing() -> Act:
    return lambda w: None


def asked(make: Callable[[World], object]) -> Act:
    """A command of the operator's, repeated as a person would until it was answered."""
    return lambda w: w.ask(ENFORCEMENT, lambda: make(w))


def even_so(act: Act) -> Act:
    """Happens at its time although the guard has not come to rest."""

    def restless(world: World) -> None:
        act(world)

    restless.restless = True  # type: ignore[attr-defined]
    return restless


def unlock() -> Act:
    return asked(lambda w: Unlock(AccountId(ACCOUNT), None, "admin", _now(w)))


def lock_by_hand() -> Act:
    return asked(
        lambda w: LockByHand(AccountId(ACCOUNT), None, "enough", "trader", flatten=True, now=_now(w))
    )


def flatten_by_hand() -> Act:
    return asked(flatten_now)


def flatten_now(world: World) -> FlattenByHand:
    return FlattenByHand(AccountId(ACCOUNT), "trader", _now(world))


def _now(world: World) -> Now:
    return Now(world.guard.clock.wall(), world.clock.mono())


def safe_mode(on: bool) -> Act:
    """The watchdog replaces the daemon by one in safe mode, or back."""

    def act(world: World) -> None:
        world.safe_mode = on
        world.die()

    return act


def wear_out(rule: str) -> Act:
    """A rule crashes until its supervisor gives it up and its account is locked: one that dies in between has
    the rule running again."""

    name = f"account/{NAME}/rules/{rule}"

    def act(world: World) -> None:
        if "supervisor" in world.locked:
            return
        handle = world.guard.supervisor.handles.get(name)
        if handle is not None and handle.incumbent is not None:
            world.guard.supervisor.crash(name)
        world.agenda.after(0.3, lambda: act(world))

    return act


# ---------------------------------------------------------------- the stories

QUOTED = (0.0, price("MNQ", 21000))


def story(name: str, rules: dict[str, Any], *script: tuple[float, Act], **more: Any) -> Scenario:
    return Scenario(name, rules, (QUOTED, *script, (script[-1][0] + 13, nothing())), **more)


LOSS: dict[str, Any] = {"daily_realized_loss": {"limit": -500}}

SCENARIOS: tuple[Scenario, ...] = (
    story(
        "max_contracts reduced",
        {"max_contracts": {"limit": 5}},
        (1, buy("MNQ", 3)),
        (6, buy("MNQ", 4)),
    ),
    story(
        "two rules on one event",
        {
            "max_contracts": {"limit": 5},
            "max_contracts_per_instrument": {"default_limit": 3, "limits": {"MNQ": 4}},
        },
        (1, buy("MNQ", 7)),
    ),
    story(
        "loss limit, then it keeps buying",
        LOSS,
        (1, buy("MNQ", 2)),
        (2, rest("MNQ", -2, STOP, 20800)),
        (6, price("MNQ", 20860)),
        (18, buy("MNQ", 1)),
    ),
    story(
        "realized loss in parts",
        {"daily_realized_loss": {"limit": -200, "include_unrealized": False}},
        (1, buy("MNQ", 4)),
        (4, price("MNQ", 20945)),
        (6, buy("MNQ", -2)),
    ),
    story(
        "one position's loss, another stays",
        {"daily_unrealized_loss": {"limit": -100, "scope": "position"}},
        (0.5, price("ES", 5800)),
        (1, buy("MNQ", 1)),
        (2, buy("ES", -1)),
        (6, price("MNQ", 20945)),
    ),
    story(
        "profit taken",
        {"max_unrealized_profit": {"target": 200}},
        (1, buy("MNQ", -2)),
        (5, price("MNQ", 20945)),
    ),
    story(
        "profit of the day",
        {"daily_realized_profit": {"target": 300}},
        (1, buy("MNQ", 2)),
        (2, rest("MNQ", -2, LIMIT, 21200)),
        (6, price("MNQ", 21080)),
    ),
    story(
        "too many trades, unlocked by time",
        {"trade_frequency_limit": {"per_minute": 2, "cooldown": {"per_minute": "15s"}}},
        (1, buy("MNQ", 1)),
        (8, buy("MNQ", -1)),
        (15, buy("MNQ", 1)),
        (36, nothing()),
    ),
    story(
        "losses in a row cool down",
        {
            "cooldown_after_loss": {"tiers": [{"loss": -50, "cooldown": "5m"}]},
            "loss_streak": {"mode": "armed", "losses": 2, "lockout": "10m"},
        },
        (1, buy("MNQ", 1)),
        (8, price("MNQ", 20990)),
        (15, buy("MNQ", -1)),
        (22, buy("MNQ", 2)),
        (29, price("MNQ", 20960)),
        (36, buy("MNQ", -2)),
    ),
    story(
        "no stop in time",
        {"no_stop_loss_grace": {"mode": "armed", "grace": "5s"}},
        (1, buy("MNQ", 1)),
        # Late enough: a first step that had to wait for the guard must not run into it with its grace.
        (30, both(buy("MNQ", 1), rest("MNQ", -1, STOP, 20900))),
    ),
    story(
        "end of session",
        {"session_block_outside": {"session": "main"}},
        (1, buy("MNQ", 1)),
        (8, rest("MNQ", 1, LIMIT, 20900)),
        (40, buy("MNQ", 1)),
        at=chicago(2026, 3, 4, 14, 59, 35),
    ),
    story(
        "trading right lost and back",
        {"auth_loss_guard": {}},
        (1, buy("MNQ", 2)),
        (5, may_trade(False)),
        (16, may_trade(True)),
    ),
    story(
        "blocked root",
        {"symbol_blocks": {"mode": "armed", "blocked": ["ES"]}},
        (0.5, price("ES", 5800)),
        (1, rest("ES", 1, LIMIT, 5700)),
        (6, buy("ES", 1)),
    ),
    story(
        "a bracket is managed",
        {
            "trade_management": {
                "mode": "armed",
                "stop_loss": {"ticks": 40},
                "trailing": {"after_ticks": 40, "distance_ticks": 20},
            }
        },
        (1, buy("MNQ", 2)),
        (8, price("MNQ", 21015)),
        (16, buy("MNQ", -1)),
    ),
    story(
        "reset during reconnect",
        LOSS,
        (1, buy("MNQ", 2)),
        (3, price("MNQ", 20860)),
        (14, cut(reachable=False)),
        (22, back()),
        (30, buy("MNQ", 1)),
        at=chicago(2026, 3, 4, 16, 59, 42),
    ),
    story(
        "breach while blind",
        {"max_contracts": {"limit": 2}},
        (1, buy("MNQ", 1)),
        (4, cut()),
        (6, buy("MNQ", 3)),
        (20, back()),
    ),
    story(
        "partial close refused for good",
        {"max_contracts": {"limit": 2}},
        (0.5, hitch("Position/partialCloseContract", fate="refuse", code=9)),
        (1, buy("MNQ", 3)),
    ),
    story(
        "market closed for a while",
        LOSS,
        (1, buy("MNQ", 2)),
        (4, hitch("Position/closeContract", fate="refuse", code=5)),
        (5, price("MNQ", 20860)),
        (18, even_so(hitch())),
        (44, nothing()),
    ),
    story(
        "a stop fills beside the close",
        LOSS,
        (1, buy("MNQ", 2)),
        (2, rest("MNQ", -2, STOP, 20800)),
        (7, hitch("Position/closeContract", race="after")),
        (8, price("MNQ", 20860)),
    ),
    story(
        "an order in parts while locked",
        LOSS,
        (1, buy("MNQ", 2)),
        (3, price("MNQ", 20860)),
        (12, in_parts("MNQ", 3, 20700, 1)),
    ),
    story(
        "locked by hand, unlocked by an admin",
        {"max_contracts": {"limit": 5}},
        (1, buy("MNQ", 2)),
        (4, lock_by_hand()),
        (10, buy("MNQ", 1)),
        (18, unlock()),
        (22, buy("MNQ", 1)),
    ),
    story(
        "flattened by hand",
        {"max_contracts": {"limit": 5}},
        (0.5, price("ES", 5800)),
        (1, buy("MNQ", 2)),
        (2, buy("ES", -1)),
        (2.5, rest("ES", 1, STOP, 5850)),
        (5, flatten_by_hand()),
    ),
    story(
        "safe mode and out of it",
        LOSS,
        (1, buy("MNQ", 2)),
        (4, safe_mode(True)),
        (10, buy("MNQ", 1)),
        (20, safe_mode(False)),
    ),
    story(
        "a rule is given up",
        LOSS,
        (1, buy("MNQ", 1)),
        (4, wear_out("daily_realized_loss")),
        (160, nothing()),
    ),
    story(
        "shadow only",
        {
            "daily_realized_loss": {"mode": "shadow", "limit": -200},
            "max_contracts": {"mode": "shadow", "limit": 1},
        },
        (1, buy("MNQ", 2)),
        (4, price("MNQ", 20900)),
    ),
    story(
        "thirteen rules",
        {
            "max_contracts": {"limit": 5},
            "max_contracts_per_instrument": {"default_limit": 3, "limits": {"MNQ": 4}},
            "daily_realized_loss": {"limit": -500},
            "daily_unrealized_loss": {"limit": -300, "scope": "position"},
            "max_unrealized_profit": {"target": 500},
            "trade_frequency_limit": {},
            "cooldown_after_loss": {"tiers": [{"loss": -400, "cooldown": "5m"}]},
            "no_stop_loss_grace": {"mode": "armed", "grace": "60s"},
            "session_block_outside": {"session": "main"},
            "auth_loss_guard": {},
            "symbol_blocks": {"mode": "armed", "blocked": ["NQ"]},
            "daily_realized_profit": {"target": 1000},
            "loss_streak": {"mode": "armed", "losses": 3, "lockout": "until_reset"},
        },
        (1, buy("MNQ", 3)),
        (4, price("MNQ", 20945)),
    ),
)

BY_NAME = {each.name: each for each in SCENARIOS}
