"""The configuration in force as bytes: every value spelled out, so that no later default changes it.

No secret is in it, only where secrets are kept.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from config.settings import Settings
from config.versions import lifted


def canonical(settings: Settings) -> bytes:
    """The settings as JSON with sorted keys; equal settings give equal bytes."""
    return json.dumps(_dump(settings), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def parse_canonical(stored: bytes) -> Settings:
    """Settings from `canonical`. Raises pydantic's `ValidationError` where they do not fit this schema."""
    return Settings.model_validate(lifted(json.loads(stored)))


def digest(settings: Settings) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal: two configurations with one digest are the same."""
    return hashlib.sha256(canonical(settings)).hexdigest()


def diff(old: Settings, new: Settings) -> list[tuple[str, str | None, str | None]]:
    """Every key whose value differs: (dotted key, old, new), None where a side does not have it."""
    before, after = dict(_flat(_dump(old))), dict(_flat(_dump(new)))
    keys = sorted(before.keys() | after.keys())
    return [(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def _dump(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", by_alias=True)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Leaves by dotted key; an account is named, not numbered, so that inserting one changes nothing else."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    elif key == "accounts" and isinstance(value, list):
        for account in value:
            yield f"accounts.{account['name']}", "guarded"
            yield from _flat(account["rules"], f"accounts.{account['name']}.rules")
    else:
        yield key, value if isinstance(value, str) else json.dumps(value)
