"""A rule proves itself before it is armed; a broken one does not pass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import AccountSnapshot, AtMost, Mode, Now
from actors.rules.contract_limits import MaxContractsRule
from actors.rules.daily_pnl import DailyRealizedLossRule
from actors.rules.episodes import Episodes
from actors.rules.position_pnl import DailyUnrealizedLossRule
from actors.rules.registry import ALL, TABLE, BuiltRule, build, build_unnumbered
from actors.rules.rule import AnyRule, Bound, Judgement, Wake
from actors.rules.selftest import self_test
from actors.rules.worth import Side
from config.settings import DailyRealizedLoss, DailyUnrealizedLoss, MaxContracts
from tests.builders import NAME, a_calendar, some_settings

NOW = Now(datetime(2025, 11, 19, 16, 0, tzinfo=UTC), 1000.0)
NEEDED: dict[str, dict[str, object]] = {
    "symbol_blocks": {"blocked": ["CL", "*NG*"]},
    "trade_management": {"stop_loss": {"ticks": 20}},
}
"""Keys without which a rule may not be configured at all."""


def built(name: str, **config: object) -> BuiltRule:
    settings = some_settings(**{name: {"mode": "armed", **NEEDED.get(name, {}), **config}})
    (rule,) = build(settings, NAME, a_calendar(settings))
    return rule


# ------------------------------------------------------------------------------ registry


def test_the_table_holds_every_rule_of_the_configuration() -> None:
    assert set(ALL) == {rule.name for rule in some_settings().rules.each()}
    assert [entry.number for entry in TABLE.values()] == [f"RULE-{n:03}" for n in range(1, 14)] + ["addition"]


def test_trap_22_as_many_rules_are_built_as_are_configured() -> None:
    everything = {name: {"mode": "armed", **NEEDED.get(name, {})} for name in ALL}
    settings = some_settings(**everything)

    rules = build(settings, NAME, a_calendar(settings))

    assert tuple(rule.name for rule in rules) == ALL
    assert {rule.name for rule in rules if rule.manages} == {"trade_management"}


def test_rules_that_are_off_or_left_out_are_not_built_and_shadow_ones_are() -> None:
    settings = some_settings(max_contracts={"mode": "off"}, daily_realized_loss={"mode": "shadow"})

    assert [(r.name, r.mode) for r in build(settings, NAME, a_calendar())] == [
        ("daily_realized_loss", Mode.SHADOW)
    ]


def test_what_guards_beside_the_rules() -> None:
    settings = some_settings(daily_unrealized_loss={})
    required = settings.model_copy(update={"resting_stops": "require"})

    assert [r.name for r in build_unnumbered(settings, NAME)] == ["unknown_contract"]
    rules = build_unnumbered(required, NAME)
    assert [r.name for r in rules] == ["unknown_contract", "resting_stops"]
    assert [self_test(r, NOW) for r in rules] == [None, None]


# ------------------------------------------------------------------------------ self-test


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("hour", [10, 16, 23], ids=["in the session", "after it", "at night"])
def test_every_rule_proves_itself(name: str, hour: int) -> None:
    wall = datetime(2025, 11, 22, hour, 0, tzinfo=UTC)

    assert self_test(built(name), Now(wall, 5.0)) is None


ODD = [
    pytest.param("symbol_blocks", {"blocked": ["*NG*", "?CL"]}, id="globs only"),
    pytest.param("symbol_blocks", {"blocked": ["*"]}, id="everything blocked"),
    pytest.param("max_contracts_per_instrument", {"unknown": "allow", "limits": {"CL": 0}}, id="0"),
    pytest.param("trade_management", {"stop_loss": None, "breakeven": {"after_ticks": 5}}, id="breakeven"),
    pytest.param("session_block_outside", {"by_root": {"6E": "main"}, "close_grace": "5m"}, id="by root"),
    pytest.param("no_stop_loss_grace", {"grace": "0s"}, id="no grace at all"),
    pytest.param("trade_frequency_limit", {"per_minute": None, "per_hour": None}, id="the session tier only"),
]


@pytest.mark.parametrize(("name", "config"), ODD)
def test_odd_configurations_prove_themselves(name: str, config: dict[str, object]) -> None:
    assert self_test(built(name, **config), NOW) is None


CONFIGS = st.one_of(
    st.builds(
        lambda limit, count, action: ("max_contracts", {"limit": limit, "count": count, "action": action}),
        st.integers(1, 500),
        st.sampled_from(["net", "gross"]),
        st.sampled_from(["reduce", "close", "flatten"]),
    ),
    st.builds(
        lambda limits, unknown: ("max_contracts_per_instrument", {"limits": limits, "unknown": unknown}),
        st.dictionaries(st.sampled_from(["ES", "MNQ", "CL", "6E"]), st.integers(0, 20)),
        st.sampled_from(["default", "block"]),
    ),
    st.builds(
        lambda limit, both: ("daily_realized_loss", {"limit": -limit / 100, "include_unrealized": both}),
        st.integers(1, 10_000_000),
        st.booleans(),
    ),
    st.builds(
        lambda target, both: ("daily_realized_profit", {"target": target / 100, "include_unrealized": both}),
        st.integers(1, 10_000_000),
        st.booleans(),
    ),
    st.builds(
        lambda limit, scope: ("daily_unrealized_loss", {"limit": -limit / 100, "scope": scope}),
        st.integers(1, 10_000_000),
        st.sampled_from(["position", "account"]),
    ),
    st.builds(
        lambda target, action: ("max_unrealized_profit", {"target": target / 100, "action": action}),
        st.integers(1, 10_000_000),
        st.sampled_from(["close", "breakeven"]),
    ),
    st.builds(
        lambda counts, what: (
            "trade_frequency_limit",
            {"per_minute": counts[0], "per_hour": counts[1], "per_session": counts[2], "count": what},
        ),
        st.tuples(*[st.integers(1, 60)] * 3).map(sorted),
        st.sampled_from(["executions", "entries", "round_turns"]),
    ),
    st.builds(lambda grace: ("no_stop_loss_grace", {"grace": f"{grace}s"}), st.integers(0, 600)),
    st.builds(lambda losses: ("loss_streak", {"losses": losses}), st.integers(2, 20)),
    st.builds(
        lambda after, distance: (
            "trade_management",
            {"stop_loss": None, "trailing": {"after_ticks": after, "distance_ticks": distance}},
        ),
        st.integers(0, 50),
        st.integers(1, 50),
    ),
)


@given(CONFIGS)
def test_every_configuration_proves_itself(config: tuple[str, dict[str, object]]) -> None:
    name, keys = config

    assert self_test(built(name, **keys), NOW) is None


# ------------------------------------------------------------------------------ broken rules


class WrongSign(DailyRealizedLossRule):
    side = Side.PROFIT


class Deaf(DailyRealizedLossRule):
    wakes_on = frozenset({Wake.ORDER})


class Unbound(DailyUnrealizedLossRule):
    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        return ()


class AlwaysFiring(MaxContractsRule):
    def judge(self, state: object, snapshot: AccountSnapshot, now: Now) -> Judgement[object]:
        judged = super().judge(state, snapshot, now)
        return msgspec.structs.replace(judged, demands=(AtMost("CON.F.US.MNQ.Z25", 0),))


class OffByOne(MaxContractsRule):
    def __init__(self, config: MaxContracts) -> None:
        super().__init__(config)
        self._limit += 1

    def probe(self, now: Now) -> object:
        return MaxContractsRule(MaxContracts()).probe(now)


class Forgetful(DailyUnrealizedLossRule):
    """Fires only at what its own state shows it saw before, and its state does not survive."""

    def judge(self, state: Episodes, snapshot: AccountSnapshot, now: Now) -> Judgement[Episodes]:
        judged = super().judge(state, snapshot, now)
        return judged if state.day is not None else Judgement(judged.state)

    def decode(self, body: bytes) -> Episodes:
        return Episodes()


CALENDAR = a_calendar()
BROKEN: list[object] = [
    pytest.param(
        lambda: WrongSign(DailyRealizedLoss(), CALENDAR), "fires on a near miss", id="trap: the wrong sign"
    ),
    pytest.param(
        lambda: Deaf(DailyRealizedLoss(), CALENDAR), "would sleep through", id="trap 1: deaf to fills"
    ),
    pytest.param(
        lambda: Unbound(DailyUnrealizedLoss(), CALENDAR), "would sleep through", id="trap 2: deaf to prices"
    ),
    pytest.param(lambda: AlwaysFiring(MaxContracts()), "fires on a near miss", id="fires at everything"),
    pytest.param(lambda: OffByOne(MaxContracts()), "stays silent", id="off by one"),
    pytest.param(
        lambda: Forgetful(DailyUnrealizedLoss(), CALENDAR), "stays silent", id="its state is lost on the way"
    ),
]


@pytest.mark.parametrize(("make", "reason"), BROKEN)
def test_a_broken_rule_is_found_out(make: Callable[[], AnyRule], reason: str) -> None:
    rule = make()

    found = self_test(BuiltRule(rule.name, Mode.ARMED, rule), NOW)

    assert found is not None
    assert reason in found


def test_a_self_test_leaves_the_rule_as_it_was() -> None:
    rule = built("daily_realized_loss")

    assert [self_test(rule, Now(NOW.wall + timedelta(days=d), 1.0)) for d in range(3)] == [None] * 3
