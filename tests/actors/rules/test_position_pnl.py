"""Open positions too far down, or far enough up: daily_unrealized_loss and max_unrealized_profit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import AccountFlat, Demand, Flat, LockKind, StopAt
from tests.builders import Desk, Watching, a_rule

MNQ, ES = "CON.F.US.MNQ.Z25", "CON.F.US.ES.Z25"


def down(**config: object) -> Watching:
    return a_rule("daily_unrealized_loss", **config)


def up(**config: object) -> Watching:
    return a_rule("max_unrealized_profit", **config)


def held(what: str, size: int, entry: float) -> Desk:
    desk = Desk()
    if size > 0:
        desk.buy(what, size, entry)
    else:
        desk.sell(what, -size, entry)
    return desk


PRICES = [
    pytest.param("daily_unrealized_loss", {}, "MNQ", 2, 21000.0, 20700.0, True, id="S26 -1200 against -300"),
    pytest.param("daily_unrealized_loss", {}, "MNQ", 3, 21000.0, 20950.0, True, id="S28 -300.00 is a breach"),
    pytest.param(
        "daily_unrealized_loss", {}, "MNQ", 3, 21000.0, 20950.25, False, id="S28 a tick less is none"
    ),
    pytest.param("daily_unrealized_loss", {}, "MNQ", -3, 21000.0, 21050.0, True, id="a short loses above"),
    pytest.param("daily_unrealized_loss", {}, "ES", 1, 5000.0, 5002.5, False, id="a profit is no loss"),
    pytest.param(
        "max_unrealized_profit", {"target": 2000}, "ES", 10, 5800.0, 5804.0, True, id="S33 at the target"
    ),
    pytest.param(
        "max_unrealized_profit", {"target": 2000}, "ES", 10, 5800.0, 5803.75, False, id="S33 a tick below"
    ),
    pytest.param("max_unrealized_profit", {}, "YM", -10, 40000.0, 39990.0, True, id="a short wins below"),
]


@pytest.mark.parametrize(("name", "config", "what", "size", "entry", "price", "over"), PRICES)
def test_by_position(
    name: str, config: dict[str, object], what: str, size: int, entry: float, price: float, over: bool
) -> None:
    rule, desk = a_rule(name, **config), held(what, size, entry)

    judged = rule.judge(desk.price(what, price))

    contract = f"CON.F.US.{what}.Z25"
    assert judged.demands == ((Flat(contract),) if over else ())
    assert [b.contract for b in judged.breaches] == ([contract] if over else [])
    assert judged.lock is None


def test_only_the_contract_that_is_down_is_closed() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)
    desk.buy("ES", 1, 5000.0)
    desk.price("ES", 5001.0)

    judged = rule.judge(desk.price("MNQ", 20700.0))

    assert judged.demands == (Flat(MNQ),)
    breach = judged.breaches[0]
    assert (breach.id, breach.value, breach.mark) == (
        "2025-11-19/daily_unrealized_loss/CON.F.US.MNQ.Z25/price/1",
        "-1200.00",
        "20700.00",
    )
    assert breach.inputs == {
        MNQ: "size +2, cost 168000 ticks, mark 82800 ticks, 0.50 a tick, unrealized -1200.00"
    }


def test_a_breach_keeps_its_first_figures_and_is_over_when_the_price_is_back() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)
    seen = [rule.judge(desk.price("MNQ", price)).breaches for price in (20700.0, 20600.0, 20950.0, 20700.0)]

    assert [[b.value for b in breaches] for breaches in seen] == [
        ["-1200.00"],
        ["-1200.00"],
        [],
        ["-1200.00"],
    ]
    assert seen[3][0].id.endswith("/price/2")


def test_s30_what_has_no_price_is_left_out_and_the_rest_is_judged() -> None:
    rule, desk = down(), held("ES", 1, 5000.0)
    desk.wait(11)
    desk.buy("MNQ", 2, 21000.0)

    judged = rule.judge(desk.price("MNQ", 20700.0))

    assert desk.snapshot().unmeasured == (ES,)
    assert judged.demands == (Flat(MNQ),)


def test_s31_an_old_price_breaches_nothing_and_a_zero_is_no_price() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)
    desk.price("MNQ", 20700.0)
    stale = rule.judge(desk.wait(11))
    desk.price("MNQ", 20990.0)

    zero = rule.judge(desk.price("MNQ", 0.0, bid=20980.0, ask=20990.0))

    assert stale.breaches == ()
    assert zero.breaches == ()


def test_a_breach_stands_while_its_price_is_missing() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)
    seen = rule.judge(desk.price("MNQ", 20700.0))

    blind = rule.judge(desk.wait(11))

    assert blind.breaches == seen.breaches
    assert blind.demands == (Flat(MNQ),)


def test_profit_reads_the_mid_where_there_is_no_last_price() -> None:
    rule, desk = up(target=100), held("ES", 1, 5000.0)
    desk.wait(11)

    judged = rule.judge(desk.price("ES", None, bid=5001.75, ask=5002.25))

    assert [b.value for b in judged.breaches] == ["100.00"]


# ------------------------------------------------------------------------------ scope, action, lockout


def test_by_account_the_sum_counts_and_everything_is_closed() -> None:
    rule, desk = down(scope="account"), held("MNQ", 2, 21000.0)
    desk.buy("ES", 1, 5000.0)
    alone = rule.judge(desk.price("MNQ", 20950.0))

    judged = rule.judge(desk.price("ES", 4998.0))

    assert alone.demands == ()
    assert judged.demands == (AccountFlat(),)
    assert [(b.contract, b.value) for b in judged.breaches] == [(None, "-300.00")]


def test_by_account_the_sum_is_not_judged_while_a_position_is_disputed() -> None:
    rule, desk = down(scope="account"), held("MNQ", 2, 21000.0)
    desk.buy("ES", 10, 5000.0)
    desk.report("MNQ", 1)

    judged = rule.judge(desk.price("ES", 4990.0))

    assert judged.breaches == ()


@pytest.mark.parametrize(
    ("lockout", "kind", "minutes"),
    [("until_reset", LockKind.UNTIL_RESET, 7 * 60), ("30m", LockKind.DURATION, 30)],
)
def test_a_lockout_closes_the_contract_and_freezes_the_rest(
    lockout: str, kind: LockKind, minutes: int
) -> None:
    rule, desk = down(lockout=lockout), held("MNQ", 2, 21000.0)

    lock = rule.judge(desk.price("MNQ", 20700.0)).lock

    assert lock is not None
    assert (lock.kind, lock.flatten, lock.close) == (kind, False, (MNQ,))
    assert lock.since == desk.now.wall
    assert lock.until == desk.now.wall + timedelta(minutes=minutes)


def test_a_lockout_on_the_account_flattens() -> None:
    rule, desk = down(scope="account", lockout="1h"), held("MNQ", 2, 21000.0)

    lock = rule.judge(desk.price("MNQ", 20700.0)).lock

    assert lock is not None
    assert (lock.flatten, lock.close) == (True, ())


ENTRIES = [
    pytest.param(2, (21000.0, 21000.25), 84001, id="long rounds up"),
    pytest.param(-2, (21000.0, 21000.25), 84000, id="short rounds down"),
    pytest.param(2, (21000.0, 21000.0), 84000, id="on the grid"),
]


@pytest.mark.parametrize(("size", "entries", "ticks"), ENTRIES)
def test_breakeven_moves_the_stop_to_entry(size: int, entries: tuple[float, float], ticks: int) -> None:
    rule, desk = up(target=100, action="breakeven"), Desk()
    for entry in entries:
        if size > 0:
            desk.buy("MNQ", 1, entry)
        else:
            desk.sell("MNQ", 1, entry)

    judged = rule.judge(desk.price("MNQ", 21200.0 if size > 0 else 20800.0))

    assert judged.demands == (StopAt(MNQ, ticks, 2),)


def test_flat_has_nothing_to_be_judged() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)
    rule.judge(desk.price("MNQ", 20700.0))

    judged = rule.judge(desk.sell("MNQ", 2, 20700.0))

    assert (judged.breaches, judged.demands, judged.lock) == ((), (), None)


# ------------------------------------------------------------------------------ alerts, figures


def test_one_alert_per_contract_at_the_share_of_the_limit() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)

    told = [
        [n.message for n in rule.judge(desk.price("MNQ", p)).notices] for p in (20940.25, 20940.0, 20939.75)
    ]

    assert told == [[], [f"open P&L of {MNQ} is -240.00 of -300.00"], []]


@pytest.mark.parametrize(("size", "acts_at"), [(2, "20925.00"), (-2, "21075.00"), (7, "20978.50")])
def test_figures_name_the_price_at_which_it_acts(size: int, acts_at: str) -> None:
    rule, desk = down(), held("MNQ", size, 21000.0)
    snapshot = desk.snapshot()

    figure = rule.rule.figure(rule.state, snapshot)

    assert figure.acts_at == acts_at
    assert rule.judge(desk.price("MNQ", float(acts_at))).breaches
    inside = float(acts_at) + (0.25 if size > 0 else -0.25)
    assert not rule.judge(desk.price("MNQ", inside)).breaches


def test_figures_show_the_worst_position() -> None:
    rule, desk = down(), held("MNQ", 2, 21000.0)
    desk.buy("ES", 1, 5000.0)
    desk.price("ES", 5010.0)
    snapshot = desk.price("MNQ", 20962.5)

    figure = rule.rule.figure(rule.judge(snapshot).state, snapshot)

    assert (figure.value, figure.used, figure.headroom, figure.acts_at) == ("-150.00", 0.5, "150.00", None)


# ------------------------------------------------------------------------------ properties


@given(st.integers(1, 5), st.integers(-200, 200), st.sampled_from(["position", "account"]))
def test_mirrored_sides_mirror(size: int, ticks: int, scope: str) -> None:
    def demands(side: int) -> tuple[Demand, ...]:
        rule, desk = down(scope=scope, limit=-150), held("MNQ", side * size, 21000.0)
        return rule.judge(desk.price("MNQ", 21000.0 + side * ticks)).demands

    assert demands(1) == demands(-1)


@given(st.integers(1, 5), st.lists(st.integers(-200, 200), min_size=1, max_size=8))
def test_in_breach_means_a_demand_and_not_in_breach_none(size: int, moves: list[int]) -> None:
    rule, desk = down(limit=-150), held("MNQ", size, 21000.0)
    for move in moves:
        snapshot = desk.price("MNQ", 21000.0 + move)
        judged = rule.judge(snapshot)
        over = snapshot.unrealized <= -150_0000
        assert bool(judged.demands) == bool(judged.breaches) == over
        assert judged == rule.judge(snapshot) or judged.notices
