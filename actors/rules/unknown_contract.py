"""A position in a contract that the gateway does not know cannot be measured: it is closed, or alerted.

Not one of the numbered rules and always on: a risk that nobody can put a number on is outside every
limit. A lookup that failed is not an answer; only the gateway's own word counts.
"""

from __future__ import annotations

from typing import Literal

from actors.messages import AccountSnapshot, Breach, Flat, Notice, Now, PositionView

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow
from .exposure import cause_of
from .machine import Machine, breaches_of
from .rule import Judgement, Probe, Wake


class UnknownContractRule(Machine[Episodes]):
    """`unknown_contract: close | alert`."""

    name = "unknown_contract"
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.RESET})

    def __init__(self, action: Literal["close", "alert"]) -> None:
        self._closes = action == "close"

    def initial(self) -> Episodes:
        return Episodes()

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        return not any(p.unknown for p in snapshot.positions)

    def judge(self, state: Episodes, snapshot: AccountSnapshot, now: Now) -> Judgement[Episodes]:
        unknown = [p for p in snapshot.positions if p.unknown]
        seen: dict[str, Breach] = {p.contract: self._breach(p, snapshot) for p in unknown}
        episodes = follow(state, self.name, snapshot.day, seen)
        return Judgement(
            episodes,
            breaches_of(episodes),
            tuple(Flat(p.contract) for p in unknown) if self._closes else (),
            notices=tuple(self._notice(breach) for breach in episodes.new_since(state)),
        )

    def _breach(self, p: PositionView, snapshot: AccountSnapshot) -> Breach:
        cause = cause_of(snapshot, lambda held: bool(held.get(p.contract)), p)
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=p.contract,
            value="unmeasurable",
            limit="known to the gateway",
            mark=None,
            cause=cause.name,
            at=cause.at,
            text=f"the gateway does not know {p.contract}: the position cannot be measured",
            inputs={"size": f"{p.size:+d}", "action": "close" if self._closes else "alert"},
        )

    def _notice(self, breach: Breach) -> Notice:
        then = "It is closed." if self._closes else "Close it in the broker's own screen if in doubt."
        return Notice("error", self.name, f"{breach.text}. {then}", breach.id)

    def probe(self, now: Now) -> Probe:
        record, then = sandbox.contract(), sandbox.after(now, 1)

        def opened(*, unknown: bool) -> tuple[AccountSnapshot, ...]:
            held = sandbox.position(record, 1, at=then.wall, unknown=unknown)
            return sandbox.snapshot(now), sandbox.snapshot(then, positions=[held], cause="fill:1")

        return Probe(opened(unknown=True), opened(unknown=False))
