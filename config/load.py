"""The configuration files into settings, or every mistake in them at once, each with its line.

Files are merged key by key, later ones over earlier ones; then `--set KEY=VALUE`. This is the only way in for
what people write; a daemon that restarts reads `config.canonical` from its store instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from config.canonical import canonical, diff, digest, parse_canonical
from config.checks import judge, settings_from
from config.env_file import with_env_file
from config.layers import layer, with_set
from config.mistakes import ConfigurationMistakes, Mistake, rendered, shown_line
from config.schema_errors import Problem
from config.settings import Settings
from config.tree import Node, Place, Source, dotted, leaves, locate, overlay, plain
from config.versions import lifted

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
    sources = [source for source in (_open(path, mistakes) for path in files) if source is not None]
    names = _names(files, env or {}, env_file, mistakes)
    if mistakes:
        raise ConfigurationMistakes(mistakes)
    tree = Node({}, Place(str(files[0]) if files else "", 1, 1))
    for source in sources:
        tree = overlay(tree, layer(source, names))
    for argument in sets:
        tree = with_set(tree, Source("--set", argument, mistakes), names)
    if any(not mistake.key for mistake in mistakes):  # a file that cannot be read hides what is in it
        raise ConfigurationMistakes(mistakes)
    return _judged(tree, {source.file: source.text for source in sources}, mistakes)


def _judged(tree: Node, texts: Mapping[str, str], mistakes: list[Mistake]) -> Loaded:
    written = plain(tree)
    verdict = judge(lifted(written) if isinstance(written, dict) else {})
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
