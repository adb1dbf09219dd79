"""What a scrape reads, off the board and the addresses of the running guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from actors.connection.budget import BudgetView
from actors.connection.traffic import Traffic
from actors.enforcement.counts import Counts, DayCounts
from actors.messages import AccountSnapshot
from actors.tally import Spans, Tally
from supervisor.answers import Status
from supervisor.arming import Armed
from supervisor.gather import Process, seen
from supervisor.gauges import Counted, Mailbox
from supervisor.program import Program
from supervisor.status import status as status_of


class GuardReadings(Struct, frozen=True):
    """The running guard, for the metrics."""

    program: Program
    process: Process

    def status(self) -> Status:
        return status_of(seen(self.program, self.process))

    def scan_age_s(self) -> float:
        return self.program.figures.scan_age_s()

    def budget(self) -> BudgetView | None:
        return self.program.board.read(("budget",), BudgetView)

    def traffic(self) -> Traffic | None:
        return self.program.board.read(("traffic",), Traffic)

    def mailboxes(self) -> tuple[Mailbox, ...]:
        return tuple(
            Mailbox(node["id"], node["mailbox"], node["oldest_ms"] / 1e3, node["restarts"])
            for node in _workers(self.program.supervisor.tree())
        )

    def counted(self) -> tuple[Counted, ...]:
        return tuple(self._counted(armed) for armed in list(self.program.armed.values()))

    def _counted(self, armed: Armed) -> Counted:
        board, name = self.program.board, armed.guarded.name
        account = board.read(("tally", "account", name), Tally) or Tally()
        counts = board.read(("counts", name), Counts) or Counts()
        snapshot = board.read(("snapshot", name), AccountSnapshot)
        fills = () if snapshot is None else snapshot.fills
        return Counted(
            account=name,
            events=account.counts(),
            event_age=account.spans().get(("event_age",)),
            evaluations={
                built.name: spans
                for built in armed.guarded.rules
                if (spans := _judging(board.read(("tally", "rule", name, built.name), Tally))) is not None
            },
            enforcement=counts.total.counts(),
            enforcement_spans=counts.total.spans(),
            day=DayCounts() if snapshot is None else counts.of(snapshot.day),
            opened=sum(booked.opened for booked in fills),
            closed=sum(booked.closed for booked in fills),
            quote_age_s=_stalest_s(snapshot, account, self.program.clock.mono()),
        )


def _judging(tally: Tally | None) -> Spans | None:
    return None if tally is None else tally.spans().get(("evaluation",))


def _stalest_s(snapshot: AccountSnapshot | None, tally: Tally, mono: float) -> float | None:
    """Age of the oldest quote among the open contracts; never quoted is as old as the clock."""
    ages = [mono - tally.heard.get(p.contract, 0.0) for p in (snapshot.positions if snapshot else ())]
    return max(ages, default=None)


def _workers(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node["type"] == "worker":
        yield node
    for child in node["children"]:
        yield from _workers(child)
