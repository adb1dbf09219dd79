"""Answers from what was recorded: pages of the log files, periods of reports, pages of an export."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.log_reading import MOST_BYTES, read_log
from supervisor.protocol import Refused
from supervisor.records import page_back


def record(number: int, level: str = "info") -> dict[str, object]:
    return {"at": f"2026-03-02T20:30:{number % 60:02d}Z", "level": level, "event": f"event {number}"}


def written(path: Path, *records: dict[str, object], rest: bytes = b"") -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in records) + rest)
    return path


def events(page: object) -> list[object]:
    return [line["event"] for line in page.lines]  # type: ignore[attr-defined]


ANY = {"after": None, "since": None, "level": None, "limit": 100}


def test_newest_lines_come_oldest_first(tmp_path: Path) -> None:
    log = written(tmp_path / "log", *map(record, range(5)))

    assert events(read_log(log, **ANY | {"limit": 2})) == ["event 3", "event 4"]


def test_following_takes_each_line_once_however_it_is_cut(tmp_path: Path) -> None:
    log = written(tmp_path / "log", record(0), record(1))
    page = read_log(log, **ANY)
    seen = events(page)
    with log.open("ab") as file:
        for part in (b'{"event": "hal', b'f"}\n', msgspec.json.encode(record(2)) + b"\n"):
            file.write(part)
            file.flush()
            page = read_log(log, **ANY | {"after": page.next})
            seen += events(page)

    assert seen == ["event 0", "event 1", "half", "event 2"]


def test_page_that_is_full_goes_on_where_it_ended(tmp_path: Path) -> None:
    log = written(tmp_path / "log", *map(record, range(5)))
    first = read_log(log, **ANY | {"after": 0, "limit": 2})
    second = read_log(log, **ANY | {"after": first.next, "limit": 2})

    assert events(first) + events(second) == ["event 0", "event 1", "event 2", "event 3"]


def test_file_put_aside_meanwhile_is_read_from_its_start(tmp_path: Path) -> None:
    log = written(tmp_path / "log", *map(record, range(5)))
    place = read_log(log, **ANY).next
    written(log, record(9))

    assert events(read_log(log, **ANY | {"after": place})) == ["event 9"]


def test_level_and_instant_choose_lines(tmp_path: Path) -> None:
    log = written(tmp_path / "log", record(0, "error"), record(1, "debug"), record(2, "warning"), record(3))

    assert events(read_log(log, **ANY | {"level": "warning"})) == ["event 0", "event 2"]
    since = datetime(2026, 3, 2, 20, 30, 2, tzinfo=UTC)
    assert events(read_log(log, **ANY | {"since": since})) == ["event 2", "event 3"]


def test_line_that_is_no_record_is_shown_as_it_is(tmp_path: Path) -> None:
    log = written(tmp_path / "log", rest=b"Traceback \xff\n")

    assert events(read_log(log, **ANY)) == ["Traceback \ufffd"]


def test_no_file_and_a_long_file_are_read_within_bounds(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none", **ANY).lines == ()
    log = written(tmp_path / "log", *map(record, range(20_000)))

    page = read_log(log, **ANY | {"limit": 100_000})

    assert log.stat().st_size > MOST_BYTES
    assert events(page)[-1] == "event 19999"
    assert page.next == log.stat().st_size


@given(st.lists(st.integers(0, 8), max_size=60), st.integers(10, 20))
def test_export_pages_hold_every_line_once(seconds: list[int], limit: int) -> None:
    counts = {second: min(seconds.count(second), 9) for second in set(seconds)}
    lines = [
        {"id": f"{second}/{n}", "at": f"2026-03-02T20:30:0{second}Z"}
        for second in sorted(counts)
        for n in range(counts[second])
    ]
    exported: list[dict[str, object]] = []
    until = None
    for _ in range(len(lines) + 1):
        before = [line for line in lines if until is None or datetime.fromisoformat(str(line["at"])) < until]
        page = page_back(tuple(before[-limit:]), limit)
        exported += page["lines"]  # type: ignore[operator]
        if page["next"] is None:
            break
        until = datetime.fromisoformat(str(page["next"]))

    assert sorted(str(line["id"]) for line in exported) == sorted(str(line["id"]) for line in lines)


def test_export_of_one_instant_that_overflows_a_page_is_refused_and_not_cut() -> None:
    lines = tuple({"id": str(n), "at": "2026-03-02T20:30:00Z"} for n in range(5))

    with pytest.raises(Refused, match="shorter span"):
        page_back(lines, 5)
