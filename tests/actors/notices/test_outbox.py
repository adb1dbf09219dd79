"""What becomes one message: nothing waits needlessly, nothing floods, nothing hangs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Alert, Notice
from actors.notices.outbox import (
    ABANDON_S,
    ABANDONED_MOST,
    ANSWER_S,
    GAP_S,
    WAITING_MOST,
    Outbox,
    Waiting,
    composed,
    delivered,
    next_message,
    offer,
    overdue,
)
from actors.notices.targets import Target, kind_of

AT = datetime(2026, 3, 2, 15, 30, 5, tzinfo=UTC)


def item(number: int, level: str = "warning", account: str = "A") -> Waiting:
    notice = Notice(level, "store", f"message {number}", f"key/{number}")
    return Waiting(f"alert/{number}", Alert(AT, account, notice))


def filled(box: Outbox, *items: Waiting) -> Outbox:
    for each in items:
        box, given_up = offer(box, each)
        assert given_up is None
    return box


def test_the_first_alert_goes_out_at_once_and_the_next_ones_together() -> None:
    box, first = next_message(filled(Outbox(), item(1)), 100.0)
    assert first == (item(1),)
    box, _ = delivered(box, box.number)

    box = filled(box, item(2), item(3))
    box, none = next_message(box, 100.0 + GAP_S - 0.1)
    assert none == ()
    _, both = next_message(box, 100.0 + GAP_S)
    assert both == (item(2), item(3))


def test_a_critical_alert_does_not_wait_for_the_gap() -> None:
    box, _ = next_message(filled(Outbox(), item(1)), 100.0)
    box, _ = delivered(box, box.number)

    _, out = next_message(filled(box, item(2), item(3, "critical")), 100.5)

    assert out == (item(2), item(3, "critical"))


def test_a_hanging_delivery_is_late_then_abandoned_and_the_target_tried_again() -> None:
    box, _ = next_message(filled(Outbox(), item(1)), 100.0)
    box, none = overdue(box, 100.0 + ANSWER_S - 0.1)
    assert none == ()
    box, late = overdue(box, 100.0 + ANSWER_S)
    assert late == (item(1),)
    assert overdue(box, 101.0 + ANSWER_S)[1] == ()

    box = filled(box, item(2))
    assert next_message(box, 150.0)[1] == ()
    box, _ = overdue(box, 100.0 + ABANDON_S)
    box, out = next_message(box, 100.0 + ABANDON_S)
    assert out == (item(2),)

    hung = 1  # the first delivery ends after all: it answers for nothing any more
    box, answered = delivered(box, hung)
    assert answered == ()
    assert box.abandoned == 0
    assert delivered(box, box.number)[1] == (item(2),)


def test_a_target_that_always_hangs_gets_only_so_many_threads() -> None:
    box, now, started = Outbox(), 100.0, 0
    for number in range(10):
        box = filled(box, item(number, "critical"))
        box, out = next_message(box, now)
        started += bool(out)
        now += ABANDON_S
        box, _ = overdue(box, now)

    assert started == ABANDONED_MOST


def test_of_too_many_waiting_the_oldest_is_given_up() -> None:
    box = filled(Outbox(busy=True), *(item(number) for number in range(WAITING_MOST)))

    box, given_up = offer(box, item(999))

    assert given_up == item(0)
    assert len(box.waiting) == WAITING_MOST


@given(st.lists(st.sampled_from(["offer", "critical", "next", "answer", "pass"]), max_size=60))
def test_every_alert_goes_out_once_and_in_order(steps: list[str]) -> None:
    box, now, number, out = Outbox(), 100.0, 0, list[Waiting]()
    for step in [*steps, "answer", "pass", "next"]:
        match step:
            case "offer" | "critical":
                number += 1
                box = filled(box, item(number, "critical" if step == "critical" else "info"))
            case "next":
                box, batch = next_message(box, now)
                out += batch
            case "answer":
                box, _ = delivered(box, box.number)
            case _:
                now += GAP_S

    assert [each.line for each in out] == [f"alert/{n}" for n in range(1, number + 1)]


def test_one_alert_is_a_sentence_and_many_are_counted() -> None:
    level, title, text = composed((item(1),))
    assert (level, title) == ("warning", "riskd: warning")
    assert text == "15:30:05 UTC A store: message 1"

    many = (*(item(number) for number in range(21)), item(99, "error", ""))
    level, title, text = composed(many)
    assert (level, title) == ("error", "riskd: error, 22 alerts")
    assert text.splitlines()[-1] == "(12 more)"


@pytest.mark.parametrize(
    ("level", "only", "notice", "wanted"),
    [
        ("warning", (), Notice("warning", "store", "", "k"), True),
        ("warning", (), Notice("info", "store", "", "k"), False),
        ("warning", (), Notice("critical", "store", "", "k"), True),
        ("info", ("link",), Notice("info", "connection", "", "k"), True),
        ("info", ("link",), Notice("info", "store", "", "k"), False),
        ("info", ("lockout",), Notice("info", "enforcement", "", "lockout/daily_realized_loss"), True),
        ("info", ("enforcement",), Notice("info", "enforcement", "", "flatten/1"), True),
        ("info", ("breach",), Notice("warning", "daily_realized_loss", "", "2026-03-02/x"), True),
        ("error", ("lockout", "link"), Notice("warning", "connection", "", "k"), False),
    ],
)
def test_a_target_gets_what_it_asked_for(
    level: str, only: tuple[str, ...], notice: Notice, wanted: bool
) -> None:
    assert Target("json://127.0.0.1", level, only).wants(notice) is wanted


def test_the_kind_of_an_alert_is_said_by_its_key_first() -> None:
    assert kind_of(Notice("info", "supervisor", "", "link/down")) == "link"
    assert kind_of(Notice("info", "supervisor", "", "other/down")) == "restart"
