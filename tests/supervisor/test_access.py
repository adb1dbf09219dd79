"""Each command of the contract's table, asked in each role over the real socket: answered, or 4 and audited.

The table is written out here once more, from the promise and not from the program.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.control import Audited, Context, ControlServer, Handlers
from supervisor.control_socket import control_socket
from supervisor.home import Home
from supervisor.protocol import (
    COMMANDS,
    AskActor,
    AskConfig,
    AskExport,
    AskHistory,
    AskLogs,
    AskReport,
    DoCancelChange,
    DoChaos,
    DoFlatten,
    DoLock,
    DoReset,
    DoRestore,
    DoRuleMode,
    DoRuleSet,
    DoUnlock,
    Exit,
    Reply,
    ask,
    frame,
    length_of,
    read_reply,
)
from supervisor.roles import AdminSecret, Grants, Peer

OWNER = os.getuid()
SECRET = "correct horse battery"
VIEWER, TRADER, ADMIN = "viewer", "trader", "admin"

TABLE = {
    **dict.fromkeys(
        [
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
            "version",
            "config.show",
            "config.diff",
            "account.list",
            "actors.tree",
            "actors.show",
            "doctor",
            "audit.verify",
            "audit.show",
            "backup.list",
            "metrics",
        ],
        VIEWER,
    ),
    **dict.fromkeys(["lock", "flatten", "panic"], TRADER),
    **dict.fromkeys(
        [
            "down",
            "restart",
            "reload",
            "unlock",
            "reset",
            "rules.mode",
            "rules.set",
            "config.cancel",
            "account.test",
            "actors.restart",
            "chaos",
            "alerts.test",
            "backup.now",
            "backup.restore",
            "export",
            "service.uninstall",
        ],
        ADMIN,
    ),
}
"""Command -> the least role that may run it (contract, section 3)."""

REQUESTS: dict[str, Any] = {
    "actors.show": AskActor("timers"),
    "actors.restart": AskActor("timers"),
    "audit.show": AskHistory(),
    "chaos": DoChaos("kill", "timers"),
    "config.cancel": DoCancelChange("1"),
    "config.show": AskConfig(),
    "backup.restore": DoRestore("x"),
    "export": AskExport("logs"),
    "flatten": DoFlatten("A"),
    "lock": DoLock("A"),
    "logs": AskLogs(),
    "report": AskReport("day"),
    "reset": DoReset("A"),
    "rules.mode": DoRuleMode("max_contracts", "off"),
    "rules.set": DoRuleSet("max_contracts", "limit", "3"),
    "unlock": DoUnlock("A"),
}
"""Those that are not asked with nothing."""

CALLERS = {
    "viewer": (Peer(1, OWNER + 1, "dora"), None),
    "trader": (Peer(2, OWNER + 2, "ben"), None),
    "owner without the secret": (Peer(3, OWNER, "anna"), None),
    "trader with the secret": (Peer(4, OWNER + 2, "ben"), SECRET),
    "owner with the secret": (Peer(5, OWNER, "anna"), SECRET),
    "viewer with the secret": (Peer(6, OWNER + 1, "dora"), SECRET),
    "stranger with the secret": (Peer(7, OWNER + 3, "eve"), SECRET),
    "owner with a wrong secret": (Peer(8, OWNER, "anna"), "wrong horse"),
}
MAY: dict[str, set[str]] = {
    "viewer": {VIEWER},
    "trader": {VIEWER, TRADER},
    "owner without the secret": {VIEWER, TRADER},
    "trader with the secret": {VIEWER, TRADER, ADMIN},
    "owner with the secret": {VIEWER, TRADER, ADMIN},
    "viewer with the secret": {VIEWER, ADMIN},
    "stranger with the secret": set(),
    "owner with a wrong secret": {VIEWER, TRADER},
}


def test_the_table_and_the_program_name_the_same_commands() -> None:
    assert set(TABLE) == set(COMMANDS)


def everything() -> Handlers[None]:
    made: Handlers[None] = Handlers()

    async def answered(context: Context[None], request: Any) -> object:
        return {"role": context.role.value}

    for name, command in COMMANDS.items():
        made.on(name, command.request)(answered)
    return made


class KnownSecret(AdminSecret):
    """The real secret's file; each guess is reckoned once, for a guess takes a fifth of a second."""

    def is_right(self, given: str | None) -> bool:
        if given not in self._known:
            self._known[given] = super().is_right(given)
        return self._known[given]

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._known: dict[str | None, bool] = {}


@asynccontextmanager
async def daemon(home: Home, audit: list[Audited], *, secret: bool = True) -> AsyncIterator[None]:
    home.make()
    kept = KnownSecret(home.admin_secret)
    if secret:
        kept.set(SECRET)
    grants = Grants(OWNER, traders=("ben",), viewers=("dora",))
    server = ControlServer(everything(), None, lambda: grants, kept, audit.append)
    with control_socket(home) as listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, listener)
            yield
            nursery.cancel_scope.cancel()


async def call(stream: trio.SocketStream, command: str, secret: str | None) -> Reply:
    request = REQUESTS[command] if command in REQUESTS else COMMANDS[command].request()
    await stream.send_all(frame(ask(request, command, str(uuid.uuid4()), 5.0, secret)))
    data = bytearray()
    with trio.fail_after(10):
        while len(data) < 4 or len(data) < 4 + length_of(bytes(data[:4])):
            data += await stream.receive_some(65536)
    return read_reply(bytes(data[4:]))


async def connect(home: Home) -> trio.SocketStream:
    raw = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await raw.connect(str(home.socket_to_call()))
    return trio.SocketStream(raw)


@pytest.mark.trio
@pytest.mark.parametrize("caller", CALLERS)
async def test_S94_each_command_is_answered_or_refused_with_4_and_audited(  # noqa: N802
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caller: str
) -> None:
    peer, secret = CALLERS[caller]
    monkeypatch.setattr("supervisor.control.peer_of", lambda connected: peer)
    audit: list[Audited] = []
    home = Home(tmp_path)
    async with daemon(home, audit), await connect(home) as stream:
        for command, role in TABLE.items():
            reply = await call(stream, command, secret)
            allowed = role in MAY[caller]
            assert reply.exit == (Exit.GOOD if allowed else Exit.NOT_PERMITTED), f"{command}: {reply.error}"
            told = [one for one in audit if one.command == command]
            if not allowed:
                assert [(one.exit, peer.user in one.by) for one in told] == [(Exit.NOT_PERMITTED, True)]
            elif COMMANDS[command].acting:
                assert [(one.exit, one.outcome) for one in told] == [(Exit.GOOD, "done")]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("peer", "may"),
    [
        (Peer(1, OWNER, "anna"), {VIEWER, TRADER, ADMIN}),
        (Peer(2, OWNER + 2, "ben"), {VIEWER, TRADER}),
        (Peer(3, OWNER + 1, "dora"), {VIEWER}),
    ],
)
async def test_while_no_secret_is_set_only_the_owner_is_admin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer, may: set[str]
) -> None:
    monkeypatch.setattr("supervisor.control.peer_of", lambda connected: peer)
    home = Home(tmp_path)
    async with daemon(home, [], secret=False), await connect(home) as stream:
        for command, role in TABLE.items():
            reply = await call(stream, command, None)
            assert (reply.exit == Exit.GOOD) is (role in may), f"{command}: {reply.error}"


@pytest.mark.trio
async def test_a_secret_is_in_no_audit_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.control.peer_of", lambda connected: Peer(1, OWNER, "anna"))
    audit: list[Audited] = []
    home = Home(tmp_path)
    async with daemon(home, audit), await connect(home) as stream:
        for secret in (SECRET, "wrong horse"):
            await call(stream, "restart", secret)
    assert len(audit) == 2
    assert not any(word in str(audit) for word in (SECRET, "wrong horse"))
