"""The control socket itself: bound so that nobody else can slip in, removed when done, and whose call it is.

Unix sockets only: the folder's and the socket's mode decide who can call, the kernel says who did.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from config.errors import OperatorMustAct
from supervisor.roles import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.home import Home


class InUse(OperatorMustAct, OSError):
    """Another daemon answers on this home's socket."""


@contextmanager
def control_socket(home: Home) -> Iterator[trio.SocketListener]:
    """Bind the home's socket, 0660; on the way out it is removed again if it is still ours.

    Raises InUse when somebody listens there, OSError where it cannot be bound.
    """
    path = home.socket()
    _remove_stale(path)
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before the bind, not after: there must be no moment at which others may connect.
    mask = os.umask(0o117)
    try:
        raw.bind(str(path))
    except BaseException:
        raw.close()
        raise
    finally:
        os.umask(mask)
    made = path.lstat()
    _point(home, path)
    try:
        raw.listen(64)
        yield trio.SocketListener(trio.socket.from_stdlib_socket(raw))
    finally:
        raw.close()
        with suppress(FileNotFoundError):
            if path.lstat().st_ino == made.st_ino:
                path.unlink()


def _remove_stale(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EEXIST, "something else has the name of the control socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise InUse(errno.EADDRINUSE, "another daemon answers on the control socket", str(path))


def _point(home: Home, path: Path) -> None:
    if path.parent == home.run:
        home.socket_pointer.unlink(missing_ok=True)
    else:
        home.socket_pointer.write_text(f"{path}\n", "utf-8")


_UCRED = struct.Struct("3i")


def peer_of(connected: trio.socket.SocketType) -> Peer:
    """Who is at the other end, by the kernel."""
    pid, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        record = pwd.getpwuid(uid)
    except KeyError:
        return Peer(pid, uid, f"uid {uid}")
    groups = set()
    for gid in os.getgrouplist(record.pw_name, record.pw_gid):
        with suppress(KeyError):
            groups.add(grp.getgrgid(gid).gr_name)
    return Peer(pid, uid, record.pw_name, frozenset(groups))
