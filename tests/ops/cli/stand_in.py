"""A daemon to ask: the real control server in a thread of its own, with answers made by the real builder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from supervisor.control import Audited, Context, ControlServer, Handlers
from supervisor.control_socket import control_socket
from supervisor.home import Home
from supervisor.protocol import COMMANDS, Exit, Refused
from supervisor.roles import AdminSecret, Grants

type Answer = object | Refused | Callable[[Any], object]


@dataclass
class StandIn:
    """Answers whatever a test puts into `answers`; remembers what it was asked."""

    home: Home
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    audit: list[Audited] = field(default_factory=list)

    def handlers(self) -> Handlers[None]:
        made: Handlers[None] = Handlers()
        for name, command in COMMANDS.items():
            made.on(name, command.request)(self._handler(name))
        return made

    def _handler(self, name: str) -> Any:
        async def handle(context: Context[None], request: Any) -> object:
            self.asked.append((name, request))
            answer = self.answers.get(name, Refused(Exit.FAILED, f"no answer for {name}"))
            if isinstance(answer, Refused):
                raise answer
            return answer(request) if callable(answer) else answer

        return handle


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in's control socket, served until the block ends."""
    stand_in.home.make()
    owner = stand_in.home.folder.stat().st_uid
    ready = threading.Event()
    scope: list[trio.CancelScope] = []
    token: list[trio.lowlevel.TrioToken] = []

    async def serve() -> None:
        server = ControlServer(
            stand_in.handlers(),
            None,
            lambda: Grants(owner=owner),
            AdminSecret(stand_in.home.admin_secret),
            stand_in.audit.append,
        )
        with trio.CancelScope() as own, control_socket(stand_in.home) as listener:
            scope.append(own)
            token.append(trio.lowlevel.current_trio_token())
            async with trio.open_nursery() as nursery:
                await nursery.start(server.serve, listener)
                ready.set()

    thread = threading.Thread(target=trio.run, args=(serve,), daemon=True)
    thread.start()
    try:
        assert ready.wait(5)
        yield stand_in
    finally:
        token[0].run_sync_soon(scope[0].cancel)
        thread.join(5)
        assert not thread.is_alive()


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


type Riskd = Callable[..., Ran]
