"""Every decision can be worked out again from its record alone: the line of history that `why` shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.enforcement.effects import BreachSeen
from actors.enforcement.rows import rows
from actors.messages import Breach, Mode, Record
from actors.rules.rule import AnyRule
from config.instruments import matches_any
from config.values import dollars, duration
from tests.builders import ACCOUNT, NAME, Desk, Watching, a_rule

TERMS = re.compile(
    r"size ([+-]\d+), cost (-?[\d/]+) ticks, mark (-?[\d/]+) ticks, (\S+) a tick, unrealized (\S+)"
)
SESSION = {"start": "08:30", "end": "15:00", "timezone": "America/Chicago", "days": ["mon", "tue", "wed"]}


def recorded(breach: Breach) -> dict[str, Any]:
    """The breach as the store gives it back: through JSON, nothing else kept."""
    (row,) = rows(BreachSeen(breach, Mode.ARMED), ACCOUNT, NAME)
    assert isinstance(row, Record)
    line: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(row.body))
    return line | {"at": row.at}


def stands(line: dict[str, Any]) -> bool:
    """Whether the record's inputs alone give its value, and that value breaks its limit."""
    value, limit, inputs = line["value"], line["limit"], line["inputs"]
    match line["rule"]:
        case "max_contracts" | "max_contracts_per_instrument":
            sizes = [int(size) for key, size in inputs.items() if key.startswith("CON.")]
            count = sum(map(abs, sizes)) if inputs["count"] == "gross" else abs(sum(sizes))
            return count == int(value) > int(limit)
        case "daily_realized_loss":
            return _day(inputs) == dollars(value) <= dollars(limit)
        case "daily_realized_profit":
            return _day(inputs) == dollars(value) >= dollars(limit)
        case "daily_unrealized_loss":
            return round(sum(_open(inputs))) == dollars(value) <= dollars(limit)
        case "max_unrealized_profit":
            return round(sum(_open(inputs))) == dollars(value) >= dollars(limit)
        case "cooldown_after_loss":
            result = dollars(inputs["earlier"]) + dollars(inputs["pnl"]) - dollars(inputs["fees"])
            return result == dollars(value) <= dollars(limit)
        case "loss_streak":
            lost = dollars(inputs["last_result"]) < 0
            return lost and int(inputs["row_before"]) + 1 == int(value) >= int(limit)
        case "trade_frequency_limit":
            counts = [int(count) for key, count in inputs.items() if key.startswith("per_")]
            return int(value) in counts and int(value) > int(limit)
        case "no_stop_loss_grace":
            naked = datetime.fromisoformat(inputs["naked_since"])
            return bool(line["at"] >= naked + duration(limit)) and int(inputs["size"]) != 0
        case "session_block_outside":
            return bool(line["at"] >= datetime.fromisoformat(inputs["ended"]))
        case "symbol_blocks":
            return matches_any(inputs["root"], inputs["blocked"].split(", ")) and int(value) != 0
        case "auth_loss_guard":
            return (value, limit) == ("canTrade false", "canTrade true")
        case rule:
            raise AssertionError(f"nobody says how {rule} is worked out again")


def _day(inputs: dict[str, str]) -> int:
    open_pnl = sum(_open(inputs)) if inputs["judged"] == "realized and open" else 0
    return round(dollars(inputs["realized"]) + open_pnl)


def _open(inputs: dict[str, str]) -> Iterator[Fraction]:
    """Each position's worth, from its size, cost and mark; the record's own figure must be that."""
    for terms in inputs.values():
        if found := TERMS.fullmatch(terms):
            size, cost, mark, tick, worth = found.groups()
            worked_out = (Fraction(mark) * int(size) - Fraction(cost)) * dollars(tick)
            assert round(worked_out) == dollars(worth), terms
            yield worked_out


CONFIGURED: dict[str, dict[str, Any]] = {
    "max_contracts": {"limit": 2},
    "max_contracts_per_instrument": {"default_limit": 1},
    "daily_realized_loss": {"limit": -60},
    "daily_unrealized_loss": {"limit": -40},
    "max_unrealized_profit": {"target": 40},
    "trade_frequency_limit": {"per_minute": 2, "per_hour": 6, "per_session": 9},
    "cooldown_after_loss": {"tiers": [{"loss": -10, "cooldown": "1m"}, {"loss": -50, "cooldown": "5m"}]},
    "no_stop_loss_grace": {"grace": "30s"},
    "session_block_outside": {"session": "main"},
    "auth_loss_guard": {},
    "symbol_blocks": {"blocked": ["MNQ", "C*"]},
    "daily_realized_profit": {"target": 60},
    "loss_streak": {"losses": 2},
}


def watching(name: str) -> Watching:
    return a_rule(name, sessions={"main": SESSION}, **CONFIGURED[name])


@pytest.mark.parametrize("name", CONFIGURED)
def test_the_breach_that_proves_a_rule_can_be_worked_out_again(name: str) -> None:
    lines = [recorded(breach) for breach in proof(watching(name).rule)]

    assert lines
    assert all(map(stands, lines))


def proof(rule: AnyRule) -> Iterator[Breach]:
    state = rule.initial()
    for snapshot in rule.probe(Desk().now).breach:
        judged = rule.judge(state, snapshot, snapshot.now)
        state = judged.state
        yield from judged.breaches


DEEDS = st.one_of(
    st.tuples(st.just("buy"), st.sampled_from(("MNQ", "MES")), st.integers(1, 3)),
    st.tuples(st.just("sell"), st.sampled_from(("MNQ", "MES")), st.integers(1, 3)),
    st.tuples(st.just("price"), st.sampled_from(("MNQ", "MES")), st.integers(-120, 120)),
    st.tuples(st.just("trade"), st.just("MNQ"), st.integers(-80, 80)),
    st.tuples(st.just("wait"), st.just(""), st.integers(1, 40)),
)
BASE = {"MNQ": (21000.0, 0.25), "MES": (5800.0, 0.25)}


@settings(max_examples=40, deadline=None)
@given(st.lists(DEEDS, min_size=3, max_size=25))
def test_whatever_is_traded_each_record_stands_by_itself(deeds: list[tuple[str, str, int]]) -> None:
    desk, rules = Desk(), [watching(name) for name in CONFIGURED]
    prices = {root: base for root, (base, _) in BASE.items()}
    for root, price in prices.items():
        desk.price(root, price)
    for deed, root, number in deeds:
        snapshot = done(desk, prices, deed, root, number)
        for rule in rules:
            for breach in rule.judge(snapshot).breaches:
                line = recorded(breach)
                assert stands(line), line


def done(desk: Desk, prices: dict[str, float], deed: str, root: str, number: int) -> Any:
    match deed:
        case "buy":
            return desk.buy(root, number, prices[root])
        case "sell":
            return desk.sell(root, number, prices[root])
        case "price":
            base, tick = BASE[root]
            prices[root] = base + number * tick
            return desk.price(root, prices[root])
        case "trade":
            return desk.trade(number)
        case _:
            return desk.wait(timedelta(seconds=number).total_seconds())


def test_a_record_that_was_changed_does_not_stand() -> None:
    (breach,) = proof(watching("daily_realized_loss").rule)
    line = recorded(breach)

    assert stands(line)
    assert not stands(line | {"value": "-61.00"})
    assert not stands(line | {"inputs": line["inputs"] | {"realized": "-59.00"}})
