"""Commands that loosen, under `tamper.loosen_after`: asked for now, accepted later, for an hour.

They are never carried out later by themselves: the first asking is refused and names the instant from which
the same command is accepted. What was asked for when is kept in the store, so a restart forgets no waiting.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.messages import Flush, StoreMeta
from actors.persistence.queries import ReadMeta
from actors.persistence.schema import instant, instant_text
from supervisor.driver import outcome
from supervisor.program import Program
from supervisor.protocol import Exit, Refused

OPEN_FOR = timedelta(hours=1)
ASK_S = 5.0


def accepted_from(program: Program, now: datetime) -> datetime | None:
    """The instant from which what is asked for at `now` is accepted; None where nothing has to wait."""
    waits = program.settings.tamper.loosen_after
    if waits is None:
        return None
    return program.calendar.next_reset(now) if waits == "next_reset" else now + waits


async def permit_loosening(program: Program, command: str, now: datetime) -> None:
    """Return when the command may be carried out now; raises Refused (7) with the instant otherwise."""
    first = accepted_from(program, now)
    if first is None:
        return
    persistence = program.supervisor.handle("persistence")
    key = f"loosening/{command}"
    kept = await outcome(persistence.ask(ReadMeta(key), ASK_S))
    since = instant(kept.decode()) if isinstance(kept, bytes) and kept else None
    if since is not None and since <= now < since + OPEN_FOR:
        persistence.tell(StoreMeta(key, b""))
        return
    if since is None or now >= since + OPEN_FOR:
        since = first
        persistence.tell(StoreMeta(key, instant_text(first).encode()))
        await outcome(persistence.ask(Flush(), ASK_S))
    raise Refused(
        Exit.COOLING_OFF,
        f"cannot do {command.split('/')[0]} now: tamper.loosen_after asks for time",
        f"the same command is accepted from {instant_text(since)} on, for one hour",
    )
