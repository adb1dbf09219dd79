"""Too fast, and not learning: overtrading, the trade after a loss, a losing streak."""

from __future__ import annotations

from ops.demo.acts import Act, buy, sell
from ops.demo.script import Part, Tempo
from ops.demo.sights import Holds, Judged, Locked, Unlocked

PACE, STREAK = "DEMO-PACE", "DEMO-STREAK"


def pace(tempo: Tempo) -> Part:
    rest = {"per_minute": f"{tempo.cooldown_s}s"}
    return Part(PACE, {"trade_frequency_limit": {"per_minute": 3, "cooldown": rest}}, {"YM": 40000})


def streak(tempo: Tempo) -> Part:
    tiers = [{"loss": -100, "cooldown": f"{tempo.cooldown_s}s"}]
    return Part(
        STREAK,
        {"cooldown_after_loss": {"tiers": tiers}, "loss_streak": {"losses": 3}},
        {"RTY": 2000, "M2K": 2000},
    )


TOO_FAST = Act(
    rule="trade_frequency_limit",
    account=PACE,
    tells="In and out and in again: the fourth order in a minute where three are allowed.",
    does=(buy(PACE, "YM"), sell(PACE, "YM"), buy(PACE, "YM"), buy(PACE, "YM")),
    sees=(
        Judged(account=PACE, rule="trade_frequency_limit", calls=("close",)),
        Locked(account=PACE, rule="trade_frequency_limit", kind="duration"),
        Holds(account=PACE, positions={}),
    ),
)
RESTED = Act(
    account=PACE,
    tells="The rest is over.",
    sees=(Unlocked(account=PACE, rule="trade_frequency_limit", reason="expired"),),
    within_s=40,
    looks_back=True,
)
FIRST_LOSS = Act(
    rule="cooldown_after_loss",
    account=STREAK,
    tells="With an M2K open, 1 RTY is bought at 2000 and sold at 1997.5: 125 dollars lost.",
    does=(buy(STREAK, "M2K"), buy(STREAK, "RTY", at=2000), sell(STREAK, "RTY", at=1997.5)),
    sees=(
        Judged(account=STREAK, rule="cooldown_after_loss", calls=("close",)),
        Locked(account=STREAK, rule="cooldown_after_loss", kind="duration"),
        Holds(account=STREAK, positions={}),
    ),
)
CALMER = Act(
    account=STREAK,
    tells="The rest after the loss is over.",
    sees=(Unlocked(account=STREAK, rule="cooldown_after_loss", reason="expired"),),
    within_s=40,
    looks_back=True,
)
THIRD_LOSS = Act(
    rule="loss_streak",
    account=STREAK,
    tells="Two small losses more: the third losing trade in a row.",
    does=(
        buy(STREAK, "M2K"),
        buy(STREAK, "RTY", at=1997.5),
        sell(STREAK, "RTY", at=1997),
        buy(STREAK, "RTY", at=1997),
        sell(STREAK, "RTY", at=1996.5),
    ),
    sees=(
        Judged(account=STREAK, rule="loss_streak", calls=("close",)),
        Locked(account=STREAK, rule="loss_streak", kind="until_reset"),
        Holds(account=STREAK, positions={}),
    ),
)
NEW_DAY = Act(
    account=STREAK,
    tells="And for the losing streak.",
    sees=(Unlocked(account=STREAK, rule="loss_streak", reason="reset"),),
    looks_back=True,
)
