"""The nemesis: its choices are the seed's, its comparison finds what does not fit, a short run holds."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import pytest

from ops.chaos.acts import acts
from ops.chaos.deeds import DEATHS, DEATHS_APART_S, OF_THE_GATEWAY, WEIGHTS, deeds
from ops.chaos.truth import Seen, differences
from tests.chaos.nemesis import nemesis
from tests.chaos.outcome import Asked
from tests.ops.rig import A, B

ACTORS = ("connection", "timers", "account/A")
CONTRACT = "CON.F.US.MNQ.Z26"


def test_seed_decides_what_is_broken() -> None:
    assert list(islice(deeds(7, ACTORS), 100)) == list(islice(deeds(7, ACTORS), 100))
    assert list(islice(deeds(7, ACTORS), 100)) != list(islice(deeds(8, ACTORS), 100))
    assert list(islice(acts(7, (A, B)), 50)) == list(islice(acts(7, (A, B)), 50))


def test_everything_is_broken_sooner_or_later_and_the_daemon_not_too_often() -> None:
    chosen = list(islice(deeds(1, ACTORS), 3000))
    now, deaths = 0.0, []
    for deed in chosen:
        if deed.what in DEATHS:
            deaths.append(now)
        now += deed.pause_s + (0.0 if deed.what == "switch interval" else deed.for_s)

    assert {deed.what for deed in chosen} == set(WEIGHTS)
    assert min(after - before for before, after in pairwise(deaths)) >= DEATHS_APART_S
    assert not {deed.what for deed in islice(deeds(1, ACTORS, has_gateway=False), 3000)} & set(OF_THE_GATEWAY)


# ---------------------------------------------------------------------- the comparison


def story() -> Seen:
    """One account, long 2, one partial close, a lockout, and everybody says so."""
    trades = [
        {"accountId": 1, "voided": False, "profitAndLoss": None, "fees": 1.0, "commissions": 0.5},
        {"accountId": 1, "voided": False, "profitAndLoss": -10, "fees": 1.0, "commissions": 0.5},
    ]
    position = {"accountId": 1, "contractId": CONTRACT, "type": 1, "size": 2}
    call = {"call": "partial_close", "contract": CONTRACT, "outcome": "confirmed"}
    lockout = {"rule": "daily_realized_loss", "until": "2026-03-02T23:00:00Z"}
    account = {
        "id": 1,
        "name": "A",
        "positions": [{"contract": CONTRACT, "size": 2}],
        "trades": 2,
        "realized": "-13.00",
        "lockouts": [lockout],
    }
    body = {"contractId": CONTRACT}
    return Seen(
        state={"positions": [position], "trades": trades},
        calls=({"path": "Position/partialCloseContract", "code": 0, "body": body},),
        status={"state": "locked", "reasons": [], "accounts": [account]},
        receipts=({"id": "r1", "verified": True, "calls": [call]},),
        unlocks=(),
        lockouts={("A", "daily_realized_loss"): "2026-03-02T23:00:00Z"},
    )


def test_one_story_has_no_difference() -> None:
    assert list(differences(story())) == []


def forget_a_position(seen: dict[str, Any]) -> None:
    seen["status"]["accounts"][0]["positions"] = []


def count_a_trade_twice(seen: dict[str, Any]) -> None:
    seen["status"]["accounts"][0]["trades"] = 3


def lose_a_loss(seen: dict[str, Any]) -> None:
    seen["status"]["accounts"][0]["realized"] = "-3.00"


def lose_a_lockout(seen: dict[str, Any]) -> None:
    seen["status"]["accounts"][0]["lockouts"] = []


def shorten_a_lockout(seen: dict[str, Any]) -> None:
    seen["status"]["accounts"][0]["lockouts"][0]["until"] = "2026-03-02T22:00:00Z"


def report_what_was_not_done(seen: dict[str, Any]) -> None:
    seen["calls"][0]["code"] = 2


def leave_a_receipt_open(seen: dict[str, Any]) -> None:
    seen["receipts"][0]["verified"] = False


def end_degraded(seen: dict[str, Any]) -> None:
    seen["status"]["state"] = "degraded"


WRONG = [
    (forget_a_position, "the gateway holds"),
    (count_a_trade_twice, "3 trades counted, 2 made"),
    (lose_a_loss, "realized -3.00"),
    (lose_a_lockout, "nothing ended it"),
    (shorten_a_lockout, "now until"),
    (report_what_was_not_done, "1 reported confirmed, the gateway did 0"),
    (leave_a_receipt_open, "never verified"),
    (end_degraded, "the guard ends degraded"),
]


@pytest.mark.parametrize(("spoil", "said"), WRONG, ids=[spoil.__name__ for spoil, _ in WRONG])
def test_each_thing_that_does_not_fit_is_said(spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    seen = story()
    parts = copy.deepcopy({name: getattr(seen, name) for name in ("status", "calls", "receipts")})
    spoil(parts)

    (found,) = differences(
        Seen(seen.state, parts["calls"], parts["status"], parts["receipts"], (), seen.lockouts)
    )

    assert said in found


def test_missing_commissions_of_a_trade_known_from_a_read_are_no_difference() -> None:
    seen = story()
    seen.status["accounts"][0]["realized"] = "-12.50"

    assert list(differences(seen)) == []


# ---------------------------------------------------------------------- real processes


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_short_run_over_real_processes_ends_as_if_nothing_had_broken() -> None:
    seed = random.randrange(2**31)
    print(f"seed {seed}")

    ended = nemesis(Asked(seed, None, print), 5.0)

    assert ended.differences == ()
    assert ended.acts > 0
    assert sum(ended.done.values()) > 0
