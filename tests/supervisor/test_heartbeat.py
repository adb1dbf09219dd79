"""The heartbeat page: what is written is read, and what is not whole is never taken for a beat."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.heartbeat import PAGE_BYTES, Beat, HeartbeatPage, Phase, read_beat

BEAT = Beat(7, 4711, 99, 12.5, 3.25, 12, 13, Phase.READY, "account/PRAC-1/rules/max_contracts", 4.5)


def test_beat_written_is_the_beat_read(tmp_path: Path) -> None:
    page = HeartbeatPage(tmp_path / "heartbeat")
    page.beat(msgspec.structs.replace(BEAT, counter=6, slowest="a much longer name that was here before" * 3))
    page.beat(BEAT)

    assert read_beat(tmp_path / "heartbeat") == BEAT

    page.close()
    assert read_beat(tmp_path / "heartbeat") == BEAT


def test_page_of_a_new_writer_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for pid in (1, 2):
        page = HeartbeatPage(tmp_path / "heartbeat")
        page.beat(msgspec.structs.replace(BEAT, pid=pid))
        page.close()

    beat = read_beat(tmp_path / "heartbeat")
    assert beat is not None
    assert beat.pid == 2


def test_no_page_and_an_empty_page_are_no_beat(tmp_path: Path) -> None:
    assert read_beat(tmp_path / "heartbeat") is None
    HeartbeatPage(tmp_path / "heartbeat").close()
    assert read_beat(tmp_path / "heartbeat") is None


@pytest.mark.parametrize("byte", [0, 5, 9, 12, 30])
def test_one_wrong_byte_is_no_beat(tmp_path: Path, byte: int) -> None:
    page = HeartbeatPage(tmp_path / "heartbeat")
    page.beat(BEAT)
    page.close()
    content = bytearray((tmp_path / "heartbeat").read_bytes())
    content[byte] ^= 0x40
    (tmp_path / "heartbeat").write_bytes(content)

    assert read_beat(tmp_path / "heartbeat") is None


@given(content=st.binary(max_size=200))
def test_any_content_is_no_beat_and_no_crash(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)

    assert read_beat(path) is None


def test_beat_that_does_not_fit_is_refused_and_leaves_the_page(tmp_path: Path) -> None:
    page = HeartbeatPage(tmp_path / "heartbeat")
    page.beat(BEAT)
    with pytest.raises(ValueError, match="page holds"):
        page.beat(msgspec.structs.replace(BEAT, slowest="x" * PAGE_BYTES))
    page.close()

    assert read_beat(tmp_path / "heartbeat") == BEAT
    assert (tmp_path / "heartbeat").stat().st_size == PAGE_BYTES
