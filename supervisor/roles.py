"""Who may do what: the kernel's word on the caller, the configuration's lists, and the admin secret.

Pure, but for the secret's file. The home's owner (and root, who could become the owner) is viewer and
trader; further users and @groups are named in `control`. While no admin secret is set the owner needs
none for admin commands; once one is set it is asked of everyone.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from msgspec import Struct

from supervisor.protocol import Access, Exit, Refused

_SCRYPT_N = 1 << 16
"""A fifth of a second per guess on the machine this was measured on."""
_SCRYPT_MEMORY = 128 * 1024 * 1024
LONGEST_SECRET = 1024


class Peer(Struct, frozen=True, gc=False):
    """The process at the other end of the socket, as the kernel names it."""

    pid: int
    uid: int
    user: str
    groups: frozenset[str] = frozenset()


class Grants(Struct, frozen=True, gc=False):
    """Who is let in besides the home's owner: user names and `@group`s (`control` in the configuration)."""

    owner: int
    traders: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()


def role_of(peer: Peer, grants: Grants) -> Access | None:
    """The role before any secret: trader, viewer, or None for a stranger."""
    if peer.uid in (grants.owner, 0) or _named(peer, grants.traders):
        return Access.TRADER
    return Access.VIEWER if _named(peer, grants.viewers) else None


def _named(peer: Peer, names: tuple[str, ...]) -> bool:
    return any(
        name[1:] in peer.groups if name.startswith("@") else name in (peer.user, str(peer.uid))
        for name in names
    )


def permit(need: Access, peer: Peer, grants: Grants, secret_is_set: bool, secret_is_right: bool) -> Access:
    """The role in which the command runs; raises Refused (exit 4) with what is missing.

    `secret_is_right` must be False where none was given or none is set.
    """
    role = role_of(peer, grants)
    if role is None:
        raise Refused(
            Exit.NOT_PERMITTED,
            f"cannot do this as {peer.user}: not the owner of this guard",
            "an admin can name the user under control.traders or control.viewers",
        )
    if need is Access.ADMIN:
        if secret_is_set and not secret_is_right:
            raise Refused(
                Exit.NOT_PERMITTED,
                "cannot do this without the admin secret",
                "enter it when asked, or name its file in RISKD_ADMIN_SECRET_FILE",
            )
        if not secret_is_set and peer.uid not in (grants.owner, 0):
            raise Refused(
                Exit.NOT_PERMITTED,
                f"cannot do this as {peer.user}: no admin secret is set, so only the owner may",
            )
        return Access.ADMIN
    if need is Access.TRADER and role is Access.VIEWER:
        raise Refused(
            Exit.NOT_PERMITTED,
            f"cannot do this as {peer.user}: a viewer only reads",
            "an admin can name the user under control.traders",
        )
    return role


class AdminSecret:
    """The admin secret, kept as scrypt in the home. Slow on purpose: never call it on the driver's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_set(self) -> bool:
        return self._path.exists()

    def is_right(self, given: str | None) -> bool:
        """Whether this is the secret; False where none is set or none was given."""
        if not given or len(given) > LONGEST_SECRET:
            return False
        try:
            kind, salt, digest = self._path.read_text("ascii").split()
            kept = bytes.fromhex(digest)
            found = _scrypt(given, bytes.fromhex(salt))
        except (OSError, ValueError):
            return False
        return kind == "scrypt1" and hmac.compare_digest(found, kept)

    def set(self, secret: str) -> None:
        """Replace the secret; a crash leaves the old or the new one, never half of it."""
        salt = secrets.token_bytes(16)
        digest = _scrypt(secret, salt)
        fresh = self._path.with_suffix(".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"scrypt1 {salt.hex()} {digest.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "geteuid") and os.geteuid() == 0:
                # Root sets it for a service: the service's account must be able to read it.
                folder = self._path.parent.stat()
                os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
        fresh.replace(self._path)


def _scrypt(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=_SCRYPT_N, r=8, p=1, maxmem=_SCRYPT_MEMORY)
