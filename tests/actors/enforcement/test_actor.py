"""The enforcement actor in its own thread: order of effects, answers, rebirth, fences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.address import Address
from actors.board import Board
from actors.clock import ManualClock
from actors.enforcement.actor import EnforcementActor, Neighbours
from actors.enforcement.effects import Accepted, Denied, Unlocked
from actors.enforcement.journal import Journal
from actors.enforcement.view import EnforcementView
from actors.messages import (
    AccountSnapshot,
    Alert,
    Breach,
    BreachId,
    Call,
    Called,
    CloseSent,
    CloseVerified,
    DayReset,
    DeadLetter,
    EndLockout,
    FlattenByHand,
    HistoryKind,
    Lock,
    LockByHand,
    LockKind,
    Lockout,
    Mode,
    Now,
    Outcome,
    ReadAccount,
    Reborn,
    Record,
    StoreLockout,
    StoreReceipt,
    StoreRuleState,
    SupervisorLock,
    Tick,
    Unlock,
    Verdict,
)
from tests.actors.connection.inbox import Inbox
from tests.actors.hosting import Hosted, wait_for
from tests.builders import ACCOUNT, MORNING, NAME, Desk

RULE = "daily_realized_loss"


class Sender:
    """Notes what is handed over, and what was known to whom at that moment."""

    def __init__(self, journal: Journal, persistence: Inbox, account: Inbox) -> None:
        self.calls = list[Call]()
        self.journalled = list[bool]()
        self.rows_before = list[int]()
        self.announced = list[int]()
        """Closes the account knew of when each call was handed over."""
        self.later = list[Callable[[], None]]()
        self._journal, self._persistence, self._account = journal, persistence, account

    def submit(self, call: Call, reply_to: Address) -> None:
        read = Journal(self._journal._folder, ACCOUNT).read()
        self.journalled.append(read is not None and any(p.call == call for p in read.pursuits.values()))
        self.rows_before.append(len(self._persistence.messages))
        self.announced.append(len(self._account.all(CloseSent)))
        self.calls.append(call)

    def call_later(self, seconds: float, call: Callable[[], None]) -> object:
        self.later.append(call)
        return None


class Plain:
    """A sender that cannot call back later."""

    def __init__(self) -> None:
        self.calls = list[Call]()

    def submit(self, call: Call, reply_to: Address) -> None:
        self.calls.append(call)


class Trap(Inbox):
    """Whoever tells it a message of this kind crashes, once."""

    def __init__(self, name: str, kind: type) -> None:
        super().__init__(name)
        self.kind, self.sprung = kind, False

    def tell(self, message: object, *, urgent: bool = False) -> None:
        if isinstance(message, self.kind) and not self.sprung:
            self.sprung = True
            raise RuntimeError("crashes here")
        super().tell(message, urgent=urgent)


class Office:
    """The actor, hosted, with inboxes around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = Desk()
        self.clock = ManualClock(self.desk.now.wall)
        self.clock.advance(1)  # the account was read before
        self.board = Board()
        self.account, self.connection = Inbox("account"), Inbox("connection")
        self.persistence, self.notices = Inbox("persistence"), Inbox("notices")
        self.journal = Journal(folder, ACCOUNT)
        self.sender: Sender | Plain = Sender(self.journal, self.persistence, self.account)

    @contextmanager
    def open(self, stored: tuple[Lockout, ...] = (), **more: Any) -> Iterator[Hosted]:
        to = Neighbours(self.account, self.connection, self.persistence, self.notices)

        def factory(kept: Any) -> EnforcementActor:
            return EnforcementActor(
                ACCOUNT,
                NAME,
                to,
                self.sender,
                self.clock,
                self.board,
                self.journal,
                5.0,
                stored,
                kept,
                **more,
            )

        with Hosted(f"account/{NAME}/enforcement", factory, self.clock) as hosted:
            yield hosted

    @property
    def view(self) -> EnforcementView:
        view = self.board.read(("enforcement", NAME), EnforcementView)
        assert view is not None
        return view

    def lost_day(self, **more: Any) -> Verdict:
        breach = Breach(
            BreachId("2025-11-19/daily_realized_loss/*/fill:7/1"),
            RULE,
            None,
            "-550.00",
            "-500.00",
            None,
            "fill:7",
            self.clock.wall(),
            "the day stands at -550.00",
        )
        until = self.clock.wall() + timedelta(hours=7)
        lock = Lock(LockKind.UNTIL_RESET, breach.at, until, breach.text, True, breach.id)
        snapshot = self.shown()
        return Verdict(
            ACCOUNT, RULE, Mode.ARMED, snapshot.seq, (breach,), (), lock, (), snapshot, state=b"s", **more
        )

    def shown(self, *, read: bool = False) -> AccountSnapshot:
        mono = self.clock.mono()
        self.desk.now = Now(self.clock.wall(), mono)
        snapshot = self.desk.read() if read else self.desk.snapshot()
        return msgspec.structs.replace(snapshot, now=Now(self.clock.wall(), mono))

    def confirmed(self, call: Call) -> Called:
        wall, mono = self.clock.wall(), self.clock.mono()
        return Called(call, Outcome.CONFIRMED, 0, "done", wall, mono, mono)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def lock_by_hand(office: Office, *, flatten: bool = False) -> LockByHand:
    return LockByHand(ACCOUNT, None, "enough", "ann", flatten, Now(office.clock.wall(), office.clock.mono()))


def test_breach_is_journalled_then_sent_and_only_then_told_to_the_store(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()

        sender = office.sender
        assert isinstance(sender, Sender)
        assert [call.size for call in sender.calls] == [2]
        assert sender.journalled == [True]
        assert sender.rows_before == [0]
        assert office.persistence.messages == [], "rows wait for the answer"
        assert [type(m) for m in office.account.messages] == [Reborn, CloseSent]
        assert office.view.locked
        assert office.view.in_flight == 1
        assert office.view.reducing

        actor.handle.tell(office.confirmed(sender.calls[0]))
        actor.settle()
        kinds = [m.kind for m in office.persistence.all(Record)]
        assert kinds == [HistoryKind.LOCKOUT, HistoryKind.DEMAND, HistoryKind.BREACH]
        assert len(office.persistence.all(StoreLockout)) == 1
        assert office.persistence.all(StoreRuleState)[0].body == b"s"
        assert office.persistence.all(StoreReceipt)[-1].receipt.calls[0].outcome is Outcome.CONFIRMED
        assert [m.why for m in office.connection.all(ReadAccount)] == ["to see whether the account complies"]


def test_each_close_is_announced_to_the_account_right_after_it_went_out(office: Office) -> None:
    """A fill of the first must not reach the account while the others are still being handed over."""
    for root, price in (("MNQ", 21000.0), ("ES", 5800.0), ("NQ", 21000.0)):
        office.desk.buy(root, 1, price)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()

        assert isinstance(office.sender, Sender)
        assert office.sender.announced == [0, 1, 2]
        assert len(office.account.all(CloseSent)) == 3


def test_rows_are_let_go_after_5_ms_when_no_answer_comes(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
        assert isinstance(office.sender, Sender)

        office.sender.later[0]()
        actor.settle()

        assert len(office.persistence.all(StoreLockout)) == 1


def test_sender_that_cannot_call_back_holds_no_rows(office: Office) -> None:
    office.sender = Plain()
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()

        assert len(office.sender.calls) == 1
        assert len(office.persistence.all(StoreLockout)) == 1


def test_account_seen_flat_by_a_read_verifies_the_receipt(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
        assert isinstance(office.sender, Sender)
        office.clock.advance(0.2)
        office.desk.sell("MNQ", 2, 21000.0)
        actor.handle.tell(office.confirmed(office.sender.calls[0]))
        office.clock.advance(0.1)
        actor.handle.tell(office.shown(read=True))
        actor.settle()

        receipt = office.view.receipts[-1]
        assert receipt.verified
        assert not office.view.reducing
        assert office.view.receipt(receipt.id) == receipt
        assert office.persistence.all(StoreReceipt)[-1].receipt == receipt


def test_receipt_verified_in_the_last_moment_is_told_by_the_next_daemon(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
        assert isinstance(office.sender, Sender)
        office.clock.advance(0.2)
        office.desk.sell("MNQ", 2, 21000.0)
        actor.handle.tell(office.confirmed(office.sender.calls[0]))
        office.clock.advance(0.1)
        actor.handle.tell(office.shown(read=True))
        actor.settle()
        receipt = office.view.receipts[-1]
    office.journal.close()
    again = Office(office.folder)

    with again.open():
        assert again.persistence.all(StoreReceipt)[0].receipt == receipt
        kinds = [row.kind for row in again.persistence.all(Record)]
        assert kinds.count(HistoryKind.BREACH) == kinds.count(HistoryKind.DEMAND) == 1


def test_flatten_of_a_lockout_is_told_by_the_next_daemon(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
    office.journal.close()
    again = Office(office.folder)

    with again.open():
        (demand,) = [row for row in again.persistence.all(Record) if row.kind is HistoryKind.DEMAND]
        assert (demand.body["rule"], demand.body["target"]) == (RULE, "account flat")


def test_lock_by_hand_is_journalled_and_shown_before_it_is_acknowledged(office: Office) -> None:
    with office.open() as actor:
        answer = actor.handle.ask(lock_by_hand(office), 5.0).result()

        assert isinstance(answer, Accepted)
        assert office.view.locked
        read = Journal(office.folder, ACCOUNT).read()
        assert read is not None
        assert read.lockouts.locked


def test_flatten_by_hand_answers_with_the_receipt_to_wait_for(office: Office) -> None:
    office.desk.buy("MNQ", 1, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.shown())
        command = FlattenByHand(ACCOUNT, "ann", Now(office.clock.wall(), office.clock.mono()))
        answer = actor.handle.ask(command, 5.0).result()

        assert isinstance(answer, Accepted)
        assert answer.receipt is not None
        receipt = office.view.receipt(answer.receipt)
        assert receipt is not None
        assert not receipt.verified


def test_unlock_that_cannot_be_written_changes_nothing(office: Office) -> None:
    """What loosens is on the disk before it takes effect."""
    with office.open() as actor:
        actor.handle.ask(lock_by_hand(office), 5.0).result()
        for path in office.folder.iterdir():
            path.unlink()
        office.journal.close()
        office.folder.rmdir()
        unlock = Unlock(ACCOUNT, None, "root", Now(office.clock.wall(), office.clock.mono()))

        answer = actor.handle.ask(unlock, 5.0).result()

        assert isinstance(answer, Denied)
        assert office.view.locked
        office.folder.mkdir()
        assert isinstance(actor.handle.ask(unlock, 5.0).result(), Unlocked)
        assert not office.view.locked
        assert [m.reason for m in office.persistence.all(EndLockout)] == ["admin"]


def test_protection_goes_on_when_the_journal_cannot_be_written_and_somebody_is_told(office: Office) -> None:
    office.folder.rmdir()
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()

        assert isinstance(office.sender, Sender)
        assert len(office.sender.calls) == 1
        assert not office.view.journal_ok
        alerts = [m.notice.key for m in office.notices.all(Alert)]
        assert alerts.count("enforcement/journal/unwritable") == 1
    office.folder.mkdir()


def test_reborn_actor_goes_on_and_hands_over_what_was_out(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()

        actor.crash()
        wait_for(lambda: len(office.account.all(Reborn)) == 2)

        assert isinstance(office.sender, Sender)
        first, again = office.sender.calls
        assert first == again, "under the same id, which is sent once only"
        assert office.view.locked
        actor.handle.tell(office.confirmed(first))
        actor.handle.tell(office.shown())
        actor.settle()
        assert len(office.sender.calls) == 2
        assert len(office.persistence.all(StoreLockout)) >= 1


def test_what_was_decided_by_an_incarnation_that_crashed_before_it_told_is_shown_and_told(
    office: Office,
) -> None:
    """Else whoever waits for a receipt waits forever, and what the trader closes later is taken for ours."""
    office.account = Trap("account", CloseVerified)
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
        assert isinstance(office.sender, Sender)
        actor.handle.tell(office.confirmed(office.sender.calls[0]))
        office.clock.advance(1)
        office.desk.sell("MNQ", 2, 21000.0)
        decision = office.view.last_decision

        actor.handle.tell(office.shown(read=True))
        wait_for(lambda: len(office.account.all(Reborn)) == 2)
        actor.settle()

        assert office.account.sprung
        assert (office.view.open_receipts, office.view.in_flight, office.view.closes) == ((), 0, ())
        assert [receipt.verified for receipt in office.view.receipts] == [True]
        assert office.view.last_decision == decision
        *_, told = office.account.all(CloseSent)
        assert told.until == office.clock.wall()


def test_end_of_a_lockout_reaches_the_store_although_the_incarnation_crashed_as_it_told(
    office: Office,
) -> None:
    """Else a restart would find the lockout in the store, and nothing that ever ends it."""
    office.persistence = trap = Trap("persistence", EndLockout)
    with office.open() as actor:
        actor.handle.ask(lock_by_hand(office), 5.0).result()
        actor.handle.tell(Unlock(ACCOUNT, None, "root", Now(office.clock.wall(), office.clock.mono())))
        wait_for(lambda: len(office.account.all(Reborn)) == 2)
        actor.settle()

        assert trap.sprung
        assert not office.view.locked
        assert [ended.reason for ended in office.persistence.all(EndLockout)] == ["admin"]


def test_closes_that_may_still_fill_are_shown_as_the_account_was_told_of_them(office: Office) -> None:
    office.desk.sell("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()

        (sent,), (shown,) = office.account.all(CloseSent), office.view.closes
        assert (shown.contract, shown.size, shown.cause) == (sent.contract, sent.size, sent.cause)
        assert (shown.size, shown.own_before) == (-2, 0)


def test_incarnation_that_ends_while_rows_are_held_leaves_them_to_the_next(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
        assert office.notices.all(Alert) == []

        actor.crash()
        wait_for(lambda: len(office.account.all(Reborn)) == 2)
        actor.settle()

        first, *others = [alert for alert in office.notices.all(Alert) if alert.notice.component == "lockout"]
        assert not first.again, "as it was meant"
        assert all(other.again for other in others), "told once more is marked so"
        kinds = {row.kind for row in office.persistence.all(Record)}
        assert {HistoryKind.BREACH, HistoryKind.LOCKOUT} <= kinds


def test_restarted_daemon_tells_people_again_of_what_is_in_force(office: Office) -> None:
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
    office.journal.close()
    again = Office(office.folder)

    with again.open():
        (alert,) = again.notices.all(Alert)
        assert alert.again
        assert alert.notice.key.startswith(f"lockout/{RULE}/")


def test_restarted_daemon_has_its_lockouts_before_any_event(office: Office) -> None:
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
    office.journal.close()
    again = Office(office.folder)

    with again.open():
        assert [one.rule for one in again.view.lockouts] == [RULE]
        assert len(again.persistence.all(StoreLockout)) == 1


def test_damaged_journal_is_told_and_its_good_part_used(office: Office) -> None:
    with office.open() as actor:
        actor.handle.tell(office.lost_day())
        actor.settle()
    office.journal.close()
    (only,) = office.folder.iterdir()
    only.write_bytes(only.read_bytes() + b"torn")
    again = Office(office.folder)

    with again.open():
        assert [one.rule for one in again.view.lockouts] == [RULE]
        assert "enforcement/journal/damaged" in [m.notice.key for m in again.notices.all(Alert)]


def test_lockouts_of_the_store_are_in_force_where_there_is_no_journal(office: Office) -> None:
    stored = Lockout(ACCOUNT, "store", LockKind.CONDITION, MORNING, None, "lockouts may be lost", False, None)
    with office.open(stored=(stored,)) as actor:
        actor.handle.tell(office.shown(read=True))
        actor.settle()

        assert [one.rule for one in office.view.lockouts] == ["store"]
        assert office.view.frozen


def test_safe_mode_freezes_and_ends_with_the_first_start_with_rules(office: Office) -> None:
    with office.open(safe_mode=True):
        assert [one.rule for one in office.view.lockouts] == ["safe_mode"]
    office.journal.close()
    again = Office(office.folder)

    with again.open():
        assert again.view.lockouts == ()
        assert [m.reason for m in again.persistence.all(EndLockout)] == ["condition"]


def test_lockout_expires_by_trusted_time_only(office: Office) -> None:
    """The machine's clock was set ahead by a day; the gateway's was not."""
    with office.open() as actor:
        actor.handle.tell(Tick(Now(office.clock.wall(), office.clock.mono())))
        actor.handle.tell(office.lost_day())
        actor.settle()
        trusted = office.clock.wall()
        office.clock.jump(24 * 3600)
        actor.handle.tell(Tick(Now(trusted + timedelta(seconds=1), office.clock.mono())))
        actor.settle()
        assert office.view.locked

        actor.handle.tell(Tick(Now(trusted + timedelta(hours=7), office.clock.mono())))
        actor.settle()
        assert not office.view.locked


def test_reset_and_supervisor_are_heard(office: Office) -> None:
    with office.open() as actor:
        now = Now(office.clock.wall(), office.clock.mono())
        actor.handle.tell(office.lost_day())
        actor.handle.tell(SupervisorLock(ACCOUNT, "max_contracts", True, "it keeps crashing", now))
        actor.settle()
        assert [one.rule for one in office.view.lockouts] == [RULE, "supervisor"]
        assert office.view.given_up == ("max_contracts",)

        actor.handle.tell(DayReset(MORNING.date(), office.clock.wall() + timedelta(hours=7)))
        actor.handle.tell(SupervisorLock(ACCOUNT, "max_contracts", False, "", now))
        actor.settle()
        assert office.view.lockouts == ()


def test_dead_letter_asks_for_a_read_and_a_snapshot(office: Office) -> None:
    with office.open() as actor:
        actor.handle.tell(DeadLetter(f"account/{NAME}/enforcement", "crash"))
        actor.settle()

        assert len(office.connection.all(ReadAccount)) == 1
        assert len(office.account.all(Reborn)) == 2


def test_unknown_message_is_our_bug(office: Office) -> None:
    with office.open() as actor:
        actor.handle.tell("what is this?")
        wait_for(lambda: any("cannot take str" in end for end in actor.ends))


def test_fenced_incarnation_submits_nothing(office: Office) -> None:
    office.desk.buy("MNQ", 2, 21000.0)
    with office.open() as actor:
        incarnation = actor.handle.incumbent
        assert incarnation is not None
        old = incarnation.actor
        assert isinstance(old, EnforcementActor)
        actor.crash()
        wait_for(lambda: len(office.account.all(Reborn)) == 2)
        assert old.fenced

        old.receive(office.lost_day())

        assert isinstance(office.sender, Sender)
        assert office.sender.calls == []
        assert not office.view.locked
