"""What waits for one target, and what becomes one message. Pure.

The first alert goes out at once. What comes within the next seconds is gathered into one message, so that
a bad minute is not a hundred messages; a critical one does not wait.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from actors.messages import Alert

GAP_S = 10.0
"""Between two messages to the same target, unless an alert is critical."""
ANSWER_S = 10.0
"""How long a target may take."""
ABANDON_S = 60.0
"""A delivery that hangs this long is left to itself, and the target is tried again."""
ABANDONED_MOST = 3
"""Hanging deliveries that a target is allowed; then it gets nothing more."""
WAITING_MOST = 200
SHOWN = 10
LEVELS = ("info", "warning", "error", "critical")


class Waiting(Struct, frozen=True):
    """An alert with the line of history that its outcome belongs to."""

    line: str
    alert: Alert


class Outbox(Struct, frozen=True):
    """One target's side."""

    waiting: tuple[Waiting, ...] = ()
    sending: tuple[Waiting, ...] = ()
    """Handed to the delivery under way, outcome not known."""
    number: int = 0
    """Of the delivery under way or last done."""
    began: float = -GAP_S
    """Monotonic second at which it began."""
    busy: bool = False
    abandoned: int = 0


def offer(box: Outbox, item: Waiting) -> tuple[Outbox, Waiting | None]:
    """Let it wait; beyond what a hanging target may hold up, the oldest is given up and returned."""
    waiting = (*box.waiting, item)
    if len(waiting) <= WAITING_MOST:
        return replace(box, waiting=waiting), None
    return replace(box, waiting=waiting[1:]), waiting[0]


def next_message(box: Outbox, mono: float) -> tuple[Outbox, tuple[Waiting, ...]]:
    """What is to go out now as one message, if anything."""
    if not box.waiting or box.busy or box.abandoned >= ABANDONED_MOST:
        return box, ()
    urgent = any(item.alert.notice.level == "critical" for item in box.waiting)
    if not urgent and mono - box.began < GAP_S:
        return box, ()
    out = box.waiting
    return replace(box, waiting=(), sending=out, number=box.number + 1, began=mono, busy=True), out


def delivered(box: Outbox, number: int) -> tuple[Outbox, tuple[Waiting, ...]]:
    """The delivery has ended; returns the alerts whose outcome it is."""
    if number != box.number:
        return replace(box, abandoned=max(0, box.abandoned - 1)), ()
    return replace(box, sending=(), busy=False), box.sending


def overdue(box: Outbox, mono: float) -> tuple[Outbox, tuple[Waiting, ...]]:
    """Alerts of a delivery that took too long; the target stays busy until it ends or is abandoned."""
    took = mono - box.began
    if not box.busy or took < ANSWER_S:
        return box, ()
    late, box = box.sending, replace(box, sending=())
    if took >= ABANDON_S:
        box = replace(box, busy=False, number=box.number + 1, abandoned=box.abandoned + 1)
    return box, late


def composed(batch: tuple[Waiting, ...]) -> tuple[str, str, str]:
    """Worst level, title and text of one message for people."""
    alerts = [item.alert for item in batch]
    worst = max((alert.notice.level for alert in alerts), key=LEVELS.index)
    lines = [_line(alert) for alert in alerts[:SHOWN]]
    if len(alerts) > SHOWN:
        lines.append(f"({len(alerts) - SHOWN} more)")
    count = "" if len(alerts) == 1 else f", {len(alerts)} alerts"
    return worst, f"riskd: {worst}{count}", "\n".join(lines)


def _line(alert: Alert) -> str:
    account = f" {alert.account}" if alert.account else ""
    return f"{alert.at:%H:%M:%S} UTC{account} {alert.notice.component}: {alert.notice.message}"
