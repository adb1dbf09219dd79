"""The guard in the simulated world: the same seed is the same run, and no fault changes how it ends.

What is here is a sample; the whole is `python3 ops/run.py sweep boundaries|schedules|faults`.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from actors.enforcement import plan
from config.settings import Rules
from tests.chaos import boundaries, schedules
from tests.chaos.disorder import Disorder, Rates, into
from tests.chaos.enforcing import enforced
from tests.chaos.link_faults import suffered
from tests.chaos.lives import Site, site_of
from tests.chaos.rarities import surely
from tests.chaos.scenarios import BY_NAME, SCENARIOS
from tests.chaos.struck import case_of, fair, least, play_struck, replay

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("RISKD_CHAOS_SEED", "1"))
BUSY = "two rules on one event"
HAND = "account/PRAC-V2-1001/enforcement"


def trace_of(name: str, seed: int) -> tuple[int, int]:
    choice = Disorder(seed, Rates())
    world = into(BY_NAME[name].world(choice, seed=seed), choice).play()
    return world.trace, world.steps


def test_the_same_seed_is_the_same_run_to_the_message() -> None:
    assert trace_of(BUSY, SEED) == trace_of(BUSY, SEED)
    assert trace_of(BUSY, SEED) != trace_of(BUSY, SEED + 1)


def test_the_same_seed_is_the_same_run_in_another_process() -> None:
    code = f"from tests.chaos.test_simulation import trace_of; print(trace_of({BUSY!r}, {SEED}))"
    environment = {**os.environ, "PYTHONHASHSEED": "17", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.strip() == str(trace_of(BUSY, SEED)), ran.stderr


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_a_run_without_faults_breaks_no_invariant(name: str) -> None:
    assert fair(name).end.positions is not None


def test_every_rule_that_can_breach_does_so_in_some_scenario() -> None:
    breached = {line.split()[0] for scenario in SCENARIOS for line in fair(scenario.name).end.breaches}
    managing = {"trade_management"}
    assert set(Rules.model_fields) - managing <= breached


def test_a_site_is_found_again_by_its_name() -> None:
    site = Site(3, "account/PRAC-V2-1001/rules/max_contracts", 12, "send", 2)
    assert site_of(str(site)) == site


def test_what_differs_is_found_and_comes_down_to_the_strike_that_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sites = [
        site for site in fair(BUSY).sites if (site.part, site.point, site.actor) == (2, "after_ack", HAND)
    ]
    idle = site_of("0@notices#1:before_take"), "crash"
    # A product that no longer tells, after a restart, which closes were its own.
    monkeypatch.setattr(plan, "_closes", lambda turn, *, ended: ())
    death = next((site, "death") for site in sites if play_struck(BUSY, [(site, "death")]).text)
    assert "closed by us" in play_struck(BUSY, [idle, death]).text
    assert least(BUSY, [idle, death]) == (death,)
    monkeypatch.undo()
    assert replay(case_of(BUSY, [idle, death])).text == ""


@pytest.mark.parametrize("state", boundaries.MET)
def test_every_sample_of_kills_begins_with_one_that_meets_each_rare_state(state: str) -> None:
    ((name, strikes),) = surely(random.Random(SEED), (state,))
    run = play_struck(name, strikes)
    assert run.met[state] > 0
    assert run.text == ""


def test_kills_at_message_boundaries_change_nothing() -> None:
    begun = len(boundaries.MET)
    for name, strikes in itertools.islice(boundaries.planned(SEED), begun, begun + 26):
        run = play_struck(name, strikes)
        assert run.text == "", f"{case_of(name, strikes)}\n{run.text}"


def test_random_schedules_change_nothing() -> None:
    for name, seed in itertools.islice(schedules.planned(SEED), 26):
        run, fired = schedules.scheduled(name, seed)
        assert run.text == "", f"{name}, seed {seed}: {fired}\n{run.text}"


def test_enforcements_end_well_on_a_gateway_that_fails() -> None:
    assert enforced(SEED).wrong == ()


def test_a_link_that_fails_again_and_again_comes_back_and_nothing_is_lost() -> None:
    linked = suffered((SEED, 30))
    assert linked.wrong == ()
    assert len(linked.live_s) == 30
