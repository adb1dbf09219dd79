"""What leaves the machine in an export: without secrets and, where asked for, without account names. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from actors.redaction import redacted

type Line = dict[str, object]


def without_secrets(line: Line) -> Line:
    """The line with every known secret masked, whoever wrote it: a gateway's own text may hold one."""
    found: Line = msgspec.json.decode(redacted(msgspec.json.encode(line).decode()))
    return found


def hiding(accounts: Mapping[str, int]) -> Callable[[Line], Line]:
    """A function that puts `account-1`, `account-2` for names, and for ids where they begin another id.

    Numbered by name, so that two exports of one home call the same account the same.
    """
    names = {name: f"account-{number}" for number, name in enumerate(sorted(accounts), 1)}
    ids = {str(accounts[name]): alias for name, alias in names.items()}
    if not names:
        return lambda line: line
    words = re.compile(rf"(?<![\w-])(?:{_any(names)})(?![\w-])|(?<=\")(?:{_any(ids)})(?=-\d)")
    fields = re.compile(rf'("account_?(?:id)?"\s*:\s*)({_any(ids)})(?=[,}}])')

    def hidden(line: Line) -> Line:
        text = words.sub(lambda found: (names | ids)[found[0]], msgspec.json.encode(line).decode())
        text = fields.sub(lambda found: f'{found[1]}"{ids[found[2]]}"', text)
        shown: Line = msgspec.json.decode(text)
        return shown

    return hidden


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
