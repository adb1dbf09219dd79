"""Trading hours: inside the session the trader is left alone, at its end everything is closed."""

from __future__ import annotations

from ops.demo.acts import Act, Until, buy
from ops.demo.script import Part, Tempo
from ops.demo.sights import Free, Holds, Judged, Locked

HOURS = "DEMO-HOURS"


def part(tempo: Tempo) -> Part:
    return Part(HOURS, {"session_block_outside": {"session": "day"}}, {"6E": 1.08})


INSIDE = Act(
    account=HOURS,
    tells="In the session 1 6E is bought, within all limits.",
    does=(buy(HOURS, "6E"),),
    sees=(Holds(account=HOURS, positions={"6E": 1}), Free(account=HOURS, realized="0.00")),
)
BELL = Act(
    rule="session_block_outside",
    account=HOURS,
    tells="The session ends.",
    does=(Until("session_end"),),
    sees=(
        Judged(account=HOURS, rule="session_block_outside", calls=("close",)),
        Locked(account=HOURS, rule="session_block_outside", kind="until_session_start"),
        Holds(account=HOURS, positions={}),
    ),
    looks_back=True,
)
