"""`account test --live` and `--live --trade` on a running guard, against the simulated gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from supervisor.protocol import DoLock, DoTestAccount, Exit, Refused
from tests.scenarios.desk import A, B, Desk, desk

RULES = {"max_contracts": {"limit": 5}}
PRICES = {"MNQ": 21000.0, "MES": 5800.0}


@contextmanager
def trading(d: Desk) -> Iterator[None]:
    """A market that moves until the block ends."""
    over = threading.Event()

    def move() -> None:
        tick = 0
        while not over.wait(0.05):
            tick += 1
            d.price("MES", 5800.0 + tick % 2)

    market = threading.Thread(target=move, name="market")
    market.start()
    try:
        yield
    finally:
        over.set()
        market.join()


def test_login_hubs_snapshot_and_first_events_are_tried_beside_the_connection() -> None:
    with desk(RULES, prices=PRICES) as d, trading(d):
        before = d.status()["link"]["generation"]
        answer = d.ask("account.test", DoTestAccount())
        assert [step["name"] for step in answer["steps"]] == [
            "login",
            "accounts",
            "hubs",
            "snapshot",
            "first events",
        ]
        assert all(step["ok"] for step in answer["steps"]), answer
        assert answer["steps"][-1]["text"].startswith("a price of MES")
        assert d.status()["link"]["generation"] == before


def test_one_micro_contract_is_traded_and_the_account_is_flat_again() -> None:
    with desk(RULES, prices=PRICES) as d, trading(d):
        answer = d.ask("account.test", DoTestAccount(A, trade=True))
        assert answer["steps"][-1]["ok"], answer
        assert "verified flat" in answer["steps"][-1]["text"]
        d.holds()
        assert d.status()["accounts"][0]["trades"] == 2


def test_nothing_is_traded_on_a_locked_account_or_in_several_at_once() -> None:
    with desk(RULES, prices=PRICES, accounts=[{"name": A}, {"name": B}]) as d:
        with pytest.raises(Refused) as several:
            d.ask("account.test", DoTestAccount(trade=True))
        assert several.value.code is Exit.USAGE
        d.ask("lock", DoLock(A, None, None, "a break"))
        with pytest.raises(Refused, match="is locked"):
            d.ask("account.test", DoTestAccount(A, trade=True))
        with pytest.raises(Refused, match="cannot find account"):
            d.ask("account.test", DoTestAccount("SOMEBODY"))
