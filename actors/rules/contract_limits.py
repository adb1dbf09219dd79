"""How many contracts may be open: over the whole account (RULE-001) or per product (RULE-002).

More than the limit, and the excess is closed, newest contracts first; nothing is locked. Working
orders that would lead over the limit again are cancelled, and orders that close a contract which was
cut are cut to the size that is left, so that a stop for three does not turn a long of two short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    AtMost,
    Breach,
    Contract,
    ContractId,
    Demand,
    Figure,
    Now,
    Order,
    OrderAtMost,
    OrderGone,
    OrderId,
    PositionView,
)
from config.settings import MaxContracts, MaxContractsPerInstrument

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow, near_alerts
from .exposure import (
    Sizes,
    cause_of,
    closing_side,
    excess_by_contract,
    newest_lots,
    root_in,
    sizes,
    working,
)
from .machine import Machine, breaches_of
from .rule import Judgement, Probe, Wake


class LimitState(Struct, frozen=True, gc=False):
    """What is over its limit, and the orders that a cut leaves to be cancelled or cut."""

    episodes: Episodes = Episodes()
    orders: tuple[OrderId, ...] = ()


class Group(Struct, frozen=True, gc=False):
    """Contracts that are counted together against one limit."""

    key: str
    root: str | None
    """None: every contract of the account."""
    limit: int
    gross: bool
    positions: tuple[PositionView, ...]

    def count(self, held: Iterable[int]) -> int:
        return sum(abs(size) for size in held) if self.gross else abs(sum(held))


class ContractLimits(Machine[LimitState]):
    """The machine of both rules; a subclass says which contracts count together."""

    wakes_on = frozenset({Wake.FILL, Wake.POSITION, Wake.ORDER, Wake.RESET})

    def __init__(self, action: Literal["reduce", "close", "flatten"], alert_at: Fraction | None) -> None:
        self._action = action
        self._alert_at = alert_at

    def groups(self, snapshot: AccountSnapshot) -> tuple[Group, ...]:
        """Every limit that applies to what is open."""
        raise NotImplementedError

    def initial(self) -> LimitState:
        return LimitState()

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Nothing is over its limit, and no order works that could be left of a cut."""
        if any(_count_now(group) > group.limit for group in self.groups(snapshot)):
            return False
        held = sizes(snapshot)
        return all(
            closing_side(order, size) and abs(order.rest) <= abs(size)
            for order in working(snapshot)
            for size in (held.get(order.contract, 0),)
        )

    # ------------------------------------------------------------------------------ judge

    def judge(self, state: LimitState, snapshot: AccountSnapshot, now: Now) -> Judgement[LimitState]:
        groups = self.groups(snapshot)
        over = [g for g in groups if _count_now(g) > g.limit]
        seen = {g.key: self._breach(g, snapshot) for g in over}
        episodes = follow(state.episodes, self.name, snapshot.day, seen)
        used = {g.key: (Fraction(_count_now(g), g.limit), _near_text(g)) for g in groups if g.limit}
        episodes, notices = near_alerts(episodes, self.name, snapshot.day, used, self._alert_at)
        if self._action == "flatten":
            flat = (AccountFlat(),) if over else ()
            return Judgement(LimitState(episodes), breaches_of(episodes), flat, notices=notices)
        cuts = self._cuts(over)
        orders, order_demands = self._orders(state, snapshot, over, cuts)
        demands: tuple[Demand, ...] = (*(AtMost(c, abs(size)) for c, size in cuts.items()), *order_demands)
        return Judgement(LimitState(episodes, orders), breaches_of(episodes), demands, notices=notices)

    def _cuts(self, over: Iterable[Group]) -> dict[ContractId, int]:
        """The size, signed, that each contract to be closed or cut may keep."""
        kept = dict[ContractId, int]()
        for group in over:
            net = sum(p.size for p in group.positions)
            lots = newest_lots(group.positions, 0 if group.gross else net)
            if self._action == "close" and group.limit:
                kept[lots[0].contract] = 0
                continue
            taken = excess_by_contract(lots, _count_now(group) - group.limit)
            for p in group.positions:
                if p.contract in taken:
                    left = abs(p.size) - taken[p.contract]
                    kept[p.contract] = left if p.size > 0 else -left
        return kept

    def _orders(
        self,
        state: LimitState,
        snapshot: AccountSnapshot,
        over: Iterable[Group],
        cuts: Mapping[ContractId, int],
    ) -> tuple[tuple[OrderId, ...], tuple[Demand, ...]]:
        """Orders that the cut concerns, remembered until they comply, and what they must do now.

        An order that closes is cut only once the position is: until then it protects all of it.
        """
        held = sizes(snapshot)
        aim = {**held, **cuts}
        concerned, demands = list[OrderId](), list[Demand]()
        for order in working(snapshot):
            remembered, size = order.id in state.orders, held.get(order.contract, 0)
            if closing_side(order, size):
                to_cut = order.contract in cuts and abs(order.rest) > abs(aim[order.contract])
                too_large = (to_cut or remembered) and abs(order.rest) > abs(size)
                if too_large:
                    demands.append(OrderAtMost(order.id, order.contract, abs(size)))
                if to_cut or too_large:
                    concerned.append(order.id)
            elif remembered or any(_leads_over(order, group, snapshot, aim) for group in over):
                demands.append(OrderGone(order.id, order.contract))
                concerned.append(order.id)
        return tuple(concerned), tuple(demands)

    def _breach(self, group: Group, snapshot: AccountSnapshot) -> Breach:
        count = _count_now(group)
        side = 0 if group.gross else sum(p.size for p in group.positions)
        newest = newest_lots(group.positions, side)[0].contract
        cause = cause_of(
            snapshot,
            lambda held: group.count(_of_root(held, group.root, snapshot)) > group.limit,
            next(p for p in group.positions if p.contract == newest),
        )
        what = "the account" if group.root is None else group.root
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=None if group.root is None else cause.contract,
            value=str(count),
            limit=str(group.limit),
            mark=None,
            cause=cause.name,
            at=cause.at,
            text=f"{count} contracts open in {what}, more than {group.limit}",
            inputs={
                "count": "gross" if group.gross else "net",
                "action": self._action,
                **{p.contract: f"{p.size:+d}" for p in group.positions},
            },
        )

    # ------------------------------------------------------------------------------ figure, probe

    def figure(self, state: LimitState, snapshot: AccountSnapshot) -> Figure:
        """The limit of which most is used."""
        groups = self.groups(snapshot)
        if not groups:
            return Figure("0", None, 0.0, None, None)
        fullest = max(groups, key=_used)
        count = _count_now(fullest)
        return Figure(
            str(count), str(fullest.limit), _used(fullest), str(max(0, fullest.limit - count)), None
        )


def _used(group: Group) -> float:
    return _count_now(group) / group.limit if group.limit else float(_count_now(group) + 1)


def _count_now(group: Group) -> int:
    return group.count(p.size for p in group.positions)


def _near_text(group: Group) -> str:
    what = "the account" if group.root is None else group.root
    return f"{_count_now(group)} of {group.limit} contracts open in {what}"


def _of_root(held: Sizes, root: str | None, snapshot: AccountSnapshot) -> Iterable[int]:
    return [size for c, size in held.items() if root is None or root_in(snapshot, c) == root]


def _leads_over(order: Order, group: Group, snapshot: AccountSnapshot, aim: Sizes) -> bool:
    """Whether the order, filled after the cut, would bring its group over the limit again."""
    if group.root is not None and root_in(snapshot, order.contract) != group.root:
        return False
    filled = {**aim, order.contract: aim.get(order.contract, 0) + order.rest}
    return group.count(_of_root(filled, group.root, snapshot)) > group.limit


class MaxContractsRule(ContractLimits):
    """RULE-001: no more open contracts in the account than this."""

    name = "max_contracts"

    def __init__(self, config: MaxContracts) -> None:
        super().__init__(config.action, config.alert_at)
        self._limit, self._gross = config.limit, config.count == "gross"

    def groups(self, snapshot: AccountSnapshot) -> tuple[Group, ...]:
        return (Group("*", None, self._limit, self._gross, snapshot.positions),)

    def probe(self, now: Now) -> Probe:
        record = sandbox.contract()
        return Probe(_bought(record, self._limit, self._limit + 1, now), _bought(record, 1, self._limit, now))


class MaxContractsPerInstrumentRule(ContractLimits):
    """RULE-002: no more open contracts of one product than this, netted over its expiries.

    A limit of 0 (or `unknown: block`) means no open contract of the root, each expiry by itself.
    """

    name = "max_contracts_per_instrument"

    def __init__(self, config: MaxContractsPerInstrument) -> None:
        super().__init__(config.action, config.alert_at)
        self._limits = dict(config.limits)
        other = {"default": config.default_limit, "block": 0, "allow": None}
        self._other = other[config.unknown]

    def groups(self, snapshot: AccountSnapshot) -> tuple[Group, ...]:
        by_root = dict[str, list[PositionView]]()
        for p in snapshot.positions:
            by_root.setdefault(root_in(snapshot, p.contract), []).append(p)
        groups = list[Group]()
        for root, positions in sorted(by_root.items()):
            limit = self._limits.get(root, self._other)
            if limit is not None:
                groups.append(Group(root, root, limit, limit == 0, tuple(positions)))
        return tuple(groups)

    def probe(self, now: Now) -> Probe:
        root, limit = next(iter(self._limits.items()), ("MNQ", self._other))
        record = sandbox.contract(root)
        if limit is None:  # no limit at all is configured: nothing can be breached
            return Probe((), ())
        near = _bought(record, 0, limit, now)
        return Probe(_bought(record, limit, limit + 1, now), near)


def _bought(record: Contract, first: int, then: int, now: Now) -> tuple[AccountSnapshot, ...]:
    """A long position that grows by a fill."""
    story = list[AccountSnapshot]()
    for number, size in enumerate((first, then), start=1):
        at = sandbox.after(now, number)
        held = [sandbox.position(record, size, at=at.wall, fill=number)] if size else []
        fills = [sandbox.opening_fill(record, n, 1, at.wall) for n in range(1, number + 1)]
        story.append(sandbox.snapshot(at, positions=held, fills=fills, cause=f"fill:{number}"))
    return tuple(story)
