"""The control socket, over a real one: who is let in, what is answered, and what a bad caller can not do."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from msgspec import Struct

from supervisor.control import Audited, Context, ControlServer, Handlers, Limits
from supervisor.control_socket import InUse, control_socket
from supervisor.home import Home
from supervisor.protocol import (
    MOST_BYTES,
    DoLock,
    DoStop,
    Exit,
    Nothing,
    OfAccounts,
    Refused,
    Reply,
    ask,
    frame,
    length_of,
    read_reply,
)
from supervisor.roles import AdminSecret, Grants, Peer

pytestmark = pytest.mark.trio

ME = os.getuid()


class Parts:
    """Stands for the running program: what the handlers below did to it."""

    def __init__(self) -> None:
        self.locks: list[str] = []
        self.stopped = trio.Event()
        self.release = trio.Event()
        self.started = trio.Event()


def handlers() -> Handlers[Parts]:
    made: Handlers[Parts] = Handlers()

    @made.on("status", OfAccounts)
    async def status(context: Context[Parts], request: OfAccounts) -> object:
        return {"state": "guarding", "by": context.by, "accounts": list(request.accounts)}

    @made.on("version", Nothing)
    async def broken(context: Context[Parts], request: Nothing) -> object:
        raise ZeroDivisionError("a bug in a handler")

    @made.on("hours", OfAccounts)
    async def endless(context: Context[Parts], request: OfAccounts) -> object:
        await trio.sleep_forever()
        return None

    @made.on("lock", DoLock)
    async def lock(context: Context[Parts], request: DoLock) -> object:
        if request.account == "slow":
            context.parts.started.set()
            await context.parts.release.wait()
        if request.account == "nobody":
            raise Refused(Exit.FAILED, "cannot lock nobody: no such account", "riskd account list")
        context.parts.locks.append(request.account)
        return {"locked": request.account, "count": len(context.parts.locks)}

    @made.on("down", DoStop)
    async def down(context: Context[Parts], request: DoStop) -> object:
        context.after_reply(context.parts.stopped.set)
        return {"stopping": True}

    return made


class Daemon:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.parts = Parts()
        self.audit: list[Audited] = []
        self.grants = Grants(owner=ME)

    async def connect(self) -> trio.SocketStream:
        raw = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        await raw.connect(str(self.home.socket_to_call()))
        return trio.SocketStream(raw)

    async def call(
        self,
        command: str,
        request: Struct,
        *,
        request_id: str = "",
        deadline_s: float = 5.0,
        secret: str | None = None,
    ) -> Reply:
        async with await self.connect() as stream:
            message = ask(request, command, request_id or str(uuid.uuid4()), deadline_s, secret)
            await stream.send_all(frame(message))
            return await receive(stream)


async def receive(stream: trio.SocketStream) -> Reply:
    with trio.fail_after(5):
        data = bytearray()
        while len(data) < 4 or len(data) < 4 + length_of(bytes(data[:4])):
            part = await stream.receive_some(65536)
            assert part, "the daemon hung up without an answer"
            data += part
    return read_reply(bytes(data[4:]))


async def hung_up(stream: trio.SocketStream) -> bool:
    with trio.fail_after(5):
        with contextlib.suppress(trio.BrokenResourceError):
            while await stream.receive_some(65536):
                pass
    return True


@asynccontextmanager
async def running(tmp_path: Path, limits: Limits | None = None) -> AsyncIterator[Daemon]:
    home = Home(tmp_path)
    home.make()
    daemon = Daemon(home)
    server = ControlServer(
        handlers(),
        daemon.parts,
        lambda: daemon.grants,
        AdminSecret(home.admin_secret),
        daemon.audit.append,
        limits,
    )
    with control_socket(home) as listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, listener)
            yield daemon
            nursery.cancel_scope.cancel()


def body(reply: Reply) -> dict[str, object]:
    assert reply.exit == Exit.GOOD, reply.error
    return msgspec.msgpack.decode(reply.body, type=dict[str, object])


async def test_owner_reads_and_is_known_by_the_kernels_word(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        answer = body(await daemon.call("status", OfAccounts(("A",))))

    assert answer["accounts"] == ["A"]
    assert answer["by"] != ""


async def test_several_requests_share_one_connection(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon, await daemon.connect() as stream:
        for number in range(3):
            await stream.send_all(frame(ask(OfAccounts(), "status", str(number), 5.0, None)))
            assert (await receive(stream)).id == str(number)


async def test_handlers_refusal_reaches_the_caller_with_code_and_hint(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        reply = await daemon.call("lock", DoLock("nobody"))

    assert (reply.exit, reply.error, reply.hint) == (
        Exit.FAILED,
        "cannot lock nobody: no such account",
        "riskd account list",
    )


async def test_fault_in_a_handler_is_answered_and_the_next_caller_served(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        reply = await daemon.call("version", Nothing())
        assert (reply.exit, reply.error) == (Exit.FAILED, "cannot do version: ZeroDivisionError")
        assert body(await daemon.call("status", OfAccounts()))


async def test_unknown_command_and_unoffered_command_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        assert (await daemon.call("fly", Nothing())).exit == Exit.USAGE
        assert (await daemon.call("doctor", Nothing())).exit == Exit.FAILED


async def test_wrong_arguments_are_a_usage_mistake_named(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        reply = await daemon.call("lock", OfAccounts())

    assert reply.exit == Exit.USAGE
    assert "accounts" in reply.error


async def test_reading_past_its_deadline_fails_without_leaving_anything_running(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        assert (await daemon.call("hours", OfAccounts(), deadline_s=0.05)).exit == Exit.FAILED


# ---------------------------------------------------------------------- acting once


async def test_same_request_id_acts_once_and_gets_the_same_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        first = await daemon.call("lock", DoLock("A"), request_id="same")
        again = await daemon.call("lock", DoLock("A"), request_id="same")

        assert body(first) == body(again) == {"locked": "A", "count": 1}
        assert daemon.parts.locks == ["A"]


async def test_same_request_id_for_another_command_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        await daemon.call("lock", DoLock("A"), request_id="same")
        reply = await daemon.call("lock", DoLock("B"), request_id="same")

        assert reply.exit == Exit.USAGE
        assert daemon.parts.locks == ["A"]


async def test_acting_past_its_deadline_is_unknown_then_finished_and_told_on_replay(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        early = await daemon.call("lock", DoLock("slow"), request_id="same", deadline_s=0.05)
        assert early.exit == Exit.UNKNOWN

        daemon.parts.release.set()

        assert body(await daemon.call("lock", DoLock("slow"), request_id="same"))["locked"] == "slow"
        assert daemon.parts.locks == ["slow"]


async def test_acting_is_finished_though_its_caller_hangs_up(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        stream = await daemon.connect()
        await stream.send_all(frame(ask(DoLock("slow"), "lock", "gone", 5.0, None)))
        await daemon.parts.started.wait()
        await stream.aclose()
        daemon.parts.release.set()

        assert body(await daemon.call("lock", DoLock("slow"), request_id="gone"))["count"] == 1


async def test_outcomes_are_forgotten_after_their_time(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(replay_s=0.0)) as daemon:
        await daemon.call("lock", DoLock("A"), request_id="same")
        await daemon.call("lock", DoLock("A"), request_id="same")

        assert daemon.parts.locks == ["A", "A"]


async def test_step_after_the_reply_runs_once_the_caller_has_it(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        assert body(await daemon.call("down", DoStop()))["stopping"]
        with trio.fail_after(5):
            await daemon.parts.stopped.wait()


# ---------------------------------------------------------------------- who may


async def test_stranger_is_refused_and_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.control.peer_of", lambda connected: Peer(1, ME + 4242, "eve"))
    async with running(tmp_path) as daemon:
        assert (await daemon.call("status", OfAccounts())).exit == Exit.NOT_PERMITTED

        daemon.grants = Grants(owner=ME, viewers=("eve",))
        assert body(await daemon.call("status", OfAccounts()))["by"] == "eve"
        assert (await daemon.call("lock", DoLock("A"))).exit == Exit.NOT_PERMITTED

    assert [(a.command, a.role, a.by) for a in daemon.audit] == [
        ("status", "none", "eve (pid 1)"),
        ("lock", "viewer", "eve (pid 1)"),
    ]


async def test_admin_command_asks_the_secret_of_everyone_once_one_is_set(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        assert body(await daemon.call("down", DoStop()))
        AdminSecret(daemon.home.admin_secret).set("open sesame")

        assert (await daemon.call("down", DoStop())).exit == Exit.NOT_PERMITTED
        assert (await daemon.call("down", DoStop(), secret="wrong")).exit == Exit.NOT_PERMITTED
        assert body(await daemon.call("down", DoStop(), secret="open sesame"))
        assert [entry.exit for entry in daemon.audit] == [
            Exit.GOOD,
            Exit.NOT_PERMITTED,
            Exit.NOT_PERMITTED,
            Exit.GOOD,
        ]
        assert "sesame" not in repr(daemon.audit)


async def test_towards_safety_needs_no_secret(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        AdminSecret(daemon.home.admin_secret).set("open sesame")

        assert body(await daemon.call("lock", DoLock("A")))
        assert daemon.audit[-1] == Audited("lock", "trader", daemon.audit[-1].by, Exit.GOOD, "done")


# ---------------------------------------------------------------------- bad callers


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param((MOST_BYTES + 1).to_bytes(4, "big"), id="oversized"),
        pytest.param(b"\xff\xff\xff\xff", id="huge"),
        pytest.param(b"\0\0\0\0", id="empty"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"\0\0\0\x05hello", id="garbage"),
        pytest.param(b"\0\0\0\x03\x93\x02\xa0", id="half"),
    ],
)
async def test_garbler_is_told_and_dropped_and_others_are_served(tmp_path: Path, sent: bytes) -> None:
    async with running(tmp_path) as daemon:
        async with await daemon.connect() as stream:
            await stream.send_all(sent)
            assert (await receive(stream)).exit == Exit.USAGE
            assert await hung_up(stream)
        assert body(await daemon.call("status", OfAccounts()))


async def test_caller_that_stops_in_the_middle_of_a_frame_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(frame_s=0.05)) as daemon:
        async with await daemon.connect() as stream:
            await stream.send_all(b"\0\0")
            assert await hung_up(stream)
        assert body(await daemon.call("status", OfAccounts()))


async def test_idle_caller_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(idle_s=0.05)) as daemon, await daemon.connect() as stream:
        assert await hung_up(stream)


async def test_idle_connections_never_keep_another_caller_out(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(connections=3)) as daemon, contextlib.AsyncExitStack() as held:
        first = await held.enter_async_context(await daemon.connect())
        for _ in range(5):
            await held.enter_async_context(await daemon.connect())

        assert body(await daemon.call("lock", DoLock("A")))
        assert await hung_up(first)


async def test_caller_beyond_the_cap_of_busy_ones_is_told_to_try_again(tmp_path: Path) -> None:
    async with running(tmp_path, Limits(connections=1)) as daemon, await daemon.connect() as busy:
        await busy.send_all(frame(ask(DoLock("slow"), "lock", "busy", 5.0, None)))
        await daemon.parts.started.wait()

        async with await daemon.connect() as stream:
            reply = await receive(stream)
        assert (reply.exit, reply.error) == (Exit.FAILED, "too many callers")

        daemon.parts.release.set()
        assert (await receive(busy)).exit == Exit.GOOD


# ---------------------------------------------------------------------- the socket


async def test_socket_is_private_and_removed_when_done(tmp_path: Path) -> None:
    async with running(tmp_path) as daemon:
        path = daemon.home.socket()
        assert stat.S_IMODE(path.lstat().st_mode) == 0o660
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750

    assert not path.exists()


async def test_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as crashed:
        crashed.bind(str(home.socket()))

    async with running(tmp_path) as daemon:
        assert body(await daemon.call("status", OfAccounts()))
        with pytest.raises(InUse), control_socket(home):
            pass
        assert body(await daemon.call("status", OfAccounts()))


async def test_other_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    home.socket().write_text("mine")

    with pytest.raises(FileExistsError), control_socket(home):
        pass

    assert home.socket().read_text() == "mine"


async def test_home_with_too_long_a_path_is_reached_through_its_pointer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "r"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    deep = tmp_path / ("a" * 60) / ("b" * 60)

    async with running(deep) as daemon:
        assert daemon.home.socket().parent == runtime / "riskd"
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert body(await daemon.call("status", OfAccounts()))
