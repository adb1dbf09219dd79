"""Which configuration is in force: the last accepted one.

`up` and `reload` read the file. A daemon that was restarted runs on what the store holds, whatever the
file says by then, so that a broken file and a crash together do not keep the guard down.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.notices.targets import Target, targets
from actors.persistence import keys
from actors.persistence.store import Store
from actors.redaction import redact, redact_name
from config.canonical import canonical, digest
from config.env_file import with_env_file
from config.pending import Held, Standing, accept, nothing_held, restored
from config.secrets import SecretUnavailable, resolve
from config.settings import Settings
from supervisor.arming import DIRECTORY, Directory
from supervisor.holding import held_by


class Secrets(Struct, frozen=True):
    """What the configuration only refers to, resolved. Never logged, stored or shown."""

    api_key: str
    targets: tuple[Target, ...]

    def __repr__(self) -> str:
        return "Secrets(...)"


class Accepted(Struct, frozen=True):
    """A configuration in force, what was asked for beyond it, and where it came from."""

    settings: Settings
    """In force."""
    canonical: bytes
    digest: str
    source: str
    secrets: Secrets
    files: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    env_file: str | None = None
    standing: Standing | None = None
    origins: Mapping[str, str] = {}
    """Dotted key -> place in a file; a key that is not there has its default."""

    @property
    def wanted(self) -> Standing:
        """With what waits."""
        return self.standing or Standing.settled(self.settings)


def settle(
    store: Store, files: Sequence[str], sets: Sequence[str], env_file: str | None, *, restarted: bool
) -> Accepted:
    """The stored configuration after a restart; else the files', less what they loosen before its time.

    Raises ConfigurationMistakes, or SecretUnavailable for a reference that leads nowhere.
    """
    stored = store.meta(keys.CONFIGURATION)
    if stored is None:
        return read(files, sets, env_file)
    last = restored(stored)
    if restarted:
        return _accepted(last, "store", files, sets, env_file)
    fresh = read(files, sets, env_file)
    # Nobody knows the time yet: what waits begins to wait when the gateway's clock is known.
    waits = last.in_force.tamper.loosen_after is not None
    standing = accept(last, fresh.settings, None, waits=waits, held=_locked(store))
    return _accepted(standing, "file", files, sets, env_file, fresh.origins)


def _locked(store: Store) -> Held:
    """By the lockouts that the store has in force; whether they are over by now is judged later."""
    locked: dict[str, set[str]] = {}
    kept = store.meta(DIRECTORY)
    names = {} if kept is None else dict(msgspec.json.decode(kept, type=Directory).accounts)
    for lockout in store.live_lockouts():
        for name in (str(lockout.account), names.get(int(lockout.account), "")):
            locked.setdefault(name, set()).add(lockout.rule)
    return held_by(locked) if locked else nothing_held


def read(files: Sequence[str], sets: Sequence[str], env_file: str | None) -> Accepted:
    """The configuration that the files hold now. Raises as `settle`."""
    from config.load import load

    paths = [Path(file) for file in files]
    loaded = load(paths, tuple(sets), os.environ, None if env_file is None else Path(env_file))
    standing = Standing.settled(loaded.settings)
    return _accepted(standing, "file", files, sets, env_file, loaded.origins)


def _accepted(
    standing: Standing,
    source: str,
    files: Sequence[str],
    sets: Sequence[str],
    env_file: str | None,
    origins: Mapping[str, str] | None = None,
) -> Accepted:
    settings = standing.in_force
    secrets = resolved(settings, files, env_file)
    return Accepted(
        settings,
        canonical(settings),
        digest(settings),
        source,
        secrets,
        tuple(files),
        tuple(sets),
        env_file,
        standing,
        origins or {},
    )


def resolved(settings: Settings, files: Sequence[str], env_file: str | None) -> Secrets:
    """The secrets themselves; known to the redactor before anything can log them."""
    beside = Path(files[0]).parent if files else None
    environment = with_env_file(os.environ, _env_file(files, env_file))
    key = settings.gateway.api_key
    if key is None or settings.gateway.username is None:
        raise SecretUnavailable("cannot log in: gateway.username and gateway.api_key are not set")
    api_key = resolve(key, environment, beside).get_secret_value()
    redact(api_key)
    redact_name(settings.gateway.username)
    return Secrets(api_key, targets(settings.alerts, environment, beside))


def _env_file(files: Sequence[str], named: str | None) -> Path | None:
    if named is not None:
        return Path(named)
    beside = Path(files[0]).parent / ".env" if files else None
    return beside if beside is not None and beside.exists() else None
