"""One trading day in which every rule fires, a rule's actor is killed, and then the daemon."""

from __future__ import annotations

from ops.demo.acts import Act
from ops.demo.day import crash, hours, loss, pace, profit, size, stops
from ops.demo.script import Script, Tempo
from ops.demo.sights import Traded

PARTS = (hours.part, loss.part, profit.part, pace.streak, pace.pace, size.part, stops.stops, stops.managed)
EXECUTIONS = {
    hours.HOURS: 2,
    loss.LOSS: 9,
    profit.PROFIT: 4,
    pace.STREAK: 10,
    pace.PACE: 5,
    size.SIZE: 11,
    stops.STOPS: 2,
    stops.MANAGED: 2,
}
"""What the trader did and what had to be closed of it."""
BOOKS = Act(
    account=loss.LOSS,
    tells="The broker's books are counted: nothing was done twice, nothing was reversed.",
    sees=tuple(Traded(account=account, fills=fills) for account, fills in EXECUTIONS.items()),
)
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
    BOOKS,
)


def day(tempo: Tempo) -> Script:
    return Script("day", tempo, tuple(part(tempo) for part in PARTS), ACTS)
