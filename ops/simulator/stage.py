"""What control operations work on, and what they are: a tagged request with its fields and its effect."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from fractions import Fraction

import msgspec

from ops.simulator.contracts import Contract
from ops.simulator.front import Front
from ops.simulator.gateway import Gateway
from ops.simulator.records import Account, Order, Outcome
from ops.simulator.shapes import Json


class Refused(Exception):
    """An operation that cannot be done, with the reason for whoever asked."""


class Stage(msgspec.Struct, frozen=True):
    """A running gateway as the control endpoint sees it. `listen(False)` makes it refuse connections."""

    gateway: Gateway
    front: Front
    listen: Callable[[bool], Awaitable[None]]

    def account(self, named: int | str) -> Account:
        account = self.gateway.state.account(named)
        if account is None:
            raise Refused(f"no account {named}")
        return account

    def contract(self, named: str) -> Contract:
        contract = self.gateway.state.catalogue.named(named)
        if contract is None:
            raise Refused(f"no contract {named}: give a full id or an exchange root such as MNQ")
        return contract

    def order(self, order_id: int) -> Order:
        order = self.gateway.state.orders.get(order_id)
        if order is None:
            raise Refused(f"no order {order_id}")
        return order

    def settle(
        self,
        outcome: Outcome,
        *,
        silent: bool = False,
        written: Callable[[str, float], None] | None = None,
    ) -> Outcome:
        """Tells the events of a request, or refuses with the broker's words."""
        if not silent:
            self.gateway.tell(outcome.changes, written)
        if not outcome.ok:
            raise Refused(f"{outcome.message} (code {int(outcome.code)})")
        return outcome


class Operation(msgspec.Struct, tag_field="op", kw_only=True, forbid_unknown_fields=True):
    """One control operation. Its fields are its struct's, its docstring is its help."""

    async def run(self, stage: Stage) -> Json:
        raise NotImplementedError


def exact(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)
