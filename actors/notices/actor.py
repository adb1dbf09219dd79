"""The notices actor: records every alert and brings it to people, never in anybody's way."""

from __future__ import annotations

from itertools import islice
from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from actors.clock import Clock
from actors.logs import get_logger
from actors.messages import Alert, HistoryKind, Notice, Record, Tick
from actors.persistence.keys import history_id
from actors.persistence.queries import StoredAlert
from actors.persistence.schema import instant_text
from actors.redaction import redacted
from actors.worker import Actor, Address, Answer

from .delivery import Deliver, by_apprise, start_delivery, warm_up
from .outbox import (
    ABANDONED_MOST,
    WAITING_MOST,
    Outbox,
    Waiting,
    composed,
    delivered,
    next_message,
    offer,
    overdue,
)
from .targets import Target

log = get_logger("riskd.notices")

TOLD_MOST = 500
SAME_S = 60.0
"""The same key again within this time is counted, not repeated."""
NO_TARGET = "recorded; no target wants it"
WAITS = "waiting"
SENT = "sent"


class TestAlerts(Struct, frozen=True, gc=False, tag=True):
    """Ask: send a test message to every target, whatever it wants; answered with a tuple of `Tried`."""

    __test__ = False


class Tried(Struct, frozen=True, gc=False):
    """One target and how its test message ended. `to` is the kind of service: the address is a secret."""

    to: str
    outcome: str

    @property
    def sent(self) -> bool:
        return self.outcome == SENT


class HowManyWait(Struct, frozen=True, gc=False, tag=True):
    """Ask: how many alerts have not reached all their targets yet, nor failed."""


class UseTargets(Struct, frozen=True, tag=True):
    """The configuration changed: alerts go to these from now on."""

    targets: tuple[Target, ...]


class Delivered(Struct, frozen=True, gc=False):
    """To itself, from a delivering thread; `why` is None when the target took it."""

    target: int
    number: int
    why: str | None


class Open(Struct, frozen=True):
    """An alert on its way or just reported: outcome per target, and how often it came again."""

    line: str
    alert: Alert
    mono: float
    outcomes: dict[int, str] = {}
    repeats: int = 0
    untold: bool = False
    """Repeats that the line of history does not show yet."""

    def outcome(self, targets: tuple[Target, ...]) -> str:
        if not self.outcomes:
            return NO_TARGET
        if len(self.outcomes) == 1:
            return next(iter(self.outcomes.values()))
        return ", ".join(f"{targets[i].service}: {text}" for i, text in sorted(self.outcomes.items()))

    def tried(self, targets: tuple[Target, ...]) -> tuple[Tried, ...]:
        return tuple(Tried(targets[i].service, text) for i, text in sorted(self.outcomes.items()))

    @property
    def settled(self) -> bool:
        return WAITS not in self.outcomes.values()


class NoticesState(Struct, frozen=True):
    """What the next incarnation goes on with."""

    boxes: tuple[Outbox, ...] = ()
    opened: dict[str, Open] = {}
    """By line of history."""
    told: dict[tuple[str, str], None] = {}
    """Account and key of the newest alerts, oldest first: what is told again after a restart is not new."""


class NoticesActor(Actor):
    """Owner of what people are told. An alert is recorded first and delivered second."""

    deadline_s: ClassVar[float] = 0.25

    def __init__(
        self,
        kept: NoticesState | None,
        targets: tuple[Target, ...],
        persistence: Address,
        clock: Clock,
        deliver: Deliver = by_apprise,
    ) -> None:
        self._targets, self._persistence, self._clock, self._deliver = targets, persistence, clock, deliver
        fits = kept is not None and len(kept.boxes) == len(targets)
        self._state = _again(kept) if kept is not None and fits else _empty(targets)
        self._askers: dict[str, Answer] = {}

    def started(self) -> None:
        if self._targets and self._deliver is by_apprise:
            warm_up()
        self._send_what_is_due()

    def keep(self) -> NoticesState:
        return self._state

    def receive(self, message: object) -> None:
        match message:
            case Alert():
                self._alert(message)
            case Delivered():
                self._delivered(message)
            case Tick():
                self._tick()
            case TestAlerts():
                self._test()
            case HowManyWait():
                self.reply(sum(not opened.settled for opened in self._state.opened.values()))
            case UseTargets(targets=targets):
                self._use(targets)
            case _:
                raise TypeError(f"notices do not know a {type(message).__name__}")

    # ---------------------------------------------------------------------------------- alerts

    def _alert(self, alert: Alert) -> None:
        mono = self._clock.mono()
        if alert.again and _name(alert) in self._state.told:
            return
        recent = (o for o in self._state.opened.values() if mono - o.mono < SAME_S)
        same = next((o for o in recent if _same(o, alert)), None)
        if same is not None:
            self._keep(replace(same, repeats=same.repeats + 1, untold=True))
            return
        wanted = [i for i, target in enumerate(self._targets) if target.wants(alert.notice)]
        self._open(alert, wanted, mono)

    def _open(self, alert: Alert, wanted: list[int], mono: float) -> str:
        key = f"{alert.notice.key}/{instant_text(alert.at)}"
        opened = Open(
            history_id(HistoryKind.ALERT, alert.account, key), alert, mono, dict.fromkeys(wanted, WAITS)
        )
        self._state = replace(self._state, told=_newest({**self._state.told, _name(alert): None}))
        level, notice = alert.notice.level, alert.notice
        log.bind(component=notice.component, account=alert.account).info(
            "alert", severity=level, message=notice.message
        )
        self._keep(opened)
        self._record(opened)
        for i in wanted:
            box, given_up = offer(self._state.boxes[i], Waiting(opened.line, alert))
            self._put(i, box)
            if given_up is not None:
                self._settle(i, (given_up,), "given up: the target hangs and too many wait")
        self._send_what_is_due()
        return opened.line

    def _send_what_is_due(self) -> None:
        mono = self._clock.mono()
        for i, box in enumerate(self._state.boxes):
            box, batch = next_message(box, mono)
            self._put(i, box)
            if batch:
                self._start(i, box.number, batch)

    def _start(self, target: int, number: int, batch: tuple[Waiting, ...]) -> None:
        level, title, text = composed(batch)
        me = self.me
        message = (self._targets[target].url, level, title, redacted(text))
        start_delivery(self._deliver, message, lambda why: me.tell(Delivered(target, number, why)))

    # ---------------------------------------------------------------------------------- outcomes

    def _delivered(self, ended: Delivered) -> None:
        if ended.target >= len(self._state.boxes):
            return
        box, batch = delivered(self._state.boxes[ended.target], ended.number)
        self._put(ended.target, box)
        self._settle(ended.target, batch, SENT if ended.why is None else f"failed: {ended.why}")
        self._send_what_is_due()

    def _tick(self) -> None:
        mono = self._clock.mono()
        for i, box in enumerate(self._state.boxes):
            box, late = overdue(box, mono)
            self._put(i, box)
            self._settle(i, late, "failed: no answer in time")
            if box.abandoned >= ABANDONED_MOST and box.waiting:
                self._put(i, replace(box, waiting=()))
                self._settle(i, box.waiting, "given up: the target hangs")
        self._forget(mono)
        self._send_what_is_due()

    def _settle(self, target: int, batch: tuple[Waiting, ...], outcome: str) -> None:
        for item in batch:
            known = self._state.opened.get(item.line)
            opened = Open(item.line, item.alert, self._clock.mono()) if known is None else known
            opened = replace(opened, outcomes={**opened.outcomes, target: outcome})
            self._keep(opened)
            self._record(opened)
            if opened.settled and (asker := self._askers.pop(item.line, None)) is not None:
                asker.resolve(opened.tried(self._targets))
        if batch and outcome != SENT:
            log.warning("alert.not_delivered", service=self._targets[target].service, why=outcome)

    def _forget(self, mono: float) -> None:
        """Tell history of repeats, and drop what can neither repeat nor change any more."""
        for opened in list(self._state.opened.values()):
            if opened.untold:
                self._record(opened)
                self._keep(replace(opened, untold=False))
        kept = {o.line: o for o in self._state.opened.values() if not o.settled or mono - o.mono < SAME_S}
        if len(kept) != len(self._state.opened):
            self._state = replace(self._state, opened=kept)

    def _test(self) -> None:
        asker = self.defer()
        at = self._clock.wall()
        notice = Notice("info", "notices", "this is a test", "test")
        line = self._open(Alert(at, "", notice), list(range(len(self._targets))), self._clock.mono())
        if asker is None:
            return
        if self._targets:
            self._askers[line] = asker
        else:
            asker.resolve(())

    def _use(self, targets: tuple[Target, ...]) -> None:
        for i, box in enumerate(self._state.boxes):
            self._settle(i, (*box.sending, *box.waiting), "given up: the targets were changed")
        # Above every number in use, so that a late answer to the old ones is not taken for one of these.
        number = 1 + max((box.number for box in self._state.boxes), default=0)
        self._targets, self._state = targets, replace(_empty(targets, number), told=self._state.told)

    # ---------------------------------------------------------------------------------- state

    def _keep(self, opened: Open) -> None:
        self._state = replace(self._state, opened={**self._state.opened, opened.line: opened})

    def _put(self, target: int, box: Outbox) -> None:
        boxes = self._state.boxes
        self._state = replace(self._state, boxes=(*boxes[:target], box, *boxes[target + 1 :]))

    def _record(self, opened: Open) -> None:
        notice = opened.alert.notice
        body: dict[str, object] = {
            "level": notice.level,
            "component": notice.component,
            "message": redacted(notice.message),
            "data": {key: redacted(value) for key, value in notice.data.items()},
            "outcome": opened.outcome(self._targets),
        }
        if opened.repeats:
            body["repeats"] = opened.repeats
        self.send(
            self._persistence,
            Record(opened.line, HistoryKind.ALERT, opened.alert.at, opened.alert.account, body),
        )


def _same(opened: Open, alert: Alert) -> bool:
    return opened.alert.notice.key == alert.notice.key and opened.alert.account == alert.account


def first_state(targets: tuple[Target, ...], stored: tuple[StoredAlert, ...], mono: float) -> NoticesState:
    """What notices start with: an alert that was on its way when the daemon ended is sent again."""
    told = {_name(one.alert): None for one in stored}
    lost = [one for one in stored if WAITS in one.outcome]
    wanted = [[i for i, target in enumerate(targets) if target.wants(one.alert.notice)] for one in lost]
    opened = {
        one.line: Open(one.line, one.alert, mono, dict.fromkeys(wants, WAITS), untold=True)
        for one, wants in zip(lost, wanted, strict=True)
    }
    waiting = [
        tuple(Waiting(one.line, one.alert) for one, wants in zip(lost, wanted, strict=True) if i in wants)
        for i in range(len(targets))
    ]
    return NoticesState(tuple(Outbox(waiting=one[-WAITING_MOST:]) for one in waiting), opened, _newest(told))


def _name(alert: Alert) -> tuple[str, str]:
    return alert.account, alert.notice.key


def _newest(told: dict[tuple[str, str], None]) -> dict[tuple[str, str], None]:
    return dict(islice(told.items(), max(0, len(told) - TOLD_MOST), None))


def _empty(targets: tuple[Target, ...], number: int = 0) -> NoticesState:
    return NoticesState(boxes=tuple(Outbox(number=number) for _ in targets))


def _again(kept: NoticesState) -> NoticesState:
    """After a crash the deliveries under way are unknown: their alerts are sent again rather than lost."""
    boxes = tuple(
        replace(box, waiting=(*box.sending, *box.waiting), sending=(), busy=False, number=box.number + 1)
        for box in kept.boxes
    )
    return replace(kept, boxes=boxes)
