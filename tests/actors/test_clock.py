"""Clocks: the machine's, the moved one, the one that stands still."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from actors.clock import TEST_CLOCK, ManualClock, SystemClock, clock_from, parse_offset

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def test_the_system_clock_is_aware_and_its_span_clock_is_the_machines() -> None:
    clock = SystemClock()
    assert clock.wall().tzinfo is UTC
    assert abs(clock.mono() - time.monotonic()) < 1.0


def test_an_offset_moves_the_wall_clock_only() -> None:
    clock = SystemClock(-3600.0)
    assert timedelta(minutes=59) < datetime.now(UTC) - clock.wall() < timedelta(minutes=61)
    assert abs(clock.mono() - time.monotonic()) < 1.0


def test_without_the_variable_the_clock_is_the_machines() -> None:
    assert clock_from({}).offset_s == 0.0


@pytest.mark.parametrize("text", ["+3600", "-90.5", "0"])
def test_a_number_is_the_offset(text: str) -> None:
    assert clock_from({TEST_CLOCK: text}).offset_s == float(text)


def test_an_instant_becomes_an_offset_once_and_is_inherited_as_such() -> None:
    environ = {TEST_CLOCK: (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    first = clock_from(environ)
    assert first.offset_s == pytest.approx(86_400, abs=5)
    assert float(environ[TEST_CLOCK]) == pytest.approx(first.offset_s, abs=1e-6)
    assert clock_from(environ).offset_s == pytest.approx(first.offset_s, abs=1e-6)


def test_an_instant_with_a_z_is_read() -> None:
    assert parse_offset("2026-03-02T14:31:00Z", START) == 60.0


@pytest.mark.parametrize("text", ["tomorrow", "2026-03-02T14:31:00"])
def test_what_is_neither_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="cannot use RISKD_TEST_CLOCK"):
        parse_offset(text, START)


def test_a_manual_clock_moves_only_when_it_is_moved() -> None:
    clock = ManualClock(START)
    before = clock.mono()
    clock.advance(1.5)
    assert clock.wall() == START + timedelta(seconds=1.5)
    assert clock.mono() - before == 1.5
    clock.jump(-60)
    assert clock.wall() == START - timedelta(seconds=58.5)
    assert clock.mono() - before == 1.5


def test_a_manual_clock_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="does not run backwards"):
        ManualClock(START).advance(-1)
    with pytest.raises(ValueError, match="no zone"):
        ManualClock(START.replace(tzinfo=None))


def test_waiting_for_a_manual_clock_ends_when_it_moves() -> None:
    clock = ManualClock(START)
    assert not clock.wait_changed(0.0)
    mover = threading.Timer(0.01, clock.advance, (1.0,))
    mover.start()
    assert clock.wait_changed()
    mover.join()
