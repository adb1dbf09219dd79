"""How often and how patiently the connection works, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from actors.address import Address
from actors.board import Board
from actors.connection.budget import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class Options:
    """Seconds throughout."""

    day_start: Callable[[datetime], datetime]
    """Start of the trading day that an instant belongs to: where the reads of fills begin."""
    reconcile_every: float = 3.0
    check_every: float = 30.0
    """How often the accounts themselves are listed again (`canTrade`)."""
    silent_after: float = 31.0
    """A hub without any frame for so long is frozen: the protocol's own pings come every 15 s."""
    limits: Limits = DEFAULT_LIMITS
    seed: int = 0
    """Of the jitter of the back-off."""


@dataclass(frozen=True)
class Outlets:
    """Whom the connection tells what, beside the guarded accounts. Addresses stay the same for ever."""

    tree: Address
    """AccountsFound, LoginRefused."""
    connection: Address
    """The connection actor itself: LinkChanged of the whole link."""
    persistence: Address
    """StoreContract, Record."""
    notices: Address
    """Alert."""
    timers: Address
    """GatewaySeen, newest only."""
    board: Board
