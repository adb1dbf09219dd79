"""Keeping secrets out of whatever is written: applied to the finished line, so that no path leads around
it.
"""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import quote

MASK = "***"
_SHORTEST = 4
"""Shorter values are words of any text; masking them would hide the log instead of the secret."""

# What is one in itself, whoever wrote it: the SDK puts its token into the address of the hub. Quotes may
# be escaped: what is searched is the rendered line, in which a text with quotes is a JSON string.
_SHAPES = re.compile(
    r"""(?P<lead> access_token(?:=|%3D)
        | (?:api_?key|token|password|secret|login_?key|authorization)
          (?:\\?["'])? \s*[:=]\s* (?:\\?["'])? (?:(?:Bearer|Basic)\s+)?
        | Bearer\s+ (?=[^\s"']{8}) )
        (?!\s*(?:null|None|true|false|\d+)\b) [^\s"'&,;}\\]+
      | eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?""",
    re.IGNORECASE | re.VERBOSE,
)

_lock = threading.Lock()
_known: frozenset[str] = frozenset()
_values: re.Pattern[str] | None = None


def redact(value: str) -> None:
    """Never write this value again: mask it, also as JSON, in addresses and in parts of longer text."""
    global _known, _values
    if len(value) < _SHORTEST:
        return
    with _lock:
        _known = _known | {value, json.dumps(value)[1:-1], quote(value, safe="")}
        _values = re.compile("|".join(re.escape(known) for known in sorted(_known, key=len, reverse=True)))


def redacted(text: str) -> str:
    """The text with every secret masked: for log lines, crash reports and anything shown."""
    if _values is not None:
        text = _values.sub(MASK, text)
    return _SHAPES.sub(lambda found: (found["lead"] or "") + MASK, text)
