"""The `.env` file beside a configuration: names for `${NAME}` and for secrets, and nothing else.

Standard library only: a daemon that restarts reads it without the configuration.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from config.mistakes import ConfigurationMistakes, Mistake

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def with_env_file(env: Mapping[str, str], path: Path | None) -> Mapping[str, str]:
    """The environment with the names of a `.env` file beneath it: what is really set wins.

    Raises `ConfigurationMistakes` where the file cannot be read, is open to others, or has a line that is no
    assignment. The process's own environment is left as it is.
    """
    if path is None:
        return env
    opened = open_to_others(path)
    if opened:
        raise ConfigurationMistakes(
            [Mistake(str(path), 1, 1, "", f"cannot use {path}: {opened}", f"chmod 600 {path}")]
        )
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationMistakes([Mistake(str(path), 1, 1, "", f"cannot read {path}: {reason}")]) from None
    names, mistakes = _assignments(text, str(path))
    if mistakes:
        raise ConfigurationMistakes(mistakes)
    return {**names, **env}


def _assignments(text: str, file: str) -> tuple[dict[str, str], list[Mistake]]:
    names: dict[str, str] = {}
    mistakes = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        match = _ASSIGNMENT.fullmatch(stripped)
        if match:
            names[match[1]] = _unquoted(match[2])
        elif stripped and not stripped.startswith("#"):
            # The line may hold a secret: it is not repeated.
            mistakes.append(Mistake(file, number, 1, "", "cannot read this line", "write NAME=value"))
    return names, mistakes


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()


def open_to_others(path: Path) -> str:
    """Why a file that holds secrets cannot be trusted, or an empty text; always empty on Windows."""
    if os.name != "posix":
        return ""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return ""
    return f"others can read it (mode {mode:04o})" if mode & 0o077 else ""
