"""A raw record as a line of text: JSON for machines, `key=value` for people. Runs in the writing thread."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple

import msgspec

from actors.redaction import redacted

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR, "critical": CRITICAL}
NAMES = {number: name for name, number in LEVELS.items()}
_FIRST = ("at", "level", "event", "logger")
"""What every line says; a field of such a name gets an underscore behind it."""

type Fields = dict[str, object]


class Raw(NamedTuple):
    """What the caller leaves: nothing of it is rendered yet."""

    at: datetime
    level: int
    logger: str
    event: str
    fields: Fields


def renderer(json_lines: bool) -> Callable[[Raw], str]:
    """A function from records to finished lines, secrets masked."""
    processor = _processor(json_lines)

    def line(raw: Raw) -> str:
        head: Fields = {
            "at": _instant(raw.at),
            "level": NAMES.get(raw.level, str(raw.level)),
            "event": raw.event,
            "logger": raw.logger,
        }
        try:
            text = processor({**head, **_plain(raw.fields)})
        except (TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
            text = json.dumps({**head, "unreadable": type(error).__name__}, default=str)
        return redacted(text) + "\n"

    return line


def _processor(json_lines: bool) -> Callable[[Fields], str]:
    # Imported here: structlog brings rich, a quarter of a second that only the writing process needs.
    from structlog.processors import JSONRenderer, KeyValueRenderer

    processor = JSONRenderer(default=_json) if json_lines else KeyValueRenderer(key_order=list(_FIRST))

    def render(fields: Fields) -> str:
        event_dict: MutableMapping[str, object] = fields
        text = processor(None, "", event_dict)
        return text if isinstance(text, str) else text.decode()

    return render


def _plain(fields: Fields) -> Fields:
    """Texts for what was left as an object: foreign records and tracebacks."""
    shown = {f"{key}_" if key in _FIRST else key: value for key, value in fields.items()}
    message = shown.get("message")
    if isinstance(message, logging.LogRecord):
        shown["message"] = message.getMessage()
    trace = shown.pop("traceback", None)
    error = shown.get("error")
    if isinstance(error, BaseException) and isinstance(trace, TracebackType):
        shown["traceback"] = "".join(traceback.format_exception(type(error), error, trace))
    return shown


def _json(value: object) -> object:
    match value:
        case datetime():
            return _instant(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case msgspec.Struct():
            return msgspec.to_builtins(value, enc_hook=str)
        case set() | frozenset():
            return sorted(map(str, value))
        case _:
            return str(value)


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
