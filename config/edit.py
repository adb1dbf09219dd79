"""Changes one value in a configuration file and not a byte more: comments, order and quotes stay as they are.

For `rules set` and `rules enable`: the command line writes the file as its caller. What the result means is
for `config.load` to check before it is written.
"""

import json
import re

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from config.errors import OperatorMustAct

_PLAIN = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./%-]*")
_AS_ENABLED = {"armed": "true", "off": "false"}


class NotEditable(OperatorMustAct, ValueError):
    """A file in which the value cannot be changed by itself; the hint says what to do instead."""


def edited(text: str, key: str, value: str) -> str:
    """The file's text with the dotted key set to a value in YAML (`5`, `[CL, NG]`, `null`).

    An account is named or numbered: `accounts.PRAC-V2-1001.rules.max_contracts.limit`. A key that is not
    there is added; where a rule says `enabled`, that is what `mode` changes. Raises `NotEditable`.
    """
    try:
        root = YAML(typ="rt").compose(text)
    except YAMLError as error:
        raise NotEditable(f"cannot edit the file: {type(error).__name__}. mend its syntax first") from None
    if root is None:
        return f"{text}{_nested(key.split('.'), value)}\n"
    return _set(text, root, key.split("."), value)


def _set(text: str, node: YamlNode, steps: list[str], value: str) -> str:
    match node:
        case MappingNode():
            found = _pair(node, steps)
            if found is None:
                return _added(text, node, steps, value)
            key, inner = found
            if inner.start_mark.index < key.start_mark.index:
                raise NotEditable(
                    "cannot edit through an alias: it would change other places. write the value out"
                )
            if len(steps) == 1:
                return _replaced(text, key, inner, steps[0], value)
            if isinstance(inner, ScalarNode):  # such as `rules:` with nothing under it
                return _put(text, key, inner, _flow(steps[1:], value))
            return _set(text, inner, steps[1:], value)
        case SequenceNode():
            item = _item(node, steps[0])
            return _set(text, item, steps[1:], value) if steps[1:] else _put(text, item, item, value)
        case _:
            raise NotEditable(f"cannot find {steps[0]}: its place holds a plain value. edit the file by hand")


def _pair(node: MappingNode, steps: list[str]) -> tuple[ScalarNode, YamlNode] | None:
    names = (steps[0], "enabled") if steps == ["mode"] else (steps[0],)
    for name in names:
        for key, inner in node.value:
            if isinstance(key, ScalarNode) and key.value == name:
                return key, inner
    return None


def _item(node: SequenceNode, step: str) -> YamlNode:
    item: YamlNode
    for item in node.value:
        named = _pair(item, ["name"]) if isinstance(item, MappingNode) else None
        if named is not None and named[1].value == step:
            return item
    items: list[YamlNode] = node.value
    if step.isdigit() and int(step) < len(items):
        return items[int(step)]
    raise NotEditable(f"cannot find {step} in the list. check its name")


def _replaced(text: str, key: ScalarNode, inner: YamlNode, name: str, value: str) -> str:
    if key.value == name:
        return _put(text, key, inner, value)
    if value in _AS_ENABLED:
        return _put(text, key, inner, _AS_ENABLED[value])
    return f"{text[: key.start_mark.index]}{name}: {value}{text[_end(text, inner, key) :]}"


def _put(text: str, key: YamlNode, inner: YamlNode, value: str) -> str:
    if _is_empty(inner):
        colon = _end(text, inner, key)
        return f"{text[:colon]} {value}{text[colon:]}"
    return f"{text[: inner.start_mark.index]}{value}{text[_end(text, inner, key) :]}"


def _is_empty(node: YamlNode) -> bool:
    return bool(node.start_mark.index == node.end_mark.index)


def _end(text: str, node: YamlNode, key: YamlNode) -> int:
    """Where the value of a key ends. The marks of empty values and blocks lie where the next thing begins."""
    if _is_empty(node):
        return text.index(":", key.end_mark.index) + 1
    if isinstance(node, (MappingNode, SequenceNode)) and not node.flow_style:
        last = node.value[-1]
        return _end(text, last[1], last[0]) if isinstance(last, tuple) else _end(text, last, last)
    end: int = node.end_mark.index
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        return len(text[:end].rstrip())
    return end


def _added(text: str, node: MappingNode, steps: list[str], value: str) -> str:
    if node.flow_style:
        closing = node.end_mark.index - 1
        comma = ", " if node.value else ""
        head = text[:closing].rstrip(" ") if node.value else text[:closing]
        return f"{head}{comma}{_nested(steps, value)}{text[closing:]}"
    last_key, last_value = node.value[-1]
    line_end = text.find("\n", _end(text, last_value, last_key))
    behind = len(text) if line_end < 0 else line_end  # behind the comment on that line, too
    return f"{text[:behind]}\n{' ' * node.start_mark.column}{_nested(steps, value)}{text[behind:]}"


def _nested(steps: list[str], value: str) -> str:
    return f"{_word(steps[0])}: {_flow(steps[1:], value)}"


def _flow(steps: list[str], value: str) -> str:
    return f"{{{_nested(steps, value)}}}" if steps else value


def _word(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else json.dumps(key)
