"""The control socket: the only way to ask the running daemon anything.

A Unix socket in the home's run folder. Who calls is the kernel's word (peer credentials), never the
message's. A caller can be a stranger, a garbler, too slow or too many: each is refused within the
bounds of `Limits`, and none of it reaches the guard. An acting command is carried out once per
request id, is finished even if its caller hangs up, and is audited, refused ones included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import trio
from msgspec import Struct

from actors.logs import get_logger
from supervisor.control_socket import peer_of
from supervisor.protocol import (
    COMMANDS,
    LENGTH_BYTES,
    LONGEST_DEADLINE_S,
    UNREADABLE,
    Access,
    Command,
    Exit,
    Garbled,
    Refused,
    Reply,
    Request,
    answer,
    frame,
    length_of,
    read_request,
    refusal,
)
from supervisor.roles import AdminSecret, Grants, Peer, permit, role_of

log = get_logger("riskd.control")


class Limits(Struct, frozen=True):
    """What one caller may cost. Seconds, counts."""

    connections: int = 32
    requests: int = 10_000
    """Per connection."""
    frame_s: float = 5.0
    """From the first byte of a frame to its last, either way."""
    idle_s: float = 300.0
    acting_s: float = LONGEST_DEADLINE_S
    """An acting command is given up after this long, whether anybody waits or not."""
    replay_s: float = 600.0
    replays: int = 1024
    after_reply_s: float = 1.0


class Audited(Struct, frozen=True):
    """One command for the record: who asked for what in which role, and how it ended."""

    command: str
    role: str
    by: str
    exit: Exit
    outcome: str


class Context[Parts]:
    """What a handler is given beside its request: the program's parts, and who is asking."""

    def __init__(self, parts: Parts, peer: Peer, role: Access, request_id: str) -> None:
        self.parts = parts
        self.peer = peer
        self.role = role
        self.request_id = request_id
        self._later: list[Callable[[], None]] = []

    @property
    def by(self) -> str:
        """The caller for records and reasons."""
        return self.peer.user

    def after_reply(self, step: Callable[[], None]) -> None:
        """Run this once the caller has the answer (or has gone): how `down` ends the daemon it asks."""
        self._later.append(step)

    def run_later_steps(self) -> None:
        steps, self._later = self._later, []
        for step in steps:
            step()


type Handler[Parts, R: Struct] = Callable[[Context[Parts], R], Awaitable[object]]


class Handlers[Parts]:
    """The program's answers, one per command of the table; filled by the tree, complete before serving."""

    def __init__(self) -> None:
        self._by_name: dict[str, Handler[Parts, Any]] = {}

    def on[R: Struct](self, name: str, request: type[R]) -> Callable[[Handler[Parts, R]], Handler[Parts, R]]:
        """Decorate `async def handler(context, request) -> answer` for this command of the table."""
        if COMMANDS[name].request is not request:
            raise TypeError(f"{name} is asked with {COMMANDS[name].request.__name__}, not {request.__name__}")
        if name in self._by_name:
            raise ValueError(f"{name} has a handler already")

        def register(handler: Handler[Parts, R]) -> Handler[Parts, R]:
            self._by_name[name] = handler
            return handler

        return register

    def of(self, name: str) -> Handler[Parts, Any] | None:
        return self._by_name.get(name)

    def missing(self) -> tuple[str, ...]:
        """Commands of the table that nobody answers yet."""
        return tuple(name for name in COMMANDS if name not in self._by_name)


class _Call[Parts](Struct, frozen=True):
    """One permitted request with the handler that answers it."""

    context: Context[Parts]
    request: Request
    handler: Handler[Parts, Any]
    body: Struct

    async def made(self) -> Reply:
        """The handler's answer, or its refusal, or that it failed."""
        name, request_id = self.request.command, self.request.id
        try:
            return answer(request_id, await self.handler(self.context, self.body))
        except Refused as no:
            return refusal(request_id, no)
        except Exception as error:  # a border: a fault in answering must not end the guard
            log.exception("control.failed", error, command=name)
            why = f"cannot do {name}: {type(error).__name__}"
            return refusal(request_id, Refused(Exit.FAILED, why, "see riskd logs"))


class _Entry:
    """One acting command by its request id: being carried out, or carried out."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.done = trio.Event()
        self.sent = trio.Event()
        self.reply: Reply | None = None
        self.ended_at = 0.0


class _Replays:
    """Outcomes of acting commands by (uid, request id), kept for `replay_s`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: dict[tuple[int, str], _Entry] = {}

    def find(self, key: tuple[int, str]) -> _Entry | None:
        self._forget()
        return self._entries.get(key)

    def open(self, key: tuple[int, str], digest: bytes) -> _Entry:
        entry = self._entries[key] = _Entry(digest)
        return entry

    def _forget(self) -> None:
        horizon = trio.current_time() - self._limits.replay_s
        spare = len(self._entries) - self._limits.replays
        for key, entry in list(self._entries.items()):
            if entry.done.is_set() and (entry.ended_at < horizon or spare > 0):
                del self._entries[key]
                spare -= 1


class _Connection:
    def __init__(self, stream: trio.SocketStream, peer: Peer) -> None:
        self.stream = stream
        self.peer = peer
        self.busy = False
        self.used_at = trio.current_time()
        self.scope = trio.CancelScope()


class ControlServer[Parts]:
    """Serves the control socket of one home until cancelled."""

    def __init__(
        self,
        handlers: Handlers[Parts],
        parts: Parts,
        grants: Callable[[], Grants],
        secret: AdminSecret,
        audit: Callable[[Audited], None],
        limits: Limits | None = None,
        closed: Callable[[], str] = str,
    ) -> None:
        """`closed` says why nothing new may be begun any more; empty while it may."""
        self._closed = closed
        self._handlers = handlers
        self._parts = parts
        self._grants = grants
        self._secret = secret
        self._audit = audit
        self._limits = limits or Limits()
        self._replays = _Replays(self._limits)
        self._connections: set[_Connection] = set()
        self._guesses = trio.CapacityLimiter(1)
        self._nursery: trio.Nursery | None = None

    async def serve(
        self,
        listener: trio.SocketListener,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer callers until cancelled. Start it with `await nursery.start(server.serve, listener)`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.serve_listeners(self._serve_one, [listener], handler_nursery=nursery)

    # ------------------------------------------------------------------ one connection

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        async with stream:
            connection = _Connection(stream, peer_of(stream.socket))
            if not self._make_room():
                await self._send(
                    connection, refusal("", Refused(Exit.FAILED, "too many callers", "try again"))
                )
                return
            self._connections.add(connection)
            try:
                with connection.scope:
                    await self._converse(connection)
            finally:
                self._connections.discard(connection)

    def _make_room(self) -> bool:
        """Nobody can keep others out by holding idle connections: the longest idle one goes first."""
        if len(self._connections) < self._limits.connections:
            return True
        idle = [c for c in self._connections if not c.busy and not c.scope.cancel_called]
        if not idle:
            return False
        min(idle, key=lambda c: c.used_at).scope.cancel()
        return True

    async def _converse(self, connection: _Connection) -> None:
        for _ in range(self._limits.requests):
            try:
                payload = await self._receive(connection)
                if payload is None:
                    return
                request = read_request(payload)
            except Garbled as error:
                log.warning("control.garbled", by=connection.peer.user, why=str(error))
                no = Refused(Exit.USAGE, f"cannot read the request: {error}")
                await self._send(connection, refusal(error.request_id, no))
                return
            connection.busy = True
            reply, entry = await self._reply_to(connection.peer, request)
            sent = await self._send(connection, reply)
            if entry is not None:
                entry.sent.set()
            connection.busy = False
            connection.used_at = trio.current_time()
            if not sent:
                return

    async def _receive(self, connection: _Connection) -> bytes | None:
        """The next payload; None when the caller has gone, idled too long or stopped in the middle."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            with trio.move_on_after(self._limits.idle_s):
                head = await connection.stream.receive_some(LENGTH_BYTES)
                if not head:
                    return None
                with trio.move_on_after(self._limits.frame_s):
                    head += await _exactly(connection.stream, LENGTH_BYTES - len(head))
                    return await _exactly(connection.stream, length_of(head))
        return None

    async def _send(self, connection: _Connection, reply: Reply) -> bool:
        try:
            payload = frame(reply)
        except ValueError as error:
            no = Refused(Exit.FAILED, f"cannot answer: {error}", "ask for a shorter span")
            payload = frame(refusal(reply.id, no))
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            with trio.move_on_after(self._limits.frame_s):
                await connection.stream.send_all(payload)
                return True
        return False

    # ------------------------------------------------------------------ one request

    async def _reply_to(self, peer: Peer, request: Request) -> tuple[Reply, _Entry | None]:
        try:
            command, handler = self._find(request.command)
            role = await self._permit(command, peer, request)
            if command.acting and (why := self._closed()):
                raise Refused(Exit.FAILED, f"cannot do {request.command}: {why}", "riskd status")
            context = Context(self._parts, peer, role, request.id)
            call = _Call(context, request, handler, _body(command, request))
            if command.acting:
                return await self._act(call)
            return await self._read(call), None
        except Refused as no:
            return refusal(request.id, no), None

    def _find(self, name: str) -> tuple[Command, Handler[Parts, Any]]:
        command, handler = COMMANDS.get(name), self._handlers.of(name)
        if command is None:
            raise Refused(Exit.USAGE, f"cannot do {name!r}: no such command")
        if handler is None:
            raise Refused(Exit.FAILED, f"cannot do {name}: this daemon does not offer it")
        return command, handler

    async def _permit(self, command: Command, peer: Peer, request: Request) -> Access:
        is_set = command.access is Access.ADMIN and self._secret.is_set()
        is_right = False
        if is_set and request.secret:
            is_right = await trio.to_thread.run_sync(
                self._secret.is_right, request.secret, limiter=self._guesses
            )
        grants = self._grants()
        try:
            return permit(command.access, peer, grants, is_set, is_right)
        except Refused as no:
            role = role_of(peer, grants)
            self._record(request.command, role.value if role else "none", peer, no.code, no.why)
            raise

    async def _read(self, call: _Call[Parts]) -> Reply:
        with trio.move_on_after(_deadline_s(call.request)):
            return await call.made()
        return refusal(call.request.id, Refused(Exit.FAILED, f"cannot answer {call.request.command} in time"))

    async def _act(self, call: _Call[Parts]) -> tuple[Reply, _Entry]:
        request = call.request
        key = (call.context.peer.uid, request.id)
        digest = hashlib.sha256(request.command.encode() + b"\0" + bytes(request.body)).digest()
        entry = self._replays.find(key)
        if entry is None:
            entry = self._replays.open(key, digest)
            assert self._nursery is not None
            self._nursery.start_soon(self._carry_out, entry, call)
        elif entry.digest != digest:
            raise Refused(Exit.USAGE, "cannot use one request id for two commands")
        with trio.move_on_after(_deadline_s(request)):
            await entry.done.wait()
        if entry.reply is None:
            why = f"no outcome of {request.command} in time: it may still be carried out"
            return refusal(request.id, Refused(Exit.UNKNOWN, why, "look at riskd status")), entry
        return entry.reply, entry

    async def _carry_out(self, entry: _Entry, call: _Call[Parts]) -> None:
        name = call.request.command
        reply = refusal(call.request.id, Refused(Exit.UNKNOWN, f"cannot tell how {name} ended"))
        try:
            with trio.move_on_after(self._limits.acting_s):
                reply = await call.made()
        finally:
            entry.reply, entry.ended_at = reply, trio.current_time()
            role, outcome = call.context.role.value, reply.error or "done"
            self._record(name, role, call.context.peer, Exit(reply.exit), outcome)
            entry.done.set()
        with trio.move_on_after(self._limits.after_reply_s):
            await entry.sent.wait()
        call.context.run_later_steps()

    def _record(self, command: str, role: str, peer: Peer, code: Exit, outcome: str) -> None:
        log.info("control.command", command=command, role=role, by=peer.user, outcome=outcome)
        self._audit(Audited(command, role, f"{peer.user} (pid {peer.pid})", code, outcome))


def _deadline_s(request: Request) -> float:
    return min(max(request.deadline_ms, 0) / 1000, LONGEST_DEADLINE_S)


def _body(command: Command, request: Request) -> Struct:
    try:
        return msgspec.msgpack.decode(request.body, type=command.request)
    except UNREADABLE as error:
        raise Refused(Exit.USAGE, f"cannot do {request.command}: {error}") from error


async def _exactly(stream: trio.SocketStream, count: int) -> bytes:
    """That many bytes; raises BrokenResourceError where the caller hangs up before."""
    parts = bytearray()
    while len(parts) < count:
        part = await stream.receive_some(count - len(parts))
        if not part:
            raise trio.BrokenResourceError("hung up in the middle of a frame")
        parts += part
    return bytes(parts)
