"""One trading day in which every rule fires, a rule's actor is killed, and then the daemon."""

from __future__ import annotations

from ops.demo.day import crash, hours, loss, pace, profit, size, stops
from ops.demo.script import Script, Tempo

PARTS = (hours.part, loss.part, profit.part, pace.streak, pace.pace, size.part, stops.stops, stops.managed)
ACTS = (
    # What the session's end and the reset end must have begun before, however slow the machine.
    hours.INSIDE,
    loss.OPEN_LOSS,
    loss.DAY_LOSS,
    loss.REVENGE,
    profit.TAKEN,
    profit.ENOUGH,
    pace.FIRST_LOSS,
    pace.TOO_FAST,
    size.ONE_PRODUCT,
    size.ALL_TOGETHER,
    size.BLOCKED,
    stops.BRACKET,
    pace.CALMER,
    pace.THIRD_LOSS,
    stops.BREAKEVEN,
    pace.RESTED,
    stops.TRAILED,
    stops.NAKED,
    size.RULE_KILLED,
    crash.DAEMON_KILLED,
    size.FORBIDDEN,
    size.ALLOWED,
    hours.BELL,
    stops.STOPPED,
    loss.NEW_DAY,
    profit.NEW_DAY,
    pace.NEW_DAY,
    loss.FIRST_TRADE,
)


def day(tempo: Tempo) -> Script:
    return Script("day", tempo, tuple(part(tempo) for part in PARTS), ACTS)
