"""What a story needs before it can be played: the gateway's books, the guard's configuration, hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from ops.demo.acts import Act

CHICAGO = ZoneInfo("America/Chicago")
MORNING = datetime(2026, 3, 4, 9, 59, tzinfo=CHICAGO)
"""A Wednesday without holiday; the same one every time, so that every run tells the same day."""


BUDGET = {"requests": 2000, "reserved": 400}
"""More than a real gateway allows: eight accounts live through a day in half a minute."""


class Tempo(Struct, frozen=True):
    """How fast the day goes. All in seconds."""

    pause_s: float
    """Time to read after each act."""
    cooldown_s: int
    grace_s: int
    session_end_s: float
    """From the start of the guard; on a slow machine it is later."""
    reset_after_s: float = 4.0
    """From the session's end."""
    latest_s: float = 34.0
    """Nor is the session's end later than that, however slow the machine."""


FAST = Tempo(pause_s=0.0, cooldown_s=4, grace_s=3, session_end_s=20)
FULL = Tempo(pause_s=3.0, cooldown_s=15, grace_s=10, session_end_s=120, reset_after_s=12, latest_s=180)


class Part(Struct, frozen=True):
    """An account with the rules that it keeps, and the market it trades in."""

    account: str
    rules: dict[str, dict[str, Any]]
    prices: dict[str, float]

    @property
    def armed(self) -> dict[str, dict[str, Any]]:
        return {name: {"mode": "armed", **keys} for name, keys in self.rules.items()}


class Script(Struct, frozen=True):
    """One story, ready to be played."""

    name: str
    tempo: Tempo
    parts: tuple[Part, ...]
    acts: tuple[Act, ...]
    clock: datetime = MORNING
    connection: dict[str, Any] = {}
    """Keys of the gateway section beyond the usual ones."""
    turns: bool = True
    """Session and trading day end while the story is played."""

    @property
    def rules(self) -> list[str]:
        """Every rule that the story configures."""
        return [rule for part in self.parts for rule in part.rules]

    @property
    def gateway(self) -> dict[str, Any]:
        """The simulator's scenario. Quotes are repeated: a price that holds still is not a stale one."""
        accounts = [{"id": 2001 + n, "name": part.account} for n, part in enumerate(self.parts)]
        prices = {root: at for part in self.parts for root, at in part.prices.items()}
        return {"accounts": accounts, "prices": prices, "requote": 2}

    @property
    def configuration(self) -> dict[str, Any]:
        return {
            "version": 1,
            "gateway": {"kind": "simulator", "budget": BUDGET, **self.connection},
            "accounts": [{"name": part.account, "rules": part.armed} for part in self.parts],
            "sessions": {"day": {"start": "08:30", "end": "15:00", "timezone": "America/Chicago"}},
            "chaos": {"enabled": True},
        }

    def instants(self, now: datetime, slowness: float) -> dict[str, datetime]:
        """When session and trading day end, on whole seconds. `slowness`: 1 for a machine at rest."""
        tempo = self.tempo
        end_s = min(tempo.session_end_s + 4 * (slowness - 1), tempo.latest_s)
        end = (now + timedelta(seconds=end_s)).replace(microsecond=0)
        return {"session_end": end, "reset": end + timedelta(seconds=tempo.reset_after_s)}

    def hours(self, instants: dict[str, datetime]) -> list[str]:
        """The same as settings."""
        if not self.turns:
            return []
        at = {name: f"{instant.astimezone(CHICAGO):%H:%M:%S}" for name, instant in instants.items()}
        return [f"sessions.day.end={at['session_end']}", f"trading_day.reset={at['reset']}"]


type Story = Callable[[Tempo], Script]
