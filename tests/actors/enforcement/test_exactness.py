"""A position over its limit ends at the limit, not below: whatever becomes of the partial closes."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import AtMost, Call, CallKind
from tests.actors.enforcement.floor import CONFIRMED, MNQ, Floor

LATE_S = 6.9
events = st.lists(
    st.sampled_from(
        [
            "done",
            "in parts",
            "unseen",
            "lost",
            "lost, done",
            "lost, late",
            "refused",
            "read",
            "tick",
            "wait",
            "kill",
        ]
    ),
    max_size=25,
)


class Desk:
    """Plays the events; a rule that judges after each of them, as the limit rules do."""

    def __init__(self, size: int, limit: int) -> None:
        self.floor, self.limit = Floor(), limit
        (self.floor.buy if size > 0 else self.floor.sell)("MNQ", abs(size))
        self.late = list[tuple[Call, datetime]]()
        self.said = False
        self.judge()

    def judge(self) -> None:
        over = abs(self.floor.held(MNQ)) > self.limit
        if over or self.said:
            self.floor.say("max_contracts", *((AtMost(MNQ, self.limit),) if over else ()))
        self.said = over

    def play(self, event: str) -> None:
        floor = self.floor
        match event:
            case "read":
                floor.read()
            case "tick":
                floor.wait(1)
            case "wait":
                floor.wait(8)
            case "kill":
                self.later(*floor.out.values())
                floor.crash()
                self.said = True
            case _ if floor.out:
                self.outcome(event, floor.next)
        self.take_effect()
        self.judge()

    def outcome(self, event: str, call: Call) -> None:
        floor = self.floor
        match event:
            case "done":
                floor.confirm(call)
            case "unseen":
                floor.confirm(call, tell=False)
            case "in parts":
                self.in_parts(call)
            case "lost":
                floor.lose(call)
            case "lost, done":
                floor.lose(call, carried_out=True)
            case "lost, late":
                self.later(call)
                floor.lose(call)
            case "refused":
                floor.refuse(6, call)

    def in_parts(self, call: Call) -> None:
        """The answer comes between the fills."""
        floor = self.floor
        trade = floor.sell if floor.held(MNQ) > 0 else floor.buy
        fills = call.size if call.kind is CallKind.PARTIAL_CLOSE else 0
        for number in range(fills):
            trade("MNQ", 1, order=50_000 + len(floor.calls))
            self.judge()
            if number == 0:
                floor.answer(call, *CONFIRMED)

    def later(self, *calls: Call) -> None:
        until = self.floor.desk.now.wall + timedelta(seconds=LATE_S)
        self.late.extend((call, until) for call in calls)

    def take_effect(self) -> None:
        """Half of the lost requests come through, as late as they may."""
        now = self.floor.desk.now.wall
        due = [call for call, until in self.late if now + timedelta(seconds=1) >= until]
        self.late = [(call, until) for call, until in self.late if call not in due]
        for call in due:
            if int(call.id.rpartition("/")[2]) % 2:
                self.floor.carry_out(call)

    def finish(self) -> None:
        for _ in range(40):
            self.judge()
            if self.floor.out:
                self.floor.confirm()
            elif self.floor.receipts or self.late:
                self.floor.wait(1)
                self.take_effect()
                self.floor.read()
            else:
                return


@settings(max_examples=300, deadline=None)
@given(size=st.integers(3, 9), short=st.booleans(), limit=st.integers(1, 4), todo=events)
def test_reduced_position_ends_at_its_limit_exactly(
    size: int, short: bool, limit: int, todo: list[str]
) -> None:
    desk = Desk(-size if short else size, limit)

    for event in todo:
        desk.play(event)
    desk.finish()

    assert abs(desk.floor.held(MNQ)) == min(size, limit)
    assert (desk.floor.held(MNQ) < 0) is short
    assert not desk.floor.receipts
