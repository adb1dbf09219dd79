"""The broker forbids trading, or the link or the login is lost: auth_loss_guard."""

from __future__ import annotations

from msgspec.structs import replace

from actors.messages import AccountFlat, AccountSnapshot, LinkState, LockKind
from tests.builders import Desk, Watching, a_rule


def guard(**config: object) -> Watching:
    return a_rule("auth_loss_guard", **config)


# ------------------------------------------------------------------------------ canTrade


def test_an_account_that_may_not_trade_is_flattened_and_locked_without_an_end() -> None:
    rule, desk = guard(), Desk()
    desk.buy("MNQ", 1, 21000.0)

    judged = rule.judge(desk.can_trade(False))

    lock = judged.lock
    assert lock is not None
    assert (lock.kind, lock.until, lock.flatten) == (LockKind.CONDITION, None, True)
    assert judged.demands == (AccountFlat(),)
    assert [b.id for b in judged.breaches] == ["2025-11-19/auth_loss_guard/*/account/1"]
    assert not judged.condition_over


def test_it_is_over_when_the_broker_allows_trading_again() -> None:
    rule, desk = guard(), Desk()
    rule.judge(desk.can_trade(False))

    judged = rule.judge(desk.can_trade(True))

    assert (judged.breaches, judged.lock, judged.condition_over) == ((), None, True)


def test_with_unlock_admin_it_is_never_over_by_itself() -> None:
    rule, desk = guard(unlock="admin"), Desk()
    rule.judge(desk.can_trade(False))

    assert not rule.judge(desk.can_trade(True)).condition_over


def test_the_latest_value_wins_on_rapid_toggling() -> None:
    rule, desk = guard(), Desk()
    values = (False, True, False, True, False)

    locked = [rule.judge(desk.can_trade(value)).lock is not None for value in values]

    assert locked == [True, False, True, False, True]


def test_each_time_it_is_forbidden_is_a_breach_of_its_own() -> None:
    rule, desk = guard(), Desk()
    first = rule.judge(desk.can_trade(False)).breaches
    rule.judge(desk.can_trade(True))

    second = rule.judge(desk.can_trade(False)).breaches

    assert [b.id[-1] for b in (*first, *second)] == ["1", "2"]


def test_s71_the_daily_reset_changes_nothing() -> None:
    rule, desk = guard(), Desk()
    before = rule.judge(desk.can_trade(False))
    desk.wait(24 * 3600)

    after = rule.judge(desk.reset())

    assert (after.breaches, after.lock) == (before.breaches, before.lock)


def test_a_missing_answer_counts_as_allowed_and_is_told_once() -> None:
    rule, desk = guard(), Desk()

    told = [rule.judge(desk.can_trade(None)).notices, rule.judge(desk.wait(1)).notices]

    assert [[n.level for n in notices] for notices in told] == [["warning"], []]
    assert rule.judge(desk.wait(1)).condition_over


def test_the_permission_is_asked_for_every_so_often() -> None:
    rule, desk = guard(check_every="30s"), Desk()

    asked = [bool(rule.judge(desk.wait(seconds)).wants_read) for seconds in (29, 1, 1, 28, 1)]
    desk.read()

    assert asked == [False, True, False, False, True]
    assert rule.judge(desk.wait(29)).wants_read is None


# ------------------------------------------------------------------------------ link and login


def test_s66_a_lost_link_is_a_warning_and_closes_nothing() -> None:
    rule, desk = guard(), Desk()
    desk.buy("MNQ", 1, 21000.0)

    judged = rule.judge(desk.link(LinkState.BLIND))

    assert (judged.demands, judged.lock, judged.breaches) == ((), None, ())
    (notice,) = judged.notices
    assert (notice.level, notice.component) == ("warning", "link")
    assert "Check the network" in notice.message


def test_s66_a_refused_login_is_an_error() -> None:
    rule, desk = guard(), Desk()

    judged = rule.judge(desk.link(LinkState.DOWN, auth_failed=True))

    assert [n.level for n in judged.notices] == ["error"]
    assert "API key" in judged.notices[0].message


def test_the_alert_is_repeated_while_it_lasts_and_cleared_when_the_link_is_back() -> None:
    rule, desk = guard(repeat_every="15m"), Desk()
    first = rule.judge(desk.link(LinkState.DOWN)).notices
    quiet = rule.judge(desk.wait(899)).notices
    again = rule.judge(desk.wait(1)).notices

    back = rule.judge(desk.link(LinkState.LIVE)).notices

    assert quiet == ()
    assert len({n.key for n in (*first, *again, *back)}) == 3
    assert [(n.level, n.message) for n in back] == [("info", "the link is back after 900 s")]


def test_a_first_link_is_not_lost_while_it_is_made_and_is_when_it_takes_too_long() -> None:
    rule, desk = guard(), Desk()

    def judged(snapshot: AccountSnapshot) -> list[str]:
        return [n.message for n in rule.judge(replace(snapshot, linked=False)).notices]

    begun = judged(desk.link(LinkState.BLIND))
    nearly = judged(desk.wait(9.9))
    late = judged(desk.wait(0.1))

    assert (begun, nearly) == ([], [])
    assert len(late) == 1
    assert late[0].startswith("the link is lost since")
    assert judged(desk.link(LinkState.LIVE)) == ["the link is back after 10 s"]


def test_a_first_link_that_is_made_in_time_is_never_spoken_of() -> None:
    rule, desk = guard(), Desk()
    rule.judge(replace(desk.link(LinkState.BLIND), linked=False))

    assert rule.judge(replace(desk.wait(1), linked=False)).notices == ()
    assert rule.judge(desk.link(LinkState.LIVE)).notices == ()


def test_a_link_that_was_live_is_lost_at_once_however_lately_it_was_read() -> None:
    rule, desk = guard(), Desk()
    rule.judge(desk.link(LinkState.LIVE))
    desk.wait(60)
    lost = desk.link(LinkState.BLIND)

    assert len(rule.judge(replace(lost, read_mono=lost.now.mono)).notices) == 1


def test_an_ignored_loss_says_nothing_at_all() -> None:
    rule, desk = guard(on_disconnect="ignore"), Desk()

    told = [rule.judge(desk.link(state)).notices for state in (LinkState.DOWN, LinkState.LIVE)]

    assert told == [(), ()]


def test_from_lost_link_to_refused_login_is_told_at_once() -> None:
    rule, desk = guard(), Desk()
    rule.judge(desk.link(LinkState.DOWN))
    desk.wait(1)

    judged = rule.judge(desk.link(LinkState.DOWN, auth_failed=True))

    assert [n.level for n in judged.notices] == ["error"]
