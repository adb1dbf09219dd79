"""The version of the schema, and how a configuration of an older one is lifted to it, step by step.

A file keeps the version it was written for and is lifted whenever it is read; so is what the store holds in
force: an update of the program never keeps the guard down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from config.values import Unreadable

NEWEST = 1

type Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: Mapping[int, Step] = {}
"""From a version to the next: a document in, the same in the words of the next version out."""


def lifted(document: Mapping[str, Any], steps: Mapping[int, Step] = STEPS) -> dict[str, Any]:
    """The document in the newest version's words. One whose version is no older one is left as it is."""
    found = dict(document)
    while (version := _number(found.get("version"))) in steps:
        found = {**steps[version](found), "version": version + 1}
    return found


def _number(written: Any) -> int:
    return int(written) if isinstance(written, int | str) and str(written).isdigit() else 0


def version(written: Any) -> int:
    """The version as written. Raises `Unreadable` for one that this program does not know."""
    number = _number(written)
    if number > NEWEST:
        raise Unreadable(f"this riskd reads versions up to {NEWEST}", "update riskd")
    if number != NEWEST:
        raise Unreadable(f"{str(written)!r} is no version of the configuration", f"write {NEWEST}")
    return number
