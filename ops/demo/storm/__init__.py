"""Every way in which the connection to the gateway can fail, one after the other, while a trader goes on.

Whatever fails, the blocked product that is bought meanwhile is closed, another account's position is left
alone, and the same daemon ends up with a live link again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ops.demo.acts import Act, Played, buy, fault
from ops.demo.script import Part, Script, Tempo
from ops.demo.sights import Holds, Managed, Steady, Unchanged
from ops.demo.storm.faults import FROZEN_S, NOTICED_S, Strike, strikes
from ops.demo.storm.sights import Measured
from ops.demo.storm.table import FaultRow, fault_rows

SETTLED_S = 2.1
"""A link that has lasted so long was not one of a series of failures: it is made anew at once."""
STORM, CALM = "DEMO-STORM", "DEMO-CALM"
PARTS = (
    Part(STORM, {"symbol_blocks": {"blocked": ["MNQ"]}}, {"MNQ": 21000}),
    Part(CALM, {"symbol_blocks": {"blocked": ["CL"]}}, {"MES": 5800, "CL": 70}),
)
CLEAR = fault("all", on=False)
BEFORE = (
    Act(
        account=CALM,
        tells="One account holds 1 MES and is left alone from here on.",
        does=(buy(CALM, "MES"),),
        sees=(Holds(account=CALM, positions={"MES": 1}), Measured(account=CALM)),
    ),
)


def storm(tempo: Tempo) -> Script:
    return story(strikes_of(tempo), tempo)


def strikes_of(tempo: Tempo) -> tuple[Strike, ...]:
    """With time to read there is time to wait until frozen hubs are noticed."""
    return strikes(frozen_s=NOTICED_S if tempo.pause_s else FROZEN_S)


def story(struck: tuple[Strike, ...], tempo: Tempo) -> Script:
    acts = (*BEFORE, *map(_act, struck))
    brisk = msgspec.structs.replace(tempo, pause_s=0.0)
    return Script("storm", brisk, PARTS, acts, connection={"request_timeout": "1s"}, turns=False)


def rows(
    struck: Sequence[Strike], played: Sequence[Played], links: Sequence[dict[str, Any]]
) -> tuple[FaultRow, ...]:
    """What came of each strike that was played."""
    return fault_rows(struck, played[len(BEFORE) :], links, (STORM, CALM))


def _act(strike: Strike) -> Act:
    trade = buy(STORM, "MNQ") | ({"bracket": strike.bracket} if strike.bracket else {})
    return Act(
        account=STORM,
        rule="symbol_blocks",
        tells=f"{strike.tells}. 1 MNQ is bought, which is blocked.",
        does=(CLEAR, *strike.first, trade, *strike.then),
        sees=(
            Holds(account=STORM, positions={}),
            Managed(account=STORM, rule="symbol_blocks", calls=()),
            Steady(account=STORM),
            Unchanged(account=CALM),
        ),
        within_s=30,
        rests_s=SETTLED_S if strike.alone else 0.0,
    )
