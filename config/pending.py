"""What is in force, what was asked for, and when what loosens takes effect. Pure.

The configuration in force is the wanted one less the loosenings that still wait. Each waits for its own
time and keeps it over restarts, repeated reloads and edited files; only a cancel or another wish ends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from config.blending import Unit, blend, units
from config.canonical import canonical, parse_canonical
from config.checks import judge
from config.settings import Settings

type Held = Callable[[str], bool]
"""Whether a unit may not loosen now, because the rule it belongs to locks an account."""


@dataclass(frozen=True)
class Standing:
    """The configuration of a guard. `due` is None for what begins to wait when somebody looks at a clock."""

    in_force: Settings
    wanted: Settings
    due: Mapping[str, datetime | None] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()
    """Due by a clock that the gateway has not borne out: such a wait counts only while the program runs."""

    @cached_property
    def waiting(self) -> tuple[Waiting, ...]:
        """What waits, in the words of the configuration."""
        return _waiting(self)

    @classmethod
    def settled(cls, settings: Settings) -> Standing:
        return cls(settings, settings)


@dataclass(frozen=True)
class Waiting:
    """One loosening that waits."""

    key: str
    old: str
    new: str
    at: datetime | None


def nothing_held(key: str) -> bool:
    return False


def tightened(in_force: Settings, wanted: Settings) -> Settings:
    """The wanted configuration as far as it is no looser than the one in force."""
    return blend(in_force, wanted, lambda unit: unit.direction.meet(unit.old, unit.new))


def loosenings(in_force: Settings, wanted: Settings) -> frozenset[str]:
    """The units that `wanted` makes laxer, or changes in a way nobody can tell."""
    return open_units(tightened(in_force, wanted), wanted)


def open_units(in_force: Settings, wanted: Settings) -> frozenset[str]:
    """The units in which the two differ."""
    was, asked = units(in_force), units(wanted)
    if was["accounts"] != asked["accounts"]:
        skipped: tuple[str, ...] = ("rules.", "accounts.")
    else:
        one_sided = {key for key in was.keys() ^ asked.keys() if ".rules." not in key}
        skipped = tuple(f"{key}.rules." for key in one_sided if key.startswith("accounts."))
    found = (key for key in was.keys() | asked.keys() if was.get(key) != asked.get(key))
    return frozenset(key for key in found if not key.startswith(skipped or ("\0",)))


def accept(
    standing: Standing,
    wanted: Settings,
    due: datetime | None,
    *,
    waits: bool,
    held: Held = nothing_held,
    sure: bool = True,
) -> Standing:
    """Tighten at once; what loosens takes effect at `due` (None: it begins to wait later), or now if nothing
    has to wait. What was asked for before and still is keeps its time."""
    strict = tightened(standing.in_force, wanted)
    waiting = dict[str, datetime | None]()
    unsure = set[str]()
    for key in open_units(strict, wanted):
        if key in standing.due and _same_wish(key, standing.wanted, wanted):
            waiting[key] = standing.due[key]
            unsure |= {key} & standing.unsure
        elif waits or held(key):
            waiting[key] = due
            unsure |= set() if sure else {key}
    return _settled(Standing(strict, wanted, waiting, frozenset(unsure)), waiting.keys())


def ripen(
    standing: Standing, now: datetime, fresh: datetime, held: Held = nothing_held, *, sure: bool = True
) -> Standing:
    """Put in force what is due at `now`; what has not begun to wait is due at `fresh`."""
    began = frozenset(key for key, at in standing.due.items() if at is None)
    due = {key: at if at is not None else fresh for key, at in standing.due.items()}
    waiting = {key: at for key, at in due.items() if at > now or held(key)}
    unsure = standing.unsure if sure else standing.unsure | began
    return _settled(replace(standing, due=due, unsure=unsure), waiting.keys())


def borne_out(standing: Standing, jump: timedelta) -> Standing:
    """The gateway's time is known now, `jump` ahead of what was taken for it: waits end later by as much."""
    late = max(jump, timedelta(0))
    due = {key: at + late if at and key in standing.unsure else at for key, at in standing.due.items()}
    return replace(standing, due=due, unsure=frozenset())


def _settled(standing: Standing, waiting: Iterable[str]) -> Standing:
    """With everything in force that does not wait, and all that tightens from there."""
    kept = frozenset(waiting)
    loose = blend(standing.in_force, standing.wanted, _keeping(kept))
    strict = tightened(loose, standing.wanted)
    due = {key: standing.due.get(key) for key in open_units(strict, standing.wanted)}
    return Standing(strict, standing.wanted, due, standing.unsure & due.keys())


def _keeping(keys: frozenset[str]) -> Callable[[Unit], Any]:
    """Takes what is wanted but for these. With who is guarded goes by which rules."""

    def decide(unit: Unit) -> Any:
        with_accounts = "accounts" in keys and unit.key.startswith(("rules.", "accounts."))
        return unit.old if unit.key in keys or with_accounts else unit.new

    return decide


def withdraw(standing: Standing, keys: Iterable[str]) -> Standing:
    """No longer want these; where the rest makes no sense without them, none of what waits."""
    gone = frozenset(keys)
    rest = blend(standing.in_force, standing.wanted, _keeping(gone))
    if judge(json.loads(canonical(rest))).settings is None:
        return Standing.settled(standing.in_force)
    left = open_units(standing.in_force, rest)
    due = {key: at for key, at in standing.due.items() if key in left}
    return Standing(standing.in_force, rest, due, standing.unsure & left)


def _waiting(standing: Standing) -> tuple[Waiting, ...]:
    if not standing.due:
        return ()
    found = dict[str, Waiting]()

    def note(unit: Unit) -> Any:
        if unit.key in standing.due:
            old, new = unit.told()
            found[unit.key] = Waiting(unit.key, old, new, standing.due[unit.key])
        return unit.old

    blend(standing.in_force, standing.wanted, note)
    return tuple(found[key] for key in sorted(found))


def _same_wish(key: str, before: Settings, now: Settings) -> bool:
    """Whether the unit was asked for like this already. A list of accounts brings its rules with it."""
    if key == "accounts":
        return before.accounts == now.accounts and before.rules == now.rules
    return bool(units(before).get(key) == units(now).get(key))


# ---------------------------------------------------------------------- as it is kept


def kept(standing: Standing) -> bytes:
    """The standing as bytes for the store: one value, so that no crash leaves half of a change."""
    sure = {key: None if key in standing.unsure else at for key, at in sorted(standing.due.items())}
    due = {key: None if at is None else at.isoformat() for key, at in sure.items()}
    in_force, wanted = (json.loads(canonical(one)) for one in (standing.in_force, standing.wanted))
    return json.dumps({"in_force": in_force, "wanted": wanted, "due": due}, separators=(",", ":")).encode()


def restored(body: bytes) -> Standing:
    """The standing as it was kept. Raises pydantic's `ValidationError` where it does not fit this schema."""
    found = json.loads(body)
    if "in_force" not in found:  # an earlier version kept the configuration in force alone
        return Standing.settled(parse_canonical(body))
    due = {key: None if at is None else datetime.fromisoformat(at) for key, at in found["due"].items()}
    in_force, wanted = (parse_canonical(json.dumps(found[key]).encode()) for key in ("in_force", "wanted"))
    return Standing(in_force, wanted, due)
