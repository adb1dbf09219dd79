"""Whatever is sent to the control socket: refused within bounds, and the next caller is served.

Seeded; `RISKD_FUZZ=N` sends N times as much.
"""

from __future__ import annotations

import gc
import os
import random
import resource
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from supervisor.control import Limits
from supervisor.protocol import (
    COMMANDS,
    MOST_BYTES,
    VERSION,
    Exit,
    Garbled,
    OfAccounts,
    Refused,
    ask,
    frame,
    read_reply,
    read_request,
)
from tests.supervisor.test_control import Daemon, body, receive, running

MORE = int(os.environ.get("RISKD_FUZZ", "1"))
SEED = 20261121
QUICK = Limits(frame_s=0.2, idle_s=0.3)


def made_up(chance: random.Random, depth: int = 3) -> object:
    """A value that no caller of ours would send."""
    few = chance.randrange(9)
    values: list[object] = [
        None,
        chance.getrandbits(62) - (1 << 61),
        chance.random() * 10.0 ** chance.randint(-300, 300),
        float("nan"),
        "".join(map(chr, chance.choices(range(1, 0xD000), k=few))),
        chance.randbytes(few),
        True,
        {},
        [],
    ]
    if depth and chance.random() < 0.3:
        return [made_up(chance, depth - 1) for _ in range(few)]
    if depth and chance.random() < 0.2:
        return {str(number): made_up(chance, depth - 1) for number in range(few)}
    return chance.choice(values)


def request(chance: random.Random) -> bytes:
    """Almost a request: some of its parts are made up."""
    command = chance.choice([*COMMANDS, "fly", "", "status\0"])
    parts: list[object] = [VERSION, str(chance.getrandbits(60)), command, 1000, {}, None]
    for index in range(len(parts)):
        if chance.random() < 0.35:
            parts[index] = made_up(chance)
    return msgspec.msgpack.encode(parts[: chance.choice([0, 2, 5, 6, 6, 6])])


def sent(chance: random.Random) -> bytes:
    """What a garbler writes: a frame of nonsense, a broken frame, or no frame."""
    payload = request(chance)
    match chance.randrange(6):
        case 0:
            return chance.randbytes(chance.randrange(200))
        case 1:
            return len(payload).to_bytes(4, "big") + payload[: len(payload) // 2]
        case 2:
            return chance.choice([0, MOST_BYTES + 1, 0xFFFFFFFF]).to_bytes(4, "big") + payload
        case 3:
            flipped = bytearray(payload)
            for _ in range(3):
                flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            return len(payload).to_bytes(4, "big") + bytes(flipped)
        case _:
            return len(payload).to_bytes(4, "big") + payload


def test_made_up_payloads_are_garbled_or_a_request_and_nothing_else() -> None:
    chance = random.Random(SEED)
    for _ in range(3000 * MORE):
        payload = request(chance) if chance.random() < 0.7 else chance.randbytes(chance.randrange(80))
        for read in (read_request, read_reply):
            try:
                read(payload)
            except Garbled:
                continue


@pytest.mark.trio
async def test_no_garbler_harms_the_daemon_and_each_is_answered_or_dropped(tmp_path: Path) -> None:
    """Given garblers one after the other, when each is done, then a decent caller is served at once."""
    chance = random.Random(SEED)
    async with running(tmp_path, QUICK) as daemon:
        daemon.parts.release.set()
        for number in range(150 * MORE):
            async with await daemon.connect() as stream:
                await garble(stream, sent(chance))
            if number % 10 == 0:
                assert body(await daemon.call("status", OfAccounts()))["state"] == "guarding"


async def garble(stream: trio.SocketStream, said: bytes) -> None:
    """Say it and listen until hung up on; being cut off in the middle is an answer, too."""
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        await stream.send_all(said)
        await stream.send_eof()
        while await stream.receive_some(65536):
            pass


@pytest.mark.trio
async def test_slow_callers_are_dropped_and_keep_nobody_out(tmp_path: Path) -> None:
    """Given as many callers as are let in, each stopping after a few bytes, then a decent one is served."""
    async with running(tmp_path, QUICK) as daemon, trio.open_nursery() as nursery:
        dropped = []

        async def dawdle(size: int) -> None:
            async with await daemon.connect() as stream:
                await stream.send_all(frame(ask(OfAccounts(), "status", "slow", 5.0, None))[:size])
                with trio.fail_after(10):
                    while await stream.receive_some(4096):
                        pass
                dropped.append(size)

        for size in range(1, QUICK.connections + 1):
            nursery.start_soon(dawdle, size)
        await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.fail_after(5):
            assert body(await daemon.call("status", OfAccounts()))["state"] == "guarding"
    assert len(dropped) == QUICK.connections


@pytest.mark.trio
async def test_a_thousand_callers_at_once_are_served_or_refused_in_words(tmp_path: Path) -> None:
    """Given 1,000 connections at once, then each is answered, refused or dropped, and none is left open."""
    raise_descriptors()
    async with running(tmp_path, Limits(frame_s=2.0)) as daemon:
        before = open_files()
        ends: list[str] = []
        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(one_caller, daemon, ends)
        assert len(ends) == 1000
        assert set(ends) <= {"served", "refused", "dropped"}
        assert "served" in ends
        assert body(await daemon.call("status", OfAccounts()))["state"] == "guarding"
        with trio.fail_after(5):
            while open_files() > before + 2:
                await trio.sleep(0.01)
                gc.collect()


async def one_caller(daemon: Daemon, ends: list[str]) -> None:
    try:
        async with await daemon.connect() as stream:
            await stream.send_all(frame(ask(OfAccounts(), "status", "1", 5.0, None)))
            reply = await receive(stream)
    except (AssertionError, OSError, trio.BrokenResourceError):
        ends.append("dropped")
        return
    refused = (Exit.FAILED, "too many callers")
    ends.append(
        "served" if reply.exit == Exit.GOOD else "refused" if (reply.exit, reply.error) == refused else "?"
    )


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def raise_descriptors() -> None:
    """Both ends of a thousand connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))


@pytest.mark.trio
async def test_requests_without_end_on_one_connection_are_cut_off(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(requests=20)) as daemon, await daemon.connect() as stream:
        for number in range(20):
            await stream.send_all(frame(ask(OfAccounts(), "status", str(number), 5.0, None)))
            assert (await receive(stream)).exit == Exit.GOOD
        with pytest.raises((AssertionError, trio.BrokenResourceError)):
            await stream.send_all(frame(ask(OfAccounts(), "status", "21", 5.0, None)))
            await receive(stream)


@pytest.mark.trio
async def test_an_answer_longer_than_a_frame_is_a_refusal(tmp_path: Path) -> None:
    """An account of a million letters is echoed by the stand-in: the caller is told, not cut off."""
    async with running(tmp_path) as daemon:
        try:
            reply = await daemon.call("status", OfAccounts(("A" * (MOST_BYTES - 200),)))
        except (ValueError, Refused):
            return
        assert reply.exit in (Exit.FAILED, Exit.GOOD)
