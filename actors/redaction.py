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

# Where a word begins, also behind an escape of a JSON string (`\n`, `\u00e9`): its letters are no part of it.
_START = r"""(?: (?<=\\[nrtbf\\]) | (?<=\\u[0-9a-f]{4}) | (?<![\w.+\-\\]) )"""

# What is one in itself, whoever wrote it: the SDK puts its token into the address of the hub. Quotes may
# be escaped: what is searched is the rendered line, in which a text with quotes is a JSON string.
_SHAPES = re.compile(
    r"""(?P<lead> access_token(?:=|%3D)
        | (?:api_?key|token|password|secret|login_?key|authorization)
          (?:\\?["'])? \s*[:=]\s* (?:\\?["'])? (?:(?:Bearer|Basic)\s+)?
        | Bearer\s+ (?=[^\s"']{8}) )
        (?!\s*(?:null|None|true|false|\d+)\b) [^\s"'&,;}\\]+
      | eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?
      | """
    + _START
    + r"""(?:[\w.+-]|\\u[0-9a-f]{4})+@[\w-]+(?:\.[\w-]+)+""",
    re.IGNORECASE | re.VERBOSE,
)

_lock = threading.Lock()
_known: frozenset[str] = frozenset()
_names: frozenset[str] = frozenset()
_values: re.Pattern[str] | None = None


def redact(value: str) -> None:
    """Never write this value again: mask it, also as JSON, in addresses and in parts of longer text."""
    global _known
    if len(value) < _SHORTEST:
        return
    with _lock:
        _known = _known | _spellings(value)
        _compile()


def redact_name(value: str) -> None:
    """As `redact`, where it stands as a word of its own: a user name may be part of other words."""
    global _names
    if len(value) < _SHORTEST:
        return
    with _lock:
        _names = _names | _spellings(value)
        _compile()


def _spellings(value: str) -> set[str]:
    return {value, json.dumps(value)[1:-1], quote(value, safe="")}


def _compile() -> None:
    global _values
    found = [(known, re.escape(known)) for known in _known]
    start = _START.replace(" ", "")
    found += [(name, rf"{start}{re.escape(name)}(?![\w-]|[.@]\w)") for name in _names - _known]
    longest_first = sorted(found, key=lambda pair: len(pair[0]), reverse=True)
    _values = re.compile("|".join(pattern for _, pattern in longest_first))


def redacted(text: str) -> str:
    """The text with every secret masked: for log lines, crash reports and anything shown."""
    if _values is not None:
        text = _values.sub(MASK, text)
    return _SHAPES.sub(lambda found: (found["lead"] or "") + MASK, text)
