"""Products that are not traded (RULE-011).

A working order in a blocked root is cancelled and a position closed; everything else stays, and the
account is not locked: the root stays blocked for as long as it is listed. A root that a reload blocks
is blocked for what is open, too.
"""

from __future__ import annotations

from actors.messages import (
    AccountSnapshot,
    Breach,
    ContractId,
    Demand,
    Flat,
    Now,
    Order,
    OrderGone,
    OrderType,
    PositionView,
)
from config.instruments import TICKS, is_glob, matches_any
from config.settings import SymbolBlocks

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow
from .exposure import Cause, cause_of, closing_side, root_in, sizes, working
from .machine import Machine, breaches_of
from .rule import Judgement, Probe, Wake


class SymbolBlocksRule(Machine[Episodes]):
    """RULE-011."""

    name = "symbol_blocks"
    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.ORDER, Wake.RESET})

    def __init__(self, config: SymbolBlocks) -> None:
        self._blocked = config.blocked
        self._known = dict[str, bool]()

    def initial(self) -> Episodes:
        return Episodes()

    # ------------------------------------------------------------------------------ judge

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Nothing blocked is open or worked."""
        return not (
            any(self._is_blocked(snapshot, p.contract) for p in snapshot.positions)
            or any(self._is_blocked(snapshot, order.contract) for order in snapshot.orders)
        )

    def judge(self, state: Episodes, snapshot: AccountSnapshot, now: Now) -> Judgement[Episodes]:
        seen, demands = dict[str, Breach](), list[Demand]()
        for p in snapshot.positions:
            if self._is_blocked(snapshot, p.contract):
                seen[p.contract] = self._position_breach(p, snapshot)
                demands.append(Flat(p.contract))
        held = sizes(snapshot)
        for order in working(snapshot):
            # What closes an open position protects it until it is closed.
            protects = closing_side(order, held.get(order.contract, 0))
            if self._is_blocked(snapshot, order.contract) and not protects:
                seen[f"order:{order.id}"] = self._order_breach(order, snapshot)
                demands.append(OrderGone(order.id, order.contract))
        episodes = follow(state, self.name, snapshot.day, seen)
        return Judgement(episodes, breaches_of(episodes), tuple(demands))

    def _is_blocked(self, snapshot: AccountSnapshot, contract: ContractId) -> bool:
        root = root_in(snapshot, contract)
        known = self._known.get(root)
        if known is None:
            known = self._known[root] = matches_any(root, self._blocked)
        return known

    def _position_breach(self, p: PositionView, snapshot: AccountSnapshot) -> Breach:
        cause = cause_of(snapshot, lambda held: bool(held.get(p.contract)), p)
        return self._breach(p.contract, f"{p.size:+d}", cause, f"{p.contract} is open", snapshot)

    def _order_breach(self, order: Order, snapshot: AccountSnapshot) -> Breach:
        cause = Cause(f"order:{order.id}", order.created_at)
        text = f"an order works in {order.contract}"
        return self._breach(order.contract, f"{order.rest:+d}", cause, text, snapshot)

    def _breach(
        self, contract: ContractId, value: str, cause: Cause, text: str, snapshot: AccountSnapshot
    ) -> Breach:
        root = root_in(snapshot, contract)
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=contract,
            value=value,
            limit="0",
            mark=None,
            cause=cause.name,
            at=cause.at,
            text=f"{text}, and {root} is blocked",
            inputs={"root": root, "blocked": ", ".join(self._blocked)},
        )

    # ------------------------------------------------------------------------------ probe

    def probe(self, now: Now) -> Probe:
        if not self._blocked:
            return Probe((), ())
        blocked = next((root for root in self._blocked if not is_glob(root)), None)
        if blocked is None:
            blocked = self._blocked[0].replace("*", "").replace("?", "A") or "MNQ"
        free = next((root for root in TICKS if not matches_any(root, self._blocked)), None)
        return Probe(_ordered(blocked, now), _ordered(free, now) if free is not None else ())


def _ordered(root: str, now: Now) -> tuple[AccountSnapshot, ...]:
    """A limit order is placed in the root."""
    order = sandbox.order(sandbox.contract(root), 1, 1, now.wall, OrderType.LIMIT, sandbox.ENTRY)
    then = sandbox.after(now, 1)
    return sandbox.snapshot(now), sandbox.snapshot(then, orders=[order], cause="order:1")
