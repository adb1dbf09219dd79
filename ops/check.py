"""One line of `doctor` and of `service status`: what was looked at, whether it holds, and the cure."""

from __future__ import annotations

from msgspec import Struct


class Check(Struct, frozen=True):
    """One finding. `ok` None: worth knowing, no fault."""

    name: str
    ok: bool | None
    fact: str
    cure: str = ""
