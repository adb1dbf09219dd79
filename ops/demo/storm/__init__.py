"""Every way in which the connection to the gateway can fail, one after the other, while a trader goes on.

Whatever fails, the blocked product that is bought meanwhile is closed, another account's position is left
alone, and the same daemon ends up with a live link again.
"""

from __future__ import annotations

from ops.demo.acts import Act, Step, buy, fault
from ops.demo.script import Part, Script, Tempo
from ops.demo.sights import Holds, Managed, Steady, Unchanged
from ops.demo.storm.faults import STRIKES, Strike

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
        sees=(Holds(account=CALM, positions={"MES": 1}),),
    ),
)


def storm(tempo: Tempo) -> Script:
    acts = map(_act, STRIKES)
    return Script("storm", tempo, PARTS, (*BEFORE, *acts), connection={"request_timeout": "1s"}, turns=False)


def _act(strike: Strike) -> Act:
    trade: Step = buy(STORM, "MNQ")
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
    )
