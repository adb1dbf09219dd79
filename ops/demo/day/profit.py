"""A good day that is kept: a position's profit taken, then the day's target."""

from __future__ import annotations

from ops.demo.acts import Act, buy, price
from ops.demo.script import Part, Tempo
from ops.demo.sights import Holds, Judged, Locked, Unlocked

PROFIT = "DEMO-PROFIT"


def part(tempo: Tempo) -> Part:
    return Part(
        PROFIT,
        {"max_unrealized_profit": {"target": 500}, "daily_realized_profit": {"target": 900}},
        {"ES": 5800},
    )


TAKEN = Act(
    rule="max_unrealized_profit",
    account=PROFIT,
    tells="1 ES is bought and the market rises by 10 points: 500 dollars up.",
    does=(buy(PROFIT, "ES", at=5800), price("ES", 5810)),
    sees=(
        Judged(account=PROFIT, rule="max_unrealized_profit", calls=("close",)),
        Holds(account=PROFIT, positions={}),
    ),
)
ENOUGH = Act(
    rule="daily_realized_profit",
    account=PROFIT,
    tells="The next one gains 8 points: with what was taken, 900 dollars for the day.",
    does=(buy(PROFIT, "ES", at=5810), price("ES", 5818)),
    sees=(
        Judged(account=PROFIT, rule="daily_realized_profit", calls=("close",)),
        Locked(account=PROFIT, rule="daily_realized_profit", kind="until_reset"),
        Holds(account=PROFIT, positions={}),
    ),
)
NEW_DAY = Act(
    account=PROFIT,
    tells="So it does for the account that had enough.",
    sees=(Unlocked(account=PROFIT, rule="daily_realized_profit", reason="reset"),),
    looks_back=True,
)
