"""The audit log: a chain in which each row holds the digest of the one before, so that an edit shows.

A key would not help on the same host; what does is the head written down elsewhere: it is in the name of
every backup and in the daily notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct
from sqlite_utils import Database

from .rows import Audited

GENESIS = "0" * 64


class Chain(Struct, frozen=True):
    """The chain as it was found. `broken_at` is the first entry that does not follow from the one before."""

    entries: int
    head: str
    broken_at: int | None = None


def link(previous: str, entry: str) -> str:
    return hashlib.sha256(previous.encode() + entry.encode()).hexdigest()


def head(db: Database) -> str:
    row = db.execute("SELECT digest FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return GENESIS if row is None else str(row[0])


def holds(db: Database, digest: str) -> bool:
    """Whether the chain has come past this head."""
    return digest == GENESIS or bool(db.execute("SELECT 1 FROM audit WHERE digest = ?", (digest,)).fetchone())


def append(db: Database, audited: Audited) -> None:
    """Add an entry at the end; one that is already there, told again after a crash, is not added twice."""
    if db.execute("SELECT 1 FROM audit WHERE id = ? AND entry = ?", audited).fetchone():
        return
    previous = head(db)
    values = (audited.id, audited.entry, previous, link(previous, audited.entry))
    db.execute("INSERT INTO audit (id, entry, previous, digest) VALUES (?, ?, ?, ?)", values)


def verify(db: Database) -> Chain:
    return follow(db.execute("SELECT seq, entry, previous, digest FROM audit ORDER BY seq"))


def follow(found: Iterable[tuple[int, str, str, str]]) -> Chain:
    """Walk the chain from its first entry; every link and digest must follow from the one before."""
    last, count, broken = GENESIS, 0, None
    for seq, entry, previous, digest in found:
        count += 1
        whole = previous == last and digest == link(previous, entry)
        if broken is None and not whole:
            broken = seq
        last = digest
    return Chain(count, last, broken)
