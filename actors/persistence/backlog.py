"""What was told to the store and is not durable yet. Immutable, so that a crash leaves it whole."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import islice
from typing import assert_never

from msgspec import Struct

from actors.messages import (
    EndLockout,
    Record,
    StoreCommand,
    StoreContract,
    StoreDay,
    StoreFill,
    StoreLockout,
    StoreMeta,
    StoreReceipt,
    StoreRuleState,
)

# A chain of pairs, newest first: adding costs the same however long the disk has been failing.
type Chain = tuple[StoreCommand, Chain] | None


class Backlog(Struct, frozen=True):
    chain: Chain = None
    count: int = 0
    since: float = 0.0
    """Monotonic second of the oldest command."""
    dropped: int = 0
    """Commands given up since the start, because there were too many."""

    def add(self, command: StoreCommand, mono: float) -> Backlog:
        return Backlog(
            (command, self.chain), self.count + 1, self.since if self.chain else mono, self.dropped
        )

    def commands(self) -> list[StoreCommand]:
        """Oldest first."""
        found = []
        chain = self.chain
        while chain is not None:
            command, chain = chain
            found.append(command)
        found.reverse()
        return found

    def emptied(self) -> Backlog:
        return Backlog(dropped=self.dropped)

    def left(self, rest: list[StoreCommand]) -> Backlog:
        """The same backlog with only `rest` (oldest first) still to do."""
        chain: Chain = None
        for command in rest:
            chain = (command, chain)
        return Backlog(chain, len(rest), self.since, self.dropped)

    def squeezed(self, limit: int) -> Backlog:
        """At most `limit` commands: superseded ones go first, then the oldest lines that can be done without.

        Lockouts, their ends, rule states, days and single values are never given up; fills are read again
        from the broker.
        """
        commands = list(_newest(self.commands()))
        surplus = max(0, len(commands) - limit)
        given_up = set(
            islice((i for i, c in enumerate(commands) if isinstance(c, Record | StoreFill)), surplus)
        )
        kept = self.left([c for i, c in enumerate(commands) if i not in given_up])
        return Backlog(kept.chain, kept.count, kept.since, self.dropped + len(given_up))


def _newest(commands: list[StoreCommand]) -> Iterator[StoreCommand]:
    """Leave out what another command of the same key replaces as a whole."""
    best: dict[Hashable, tuple[int, int]] = {}
    keys = [_replaced_by(command) for command in commands]
    for i, (command, key) in enumerate(zip(commands, keys, strict=True)):
        best[key] = max(best.get(key, (-1, -1)), (_rank(command), i))
    for i, (command, key) in enumerate(zip(commands, keys, strict=True)):
        if key is None or best[key][1] == i:
            yield command


def _rank(command: StoreCommand) -> int:
    """Of rule states the highest number wins, of everything else the last one told."""
    return command.seq if isinstance(command, StoreRuleState) else 0


def _replaced_by(command: StoreCommand) -> Hashable | None:
    match command:
        case StoreRuleState(account=account, rule=rule):
            return ("state", account, rule)
        case StoreDay(account=account, day=day):
            return ("day", account, day)
        case StoreContract(contract=contract):
            return ("contract", contract.id)
        case StoreReceipt(receipt=receipt):
            return ("receipt", receipt.account, receipt.id)
        case StoreMeta(key=key):
            return ("meta", key)
        case Record() | StoreFill() | StoreLockout() | EndLockout():
            return None
        case _:
            assert_never(command)
