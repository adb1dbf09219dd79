"""The guard itself is struck down while an account is locked and a position is open."""

from __future__ import annotations

from ops.demo.acts import Act, KillDaemon, buy
from ops.demo.day.loss import LOSS
from ops.demo.day.stops import MANAGED
from ops.demo.sights import Holds, Returned, Unchanged

DAEMON_KILLED = Act(
    account=LOSS,
    tells="The daemon is killed; while nobody guards, the trader buys on the locked account.",
    does=(KillDaemon(), buy(LOSS, "NQ")),
    sees=(
        Returned(account=LOSS),
        Unchanged(account=MANAGED),
        Unchanged(account=LOSS),
        Holds(account=LOSS, positions={}),
    ),
    within_s=40,
)
