"""Several losing trades in a row: loss_streak."""

from __future__ import annotations

import pytest

from actors.messages import LockKind, OwnClose
from tests.builders import Desk, Watching, a_rule


def streak(**config: object) -> Watching:
    return a_rule("loss_streak", **config)


ROWS = [
    pytest.param(["-1", "-1"], "2", False, id="two of three"),
    pytest.param(["-1", "-1", "-1"], "3", True, id="three in a row"),
    pytest.param(["-1", "-1", "0", "-1"], "3", True, id="a scratch neither counts nor breaks"),
    pytest.param(["-1", "-1", "5", "-1"], "1", False, id="a win breaks the row"),
    pytest.param(["-1", "-1", "-1", "-1"], "4", True, id="each further loss"),
]


@pytest.mark.parametrize(("results", "row", "locks"), ROWS)
def test_losing_round_turns_in_a_row(results: list[str], row: str, locks: bool) -> None:
    rule, desk = streak(), Desk()
    for result in results:
        desk.wait(10)
        judged = rule.judge(desk.trade(result))

    figure = rule.rule.figure(rule.state, desk.snapshot())
    assert (figure.value, figure.headroom) == (row, str(max(0, 3 - int(row))))
    assert (judged.lock is not None) == locks
    if judged.lock is not None:
        assert (judged.lock.kind, judged.lock.flatten) == (LockKind.UNTIL_RESET, True)
        assert judged.lock.since == desk.now.wall


def test_a_scratch_after_the_row_begins_no_rest_of_its_own() -> None:
    rule, desk = streak(losses=2), Desk()
    desk.trade("-1")
    rule.judge(desk.trade("-1"))

    judged = rule.judge(desk.trade("0"))

    assert [b.cause for b in judged.breaches] == ["fill:4"]


def test_a_round_turn_ends_when_its_contract_is_flat() -> None:
    """Two partial closes of one position are one trade; contracts are counted each for itself."""
    rule, desk = streak(losses=2), Desk()
    desk.buy("MNQ", 2, 21000.0)
    desk.buy("ES", 1, 5000.0)
    desk.sell("MNQ", 1, 20990.0)
    half = desk.sell("MNQ", 1, 20990.0)

    judged = rule.judge(desk.sell("ES", 1, 4990.0))

    assert rule.rule.figure(rule.state, half).value == "1"
    assert [b.value for b in judged.breaches] == ["2"]


@pytest.mark.parametrize(("own", "row"), [(OwnClose.REDUCE, "1"), (OwnClose.LOCKOUT, "0")])
def test_own_closes(own: OwnClose, row: str) -> None:
    rule, desk = streak(), Desk()
    desk.buy("MNQ", 1, 21000.0)

    snapshot = desk.sell("MNQ", 1, 20900.0, own=own)

    assert rule.rule.figure(rule.state, snapshot).value == row


def test_a_duration_runs_from_the_last_loss() -> None:
    rule, desk = streak(losses=2, lockout="30m"), Desk()
    desk.trade("-1")
    desk.wait(5)

    lock = rule.judge(desk.trade("-1")).lock

    assert lock is not None
    assert lock.kind is LockKind.DURATION
    assert lock.until is not None
    assert (lock.until - desk.now.wall).total_seconds() == 1800
