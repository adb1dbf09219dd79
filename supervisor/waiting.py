"""The changes that wait for their time, as `status`, `config diff` and `config cancel` name them."""

from __future__ import annotations

import hashlib
from datetime import datetime

from msgspec import Struct

from config.directions import ROWS
from config.pending import Standing, Waiting
from supervisor.answers import Pending
from supervisor.cooling import accepted_from
from supervisor.program import Program


class Told(Struct, frozen=True):
    """A change that waits, as people see it: `keys` are the units it stands for."""

    id: str
    change: str
    at: datetime | None
    keys: tuple[str, ...]

    def effective_at(self, program: Program) -> datetime:
        now = program.clock.wall()
        return self.at or accepted_from(program, now) or now


def told(standing: Standing) -> tuple[Told, ...]:
    """What waits; what every listed account waits for in the same words is one change."""
    groups: dict[tuple[str, str, str, datetime | None], list[Waiting]] = {}
    for one in standing.waiting:
        groups.setdefault((_of_any(one.key), one.old, one.new, one.at), []).append(one)
    accounts = standing.in_force.accounts
    everybody = 0 if accounts == "all" else len(accounts)
    listed = list[Told]()
    for (key, *_), found in groups.items():
        for part in [found] if len(found) == everybody else [[one] for one in found]:
            name = key if len(part) == everybody else part[0].key
            keys = tuple(one.key for one in part)
            listed.append(Told(_id(part), f"{name}: {part[0].old} -> {part[0].new}", part[0].at, keys))
    return tuple(listed)


def _of_any(key: str) -> str:
    """The key without the account it is of."""
    return f"rules.{key.split('.rules.', 1)[1]}" if key.startswith("accounts.") and ".rules." in key else key


def _id(part: list[Waiting]) -> str:
    said = "\n".join(f"{one.key} {one.old} {one.new} {one.at}" for one in part)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def pending(program: Program) -> tuple[Pending, ...]:
    """What waits, for `status`."""
    if not program.standing.due:
        return ()
    return tuple(Pending(one.id, one.change, one.effective_at(program)) for one in told(program.standing))


def concerns(one: Told, beginning: str, key: str) -> bool:
    """Whether it is the key of a rule just set, for all (`rules.`) or for one account, that waits."""
    names = [_of_any(each) if beginning == "rules." else each for each in one.keys]
    return any(
        f"{beginning}{key}.".startswith(f"{name}.") or _together(name, beginning + key) for name in names
    )


def _together(name: str, key: str) -> bool:
    """Keys that mean something only together wait under the name of the first."""
    row = ROWS.get(f"rules.{key.split('rules.', 1)[1]}")
    return row is not None and name == f"{key.rpartition('.')[0]}.{row[0][0]}"
