"""Too much at once: contracts of one product."""

from __future__ import annotations

from ops.demo.acts import Act, Holds, Judged, buy
from ops.demo.script import Part, Tempo

SIZE = "DEMO-SIZE"


def part(tempo: Tempo) -> Part:
    return Part(
        SIZE,
        {"max_contracts_per_instrument": {"limits": {"MNQ": 2}}},
        {"MNQ": 21000},
    )


TOO_MANY_OF_ONE = Act(
    rule="max_contracts_per_instrument",
    account=SIZE,
    tells="The trader buys 3 MNQ where 2 are allowed.",
    does=(buy(SIZE, "MNQ", 3),),
    sees=(
        Judged(account=SIZE, rule="max_contracts_per_instrument", calls=("partial_close",)),
        Holds(account=SIZE, positions={"MNQ": 2}),
    ),
)
