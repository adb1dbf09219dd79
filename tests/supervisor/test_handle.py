"""What an address keeps over crashes, and what it promises to senders. Names carry the identifiers."""
# ruff: noqa: N802

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.address import ActorDied, Down
from actors.worker import Actor
from supervisor.child_spec import Backoff, Budget, ChildSpec
from supervisor.handle import LATEST_SHARE, DeadLetters, Handle
from tests.supervisor.stage import Recorder, Stage, child

BOOM = ValueError("boom")


def recorder(seen: list[object], name: str = "a", **terms: object) -> ChildSpec:
    return child(name, Recorder, args=(seen,), **terms)


def stage_with(seen: list[object], **terms: object) -> Stage:
    return Stage(recorder(seen, **terms)).boot()


def test_C01_what_was_queued_at_a_crash_is_handled_once_and_in_order() -> None:
    seen: list[object] = []
    stage = stage_with(seen, max_attempts=1)
    for message in [BOOM, *range(20)]:
        stage.handle("a").tell(message)
    stage.settle()
    assert seen == list(range(20))


def test_C02_a_poison_message_is_set_aside_with_its_cause_and_the_rest_goes_on() -> None:
    seen: list[object] = []
    stage = stage_with(seen, crashes=Budget(5, 30.0))
    for message in (1, BOOM, 2):
        stage.handle("a").tell(message)
    stage.settle()
    assert seen == [1, 2]
    letter = stage.heard.letters[0]
    assert (letter.id, letter.message, letter.attempts, letter.poison) == ("a", BOOM, 2, True)
    assert letter.cause == "crash: ValueError: boom"
    assert stage.supervisor.tree()["children"][0]["state"] == "running"


@given(st.lists(st.one_of(st.integers(), st.just(BOOM)), max_size=30), st.integers(1, 3))
@settings(deadline=None, max_examples=60)
def test_C02_nothing_is_lost_doubled_or_reordered_whatever_crashes(
    messages: list[object], attempts: int
) -> None:
    seen: list[object] = []
    stage = stage_with(seen, max_attempts=attempts)
    for message in messages:
        stage.handle("a").tell(message)
    stage.settle()
    assert seen == [message for message in messages if message is not BOOM]
    assert [letter.attempts for letter in stage.heard.letters] == [attempts] * messages.count(BOOM)


def test_C03_a_kill_between_handling_and_acknowledging_hands_the_message_out_again() -> None:
    handled: list[tuple[object, int]] = []

    class Late(Actor):
        def receive(self, message: object) -> None:
            handled.append((message, self.attempt))
            if self.attempt == 1:
                stage.supervisor.kill("a")

    stage = Stage(child("a", lambda kept: Late())).boot()
    stage.handle("a").tell("close")
    stage.settle()
    assert handled == [("close", 1), ("close", 2)]
    assert stage.handle("a").fenced_results == 1
    assert stage.heard.letters == []


def test_C08_a_fenced_actor_that_wakes_up_can_do_nothing_any_more() -> None:
    sent: list[bool] = []

    class Sleeper(Actor):
        def receive(self, message: object) -> None:
            self.send(stage.handle("b"), message)
            self.send_latest(stage.handle("b"), "key", message)
            self.reply("late")
            sent.append(self.fenced)

        def keep(self) -> object:
            return "kept by the fenced one"

    seen: list[object] = []
    stage = Stage(child("a", lambda kept: Sleeper(), max_attempts=1), recorder(seen, "b")).boot()
    handle, hung = stage.handle("a"), stage.life("a")
    handle.tell("order")
    envelope = hung.begin_message()
    stage.wait(0.30)
    assert stage.life("a") is not hung
    hung.finish_message(envelope)
    stage.settle()
    assert sent == [True]
    assert seen == []
    assert handle.fenced_sends == 2
    assert handle.fenced_results == 1
    assert handle.kept is None


def test_C07_a_handler_past_its_deadline_is_replaced_within_one_scan() -> None:
    seen: list[object] = []
    stage = stage_with(seen, handler_deadline_s=0.25)
    hung = stage.life("a")
    stage.handle("a").tell("first")
    stage.handle("a").tell("second")
    assert hung.begin_message() is not None
    stage.wait(0.25)
    assert stage.life("a") is hung
    stage.wait(0.05)
    assert stage.life("a") is not hung
    stage.settle()
    assert seen == ["first", "second"]
    restarted = next(report for report in stage.heard.reports if report.kind == "restarted")
    assert 250 <= restarted.uncovered_ms <= 300
    assert "hung: busy for 0.300 s" in next(r for r in stage.heard.reports if r.reason).line()


def test_C07_what_the_scan_was_late_by_is_granted_to_every_handler() -> None:
    stage = stage_with([], handler_deadline_s=0.25)
    stage.handle("a").tell("first")
    busy = stage.life("a")
    busy.begin_message()
    stage.clock.advance(60.0)  # the machine slept
    stage.supervisor.turn()
    assert stage.life("a") is busy
    stage.wait(0.15)
    assert stage.life("a") is busy
    stage.wait(0.15)
    assert stage.life("a") is not busy


def test_C07_a_second_hang_on_one_message_sends_it_to_the_dead_letters() -> None:
    stage = stage_with([])
    stage.handle("a").tell("spin")
    for _ in range(2):
        life = stage.life("a")
        if not life.ready:
            life.step()
        life.begin_message()
        stage.wait(0.35)
    stage.settle()
    assert [letter.message for letter in stage.heard.letters] == ["spin"]
    assert stage.heard.letters[0].cause.startswith("hung")


def test_an_actor_that_must_not_be_doubled_is_only_shown_and_then_the_process_goes() -> None:
    stage = stage_with([], handler_deadline_s=1.0, replace_when_hung=False)
    busy = stage.life("a")
    stage.handle("a").tell("commit")
    busy.begin_message()
    stage.wait(1.2)
    assert stage.life("a") is busy
    assert stage.heard.kinds("a") == ["started", "overdue"]
    assert stage.supervisor.tree()["children"][0]["state"] == "overdue"
    assert stage.heard.must_restarts == []
    stage.wait(9.0)
    assert len(stage.heard.must_restarts) == 1


def test_C13_while_nobody_is_there_messages_wait_and_after_the_give_up_they_are_dead_letters() -> None:
    seen: list[object] = []
    slow = Backoff(min_s=1.0, max_s=1.0, jitter=0)
    stage = stage_with(seen, crashes=Budget(3, 30.0), backoff=slow, max_attempts=1)
    handle = stage.handle("a")
    handle.tell(BOOM)
    handle.tell(BOOM)
    stage.settle()
    handle.tell("waits")
    assert handle.depth == 1
    stage.wait(1.05)
    stage.settle()
    assert seen == ["waits"]
    handle.tell(BOOM)
    handle.tell("queued")
    stage.settle()
    handle.tell("sent")
    handle.tell_latest("k", "quote")
    stage.settle()
    assert [(letter.message, letter.poison) for letter in stage.heard.letters[3:]] == [
        ("queued", False),
        ("sent", False),
    ]
    assert stage.heard.letters[3].attempts == 0
    assert handle.depth == 0


def test_C13_an_actor_that_was_given_up_can_be_called_back() -> None:
    seen: list[object] = []
    stage = stage_with(seen, crashes=Budget(1, 30.0), max_attempts=1)
    stage.handle("a").tell(BOOM)
    stage.settle()
    assert stage.handle("a").closed is not None
    stage.recycle("a")
    stage.settle()
    stage.handle("a").tell("back")
    stage.settle()
    assert seen == ["back"]


def test_C14_an_ask_always_resolves() -> None:
    stage = stage_with([], crashes=Budget(2, 30.0))
    handle = stage.handle("a")
    answer = handle.ask("count", 1.0)
    stage.settle()
    assert answer.result() == 0
    answer = handle.ask(BOOM, 1.0)
    stage.settle()
    assert answer.exception() is BOOM
    queued, crash = handle.ask("count", 1.0), handle.ask(BOOM, 1.0)
    last = handle.ask("count", 1.0)
    stage.settle()
    assert queued.result() == 0
    assert crash.exception() is BOOM
    assert isinstance(last.exception(), ActorDied)
    assert isinstance(handle.ask("count", 1.0).exception(), ActorDied)


def test_C14_an_ask_nobody_took_in_time_is_not_carried_out_late() -> None:
    seen: list[object] = []
    stage = stage_with(seen)
    answer = stage.handle("a").ask("flatten", 0.5)
    stage.wait(0.6)
    assert isinstance(answer.exception(), TimeoutError)
    stage.settle()
    assert seen == []
    assert stage.handle("a").depth == 0


def test_C14_an_ask_to_an_actor_that_hangs_is_answered_when_that_is_found_out() -> None:
    stage = stage_with([])
    answer = stage.handle("a").ask("count", 60.0)
    stage.life("a").begin_message()
    stage.wait(0.30)
    assert answer.done()
    assert "hung" in str(answer.exception())


def test_C14_an_ask_put_off_is_failed_when_the_actor_ends_first() -> None:
    class Putter(Actor):
        def receive(self, message: object) -> None:
            if message == "go":
                raise BOOM
            later.append(self.defer())

    later: list[object] = []
    stage = Stage(child("a", lambda kept: Putter())).boot()
    first, second = stage.handle("a").ask(1, 60.0), stage.handle("a").ask(2, 60.0)
    stage.settle()
    assert not first.done()
    later[0].resolve("done")
    assert first.result() == "done"
    stage.handle("a").tell("go")
    stage.settle()
    assert isinstance(second.exception(), ActorDied)


def test_L06_a_reply_after_the_timeout_is_discarded() -> None:
    stage = stage_with([])
    answer = stage.handle("a").ask("count", 0.1)
    envelope = stage.life("a").begin_message()
    stage.wait(0.15)
    stage.life("a").finish_message(envelope)
    assert isinstance(answer.exception(), TimeoutError)


def test_C15_each_lane_is_bounded_in_its_own_way() -> None:
    seen: list[object] = []
    stage = stage_with(seen, mailbox_limit=3)
    handle = stage.handle("a")
    for number in range(5):
        handle.tell(number)
        handle.tell_latest("MNQ", f"quote {number}")
        handle.tell(f"urgent {number}", urgent=True)
    for key in "xyz":
        handle.tell_latest(key, key)
    assert isinstance(handle.ask("count", 1.0).exception(), ActorDied)
    stage.settle()
    assert seen == [*(f"urgent {n}" for n in range(5)), 0, 1, 2, "quote 4", "x", "y"]
    assert stage.heard.refusals == [("a", 3), ("a", 4), ("a", "z"), ("a", "count")]
    assert handle.refused == 4


def test_C16_what_is_urgent_overtakes_ten_thousand_quotes() -> None:
    seen: list[object] = []
    stage = stage_with(seen)
    handle = stage.handle("a")
    for number in range(9_999):
        handle.tell(number)
    handle.tell("flatten", urgent=True)
    stage.life("a").step()
    assert seen == ["flatten"]


def test_C15_quotes_are_not_starved_by_a_full_normal_lane() -> None:
    seen: list[object] = []
    stage = stage_with(seen)
    handle = stage.handle("a")
    handle.tell_latest("MNQ", "quote")
    for number in range(100):
        handle.tell(number)
    stage.settle()
    assert seen.index("quote") == LATEST_SHARE


def test_C15_a_quote_that_failed_gives_way_to_a_newer_one() -> None:
    stage = stage_with([])
    handle, hung = stage.handle("a"), stage.life("a")
    handle.tell_latest("MNQ", "old")
    hung.begin_message()
    handle.tell_latest("MNQ", "new")
    stage.wait(0.30)
    assert handle.waiting() == ["new"]


def test_C15_a_quote_that_was_in_work_comes_again_before_what_is_queued() -> None:
    stage = stage_with([])
    handle, hung = stage.handle("a"), stage.life("a")
    handle.tell_latest("MNQ", "quote")
    hung.begin_message()
    handle.tell("fill")
    stage.wait(0.30)
    assert handle.waiting() == ["quote", "fill"]


def test_C17_timers_of_an_incarnation_die_with_it() -> None:
    class Timed(Actor):
        def receive(self, message: object) -> None:
            if message == "arm":
                alarms.append(lambda: self.send(self.me, "alarm"))
            else:
                raise BOOM

    alarms: list[object] = []
    stage = Stage(child("a", lambda kept: Timed(), max_attempts=1)).boot()
    stage.handle("a").tell("arm")
    stage.handle("a").tell("crash")
    stage.settle()
    alarms[0]()
    assert stage.handle("a").depth == 0
    assert stage.handle("a").fenced_sends == 1


def test_kept_state_is_handed_on_with_the_message_that_made_it() -> None:
    stage = stage_with([])
    for message in (1, 2, BOOM, 3):
        stage.handle("a").tell(message)
    answer = stage.handle("a").ask("count", 1.0)
    stage.settle()
    assert answer.result() == 3


def test_kept_state_that_poisons_every_life_is_dropped_after_the_third_crash_in_a_row() -> None:
    tries: list[object] = []

    class Poisoned(Actor):
        def __init__(self, kept: object | None) -> None:
            tries.append(kept)
            self.kept = kept

        def receive(self, message: object) -> None:
            if self.kept is not None:
                raise BOOM

        def keep(self) -> object:
            return "poison"

    stage = Stage(child("a", Poisoned)).boot()
    for number in range(3):
        stage.handle("a").tell(number)
    stage.settle()
    assert tries == [None]
    stage.supervisor.kill("a")
    for number in range(4):
        stage.handle("a").tell(number)
    stage.settle()
    assert tries == [None, "poison", "poison", None]
    assert [letter.message for letter in stage.heard.letters] == [0]


def test_L01_a_watcher_is_told_exactly_once_with_the_reason() -> None:
    told: list[object] = []
    stage = Stage(recorder([], "a"), recorder(told, "w")).boot()
    number = stage.handle("a").watch(stage.handle("w"))
    stage.handle("a").tell(BOOM)
    stage.settle()
    assert [type(message) for message in told] == [Down]
    assert (told[0].id, told[0].watch, told[0].reason.error) == ("a", number, BOOM)


def test_L02_watching_nobody_is_answered_at_once() -> None:
    told: list[object] = []
    stage = Stage(recorder([], "a", restart="transient"), recorder(told, "w")).boot()
    stage.terminate("a")
    stage.settle()
    stage.handle("a").watch(stage.handle("w"))
    stage.settle()
    assert [message.reason.kind for message in told] == ["noproc"]


def test_L03_who_stops_watching_is_not_told() -> None:
    told: list[object] = []
    stage = Stage(recorder([], "a"), recorder(told, "w")).boot()
    stage.handle("a").unwatch(stage.handle("a").watch(stage.handle("w")))
    stage.handle("a").tell(BOOM)
    stage.settle()
    assert told == []


def test_figures_for_the_status() -> None:
    stage = stage_with([])
    handle = stage.handle("a")
    assert (handle.oldest_s(), handle.busy_s()) == (0.0, 0.0)
    handle.tell("first")
    stage.life("a").begin_message()
    handle.tell("second")
    handle.tell_latest("k", "quote")
    stage.wait(0.1)
    assert handle.oldest_s() == pytest.approx(0.1)
    assert handle.busy_s() == pytest.approx(0.1)
    node = stage.supervisor.tree()["children"][0]
    assert list(node) == [
        "id",
        "type",
        "state",
        "epoch",
        "restarts",
        "mailbox",
        "oldest_ms",
        "busy_ms",
        "children",
    ]
    assert (node["id"], node["type"], node["epoch"], node["mailbox"]) == ("a", "worker", 1, 2)
    pulse = stage.supervisor.pulse()
    assert (pulse.oldest, pulse.slowest) == ("a", "a")
    assert pulse.oldest_ms == pytest.approx(100)
    assert repr(handle) == "<Handle a>"


def test_dead_letters_keep_the_last_ones_and_count_all() -> None:
    letters = DeadLetters(limit=2)
    stage = stage_with([])
    handle = Handle("x", stage.clock, dead_letters=letters)
    handle.close("nobody")
    for number in range(5):
        handle.tell(number)
    assert letters.count == 5
    assert [letter.message for letter in letters.kept] == [3, 4]
