"""Too much at once: of one product, of all together, of one that is not traded; and a firm that says stop."""

from __future__ import annotations

from ops.demo.acts import Act, KillActor, buy, can_trade
from ops.demo.script import Part, Tempo
from ops.demo.sights import Holds, Judged, Locked, Restarted, Unlocked

SIZE = "DEMO-SIZE"
WATCHER = f"account/{SIZE}/rules/max_contracts_per_instrument"


def part(tempo: Tempo) -> Part:
    return Part(
        SIZE,
        {
            "max_contracts": {"limit": 5},
            "max_contracts_per_instrument": {"default_limit": 3, "limits": {"MNQ": 2}},
            "symbol_blocks": {"blocked": ["CL"]},
            "auth_loss_guard": {},
        },
        {"MNQ": 21000, "MES": 5800, "MYM": 40000, "CL": 70},
    )


ONE_PRODUCT = Act(
    rule="max_contracts_per_instrument",
    account=SIZE,
    tells="The trader buys 3 MNQ where 2 are allowed.",
    does=(buy(SIZE, "MNQ", 3),),
    sees=(
        Judged(account=SIZE, rule="max_contracts_per_instrument", calls=("partial_close",)),
        Holds(account=SIZE, positions={"MNQ": 2}),
    ),
)
ALL_TOGETHER = Act(
    rule="max_contracts",
    account=SIZE,
    tells="3 MES more make 5, as many as are allowed; then 1 MYM on top.",
    does=(buy(SIZE, "MES", 3), buy(SIZE, "MYM")),
    sees=(
        Judged(account=SIZE, rule="max_contracts", calls=("close",)),
        Holds(account=SIZE, positions={"MNQ": 2, "MES": 3}),
    ),
)
BLOCKED = Act(
    rule="symbol_blocks",
    account=SIZE,
    tells="The trader is tempted by CL, which the calm hour had ruled out.",
    does=(buy(SIZE, "CL"),),
    sees=(
        Judged(account=SIZE, rule="symbol_blocks", calls=("close",)),
        Holds(account=SIZE, positions={"MNQ": 2, "MES": 3}),
    ),
)
RULE_KILLED = Act(
    account=SIZE,
    tells="The actor that counts contracts is killed, and 1 MNQ too many is bought at once.",
    does=(KillActor(WATCHER), buy(SIZE, "MNQ")),
    sees=(
        Restarted(account=SIZE, actor=WATCHER),
        Judged(account=SIZE, rule="max_contracts_per_instrument", calls=("partial_close",)),
        Holds(account=SIZE, positions={"MNQ": 2, "MES": 3}),
    ),
)
FORBIDDEN = Act(
    rule="auth_loss_guard",
    account=SIZE,
    tells="The firm forbids trading in the account.",
    does=(can_trade(SIZE, False),),
    sees=(
        Judged(account=SIZE, rule="auth_loss_guard", calls=("close",)),
        Locked(account=SIZE, rule="auth_loss_guard", kind="condition"),
        Holds(account=SIZE, positions={}),
    ),
)
ALLOWED = Act(
    account=SIZE,
    tells="The firm allows it again.",
    does=(can_trade(SIZE, True),),
    sees=(Unlocked(account=SIZE, rule="auth_loss_guard", reason="condition"),),
)
