"""What holds for every rule, whatever the trader and the market do."""

from __future__ import annotations

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from actors.messages import AccountSnapshot, Lock, OwnClose
from actors.rules.bounds import side
from actors.rules.exposure import working
from actors.rules.registry import ALL, BuiltRule, build, build_unnumbered
from actors.rules.rule import Wake
from tests.builders import NAME, Desk, Watching, a_calendar, some_settings

KEYS: dict[str, dict[str, object]] = {
    "max_contracts": {"limit": 2},
    "max_contracts_per_instrument": {"limits": {"MNQ": 2}, "default_limit": 1},
    "daily_realized_loss": {"limit": -200},
    "daily_unrealized_loss": {"limit": -60, "lockout": "5m"},
    "max_unrealized_profit": {"target": 60},
    "trade_frequency_limit": {"per_minute": 2, "per_hour": 4},
    "cooldown_after_loss": {"tiers": [{"loss": -20, "cooldown": "30s"}, {"loss": -60, "cooldown": "5m"}]},
    "no_stop_loss_grace": {"grace": "5s"},
    "session_block_outside": {"close_grace": "20s"},
    "symbol_blocks": {"blocked": ["YM"]},
    "trade_management": {
        "stop_loss": {"ticks": 30},
        "breakeven": {"after_ticks": 10},
        "trailing": {"after_ticks": 20, "distance_ticks": 10},
    },
    "daily_realized_profit": {"target": 200},
    "loss_streak": {"losses": 2, "lockout": "1m"},
}
PRICES = {"MNQ": 21000.0, "ES": 5000.0, "YM": 40000.0}

ROOTS = st.sampled_from(sorted(PRICES))
MOVES = st.integers(-30, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), ROOTS, st.integers(-3, 3).filter(bool), MOVES),
        st.tuples(st.just("price"), ROOTS, MOVES),
        st.tuples(st.just("stop"), ROOTS, st.integers(-3, 3).filter(bool), MOVES),
        st.tuples(st.just("limit"), ROOTS, st.integers(-3, 3).filter(bool), MOVES),
        st.tuples(st.just("wait"), st.integers(1, 90)),
        st.tuples(st.just("read")),
        st.tuples(st.just("own"), ROOTS),
    ),
    min_size=1,
    max_size=14,
)
type Step = tuple[str, *tuple[object, ...]]


def every_rule() -> list[BuiltRule]:
    settings = some_settings(**{name: {"mode": "armed", **KEYS.get(name, {})} for name in ALL})
    return [*build(settings, NAME, a_calendar(settings)), *build_unnumbered(settings, NAME)]


RULES = every_rule()


def price(root: str, move: object) -> float:
    assert isinstance(move, int)
    return PRICES[root] + move * (1.0 if root == "YM" else 0.25)


def take(desk: Desk, step: Step) -> AccountSnapshot:
    match step:
        case ("fill", str(root), int(size), move):
            desk.wait(1)
            trade = desk.buy if size > 0 else desk.sell
            return trade(root, abs(size), price(root, move))
        case ("price", str(root), move):
            return desk.price(root, price(root, move))
        case ("stop", str(root), int(size), move):
            desk.place(root, size, stop=price(root, move))
        case ("limit", str(root), int(size), move):
            desk.place(root, size, limit=price(root, move))
        case ("wait", int(seconds)):
            return desk.wait(seconds)
        case ("read",):
            return desk.read()
        case ("own", str(root)):
            held = desk.snapshot().position(desk.contract(root).id)
            if held is not None:
                desk.wait(1)
                trade = desk.sell if held.size > 0 else desk.buy
                return trade(root, abs(held.size), PRICES[root], own=OwnClose.LOCKOUT)
    return desk.snapshot()


def story(steps: list[Step]) -> list[AccountSnapshot]:
    desk = Desk()
    return [desk.snapshot(), *(take(desk, step) for step in steps)]


@given(STEPS)
def test_judging_the_same_snapshot_again_changes_nothing(steps: list[Step]) -> None:
    watched = [Watching(rule.rule) for rule in RULES]
    for snapshot in story(steps):
        for rule in watched:
            rule.judge(snapshot)
            first = rule.judge(snapshot)

            assert rule.judge(snapshot) == first


@given(STEPS)
def test_a_flat_account_without_orders_is_asked_for_nothing(steps: list[Step]) -> None:
    watched = [Watching(rule.rule) for rule in RULES]
    for snapshot in story(steps):
        demands = [demand for rule in watched for demand in rule.judge(snapshot).demands]

        assert not demands or snapshot.positions or working(snapshot)


@given(STEPS)
def test_the_order_in_which_fills_arrived_does_not_matter(steps: list[Step]) -> None:
    straight = story(steps)
    turned = [msgspec.structs.replace(s, fills=tuple(reversed(s.fills))) for s in straight]

    for built in RULES:
        one, other = Watching(built.rule), Watching(built.rule)
        for this, that in zip(straight, turned, strict=True):
            assert one.judge(this) == other.judge(that)


@given(STEPS)
@example([("fill", "ES", 2, -3), ("fill", "ES", 1, 0), ("wait", 11), ("price", "ES", -1)])
def test_a_price_that_changes_the_verdict_wakes_the_rule(steps: list[Step]) -> None:
    """A rule that no price wakes must not say anything new because of one."""
    for built in RULES:
        rule, last = Watching(built.rule), None
        for snapshot in story(steps):
            before = last
            judged = rule.judge(snapshot)
            last = snapshot, (judged.breaches, judged.demands, judged.lock)
            if before is None or not snapshot.cause.startswith("price:") or before[1] == last[1]:
                continue
            by_bound = side(built.rule.bounds(before[0]), before[0]) != side(
                built.rule.bounds(snapshot), snapshot
            )
            by_price = Wake.PRICE in built.rule.wakes_on and by_bound
            assert by_price or Wake.TIME in built.rule.wakes_on, built.name


@given(STEPS)
def test_the_lock_of_a_breach_never_changes_its_end_and_is_never_over(steps: list[Step]) -> None:
    for built in RULES:
        rule, ends = Watching(built.rule), dict[object, Lock]()
        for snapshot in story(steps):
            lock = rule.judge(snapshot).lock
            if lock is None:
                continue
            assert lock.until is None or lock.until > snapshot.now.wall
            assert (ends.setdefault(lock.breach, lock)).until == lock.until
            assert lock.since <= snapshot.now.wall


@given(STEPS)
def test_a_breach_keeps_its_figures_and_no_two_share_a_name(steps: list[Step]) -> None:
    for built in RULES:
        rule, seen, over = Watching(built.rule), dict[str, object](), set[str]()
        for snapshot in story(steps):
            breaches = rule.judge(snapshot).breaches
            names = [breach.id for breach in breaches]
            assert len(names) == len(set(names))
            assert not over & set(names), "an episode that ended began again under its old name"
            over |= {name for name in seen if name not in names}
            for breach in breaches:
                assert seen.setdefault(breach.id, breach) == breach
                assert breach.rule == built.name


@given(STEPS)
@example([("stop", "MNQ", -1, 0), ("fill", "MNQ", 3, 0), ("own", "MNQ")])
def test_what_can_wait_asks_for_nothing_new(steps: list[Step]) -> None:
    """Those that wait are told after the others: a close must never be among what they say then."""
    for built in RULES:
        rule, asked = Watching(built.rule), list[object]()
        for snapshot in story(steps):
            waits = built.rule.can_wait(snapshot)
            judged = rule.judge(snapshot)
            said = [*(breach.id for breach in judged.breaches), *judged.demands, judged.lock]
            assert not waits or all(one is None or one in asked for one in said), built.name
            asked = said
