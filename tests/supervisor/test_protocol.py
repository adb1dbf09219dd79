"""Frames and messages: whatever bytes arrive are a message of ours or Garbled, never anything else."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.protocol import (
    COMMANDS,
    LENGTH_BYTES,
    MOST_BYTES,
    VERSION,
    Access,
    DoLock,
    Exit,
    Garbled,
    Nothing,
    Refused,
    answer,
    ask,
    frame,
    length_of,
    read_reply,
    read_request,
    refusal,
)


def payload_of(data: bytes) -> bytes:
    assert length_of(data[:LENGTH_BYTES]) == len(data) - LENGTH_BYTES
    return data[LENGTH_BYTES:]


def test_request_framed_and_read_is_the_same_request() -> None:
    sent = ask(DoLock("PRAC-1", for_s=7200.0, reason="enough"), "lock", "id-1", 5.0, "secret")

    read = read_request(payload_of(frame(sent)))

    assert (read.command, read.id, read.deadline_ms, read.secret) == ("lock", "id-1", 5000, "secret")
    assert msgspec.msgpack.decode(read.body, type=DoLock) == DoLock("PRAC-1", for_s=7200.0, reason="enough")


def test_reply_framed_and_read_carries_exit_code_and_hint() -> None:
    read = read_reply(payload_of(frame(refusal("id-1", Refused(Exit.COOLING_OFF, "not yet", "at 17:00")))))

    assert (read.exit, read.error, read.hint) == (Exit.COOLING_OFF, "not yet", "at 17:00")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_garbled(payload: bytes) -> None:
    for read in (read_request, read_reply):
        with contextlib.suppress(Garbled):
            read(payload)


@given(
    st.recursive(st.none() | st.integers(-(2**63), 2**63) | st.text() | st.binary(), st.lists, max_leaves=9)
)
def test_any_msgpack_is_a_message_or_garbled(value: object) -> None:
    with pytest.raises(Garbled):
        read_request(msgspec.msgpack.encode(value))


def test_deep_nesting_is_garbled_and_not_a_crash() -> None:
    with pytest.raises(Garbled):
        read_request(b"\x91" * 100_000 + b"\xc0")


@given(st.binary(min_size=LENGTH_BYTES, max_size=LENGTH_BYTES))
def test_length_is_within_the_cap_or_garbled(head: bytes) -> None:
    announced = int.from_bytes(head, "big")
    if 0 < announced <= MOST_BYTES:
        assert length_of(head) == announced
    else:
        with pytest.raises(Garbled):
            length_of(head)


def test_other_version_is_told_so_with_the_request_id() -> None:
    newer = msgspec.msgpack.encode([VERSION + 1, "id-9", {"quite": "different"}])

    with pytest.raises(Garbled, match=f"version {VERSION + 1}") as caught:
        read_request(newer)

    assert caught.value.request_id == "id-9"


def test_answer_longer_than_a_frame_is_refused_by_the_sender() -> None:
    with pytest.raises(ValueError, match="at most"):
        frame(answer("id", "x" * MOST_BYTES))


READING = [
    "version",
    "status",
    "positions",
    "orders",
    "lockouts",
    "rules",
    "hours",
    "why",
    "history",
    "logs",
    "report",
    "config.show",
    "config.diff",
    "account.list",
    "actors.tree",
    "actors.show",
    "doctor",
    "metrics",
    "audit.verify",
    "audit.show",
    "backup.list",
]
TOWARDS_SAFETY = ["lock", "flatten", "panic"]


def test_every_command_has_the_access_the_contract_gives_it() -> None:
    by_access = {access: {n for n, c in COMMANDS.items() if c.access is access} for access in Access}

    assert by_access[Access.VIEWER] == set(READING)
    assert by_access[Access.TRADER] == set(TOWARDS_SAFETY)


def test_no_viewer_command_acts_and_every_trader_command_does() -> None:
    for name, command in COMMANDS.items():
        if command.access is Access.VIEWER:
            assert not command.acting, name
        if command.access is Access.TRADER:
            assert command.acting, name


@pytest.mark.parametrize("name", COMMANDS)
def test_request_of_each_command_refuses_fields_it_does_not_know(name: str) -> None:
    known = {"account": "A", "id": "x", "rule": "r", "mode": "off", "key": "k", "value": "v", "period": "day"}
    known |= {"what": "kill" if name == "chaos" else "logs", "change": "c", "backup": "b"}
    kind = COMMANDS[name].request
    fields = {f: known[f] for f in kind.__struct_fields__ if f in known}
    msgspec.convert(fields, kind)

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields | {"surprise": 1}, kind)


def test_nothing_is_an_empty_object() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode({}), type=Nothing) == Nothing()
