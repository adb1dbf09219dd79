"""Products that are not traded: symbol_blocks. And contracts that nobody knows: unknown_contract."""

from __future__ import annotations

import pytest

from actors.messages import Flat, OrderGone
from actors.rules.unknown_contract import UnknownContractRule
from tests.builders import Desk, Watching, a_rule

MNQ, ES, CL = "CON.F.US.MNQ.Z25", "CON.F.US.ES.Z25", "CON.F.US.CL.Z25"


def blocks(*blocked: str) -> Watching:
    return a_rule("symbol_blocks", blocked=list(blocked))


def test_s63_an_order_in_a_blocked_root_is_cancelled() -> None:
    rule, desk = blocks("CL"), Desk()
    order = desk.place("CL", 1, limit=60.0)
    desk.place("ES", 1, limit=5000.0)

    judged = rule.judge(desk.snapshot())

    assert judged.demands == (OrderGone(order.id, CL),)
    assert [b.id for b in judged.breaches] == [f"2025-11-19/symbol_blocks/{CL}/order:{order.id}/1"]
    assert judged.lock is None


def test_s63_a_position_that_a_reload_blocks_is_closed() -> None:
    desk = Desk()
    desk.buy("CL", 1, 60.0)
    desk.buy("ES", 1, 5000.0)
    desk.place("CL", -1, stop=59.0)

    judged = blocks("CL").judge(desk.snapshot("reborn"))

    assert judged.demands == (Flat(CL),)
    assert [b.cause for b in judged.breaches] == ["fill:1"]


def test_the_stop_of_a_blocked_position_goes_once_it_is_closed() -> None:
    rule, desk = blocks("CL"), Desk()
    stop = desk.place("CL", -1, stop=59.0)
    desk.buy("CL", 1, 60.0)
    rule.judge(desk.snapshot())

    judged = rule.judge(desk.sell("CL", 1, 60.0))

    assert judged.demands == (OrderGone(stop.id, CL),)


PATTERNS = [
    pytest.param("ES", "MES", False, id="ES is not MES"),
    pytest.param("*NQ*", "MNQ", True, id="a glob"),
    pytest.param("*NQ*", "NQ", True, id="a glob of nothing"),
    pytest.param("M?", "MNQ", False, id="one sign only"),
    pytest.param("es", "ES", True, id="any case"),
    pytest.param("EP", "ES", True, id="the gateway's spelling"),
]


@pytest.mark.parametrize(("pattern", "root", "blocked"), PATTERNS)
def test_which_roots_are_meant(pattern: str, root: str, blocked: bool) -> None:
    desk = Desk()

    judged = blocks(pattern).judge(desk.buy(root, 1, 5000.0))

    assert bool(judged.demands) == blocked


def test_an_order_in_a_contract_of_another_form_has_no_root_to_block() -> None:
    rule, desk = blocks("CL"), Desk()
    order = desk.place("CL", 1, limit=60.0)
    desk.change(order, contract="SPREAD-7")

    assert rule.judge(desk.snapshot()).demands == ()


# ------------------------------------------------------------------------------ unknown contracts


def unknown(action: str) -> Watching:
    return Watching(UnknownContractRule(action))


@pytest.mark.parametrize(("action", "demands"), [("close", (Flat(ES),)), ("alert", ())])
def test_a_contract_that_the_gateway_does_not_know(action: str, demands: tuple[Flat, ...]) -> None:
    rule, desk = unknown(action), Desk()
    desk.buy("ES", 1, 5000.0)
    desk.buy("MNQ", 1, 21000.0)
    fine = rule.judge(desk.snapshot())

    judged = rule.judge(desk.unknown(ES))
    again = rule.judge(desk.snapshot())

    assert fine.demands == fine.breaches == ()
    assert judged.demands == demands
    assert [(b.contract, b.cause) for b in judged.breaches] == [(ES, "fill:1")]
    assert [n.level for n in judged.notices] == ["error"]
    assert (again.demands, again.notices) == (demands, ())
