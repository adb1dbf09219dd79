"""The configuration files into settings, or every mistake in them at once, each with its line.

Files are merged key by key, later ones over earlier ones; then `--set KEY=VALUE`. This is the only way in for
what people write; a daemon that restarts reads `config.canonical` from its store instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from config.canonical import canonical, diff, digest, parse_canonical
from config.checks import judge, settings_from
from config.env_file import with_env_file
from config.mistakes import ConfigurationMistakes, Mistake, rendered, shown_line
from config.schema_errors import Problem
from config.settings import Settings
from config.substitution import substitute
from config.tree import Node, Path, Place, Source, dotted, leaves, locate, overlay, plain, step_into
from config.yaml_reader import read_yaml

__all__ = [
    "ConfigurationMistakes",
    "Loaded",
    "Mistake",
    "canonical",
    "diff",
    "digest",
    "load",
    "parse_canonical",
    "rendered",
    "settings_from",
]

_MODES = {"true": "armed", "false": "off"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings as read, with what is worth a warning and where each value came from."""

    settings: Settings
    warnings: tuple[Mistake, ...]
    origins: Mapping[str, str]
    """Dotted key -> `FILE:LINE:COLUMN`; a key that is not there has its default."""
    texts: Mapping[str, str]
    """File -> its text as read."""


def load(
    files: Sequence[FilePath],
    sets: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    env_file: FilePath | None = None,
) -> Loaded:
    """Read and check a configuration. Raises `ConfigurationMistakes` with every mistake found.

    `env` is what `${NAME}` may use; `env_file` (else a `.env` beside the first file) adds names to it.
    """
    mistakes: list[Mistake] = []
    sources = [_open(path, mistakes) for path in files]
    names = _names(files, env or {}, env_file, mistakes)
    layers = [_layer(source, names) for source in sources if source is not None]
    tree = Node({}, Place(str(files[0]) if files else "", 1, 1))
    for layer in layers:
        tree = overlay(tree, layer)
    readable = [source for source in sources if source is not None]
    for argument in sets:
        source = Source("--set", argument, mistakes)
        readable.append(source)
        tree = _with_set(tree, source, names)
    broken = bool(mistakes) and any(not mistake.key for mistake in mistakes)
    texts = {source.file: source.text for source in readable if source.file != "--set"}
    if not broken:
        return _judged(tree, texts, mistakes)
    raise ConfigurationMistakes(mistakes)


def _judged(tree: Node, texts: Mapping[str, str], mistakes: list[Mistake]) -> Loaded:
    written = plain(tree)
    verdict = judge(written if isinstance(written, dict) else {})
    known = {mistake.key for mistake in mistakes}
    mistakes += [
        found for found in (_placed(tree, p, texts) for p in verdict.problems) if found.key not in known
    ]
    if mistakes or verdict.settings is None:
        raise ConfigurationMistakes(sorted(mistakes, key=lambda m: (m.file, m.line, m.column)))
    origins = {dotted(path): str(node.place) for path, node in leaves(tree)}
    warnings = tuple(_placed(tree, problem, texts) for problem in verdict.warnings)
    return Loaded(verdict.settings, warnings, origins, texts)


def _placed(tree: Node, problem: Problem, texts: Mapping[str, str]) -> Mistake:
    node = locate(tree, problem.path)
    place = node.key_place if problem.at_key and node.key_place else node.place
    secret = "api_key" in problem.path or problem.path[-1:] == ("to",)
    source = "" if secret else shown_line(texts.get(place.file, ""), place.line)
    return Mistake(
        place.file, place.line, place.column, dotted(problem.path), problem.text, problem.hint, source
    )


def _open(path: FilePath, mistakes: list[Mistake]) -> Source | None:
    try:
        return Source(str(path), path.read_text("utf-8-sig"), mistakes)
    except OSError as error:
        mistakes.append(
            Mistake(str(path), 1, 1, "", f"cannot read {path}: {error.strerror}", "check --config")
        )
    except UnicodeDecodeError:
        mistakes.append(
            Mistake(str(path), 1, 1, "", f"cannot read {path}: it is not UTF-8 text", "save it as UTF-8")
        )
    return None


def _names(
    files: Sequence[FilePath], env: Mapping[str, str], env_file: FilePath | None, mistakes: list[Mistake]
) -> Mapping[str, str]:
    if env_file is None and files:
        beside = files[0].parent / ".env"
        env_file = beside if beside.is_file() else None
    try:
        return with_env_file(env, env_file)
    except ConfigurationMistakes as error:
        mistakes.extend(error.mistakes)
        return env


def _layer(source: Source, names: Mapping[str, str]) -> Node:
    read = read_yaml(source)
    if read is None:
        return Node({}, Place(source.file, 1, 1))
    if not isinstance(read.value, dict):
        source.mistake(
            read.place, (), "cannot use this as a configuration: it has no keys", "write key: value"
        )
        return replace(read, value={})
    return _modes_settled(substitute(read, names, source))


def _with_set(tree: Node, source: Source, names: Mapping[str, str]) -> Node:
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
