"""A bad day: an open loss that runs, the day's limit, and one more try."""

from __future__ import annotations

from ops.demo.acts import Act, Until, buy, price
from ops.demo.script import Part, Tempo
from ops.demo.sights import Attempted, Free, Holds, Judged, Locked, Unlocked

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
REVENGE = Act(
    account=LOSS,
    tells="The trader wants it back and buys on the locked account.",
    does=(buy(LOSS, "NQ"),),
    sees=(Attempted(account=LOSS, attempts=1), Holds(account=LOSS, positions={})),
)
NEW_DAY = Act(
    account=LOSS,
    tells="The trading day ends; a new one begins at zero.",
    does=(Until("reset"),),
    sees=(
        Unlocked(account=LOSS, rule="daily_realized_loss", reason="reset"),
        Free(account=LOSS, realized="0.00"),
    ),
    looks_back=True,
)
FIRST_TRADE = Act(
    account=LOSS,
    tells="1 NQ is bought in the new day, within all limits.",
    does=(buy(LOSS, "NQ"),),
    sees=(Holds(account=LOSS, positions={"NQ": 1}), Free(account=LOSS, realized="0.00")),
)
