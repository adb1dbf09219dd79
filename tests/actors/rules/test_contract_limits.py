"""How many contracts may be open: max_contracts and max_contracts_per_instrument."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    AtMost,
    Demand,
    Flat,
    OrderAtMost,
    OrderGone,
    OrderType,
)
from tests.builders import Desk, Watching, a_rule

MNQ, ES = "CON.F.US.MNQ.Z25", "CON.F.US.ES.Z25"
NQ, CL = "CON.F.US.NQ.Z25", "CON.F.US.CL.Z25"

type Config = dict[str, object]
type Sizes = list[tuple[str, int]]


def judged(watching: Watching, snapshot: AccountSnapshot) -> list[Demand]:
    return list(watching.judge(snapshot).demands)


def trade(desk: Desk, *sizes: tuple[str, int]) -> AccountSnapshot:
    """Open these sizes one after the other, a second apart."""
    snapshot = desk.snapshot()
    for what, size in sizes:
        desk.wait(1)
        snapshot = desk.buy(what, size, 5000.0) if size > 0 else desk.sell(what, -size, 5000.0)
    return snapshot


# ------------------------------------------------------------------------------ max_contracts

IN_ALL = [
    pytest.param({}, [("MNQ", 3), ("ES", 2)], [], id="S01 five of five is no breach"),
    pytest.param({}, [("MNQ", 5), ("ES", -3)], [], id="S03 net lets a short cancel a long"),
    pytest.param(
        {"count": "gross"},
        [("MNQ", 5), ("ES", -3)],
        [AtMost(ES, 0)],
        id="S03 gross adds them: the newest three go",
    ),
    pytest.param({}, [("MNQ", 4), ("ES", 2)], [AtMost(ES, 1)], id="S04 reduce closes the newest contract"),
    pytest.param(
        {"action": "flatten"}, [("MNQ", 4), ("ES", 2)], [AccountFlat()], id="S04 flatten closes everything"
    ),
    pytest.param({"limit": 2}, [("MNQ", 3)], [AtMost(MNQ, 2)], id="S06 reduce closes one"),
    pytest.param({"limit": 2, "action": "close"}, [("MNQ", 3)], [AtMost(MNQ, 0)], id="S06 close takes three"),
    pytest.param({"limit": 2, "action": "flatten"}, [("MNQ", 3)], [AccountFlat()], id="S06 flatten"),
    pytest.param({}, [("MNQ", 3), ("ES", 2), ("MNQ", 1)], [AtMost(MNQ, 3)], id="the example of the rules"),
    pytest.param(
        {"limit": 2}, [("MNQ", -2), ("ES", -2)], [AtMost(ES, 0)], id="a short net is reduced, never reversed"
    ),
    pytest.param(
        {"limit": 3},
        [("ES", 4), ("MNQ", -2), ("NQ", 2)],
        [AtMost(NQ, 1)],
        id="only lots on the side of the net are closed",
    ),
    pytest.param(
        {"limit": 1, "action": "close"},
        [("ES", 1), ("MNQ", 1), ("NQ", 1)],
        [AtMost(NQ, 0)],
        id="close takes the contract of the newest lot first",
    ),
    pytest.param({"limit": 1}, [("ES", 2), ("MNQ", 2)], [AtMost(ES, 1), AtMost(MNQ, 0)], id="two contracts"),
]


@pytest.mark.parametrize(("config", "sizes", "demands"), IN_ALL)
def test_max_contracts(config: Config, sizes: Sizes, demands: list[Demand]) -> None:
    rule, desk = a_rule("max_contracts", **config), Desk()

    snapshot = trade(desk, *sizes)

    assert sorted(judged(rule, snapshot), key=str) == sorted(demands, key=str)
    assert bool(rule.judge(snapshot).breaches) == bool(demands)


def test_close_is_repeated_until_the_account_complies() -> None:
    rule, desk = a_rule("max_contracts", limit=1, action="close"), Desk()
    snapshot = trade(desk, ("ES", 1), ("MNQ", 1), ("NQ", 1))
    first = judged(rule, snapshot)

    desk.wait(1)
    second = judged(rule, desk.sell("NQ", 1, 5000.0))
    third = judged(rule, desk.sell("MNQ", 1, 5000.0))

    assert [first, second, third] == [[AtMost(NQ, 0)], [AtMost(MNQ, 0)], []]


def test_one_breach_lasts_as_long_as_the_count_is_over() -> None:
    rule, desk = a_rule("max_contracts", limit=2), Desk()
    desk.buy("MNQ", 2, 5000.0)
    over = rule.judge(desk.buy("MNQ", 3, 5000.0)).breaches
    still = rule.judge(desk.sell("MNQ", 2, 5000.0)).breaches
    back = rule.judge(desk.sell("MNQ", 1, 5000.0)).breaches

    again = rule.judge(desk.buy("MNQ", 2, 5000.0)).breaches

    assert [b.id for b in over] == ["2025-11-19/max_contracts/*/fill:2/1"]
    assert over == still
    assert back == ()
    assert [b.id for b in again] == ["2025-11-19/max_contracts/*/fill:5/1"]


def test_the_causing_fill_is_found_although_nobody_looked_at_the_time() -> None:
    """Fills 2 and 3 both come while the rule is away: it was fill 2 that crossed the limit."""
    desk = Desk()
    trade(desk, ("MNQ", 2), ("MNQ", 1), ("ES", 1))

    late = a_rule("max_contracts", limit=2).judge(desk.snapshot("reborn"))

    assert [b.cause for b in late.breaches] == ["fill:2"]
    assert late.breaches[0].inputs == {"count": "net", "action": "reduce", MNQ: "+3", ES: "+1"}


def test_a_position_adopted_over_the_limit_is_named_as_the_cause() -> None:
    desk = Desk()
    desk.adopt("MNQ", 3)
    rule = a_rule("max_contracts", limit=2)

    judged = rule.judge(desk.snapshot())

    assert [b.cause for b in judged.breaches] == [f"position:{MNQ}"]
    assert judged.demands == (AtMost(MNQ, 2),)


def disputed(size: int) -> AccountSnapshot:
    """The fills made 2 MNQ in two lots; the gateway says otherwise."""
    desk = Desk()
    snapshot = trade(desk, ("MNQ", 1), ("ES", 1), ("MNQ", 1))
    positions = tuple(
        msgspec.structs.replace(p, size=size) if p.contract == MNQ else p for p in snapshot.positions
    )
    return msgspec.structs.replace(snapshot, positions=positions, suspended=True)


DISPUTED = [
    pytest.param(3, [AtMost(ES, 0), AtMost(MNQ, 1)], id="more than the fills: the surplus is the newest"),
    pytest.param(1, [AtMost(MNQ, 0)], id="less than the fills"),
    pytest.param(-3, [AtMost(MNQ, 2)], id="the other side"),
]


@pytest.mark.parametrize(("size", "demands"), DISPUTED)
def test_a_disputed_size_is_the_gateways(size: int, demands: list[Demand]) -> None:
    assert judged(a_rule("max_contracts", limit=1), disputed(size)) == demands


# ------------------------------------------------------------------------------ per instrument

BY_ROOT = [
    pytest.param(
        {"limits": {"MNQ": 2, "ES": 1}}, [("ES", 1), ("MNQ", 3)], [AtMost(MNQ, 2)], id="S07 ES is untouched"
    ),
    pytest.param({"unknown": "block"}, [("CL", 2)], [AtMost(CL, 0)], id="S09 block closes fully"),
    pytest.param({"default_limit": 1}, [("CL", 2)], [AtMost(CL, 1)], id="S09 default closes one"),
    pytest.param({"unknown": "allow"}, [("CL", 20)], [], id="S09 allow does nothing"),
    pytest.param({"default_limit": None, "limits": {"ES": 1}}, [("CL", 20)], [], id="no default limit"),
    pytest.param({"limits": {"MNQ": 2}}, [("MNQ", -3)], [AtMost(MNQ, 2)], id="a short buys back one"),
    pytest.param({"limits": {"MNQ": 2}}, [("MNQ", 4), ("MNQ.H26", -2)], [], id="expiries are netted"),
    pytest.param(
        {"limits": {"MNQ": 2}},
        [("MNQ", 2), ("MNQ.H26", 1)],
        [AtMost("CON.F.US.MNQ.H26", 0)],
        id="the newest expiry is reduced",
    ),
    pytest.param(
        {"limits": {"MNQ": 0}},
        [("MNQ", 1), ("MNQ.H26", -1)],
        [AtMost(MNQ, 0), AtMost("CON.F.US.MNQ.H26", 0)],
        id="limit 0 closes each expiry by itself",
    ),
    pytest.param({"limits": {"ENQ": 1}}, [("NQ", 1)], [], id="the gateway's spelling"),
    pytest.param({"limits": {"ENQ": 1}}, [("MNQ", 3)], [], id="trap 7: ENQ is NQ, never MNQ"),
    pytest.param(
        {"limits": {"MNQ": 2}, "action": "close"}, [("MNQ", 3)], [AtMost(MNQ, 0)], id="close closes it whole"
    ),
]


@pytest.mark.parametrize(("config", "sizes", "demands"), BY_ROOT)
def test_max_contracts_per_instrument(config: Config, sizes: Sizes, demands: list[Demand]) -> None:
    rule, desk = a_rule("max_contracts_per_instrument", **config), Desk()

    snapshot = trade(desk, *sizes)

    assert sorted(judged(rule, snapshot), key=str) == sorted(demands, key=str)


def test_each_product_has_its_own_breach() -> None:
    rule, desk = a_rule("max_contracts_per_instrument", limits={"MNQ": 2, "ES": 1}), Desk()

    judged = rule.judge(trade(desk, ("MNQ", 3), ("ES", 2)))

    assert {b.contract: b.limit for b in judged.breaches} == {MNQ: "2", ES: "1"}


# ------------------------------------------------------------------------------ orders


def test_reduce_cancels_the_order_that_would_lead_over_again_and_leaves_the_others() -> None:
    rule, desk = a_rule("max_contracts", limit=2), Desk()
    more = desk.place("MNQ", 1, limit=4990.0)
    desk.place("ES", -1, limit=5010.0)

    demands = judged(rule, desk.buy("MNQ", 3, 5000.0))

    assert demands == [AtMost(MNQ, 2), OrderGone(more.id, MNQ)]


def test_the_stop_protects_all_until_the_position_is_cut_and_is_cut_then() -> None:
    rule, desk = a_rule("max_contracts", limit=2), Desk()
    stop = desk.place("MNQ", -3, stop=4990.0)
    before = judged(rule, desk.buy("MNQ", 3, 5000.0))

    after = judged(rule, desk.sell("MNQ", 1, 5000.0))
    done = judged(rule, desk.change(stop, size=-2))

    assert before == [AtMost(MNQ, 2)]
    assert after == [OrderAtMost(stop.id, MNQ, 2)]
    assert done == []


def test_the_stop_of_a_contract_closed_whole_is_cancelled_once_it_is_flat() -> None:
    rule, desk = a_rule("max_contracts", limit=2, action="close"), Desk()
    stop = desk.place("MNQ", -3, stop=4990.0, kind=OrderType.STOP)
    before = judged(rule, desk.buy("MNQ", 3, 5000.0))

    after = judged(rule, desk.sell("MNQ", 3, 5000.0))

    assert before == [AtMost(MNQ, 0)]
    assert after == [OrderGone(stop.id, MNQ)]


def test_an_order_of_another_product_is_no_business_of_the_root_that_is_cut() -> None:
    rule, desk = a_rule("max_contracts_per_instrument", limits={"MNQ": 2, "ES": 1}), Desk()
    desk.place("ES", 5, limit=4990.0)
    gone = desk.place("MNQ.H26", 1, limit=4990.0)

    demands = judged(rule, desk.buy("MNQ", 3, 5000.0))

    assert demands == [AtMost(MNQ, 2), OrderGone(gone.id, "CON.F.US.MNQ.H26")]


def test_orders_placed_after_the_cut_are_left_alone() -> None:
    rule, desk = a_rule("max_contracts", limit=2), Desk()
    judged(rule, desk.buy("MNQ", 3, 5000.0))
    judged(rule, desk.sell("MNQ", 1, 5000.0))

    desk.place("MNQ", 5, limit=4990.0)

    assert judged(rule, desk.snapshot()) == []


# ------------------------------------------------------------------------------ alerts, figures


def test_one_alert_when_the_share_of_the_limit_is_reached() -> None:
    rule, desk = a_rule("max_contracts", limit=5), Desk()
    notices = [
        [n.message for n in rule.judge(snapshot).notices]
        for snapshot in (
            desk.buy("MNQ", 3, 5000.0),
            desk.buy("MNQ", 1, 5000.0),
            desk.buy("MNQ", 1, 5000.0),
            desk.sell("MNQ", 3, 5000.0),
            desk.buy("MNQ", 2, 5000.0),
        )
    ]

    told = "4 of 5 contracts open in the account"
    assert notices == [[], [told], [], [], [told]]


def test_figures_show_the_limit_of_which_most_is_used() -> None:
    rule, desk = a_rule("max_contracts_per_instrument", limits={"MNQ": 4, "ES": 2}), Desk()
    snapshot = trade(desk, ("MNQ", 1), ("ES", 1))
    rule.judge(snapshot)

    figure = rule.rule.figure(rule.state, snapshot)

    assert (figure.value, figure.limit, figure.used, figure.headroom) == ("1", "2", 0.5, "1")


def test_figures_of_a_flat_account_name_no_limit() -> None:
    rule = a_rule("max_contracts_per_instrument")

    figure = rule.rule.figure(rule.state, Desk().snapshot())

    assert (figure.value, figure.limit, figure.used) == ("0", None, 0.0)


# ------------------------------------------------------------------------------ properties

SIZES = st.lists(
    st.tuples(st.sampled_from(["MNQ", "MNQ.H26", "ES"]), st.integers(-4, 4).filter(bool)),
    min_size=1,
    max_size=6,
)
CONFIGS = st.sampled_from(
    [
        ("max_contracts", {"limit": 2}),
        ("max_contracts", {"limit": 3, "count": "gross"}),
        ("max_contracts", {"limit": 1, "action": "close"}),
        ("max_contracts_per_instrument", {"limits": {"MNQ": 2, "ES": 0}}),
    ]
)


@given(SIZES, CONFIGS)
def test_mirrored_sides_mirror(sizes: Sizes, config: tuple[str, Config]) -> None:
    name, keys = config
    long = judged(a_rule(name, **keys), trade(Desk(), *sizes))

    short = judged(a_rule(name, **keys), trade(Desk(), *[(what, -size) for what, size in sizes]))

    assert long == short


@given(SIZES, CONFIGS)
def test_carrying_out_the_demands_ends_in_compliance_without_reversing(
    sizes: Sizes, config: tuple[str, Config]
) -> None:
    name, keys = config
    rule, desk = a_rule(name, **keys), Desk()
    snapshot = trade(desk, *sizes)

    for _ in range(10):
        judgement = rule.judge(snapshot)
        if not judgement.demands:
            break
        demand = judgement.demands[0]
        assert isinstance(demand, AtMost | Flat)
        position = snapshot.position(demand.contract)
        assert position is not None
        most = demand.size if isinstance(demand, AtMost) else 0
        what = f"{position.root}.{demand.contract.rsplit('.', 1)[1]}"
        excess = abs(position.size) - most
        assert 0 < excess <= abs(position.size)
        close = desk.sell if position.size > 0 else desk.buy
        snapshot = close(what, excess, 5000.0)

    assert not judgement.demands
    assert not judgement.breaches
