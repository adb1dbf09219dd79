"""A bad day: an open loss that runs, then the day's limit."""

from __future__ import annotations

from ops.demo.acts import Act, Holds, Judged, Locked, buy, price
from ops.demo.script import Part, Tempo

LOSS = "DEMO-LOSS"


def part(tempo: Tempo) -> Part:
    return Part(
        LOSS,
        {"daily_unrealized_loss": {"limit": -300}, "daily_realized_loss": {"limit": -500}},
        {"NQ": 21000},
    )


OPEN_LOSS = Act(
    rule="daily_unrealized_loss",
    account=LOSS,
    tells="1 NQ is bought and the market falls by 15.25 points: 305 dollars down.",
    does=(buy(LOSS, "NQ", at=21000), price("NQ", 20984.75)),
    sees=(
        Judged(account=LOSS, rule="daily_unrealized_loss", calls=("close",)),
        Holds(account=LOSS, positions={}),
    ),
)
DAY_LOSS = Act(
    rule="daily_realized_loss",
    account=LOSS,
    tells="The trader buys again and the market falls by another 10 points: the day stands at -505.",
    does=(buy(LOSS, "NQ", at=20984.75), price("NQ", 20974.75)),
    sees=(
        Judged(account=LOSS, rule="daily_realized_loss", calls=("close",)),
        Locked(account=LOSS, rule="daily_realized_loss", kind="until_reset"),
        Holds(account=LOSS, positions={}),
    ),
)
