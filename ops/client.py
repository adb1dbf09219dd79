"""Ask the daemon one thing: a blocking call over the control socket, within a deadline.

Imported at every start of the command line: plain sockets, nothing heavy.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from supervisor.identity import recorded
from supervisor.protocol import (
    LENGTH_BYTES,
    Exit,
    Garbled,
    Refused,
    Reply,
    ask,
    frame,
    length_of,
    read_reply,
)

if TYPE_CHECKING:
    from pathlib import Path

    from msgspec import Raw, Struct

    from supervisor.home import Home

MARGIN_S = 1.0
"""The daemon knows the deadline and answers by itself; the caller gives up this much later."""


class NotRunning(Refused):
    """Nobody answers on this home's socket."""

    def __init__(self, home: Home) -> None:
        watchdog = recorded(home.watchdog)
        if watchdog is None:
            why, hint = f"riskd is not running in {home.folder}", _how_to_start(home)
        else:
            why = f"the daemon in {home.folder} does not answer"
            hint = f"its watchdog (pid {watchdog.pid}) is starting it: try again in a moment"
        super().__init__(Exit.NOT_RUNNING, why, hint)


def _how_to_start(home: Home) -> str:
    """The home of another user is a service's: not the caller's to start."""
    with suppress(OSError):
        if hasattr(os, "geteuid") and home.folder.stat().st_uid != os.geteuid() != 0:
            return "it belongs to a service, which an administrator starts"
    return "start it with riskd up"


def call(
    home: Home,
    command: str,
    request: Struct,
    *,
    deadline_s: float = 5.0,
    secret: str | None = None,
    request_id: str | None = None,
) -> Raw:
    """The daemon's answer (msgpack). Raises Refused with the exit code where there is none.

    A call that was sent and got no answer is repeated with the same id while the deadline lasts:
    the daemon carries it out once.
    """
    message = ask(request, command, request_id or os.urandom(16).hex(), deadline_s, secret)
    payload = frame(message)
    until = time.monotonic() + deadline_s + MARGIN_S
    path = _address(home)
    sent = False
    while True:
        try:
            with _connected(home, path, until) as connection:
                connection.sendall(payload)
                sent = True
                return outcome(_receive(connection, until))
        except NotRunning:
            if sent:
                raise _unknown(command) from None
            raise
        except TimeoutError:
            raise (_unknown(command) if sent else NotRunning(home)) from None
        except (ConnectionError, EOFError):
            if time.monotonic() >= until:
                raise _unknown(command) from None
            time.sleep(0.05)


def _address(home: Home) -> Path:
    try:
        return home.socket_to_call()
    except OSError as error:
        why = f"cannot find the control socket: {error}"
        raise Refused(Exit.NOT_PERMITTED, why, "name a shorter home with --home or RISKD_HOME") from None


def _connected(home: Home, path: Path, until: float) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise Refused(Exit.FAILED, "cannot reach the daemon: this system has no Unix sockets")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_left(until))
    try:
        connection.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        raise NotRunning(home) from None
    except PermissionError:
        connection.close()
        raise Refused(
            Exit.NOT_PERMITTED,
            f"cannot reach the daemon in {home.folder}: not permitted",
            "an admin can name this user under control.viewers or control.traders",
        ) from None
    except OSError:
        connection.close()
        raise
    return connection


def _receive(connection: socket.socket, until: float) -> Reply:
    try:
        return read_reply(_exactly(connection, length_of(_exactly(connection, LENGTH_BYTES, until)), until))
    except Garbled as error:
        raise Refused(Exit.FAILED, f"cannot read the daemon's answer: {error}") from None


def _exactly(connection: socket.socket, count: int, until: float) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        connection.settimeout(_left(until))
        part = connection.recv(min(count - len(parts), 1 << 16))
        if not part:
            raise EOFError("the daemon hung up")
        parts += part
    return bytes(parts)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def outcome(reply: Reply) -> Raw:
    """The body of a good reply; raises Refused for any other."""
    if reply.exit == Exit.GOOD:
        return reply.body
    raise Refused(Exit(reply.exit), reply.error, reply.hint)


def _unknown(command: str) -> Refused:
    return Refused(
        Exit.UNKNOWN,
        f"no answer in time: the outcome of {command} is unknown",
        "look at riskd status",
    )
