"""Where alerts go, and which of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from actors.messages import HistoryKind, Notice
from actors.redaction import redact
from config.secrets import resolve
from config.settings import Alert as AlertPage

from .outbox import LEVELS

SHORTEST_KEY = 8
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+|localhost")
_KIND_OF = {
    "connection": HistoryKind.LINK,
    "link": HistoryKind.LINK,
    "auth_loss_guard": HistoryKind.LINK,
    "enforcement": HistoryKind.ENFORCEMENT,
    "supervisor": HistoryKind.RESTART,
    "watchdog": HistoryKind.RESTART,
    "account": HistoryKind.ALERT,
    "store": HistoryKind.ALERT,
    "clock": HistoryKind.ALERT,
}
_KINDS = frozenset(HistoryKind)


class Target(Struct, frozen=True):
    """One address of a person. The address is a secret; `service` is what may be shown of it."""

    url: str
    level: str = "warning"
    only: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        return self.url.split(":", 1)[0]

    def wants(self, notice: Notice) -> bool:
        if LEVELS.index(notice.level) < LEVELS.index(self.level):
            return False
        return not self.only or kind_of(notice) in self.only


def kind_of(notice: Notice) -> str:
    """The kind of history that an alert is about: the first word of its key, else its component's.

    Components that are no part of the program are rules, and what they say is about a breach.
    """
    first = notice.key.split("/", 1)[0]
    if first in _KINDS:
        return first
    return _KIND_OF.get(notice.component, HistoryKind.BREACH)


def targets(
    pages: Iterable[AlertPage], env: Mapping[str, str], beside: Path | None = None
) -> tuple[Target, ...]:
    """The configured targets with their addresses, which are kept out of logs. Raises SecretUnavailable."""
    found = []
    for page in pages:
        url = resolve(page.to, env, beside).get_secret_value()
        redact(url)
        for part in _secret_parts(url):
            redact(part)
        found.append(Target(url, page.level, page.only))
    return tuple(found)


def _secret_parts(url: str) -> list[str]:
    """What of an address may be a key by itself: libraries tell it in pieces. Names of hosts are none."""
    parts = re.split(r"[/?&=:@#,]+", url.partition("://")[2])
    return [part for part in parts if len(part) >= SHORTEST_KEY and not _HOST.fullmatch(part)]
