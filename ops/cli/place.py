"""Where a command acts (home, configuration files) and how it asks the daemon there."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ops import client
from ops.cli.page import Page, talk
from ops.home import Home, resolve
from supervisor.protocol import COMMANDS, Access, Exit, Nothing, Refused

if TYPE_CHECKING:
    from ops.start import Sources

SECRET_FILE = "RISKD_ADMIN_SECRET_FILE"
ACTING_S = 60.0
"""An acting command is answered when its outcome is known; a flatten may need several rounds."""


class Place:
    """What the options that stand anywhere on the line say."""

    def __init__(
        self,
        home: str | None = None,
        config: tuple[str, ...] = (),
        sets: tuple[str, ...] = (),
        env_file: str | None = None,
        color: str = "auto",
    ) -> None:
        self._home = home
        self.config = config
        self.sets = sets
        self.env_file = env_file
        self.page = Page(color)

    @property
    def home(self) -> Home:
        return resolve(self._home)

    @property
    def named_home(self) -> bool:
        """Whether the home was named, and is not just the system's place for a user's data."""
        return bool(self._home or os.environ.get("RISKD_HOME"))

    @property
    def named_files(self) -> bool:
        return bool(self.config or os.environ.get("RISKD_CONFIG"))

    @property
    def files(self) -> tuple[Path, ...]:
        """The configuration files meant, in order; the last word on each key wins."""
        named = self.config or tuple(filter(None, os.environ.get("RISKD_CONFIG", "").split(os.pathsep)))
        return tuple(Path(name).expanduser() for name in named) or (self.home.config,)

    @property
    def sources(self) -> Sources:
        """Where the configuration is read from."""
        from ops.start import Sources

        return Sources(self.files, self.sets, Path(self.env_file) if self.env_file else None)

    def ask(self, command: str, request: Struct, deadline_s: float | None = None) -> Any:
        """The daemon's answer as plain objects. Raises Refused with the exit code."""
        return msgspec.msgpack.decode(self._raw(command, request, deadline_s))

    def ask_for[Answer](
        self, kind: type[Answer], command: str, request: Struct, deadline_s: float | None = None
    ) -> Answer:
        """The daemon's answer as one of `supervisor.answers`."""
        return msgspec.msgpack.decode(self._raw(command, request, deadline_s), type=kind)

    def daemon_now(self) -> datetime:
        """The wall clock of the daemon, which a test clock may have moved."""
        try:
            at = self.ask("version", Nothing())["at"]
        except client.NotRunning:
            return now()
        assert isinstance(at, datetime)
        return at

    def _raw(self, command: str, request: Struct, deadline_s: float | None) -> msgspec.Raw:
        entry = COMMANDS[command]
        secret = admin_secret(self.home) if entry.access is Access.ADMIN else None
        wait = deadline_s if deadline_s is not None else (ACTING_S if entry.acting else 5.0)
        try:
            return client.call(self.home, command, request, deadline_s=wait, secret=secret)
        except client.NotRunning:
            from ops import offline

            if not offline.possible(self.home, command):
                raise
            return offline.call(self.home, command, request, secret)


def admin_secret(home: Home) -> str | None:
    """The admin secret where one is set: from the file named by the environment, else asked."""
    named = os.environ.get(SECRET_FILE)
    if named:
        try:
            return Path(named).read_text("utf-8").strip()
        except OSError as error:
            why = f"cannot read the admin secret from {named}: {error.strerror}"
            raise Refused(Exit.NOT_PERMITTED, why, f"{SECRET_FILE} names it") from None
    if not home.admin_secret.exists():
        return None
    if not sys.stdin.isatty():
        why = "cannot do this without the admin secret: no terminal to ask on"
        raise Refused(Exit.NOT_PERMITTED, why, f"name a file that holds it in {SECRET_FILE}")
    import getpass

    return getpass.getpass("admin secret: ")


def confirm(question: str, *, yes: bool, hint: str = "--yes answers it in a script") -> None:
    """Ask before something that cannot be taken back; raises Refused unless the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(Exit.USAGE, f"cannot ask: {question} There is no terminal", hint)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused(Exit.FAILED, "not done")


def now() -> datetime:
    return datetime.now(UTC)


def warn(text: str) -> None:
    talk(f"warning: {text}")
