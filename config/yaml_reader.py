"""YAML text into a tree with places, by YAML 1.2. The only module here that loads ruamel.yaml.

Every twice-written key, foreign tag and endless alias is noted, not only the first.
"""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.reader import ReaderError

from config.tree import Node, Path, Place, Source, dotted, typed

_MOST_NODES = 100_000
_STANDARD = "tag:yaml.org,2002:"


def read_yaml(source: Source) -> Node | None:
    """The tree of a source; None where its syntax is broken, which is then among its mistakes."""
    try:
        root = YAML(typ="rt").compose(source.text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source.file, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
        source.mistake(place, (), f"cannot read YAML: {error.problem or error.context}", _syntax_hint(error))
        return None
    except ReaderError as error:
        line = source.text.count("\n", 0, error.position) + 1
        source.mistake(Place(source.file, line, 1), (), f"cannot read YAML: {error.reason}")
        return None
    except YAMLError as error:
        source.mistake(Place(source.file, 1, 1), (), f"cannot read YAML: {type(error).__name__}")
        return None
    if root is None:
        return Node({}, Place(source.file, 1, 1))
    return _Reader(source).node(root, (), None, ())


def plain_values(text: str) -> Any:
    """The values of a text, typed as YAML types them. ValueError for one that stands for no value."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, LookupError, TypeError, AttributeError) as error:  # of odd numbers, too
        raise ValueError(f"no YAML value: {type(error).__name__}") from None


def _syntax_hint(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "\\t" in problem:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed" in problem:
        return "a value with a colon and a space needs quotes; check the indentation"
    if "another document" in problem:
        return "keep one document per file, without ---"
    return "check brackets, quotes and indentation on this line and the one before"


class _Reader:
    """Turns ruamel's nodes into ours, noting twice-written keys, foreign tags and endless aliases."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = 0

    def node(self, raw: YamlNode, path: Path, key_place: Place | None, inside: tuple[YamlNode, ...]) -> Node:
        empty = raw.start_mark.index == raw.end_mark.index  # its mark lies where the next thing begins
        place = key_place if empty and key_place is not None else self._place(raw)
        self._count += 1
        if self._count > _MOST_NODES or any(raw is outer for outer in inside):
            if self._count <= _MOST_NODES or self._count == _MOST_NODES + 1:
                self._source.mistake(place, path, "cannot follow this alias: it repeats without end")
            return Node(None, place, key_place)
        match raw:
            case ScalarNode():
                return Node(self._scalar(raw, place, path), place, key_place)
            case SequenceNode():
                self._refuse_tag(raw, "seq", place, path)
                items = [
                    self.node(item, (*path, i), None, (*inside, raw)) for i, item in enumerate(raw.value)
                ]
                return Node(items, place, key_place)
            case MappingNode():
                self._refuse_tag(raw, "map", place, path)
                return Node(self._mapping(raw, path, (*inside, raw)), place, key_place)
            case _:
                raise TypeError(f"unknown kind of YAML node: {type(raw).__name__}")

    def _mapping(self, raw: MappingNode, path: Path, inside: tuple[YamlNode, ...]) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in raw.value:
            key_place = self._place(key)
            if not isinstance(key, ScalarNode):
                self._source.mistake(key_place, path, "cannot use a list or mapping as a key", "write a word")
            elif key.value == "<<" and key.style is None:
                for part in value.value if isinstance(value, SequenceNode) else [value]:
                    found = self.node(part, path, None, inside).value
                    merged = {**(found if isinstance(found, dict) else {}), **merged}
            elif key.value in own:
                first = own[key.value].key_place
                self._source.mistake(
                    key_place,
                    (*path, key.value),
                    f"cannot use {dotted((*path, key.value))}: it is written twice",
                    f"line {first.line if first else '?'} has it too: keep one",
                )
            else:
                own[key.value] = self.node(value, (*path, key.value), key_place, inside)
        return {**merged, **own}

    def _scalar(self, raw: ScalarNode, place: Place, path: Path) -> str | None:
        text: str = raw.value
        tag = str(raw.tag or "")
        if tag and not tag.startswith(_STANDARD):
            self._source.mistake(place, path, f"cannot use the tag {tag}", "write the plain value")
        return typed(text) if raw.style is None else text

    def _refuse_tag(self, raw: YamlNode, kind: str, place: Place, path: Path) -> None:
        tag = str(raw.tag or "")
        if tag not in ("", _STANDARD + kind):
            self._source.mistake(place, path, f"cannot use the tag {tag}", "write the plain value")

    def _place(self, raw: YamlNode) -> Place:
        return Place(self._source.file, raw.start_mark.line + 1, raw.start_mark.column + 1)
