"""Proxies of the environment, and why the gateway is reached without one.

The gateway's hubs negotiate their connection directly whatever the environment says, so a proxy could carry
one half of the traffic only. Whoever has one set is told before the start; loopback never needs one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from config.fields import is_loopback

NO_PROXY = ("no_proxy", "NO_PROXY")


class Proxied(Struct, frozen=True):
    """Hosts that the environment would have reached through a proxy."""

    hosts: tuple[str, ...]
    proxy: str
    """Without user name and password."""
    variable: str

    @property
    def why(self) -> str:
        hosts = " and ".join(self.hosts)
        return f"cannot reach {hosts} through the proxy {self.proxy} ({self.variable}): hubs connect directly"

    @property
    def hint(self) -> str:
        return f"set NO_PROXY={','.join(self.hosts)}"


def proxied(urls: Iterable[str], environment: Mapping[str, str]) -> Proxied | None:
    """What of these addresses a proxy of the environment would be asked for, if any."""
    known = {name.lower(): (name, value) for name, value in environment.items() if value}
    direct = known.get("no_proxy", ("", ""))[1]
    asked = dict[str, tuple[str, str]]()
    for parts in map(urlsplit, dict.fromkeys(url for url in urls if not is_loopback(url))):
        scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
        found = known.get(f"{scheme}_proxy") or known.get("all_proxy")
        if found is not None and parts.hostname and not _is_direct(parts.hostname, direct):
            asked[parts.hostname] = found
    if not asked:
        return None
    variable, value = next(iter(asked.values()))
    return Proxied(tuple(asked), _without_secrets(value), variable)


def _is_direct(host: str, listed: str) -> bool:
    """Whether NO_PROXY names the host: itself, a domain it is in, or `*`."""
    names = [name.strip().partition(":")[0].lower().lstrip(".") for name in listed.split(",") if name.strip()]
    return any(name == "*" or host == name or host.endswith(f".{name}") for name in names)


def _without_secrets(proxy: str) -> str:
    """Where it is; a proxy's address may hold a password."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def reach_directly(urls: Iterable[str]) -> None:
    """Let this process ask no proxy for these addresses."""
    hosts = {urlsplit(url).hostname or "" for url in urls}
    for name in NO_PROXY:
        known = [each for each in os.environ.get(name, "").split(",") if each]
        missing = sorted(hosts - set(known))
        if missing and "*" not in known:
            os.environ[name] = ",".join([*known, *missing])
