"""What is laid over what: each file a tree, each `--set KEY=VALUE` one more value on top."""

from collections.abc import Mapping
from dataclasses import replace

from config.substitution import substitute
from config.tree import Node, Path, Place, Source, overlay, step_into
from config.yaml_reader import read_yaml

_MODES = {"true": "armed", "false": "off"}


def layer(source: Source, names: Mapping[str, str]) -> Node:
    """The tree of a file, with names filled in; empty where it cannot be read."""
    read = read_yaml(source)
    if read is None:
        return Node({}, Place(source.file, 1, 1))
    if not isinstance(read.value, dict):
        source.mistake(
            read.place, (), "cannot use this as a configuration: it has no keys", "write key: value"
        )
        return replace(read, value={})
    return _modes_settled(substitute(read, names, source))


def with_set(tree: Node, source: Source, names: Mapping[str, str]) -> Node:
    """The tree with one `KEY=VALUE` laid over it; the value is read as YAML."""
    key, equals, value = source.text.partition("=")
    place = Place("--set", 1, len(key) + 2)
    if not equals or not key.strip():
        source.mistake(
            Place("--set", 1, 1),
            (),
            f"cannot use {source.text!r}: it is not KEY=VALUE",
            "such as --set metrics.port=9100",
        )
        return tree
    path = _set_path(tree, key.strip())
    read = read_yaml(Source("--set", value, source.mistakes))
    if read is None:
        return tree
    if read.value == {} and value.strip() in ("", "~", "null"):
        read = replace(read, value=None)
    filled = _at(substitute(read, names, source, path), place)
    if (
        path[-1] == "enabled"
        and path[-3:-2] == ("rules",)
        and (word := _MODES.get(str(filled.value).lower()))
    ):
        path, filled = (*path[:-1], "mode"), replace(filled, value=word)
    return _modes_settled(_grafted(tree, path, filled))


def _set_path(tree: Node, key: str) -> Path:
    """Steps of a dotted key; an account may be given by its name."""
    path: list[str | int] = []
    here: Node | None = tree
    for step in key.split("."):
        items = here.value if here is not None and isinstance(here.value, list) else None
        actual: str | int = step
        if items is not None:
            named = [
                i
                for i, item in enumerate(items)
                if (found := step_into(item, "name")) and found.value == step
            ]
            actual = named[0] if named else int(step) if step.isdigit() else step
        path.append(actual)
        here = step_into(here, actual) if here is not None else None
    return tuple(path)


def _at(node: Node, place: Place) -> Node:
    match node.value:
        case dict():
            return Node({key: _at(value, place) for key, value in node.value.items()}, place, place)
        case list():
            return Node([_at(item, place) for item in node.value], place, place)
        case _:
            return Node(node.value, place, place)


def _grafted(tree: Node, path: Path, value: Node) -> Node:
    if not path:
        return overlay(tree, value)
    step, rest = path[0], path[1:]
    if isinstance(tree.value, list) and isinstance(step, int) and step < len(tree.value):
        items = list(tree.value)
        items[step] = _grafted(items[step], rest, value)
        return replace(tree, value=items)
    children = tree.value if isinstance(tree.value, dict) else {}
    inner = children.get(str(step), Node({}, value.place, value.place))
    return replace(tree, value={**children, str(step): _grafted(inner, rest, value)})


def _modes_settled(tree: Node) -> Node:
    """`enabled` turned into `mode` in each layer, so that the later of the two words counts."""
    rules = step_into(tree, "rules")
    if rules is not None:
        tree = replace(tree, value={**_children(tree), "rules": _rules_settled(rules)})
    accounts = step_into(tree, "accounts")
    if accounts is not None and isinstance(accounts.value, list):
        items = [_account_settled(item) for item in accounts.value]
        tree = replace(tree, value={**_children(tree), "accounts": replace(accounts, value=items)})
    return tree


def _account_settled(account: Node) -> Node:
    rules = step_into(account, "rules")
    if rules is None:
        return account
    return replace(account, value={**_children(account), "rules": _rules_settled(rules)})


def _rules_settled(rules: Node) -> Node:
    return replace(
        rules, value={name: _rule_settled(rule) for name, rule in _children(rules).items()} or rules.value
    )


def _rule_settled(rule: Node) -> Node:
    enabled, children = step_into(rule, "enabled"), _children(rule)
    word = _MODES.get(str(enabled.value).lower()) if enabled is not None else None
    if enabled is None or word is None or "mode" in children:
        return rule
    rest = {key: value for key, value in children.items() if key != "enabled"}
    return replace(rule, value={**rest, "mode": replace(enabled, value=word)})


def _children(node: Node) -> dict[str, Node]:
    return node.value if isinstance(node.value, dict) else {}
