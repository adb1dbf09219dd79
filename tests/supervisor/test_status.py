"""What `status` says of accounts that were really traded: each case one situation, one row of the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from actors.connection.link import LinkView
from actors.messages import (
    AccountId,
    AccountSnapshot,
    LinkState,
    LockKind,
    Lockout,
    Mode,
    OrderStatus,
    OrderType,
)
from actors.persistence.queries import StoreView
from actors.rules.registry import BuiltRule, build
from actors.rules.view import RuleView
from supervisor import answers, status
from supervisor.answers import Decision, Reason
from supervisor.status import AccountSeen, EnforcementSeen, RuleSeen, Seen
from tests.builders import ACCOUNT, NAME, Desk, a_calendar, some_settings

STARTED = datetime(2025, 11, 19, 15, 0, tzinfo=UTC)
DAEMON = answers.DaemonFacts(4711, STARTED, "0.1.0", 0, 80.0, 1.5)
WATCHDOG = answers.WatchdogFacts(4710)


def link(desk: Desk, state: LinkState = LinkState.LIVE, **more: object) -> LinkView:
    mono = desk.now.mono
    view = LinkView(state, desk.now.wall, 3, "hub closed", False, mono - 0.4, mono - 2, 60.0, 0, (ACCOUNT,))
    return msgspec.structs.replace(view, **more)


STORE = StoreView(True, "riskd.db", 0.0, 0, 10, 1.2)


def rules_of(**rules: dict[str, object]) -> tuple[BuiltRule, ...]:
    settings = some_settings(**rules)
    return build(settings, NAME, a_calendar(settings))


def standing(built: BuiltRule, snapshot: AccountSnapshot, *, failed: str | None = None) -> RuleSeen:
    """The rule as its actor publishes it after judging this snapshot."""
    judged = built.rule.judge(built.rule.initial(), snapshot, snapshot.now)
    view = RuleView(NAME, built.name, built.mode, failed, bool(judged.breaches), judged.state)
    return RuleSeen(built, view)


def seen(desk: Desk, *rules: RuleSeen, enforcement: EnforcementSeen | None = None, **more: object) -> Seen:
    account = AccountSeen(ACCOUNT, NAME, desk.snapshot(), enforcement or EnforcementSeen(), rules)
    made = Seen(desk.now, (account,), link(desk), STORE, DAEMON, WATCHDOG)
    return msgspec.structs.replace(made, **more)


def a_lockout(rule: str = "daily_realized_loss", until: datetime | None = None) -> Lockout:
    return Lockout(
        AccountId(ACCOUNT), rule, LockKind.UNTIL_RESET, STARTED, until, "day loss of -550.00", True, None
    )


# ---------------------------------------------------------------------- the state in a word


def test_quiet_account_on_a_live_link_is_guarding_for_no_reason() -> None:
    answer = status.status(seen(Desk()))

    assert (answer.state, answer.reasons) == ("guarding", ())
    assert answer.accounts[0].state == "active"


@pytest.mark.parametrize(
    ("change", "state", "code"),
    [
        pytest.param({"safe_mode": True}, "safe_mode", "safe_mode", id="safe mode"),
        pytest.param({"link": None}, "blind", "link_down", id="not connected yet"),
        pytest.param({"link": LinkState.BLIND}, "blind", "link_blind", id="no live hub"),
        pytest.param({"link": LinkState.DOWN}, "blind", "link_down", id="no answer by REST either"),
        pytest.param({"watchdog": None}, "degraded", "watchdog", id="no watchdog"),
        pytest.param({"holidays_known": False}, "degraded", "holidays", id="holiday table ended"),
        pytest.param({"accounts": ()}, "degraded", "no_account", id="nothing armed"),
        pytest.param({"store": None}, "degraded", "store", id="store silent"),
        pytest.param(
            {"store": msgspec.structs.replace(STORE, ok=False, error="disk full")},
            "degraded",
            "store",
            id="store not writable",
        ),
        pytest.param(
            {"store": msgspec.structs.replace(STORE, late_s=1.5, backlog=9)},
            "degraded",
            "store",
            id="store late",
        ),
        pytest.param(
            {"faults": (Reason("config_differs", "the file differs"),)},
            "degraded",
            "config_differs",
            id="file",
        ),
    ],
)
def test_trouble_is_named_with_its_reason(change: dict[str, object], state: str, code: str) -> None:
    desk = Desk()
    if isinstance(change.get("link"), LinkState):
        change = {"link": link(desk, state=change["link"])}
    answer = status.status(seen(desk, **change))

    assert answer.state == state
    assert [reason.code for reason in answer.reasons] == [code]


def test_gateway_not_read_for_a_minute_is_degraded_since_then() -> None:
    desk = Desk()
    fine = link(desk, last_read_mono=desk.now.mono - 60.0)
    late = link(desk, last_read_mono=desk.now.mono - 61.0)

    assert status.status(seen(desk, link=fine)).state == "guarding"
    answer = status.status(seen(desk, link=late))
    assert (answer.state, answer.reasons[0].since) == ("degraded", desk.now.wall - timedelta(seconds=61))


def test_worst_state_leads_and_every_reason_is_told() -> None:
    desk = Desk()
    locked = EnforcementSeen(lockouts=(a_lockout(),))
    answer = status.status(
        seen(desk, enforcement=locked, safe_mode=True, link=link(desk, LinkState.BLIND), watchdog=None)
    )

    assert answer.state == "safe_mode"
    assert [reason.code for reason in answer.reasons] == ["safe_mode", "link_blind", "watchdog", "locked"]


def test_rule_that_does_not_guard_is_degraded_and_counted() -> None:
    desk = Desk()
    fine, dead = rules_of(max_contracts={"limit": 5}, daily_realized_loss={"mode": "shadow", "limit": -500})
    answer = status.status(
        seen(desk, standing(fine, desk.snapshot()), standing(dead, desk.snapshot(), failed="crashed 5 times"))
    )

    assert answer.state == "degraded"
    assert answer.reasons[0].text == f"1 of 2 rules guard: {dead.name} on {NAME}: crashed 5 times"
    assert answer.rules == answers.RuleCounts(configured=2, armed=1, shadow=0, off=0)
    assert [rule.state for rule in answer.accounts[0].rules] == ["ok", "failed"]


# ---------------------------------------------------------------------- one account


@pytest.mark.parametrize(
    ("can_trade", "lockouts", "reducing", "state"),
    [
        (True, (), False, "active"),
        (True, (), True, "reducing"),
        (None, (), False, "active"),
        (True, (a_lockout(),), True, "locked"),
        (False, (), False, "halted"),
        (False, (a_lockout(),), True, "halted"),
    ],
)
def test_account_state_is_the_first_that_holds(
    can_trade: bool | None, lockouts: tuple[Lockout, ...], reducing: bool, state: str
) -> None:
    desk = Desk()
    desk.can_trade(can_trade)
    answer = status.status(seen(desk, enforcement=EnforcementSeen(lockouts, reducing)))

    assert answer.accounts[0].state == state
    assert answer.state == ("locked" if state in ("halted", "locked") else "guarding")


def test_position_is_shown_with_its_prices_as_text_and_its_protection() -> None:
    desk = Desk()
    desk.buy("MNQ", 2, 21000.0)
    desk.buy("MNQ", 1, 21000.25)
    desk.price("MNQ", 20990.0)
    desk.place("MNQ", -3, stop=20950.0)

    (position,) = status.status(seen(desk)).accounts[0].positions

    assert position == answers.Position(
        contract="CON.F.US.MNQ.Z25",
        root="MNQ",
        size=3,
        average_price="21000.083333",
        mark="20990.00",
        unrealized="-60.50",
        notional="125940.00",
        protected=True,
    )


def test_short_position_has_a_positive_average_and_a_signed_size() -> None:
    desk = Desk()
    desk.sell("ES", 2, 5800.0)
    desk.price("ES", 5801.0)

    (position,) = status.status(seen(desk)).accounts[0].positions

    assert (position.size, position.average_price, position.unrealized) == (-2, "5800.00", "-100.00")
    assert not position.protected


def test_unmeasured_position_shows_nothing_rather_than_zero() -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.wait(60)

    (position,) = status.status(seen(desk)).accounts[0].positions

    assert (position.mark, position.unrealized, position.notional) == (None, None, None)


def test_order_is_shown_with_side_and_contract_decimals() -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.place("MNQ", -1, stop=20980.0)
    desk.place("MNQ", -1, limit=21010.5, status=OrderStatus.SUSPENDED)

    shown = status.status(seen(desk)).accounts[0].orders

    assert [(o.side, o.size, o.type, o.stop_price, o.limit_price, o.status) for o in shown] == [
        ("sell", -1, "stop", "20980.00", None, "open"),
        ("sell", -1, "limit", None, "21010.50", "suspended"),
    ]


def test_order_kind_nobody_documented_keeps_its_number() -> None:
    desk = Desk()
    order = desk.place("MNQ", 1, limit=1.0, kind=OrderType.UNKNOWN)
    desk.change(order, raw_type=12)

    assert status.status(seen(desk)).accounts[0].orders[0].type == "unknown 12"


def test_day_is_summed_from_realized_and_open_money() -> None:
    desk = Desk()
    desk.trade("-212.50")
    desk.buy("MNQ", 1, 21000.0)
    desk.price("MNQ", 20995.0)

    account = status.status(seen(desk)).accounts[0]

    assert (account.realized, account.unrealized, account.net) == ("-212.50", "-10.00", "-222.50")
    assert account.trades == 3


def test_rule_goes_from_ok_over_near_to_breached_and_locked() -> None:
    desk = Desk()
    (rule,) = rules_of(daily_realized_loss={"limit": -500})
    states = []
    for dollars in ("-100", "-320", "-100"):
        desk.trade(dollars)
        states.append(status.status(seen(desk, standing(rule, desk.snapshot()))).accounts[0].rules[0].state)
    locked = EnforcementSeen(lockouts=(a_lockout(),))
    shown = (
        status.status(seen(desk, standing(rule, desk.snapshot()), enforcement=locked)).accounts[0].rules[0]
    )

    assert [*states, shown.state] == ["ok", "near", "breached", "locked"]
    assert (shown.value, shown.limit, shown.used) == ("-520.00", "-500.00", 1.04)


def test_rule_without_a_published_view_has_no_figure() -> None:
    (rule,) = rules_of(max_contracts={"limit": 5})
    shown = status.status(seen(Desk(), RuleSeen(rule, None, uncovered_ms=12.3456))).accounts[0].rules[0]

    assert (shown.value, shown.limit, shown.used, shown.headroom, shown.acts_at) == (None,) * 5
    assert (shown.mode, shown.uncovered_ms) == (Mode.ARMED.value, 12.346)


# ---------------------------------------------------------------------- the answers as JSON


def test_status_has_exactly_the_fields_of_the_contract() -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.place("MNQ", -1, stop=20980.0)
    (rule,) = rules_of(max_contracts={"limit": 5})
    decision = Decision(desk.now.wall, "breach/x", "max_contracts", "closed 1 MNQ")
    enforcement = EnforcementSeen((a_lockout(until=desk.now.wall),), last=decision, attempts=2)
    answer = msgspec.to_builtins(
        status.status(seen(desk, standing(rule, desk.snapshot()), enforcement=enforcement))
    )
    account = answer["accounts"][0]

    assert list(answer) == [
        "schema",
        "at",
        "state",
        "reasons",
        "notes",
        "pending",
        "test_clock",
        "dead_letters",
        "daemon",
        "watchdog",
        "link",
        "rules",
        "latency",
        "accounts",
    ]
    assert list(account) == [
        "id",
        "name",
        "state",
        "can_trade",
        "realized",
        "unrealized",
        "net",
        "trades",
        "positions",
        "orders",
        "lockouts",
        "rules",
        "attempts",
        "last_decision",
    ]
    assert list(account["positions"][0]) == [
        "contract",
        "root",
        "size",
        "average_price",
        "mark",
        "unrealized",
        "notional",
        "protected",
    ]
    assert list(account["orders"][0]) == [
        "id",
        "contract",
        "type",
        "side",
        "size",
        "stop_price",
        "limit_price",
        "status",
    ]
    assert list(account["lockouts"][0]) == ["rule", "kind", "since", "until", "reason"]
    assert list(account["rules"][0]) == [
        "rule",
        "mode",
        "state",
        "value",
        "limit",
        "used",
        "headroom",
        "acts_at",
        "uncovered_ms",
    ]
    assert answer["link"] == {
        "state": "live",
        "since": "2025-11-19T16:00:00Z",
        "generation": 3,
        "last_event_age_s": 0.4,
    }
    assert account["attempts"] == 2


@pytest.mark.parametrize("name", ["positions", "orders", "lockouts", "rules"])
def test_part_answers_are_the_entries_of_status_with_the_account(name: str) -> None:
    desk = Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.place("MNQ", -1, stop=20980.0)
    (rule,) = rules_of(max_contracts={"limit": 5})
    whole = seen(desk, standing(rule, desk.snapshot()), enforcement=EnforcementSeen(lockouts=(a_lockout(),)))

    answer = msgspec.to_builtins(getattr(status, name)(whole))

    account = msgspec.to_builtins(status.status(whole))["accounts"][0]
    assert answer["schema"] == 1
    assert answer["at"] == "2025-11-19T16:00:00Z"
    assert answer[name] == [{"account": NAME, **entry} for entry in account[name]]
    assert answer[name]


def test_rules_answer_may_be_of_one_rule() -> None:
    desk = Desk()
    two = rules_of(max_contracts={"limit": 5}, daily_realized_loss={"limit": -500})
    whole = seen(desk, *(standing(rule, desk.snapshot()) for rule in two))

    assert [entry["rule"] for entry in status.rules(whole, "max_contracts")["rules"]] == ["max_contracts"]
    assert status.rules(whole, "loss_streak")["rules"] == []


def test_a_live_link_that_an_account_has_not_taken_in_yet_is_blind() -> None:
    desk = Desk()
    blind = msgspec.structs.replace(desk.snapshot(), link=LinkState.BLIND)
    account = AccountSeen(ACCOUNT, NAME, blind, EnforcementSeen(), ())
    answer = status.status(Seen(desk.now, (account,), link(desk), STORE, DAEMON, WATCHDOG))

    assert answer.link.state == "blind"
    assert answer.state == "blind"
    assert NAME in answer.reasons[0].text
