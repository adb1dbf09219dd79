"""An initial state and timed steps from YAML: accounts, prices, positions, orders, and a script.

    fees: 0.36                      # dollars per contract and half-turn; also commissions
    accounts: [{id: 1001, name: PRAC-V2-1001, balance: 50000}]
    prices: {MNQ: 21000, ES: {last: 5800, bid: 5799.75, ask: 5800.25}}
    positions: [{account: 1001, contract: MNQ, side: buy, size: 2, price: 21000}]
    orders: [{account: 1001, contract: MNQ, side: sell, size: 2, type: stop, price: 20980}]
    script: [{after: 5, op: price, contract: MNQ, price: 20990}]

Everything but the settings is a control operation, so whatever that can do a scenario can do too. `after`
counts seconds from the step before.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ops.simulator.settings import AccountSetup, Settings
from ops.simulator.shapes import Json

BUILT_IN = Path(__file__).parent / "scenarios"


class Scenario(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    user: str | None = None
    api_key: str | None = None
    fees: Decimal | None = None
    commissions: Decimal | None = None
    requote: float | None = None
    accounts: list[AccountSetup] | None = None
    prices: dict[str, Any] = {}
    positions: list[dict[str, Any]] = []
    orders: list[dict[str, Any]] = []
    script: list[dict[str, Any]] = []

    def applied_to(self, settings: Settings) -> Settings:
        names = ("user", "api_key", "fees", "commissions", "requote")
        changed = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.accounts is not None:
            changed["accounts"] = tuple(self.accounts)
        return replace(settings, **changed)

    def opening(self) -> list[Json]:
        """The operations that make the initial state."""
        prices: list[Json] = [
            {"op": "price", "contract": contract, **(price if isinstance(price, dict) else {"price": price})}
            for contract, price in self.prices.items()
        ]
        positions = [{"op": "position", **position} for position in self.positions]
        return [*prices, *positions, *({"op": "order", **order} for order in self.orders)]

    def steps(self) -> list[tuple[float, Json]]:
        """The script: seconds after the step before, and the operation."""
        return [
            (float(step.get("after", 0)), {key: value for key, value in step.items() if key != "after"})
            for step in self.script
        ]


def load(named: str) -> Scenario:
    """A built-in scenario by name, or a file; ValueError when it is not one, OSError when not there."""
    built_in = BUILT_IN / f"{named}.yaml"
    path = built_in if built_in.exists() else Path(named)
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    return parse(document or {})


def parse(document: object) -> Scenario:
    """A scenario from plain data; raises ValueError (msgspec.ValidationError) for what does not fit."""
    return msgspec.convert(document, Scenario, strict=False)
