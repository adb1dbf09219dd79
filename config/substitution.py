"""`${NAME}`, `${NAME:-default}` and `$$` in values.

Substitution happens after parsing, in string values only, so that a value can never add keys of its own.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from config.tree import Node, Path, Source, dotted, typed

_REFERENCE = re.compile(r"\$\$|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")


def substitute(node: Node, env: Mapping[str, str], source: Source, path: Path = ()) -> Node:
    """The tree with every `${NAME}`, `${NAME:-default}` and `$$` replaced; an unset name is a mistake."""
    match node.value:
        case dict():
            inner = {key: substitute(value, env, source, (*path, key)) for key, value in node.value.items()}
            return replace(node, value=inner)
        case list():
            items = [substitute(item, env, source, (*path, i)) for i, item in enumerate(node.value)]
            return replace(node, value=items)
        case str() if "$" in node.value:
            return replace(node, value=_filled(node, node.value, env, source, path))
        case _:
            return node


def _filled(node: Node, text: str, env: Mapping[str, str], source: Source, path: Path) -> str | None:
    replaced = False

    def fill(match: re.Match[str]) -> str:
        nonlocal replaced
        name, default = match[1], match[2]
        if match[0] == "$$":
            return "$"
        replaced = True
        if name is None:
            source.mistake(
                node.place,
                path,
                f"cannot fill in {dotted(path)}: a ${{ without a name and }}",
                "write ${NAME}, ${NAME:-default}, or $${ for the characters themselves",
            )
            return ""
        if default is not None:
            return env.get(name) or default
        if name not in env:
            source.mistake(
                node.place,
                path,
                f"cannot fill in {dotted(path)}: {name} is not set",
                f"set it in the environment or in .env, or write ${{{name}:-default}}",
            )
            return ""
        return env[name]

    filled = _REFERENCE.sub(fill, text)
    return typed(filled) if replaced else filled
