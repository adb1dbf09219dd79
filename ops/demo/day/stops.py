"""Stops: the one that was never placed, and those that are placed and moved for the trader."""

from __future__ import annotations

from ops.demo.acts import Act, buy, price
from ops.demo.script import Part, Tempo
from ops.demo.sights import Holds, Judged, Managed, Traded, WorkingStop, WorkingTarget

STOPS, MANAGED = "DEMO-STOPS", "DEMO-MANAGED"


def stops(tempo: Tempo) -> Part:
    return Part(STOPS, {"no_stop_loss_grace": {"grace": f"{tempo.grace_s}s"}}, {"MCL": 70})


def managed(tempo: Tempo) -> Part:
    keys = {
        "stop_loss": {"ticks": 20},
        "take_profit": {"ticks": 60},
        "breakeven": {"after_ticks": 10, "offset_ticks": 1},
        "trailing": {"after_ticks": 20, "distance_ticks": 10},
    }
    return Part(MANAGED, {"trade_management": keys}, {"MGC": 2600})


NAKED = Act(
    rule="no_stop_loss_grace",
    account=STOPS,
    tells="1 MCL is bought and no stop is placed; the grace runs out.",
    does=(buy(STOPS, "MCL"),),
    sees=(
        Judged(account=STOPS, rule="no_stop_loss_grace", calls=("close",)),
        Holds(account=STOPS, positions={}),
    ),
    within_s=30,
)
BRACKET = Act(
    rule="trade_management",
    account=MANAGED,
    tells="1 MGC is bought at 2600; stop and target are placed for the trader.",
    does=(buy(MANAGED, "MGC", at=2600),),
    sees=(
        Managed(account=MANAGED, rule="trade_management", calls=("place",)),
        WorkingStop(account=MANAGED, root="MGC", at="2598.00"),
        WorkingTarget(account=MANAGED, root="MGC", at="2606.00"),
    ),
)
BREAKEVEN = Act(
    account=MANAGED,
    tells="10 ticks in profit: the stop goes to entry and one tick.",
    does=(price("MGC", 2601),),
    sees=(WorkingStop(account=MANAGED, root="MGC", at="2600.10"),),
)
TRAILED = Act(
    account=MANAGED,
    tells="20 ticks in profit: the stop follows at a distance of 10.",
    does=(price("MGC", 2602),),
    sees=(WorkingStop(account=MANAGED, root="MGC", at="2601.00"),),
)
STOPPED = Act(
    account=MANAGED,
    tells="The market turns; the trailed stop fills, its target is cancelled.",
    does=(price("MGC", 2601),),
    sees=(Holds(account=MANAGED, positions={}, orders=0), Traded(account=MANAGED, fills=2)),
)
