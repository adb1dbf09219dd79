"""The journal: what was written last is read back, whatever happened to the file in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.enforcement.journal import HEAD, Journal
from actors.enforcement.memory import Memory, Standing
from actors.messages import AccountId, ContractId, Flat

ACCOUNT = AccountId(1001)


def a_memory(number: int = 1, **more: object) -> Memory:
    return msgspec.structs.replace(Memory(ACCOUNT, "PRAC-V2-1001", 7.0, number), **more)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_newest_memory_is_read_by_the_next_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path, ACCOUNT)
    for number in (1, 2, 3):
        assert journal.write(a_memory(number))
    journal.close()

    assert Journal(tmp_path, ACCOUNT).read() == a_memory(3)


def test_nothing_written_is_nothing_read(tmp_path: Path) -> None:
    assert Journal(tmp_path, ACCOUNT).read() is None


def test_journals_of_two_accounts_do_not_meet(tmp_path: Path) -> None:
    Journal(tmp_path, ACCOUNT).write(a_memory(1))
    Journal(tmp_path, AccountId(100)).write(a_memory(2))

    assert Journal(tmp_path, ACCOUNT).read() == a_memory(1)


def test_each_process_begins_a_file_of_its_own_and_removes_the_older(tmp_path: Path) -> None:
    for number in (1, 2):
        journal = Journal(tmp_path, ACCOUNT)
        journal.write(a_memory(number))
        journal.close()

    assert files(tmp_path) == ["1001.2.journal"]


def test_full_file_is_replaced_by_one_with_the_newest_memory(tmp_path: Path) -> None:
    journal = Journal(tmp_path, ACCOUNT, full=400)
    for number in range(20):
        journal.write(a_memory(number))
    journal.close()

    (only,) = files(tmp_path)
    assert (tmp_path / only).stat().st_size <= 400
    assert Journal(tmp_path, ACCOUNT).read() == a_memory(19)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    Journal(tmp_path, ACCOUNT).write(a_memory())

    assert (tmp_path / "1001.1.journal").stat().st_mode & 0o777 == 0o600


@given(cut=st.integers(0, 400), flip=st.none() | st.integers(0, 400))
def test_torn_or_damaged_tail_gives_an_older_memory_and_never_a_wrong_one(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, ACCOUNT)
    written = [a_memory(number) for number in range(4)]
    for memory in written:
        journal.write(memory)
    journal.close()
    path = folder / "1001.1.journal"
    data = bytearray(path.read_bytes())
    each = len(data) // len(written)
    left = len(data) - cut % len(data)
    broken = len(data) if flip is None else flip % len(data)
    if flip is not None:
        data[broken] ^= 0x41
    path.write_bytes(bytes(data[:left]))

    after = Journal(folder, ACCOUNT)
    read = after.read()

    whole = min(left, broken) // each
    assert read == (written[whole - 1] if whole else None)
    assert after.damaged == left - whole * each


def test_file_left_empty_by_a_kill_does_not_hide_the_one_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path, ACCOUNT)
    journal.write(a_memory(5))
    journal.close()
    (tmp_path / "1001.2.journal").write_bytes(b"")

    assert Journal(tmp_path, ACCOUNT).read() == a_memory(5)


def test_disk_that_refuses_is_remembered_and_protection_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    journal = Journal(folder, ACCOUNT)

    assert not journal.write(a_memory(1))
    assert journal.error is not None
    assert journal.memory == a_memory(1), "the next incarnation goes on from it all the same"

    folder.mkdir()
    assert journal.write(a_memory(2))
    assert journal.error is None
    assert Journal(folder, ACCOUNT).read() == a_memory(2)


def test_memory_of_another_version_is_passed_over(tmp_path: Path) -> None:
    """A good record that says something else is damage, not a crash."""
    journal = Journal(tmp_path, ACCOUNT)
    journal.write(a_memory(1))
    journal.close()
    body = b"\x81\xa1x\x01"
    head = HEAD.pack(len(body), zlib.crc32(body))
    (tmp_path / "1001.2.journal").write_bytes(head + body)

    after = Journal(tmp_path, ACCOUNT)

    assert after.read() == a_memory(1)
    assert after.damaged == len(body)


def test_half_a_record_is_followed_by_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle of a record."""
    journal = Journal(tmp_path, ACCOUNT)
    journal.write(a_memory(1))
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
    assert not journal.write(a_memory(2))
    assert not journal.write(a_memory(3))
    monkeypatch.undo()

    assert journal.write(a_memory(4))

    assert Journal(tmp_path, ACCOUNT).read() == a_memory(4)
    assert len(files(tmp_path)) == 1


def test_what_loosens_is_not_remembered_unless_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "gone", ACCOUNT)
    journal.write(a_memory(1))

    assert not journal.write(a_memory(2), must=True)

    assert journal.memory == a_memory(1)


def test_incarnation_that_was_given_up_writes_nothing(tmp_path: Path) -> None:
    journal, old, new = Journal(tmp_path, ACCOUNT), object(), object()
    journal.owner = old
    journal.write(a_memory(1), old)
    journal.owner = new
    journal.write(a_memory(2), new)

    assert not journal.write(a_memory(3), old)

    assert journal.memory == a_memory(2)
    assert Journal(tmp_path, ACCOUNT).read() == a_memory(2)


def test_demand_that_can_no_longer_be_taken_back_is_removed_from_the_disk(tmp_path: Path) -> None:
    """The disk refuses from here on: after a restart the old demand would close what it never meant."""
    journal = Journal(tmp_path, ACCOUNT)
    standing = Standing("daily_unrealized_loss", Flat(ContractId("A")), "1001-1")
    journal.write(a_memory(1, standing=(standing,)))
    os.close(journal._file)  # type: ignore[arg-type]  # whatever the reason, a write fails

    assert not journal.write(a_memory(2))

    assert Journal(tmp_path, ACCOUNT).read() is None


WRITER = """
import sys
from pathlib import Path
from actors.enforcement.journal import HEAD, Journal
from actors.enforcement.memory import Memory
from actors.messages import AccountId
journal = Journal(Path(sys.argv[1]), AccountId(1001))
number = 0
while True:
    number += 1
    journal.write(Memory(AccountId(1001), "A", 7.0, number))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.process
def test_memory_survives_a_kill(tmp_path: Path) -> None:
    """Whatever was written before the process said so is there after SIGKILL."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        for _ in range(50):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read()
    finally:
        writer.kill()
        writer.wait(10)
    said = [int(line) for line in rest.splitlines() if line.isdigit()]

    read = Journal(tmp_path, ACCOUNT).read()

    assert read is not None
    assert read.number >= max(said[:-1], default=50)
