"""The whole program on one screen: every actor, in start order, and what each is given.

    root
      persistence   timers   notices
      accounts
        accounts/NAME
          account/NAME   account/NAME/enforcement   account/NAME/rules/RULE ...
      connection

Every level is one_for_one: a reborn part asks for the current state, so nobody else needs a restart.
Each actor has its own crash budget (5 in 30 s); persistence and connection only back off. Stops in reverse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from actors.account.actor import AccountActor, Limits, Subscriber
from actors.account.actor import Neighbours as AccountNeighbours
from actors.account.state import AccountState
from actors.board import Board
from actors.clock import Clock
from actors.connection.actor import ConnectionActor
from actors.connection.loop import GatewayLoop
from actors.connection.options import Outlets
from actors.enforcement.actor import EnforcementActor
from actors.enforcement.actor import Neighbours as EnforcementNeighbours
from actors.enforcement.journal import Journal
from actors.enforcement.turn import Plan
from actors.messages import AccountId
from actors.notices.actor import NoticesActor, NoticesState
from actors.notices.targets import Target
from actors.persistence.actor import PersistenceActor
from actors.persistence.queries import Recovered
from actors.persistence.store import Store
from actors.rules.actor import Neighbours as RuleNeighbours
from actors.rules.actor import RuleActor
from actors.rules.registry import BuiltRule
from actors.timers.actor import Neighbours as TimersNeighbours
from actors.timers.actor import Registry, TimersActor, TimersState
from actors.trading_day import TradingCalendar
from actors.worker import Actor, Address
from config.settings import Settings
from supervisor.child_spec import ChildSpec, SupervisorSpec
from supervisor.home import Home

ACCOUNTS = "accounts"


@dataclass(frozen=True)
class Parts:
    """What the actors are made of; shared ones are immutable or made for sharing."""

    settings: Settings
    calendar: TradingCalendar
    clock: Clock
    """Trusted time, as timers publish it."""
    machine: Clock
    """The machine's own, for timers alone."""
    board: Board
    store: Store
    home: Home
    address: Callable[[str], Address]
    loop: GatewayLoop
    outlets: Outlets
    tree: Address
    timers: TimersState
    timers_serve: Registry
    """Outlives every incarnation of timers: no client is forgotten, no reset carried out twice."""
    notices: NoticesState
    """What people were told before, and what was on its way to them."""
    targets: tuple[Target, ...] = ()
    safe_mode: bool = False
    pause: Callable[[float], None] = time.sleep
    """How persistence waits for rows that belong together; seconds."""


@dataclass(frozen=True)
class Guarded:
    """One account as it is armed: what it starts from and the rules it keeps."""

    id: AccountId
    name: str
    first: AccountState
    rules: tuple[BuiltRule, ...]
    rule_states: dict[str, bytes]
    recovered: Recovered
    journal: Journal
    off: tuple[str, ...] = ()
    """Rules that are not armed: what they once demanded is not demanded any more."""


def trunk(parts: Callable[[], Parts]) -> SupervisorSpec:
    """Everything that is there before any account is known. `parts` is called when an actor starts."""
    return SupervisorSpec(
        id="root",
        intensity=20,
        period_s=60.0,
        children=(
            ChildSpec(
                id="persistence",
                factory=lambda kept: _persistence(parts(), kept),
                # Two writers on one file are how committed rows get lost: never a second one beside it.
                replace_when_hung=False,
                crashes="unlimited",
                failed_starts="unlimited",
                drain=True,
            ),
            ChildSpec(id="timers", factory=lambda kept: _timers(parts(), kept)),
            ChildSpec(id="notices", factory=lambda kept: _notices(parts(), kept)),
            SupervisorSpec(id=ACCOUNTS, intensity=20, period_s=60.0).as_child(),
            ChildSpec(
                id="connection",
                factory=lambda kept: _connection(parts(), kept),
                crashes="unlimited",
                failed_starts="unlimited",
            ),
        ),
    )


def branch(parts: Parts, guarded: Guarded) -> SupervisorSpec:
    """One account: what is true, what is carried out, and one actor per rule."""
    account = f"account/{guarded.name}"
    return SupervisorSpec(
        id=f"{ACCOUNTS}/{guarded.name}",
        intensity=20,
        period_s=60.0,
        children=(
            ChildSpec(id=account, factory=lambda kept: _account(parts, guarded, kept)),
            ChildSpec(id=f"{account}/enforcement", factory=lambda kept: _enforcement(parts, guarded, kept)),
            *(
                ChildSpec(
                    id=f"{account}/rules/{built.name}",
                    factory=lambda kept, built=built: _rule(parts, guarded, built, kept),
                )
                for built in guarded.rules
            ),
        ),
    )


def _persistence(parts: Parts, kept: object) -> Actor:
    notices = parts.address("notices")
    return PersistenceActor(kept, parts.store, parts.clock, parts.board, notices, parts.pause)


def _timers(parts: Parts, kept: object) -> Actor:
    to = TimersNeighbours(parts.address("persistence"), parts.address("notices"), parts.address("connection"))
    known = kept if isinstance(kept, TimersState) else None
    return TimersActor(known, parts.timers, parts.timers_serve, to, parts.machine, parts.board)


def _notices(parts: Parts, kept: object) -> Actor:
    known = kept if isinstance(kept, NoticesState) else parts.notices
    return NoticesActor(known, parts.targets, parts.address("persistence"), parts.clock)


def _connection(parts: Parts, kept: object) -> Actor:
    return ConnectionActor(kept, parts.loop, parts.outlets, parts.clock)


def _account(parts: Parts, guarded: Guarded, kept: object) -> Actor:
    account = f"account/{guarded.name}"
    quotes = parts.settings.quotes
    return AccountActor(
        guarded.id,
        guarded.name,
        parts.calendar,
        tuple(Subscriber(b.name, parts.address(f"{account}/rules/{b.name}"), b.rule) for b in guarded.rules),
        AccountNeighbours(
            parts.address(f"{account}/enforcement"),
            parts.address("connection"),
            parts.address("persistence"),
            parts.address("notices"),
        ),
        Limits(quotes.stale_after.total_seconds(), quotes.blind_after.total_seconds()),
        parts.clock,
        parts.board,
        guarded.first,
        kept if isinstance(kept, AccountState) else None,
        holds=True,
    )


def _enforcement(parts: Parts, guarded: Guarded, kept: object) -> Actor:
    return EnforcementActor(
        guarded.id,
        guarded.name,
        EnforcementNeighbours(
            parts.address(f"account/{guarded.name}"),
            parts.address("connection"),
            parts.address("persistence"),
            parts.address("notices"),
        ),
        parts.loop,
        parts.clock,
        parts.board,
        guarded.journal,
        parts.settings.gateway.request_timeout.total_seconds(),
        guarded.recovered.lockouts,
        kept if isinstance(kept, Plan) else None,
        safe_mode=parts.safe_mode,
        off=guarded.off,
    )


def _rule(parts: Parts, guarded: Guarded, built: BuiltRule, kept: object) -> Actor:
    account = f"account/{guarded.name}"
    neighbours = RuleNeighbours(
        parts.address(account),
        parts.address(f"{account}/enforcement"),
        parts.address("connection"),
        parts.address("persistence"),
        parts.address("timers"),
    )
    restored = guarded.rule_states.get(built.name)
    return RuleActor(guarded.id, guarded.name, built, neighbours, parts.clock, parts.board, restored, kept)
