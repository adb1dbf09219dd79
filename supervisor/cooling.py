"""Commands that loosen, under `tamper.loosen_after`: asked for now, accepted later, for an hour.

They are never carried out later by themselves: the first asking is refused and names the instant from which
the same command is accepted. What was asked for when is kept in the store, so a restart forgets no waiting.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import trio

from actors.messages import Flush, StoreMeta
from actors.persistence.queries import ReadMeta
from actors.persistence.schema import instant, instant_text
from actors.timers.actor import TimersView
from supervisor.driver import outcome
from supervisor.program import Program
from supervisor.protocol import Exit, Refused

OPEN_FOR = timedelta(hours=1)
ASK_S = 5.0
LOOK_S = 0.02


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
    moves = await _still_moves(program, key)
    since = program.unsure_waits.get(key) or await _kept(program, key)
    if since is not None and since <= now < since + OPEN_FOR and not moves:
        program.unsure_waits.pop(key, None)
        persistence.tell(StoreMeta(key, b""))
        return
    if since is None or now >= since + OPEN_FOR:
        since = first
        if knows_time(program):
            program.unsure_waits.pop(key, None)
            persistence.tell(StoreMeta(key, instant_text(first).encode()))
            await outcome(persistence.ask(Flush(), ASK_S))
        else:
            program.unsure_waits[key] = first
    raise Refused(
        Exit.COOLING_OFF,
        f"cannot do {command.split('/')[0]} now: tamper.loosen_after asks for time",
        f"the same command is accepted from {instant_text(since)} on, for one hour",
    )


def bear_out_waits(program: Program, jump: timedelta) -> None:
    """The gateway's time is known now, `jump` ahead of what was taken for it: waits that began by our own
    clock end later by as much, and from now on outlive a restart."""
    for key, since in program.unsure_waits.items():
        later = since + max(jump, timedelta(0))
        program.supervisor.handle("persistence").tell(StoreMeta(key, instant_text(later).encode()))
    program.unsure_waits.clear()


def knows_time(program: Program) -> bool:
    """Whether the gateway bears the clock out: a wait that begins by a clock set back would be too short."""
    view = program.board.read(("timers",), TimersView)
    return view is not None and view.contact


async def _still_moves(program: Program, key: str) -> bool:
    """Whether its end is still to be moved to the gateway's time, heard a moment ago."""
    with trio.move_on_after(ASK_S):
        while key in program.unsure_waits and knows_time(program):  # noqa: ASYNC110 - the board wakes nobody
            await trio.sleep(LOOK_S)
        return False
    return True


async def _kept(program: Program, key: str) -> datetime | None:
    kept = await outcome(program.supervisor.handle("persistence").ask(ReadMeta(key), ASK_S))
    return instant(kept.decode()) if isinstance(kept, bytes) and kept else None
