"""`riskd secret set admin`: the second factor of admin commands."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.cli.place import SECRET_FILE, Place, admin_secret
from ops.cli.table import group
from supervisor.protocol import Exit, Refused
from supervisor.roles import LONGEST_SECRET, AdminSecret

secret = group("Set the admin secret.")
SHORTEST = 8


@secret.callback()
def _group() -> None:
    """Set the admin secret."""


@secret.command("set")
def set_secret(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="admin")],
) -> None:
    """Set a secret: asked twice, or read from the file named by RISKD_ADMIN_SECRET_FILE."""
    place: Place = ctx.obj
    if name != "admin":
        hint = "secrets of the configuration are kept where it says: {env: …}, {file: …}, {command: …}"
        raise Refused(Exit.USAGE, f"cannot set {name!r}: only admin is kept by riskd", hint)
    home = place.home
    kept = AdminSecret(home.admin_secret)
    if kept.is_set() and not kept.is_right(_old(place)):
        raise Refused(Exit.NOT_PERMITTED, "cannot set the admin secret: the present one is wrong")
    fresh = _new()
    try:
        home.make()
        kept.set(fresh)
    except OSError as error:
        raise Refused(Exit.FAILED, f"cannot keep the admin secret: {error.strerror}") from None
    place.page.line("the admin secret is set: it is asked for every admin command from now on")


def _old(place: Place) -> str | None:
    if sys.stdin.isatty():
        return getpass.getpass("present admin secret: ")
    return admin_secret(place.home)


def _new() -> str:
    named = os.environ.get(SECRET_FILE)
    if named and not sys.stdin.isatty():
        try:
            first = second = Path(named).read_text("utf-8").strip()
        except OSError as error:
            raise Refused(Exit.FAILED, f"cannot read {named}: {error.strerror}") from None
    elif sys.stdin.isatty():
        first, second = getpass.getpass("new admin secret: "), getpass.getpass("once more: ")
    else:
        raise Refused(Exit.USAGE, "cannot ask for a secret: no terminal", f"name a file in {SECRET_FILE}")
    if first != second:
        raise Refused(Exit.FAILED, "not set: the two differ")
    if not SHORTEST <= len(first) <= LONGEST_SECRET:
        raise Refused(Exit.FAILED, f"not set: {SHORTEST} to {LONGEST_SECRET} characters are accepted")
    return first
