"""What must fit together in a configuration, and every mistake in it at once.

The schema (`config.settings`) judges each value by itself. Here the values are judged against each other, for
every account with its overrides, also when some of them were refused: those are taken out first, so that one
mistake neither hides another nor causes a false one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from config import instruments
from config.doubts import warnings_of
from config.mistakes import ConfigurationMistakes, Mistake
from config.relations import Effective, rules_problems, settings_problems
from config.schema_errors import Problem, Steps, problems_of
from config.settings import Rules, Settings, enabled_as_mode, overlaid
from config.values import Unreadable

_KEYED_BY_ROOT = ("max_contracts_per_instrument", "session_block_outside")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a configuration amounts to: settings where it has no mistakes, and what was found."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def settings_from(written: Mapping[str, Any]) -> Settings:
    """Settings from a mapping, with every check a file goes through. Raises `ConfigurationMistakes`."""
    verdict = judge(written)
    if verdict.settings is None:
        raise ConfigurationMistakes(
            [Mistake("settings", 1, 1, ".".join(map(str, p.path)), p.text, p.hint) for p in verdict.problems]
        )
    return verdict.settings


def judge(written: Mapping[str, Any]) -> Verdict:
    """Settings from a written configuration, or every mistake in it; warnings either way."""
    problems = problems_of(Settings, written)
    sound = _without(written, [problem.path for problem in problems])
    try:
        settings = Settings.model_validate(sound)
    except ValidationError:
        return Verdict(None, tuple(problems))
    accounts, mistaken = _effective(settings, sound)
    refused = [problem.path for problem in (*problems, *mistaken)]
    found = [*problems, *mistaken]
    for problem in (*settings_problems(settings), *rules_problems(settings, accounts)):
        if problem not in found and not any(
            _touch(path, bad) for path in problem.involved for bad in refused
        ):
            found.append(problem)
    warnings = tuple(warnings_of(settings, accounts, written))
    if found:
        return Verdict(None, tuple(found), warnings)
    return Verdict(_with_overrides(settings, accounts, sound), (), warnings)


def _touch(path: Steps, bad: Steps) -> bool:
    shorter = min(len(path), len(bad))
    return path[:shorter] == bad[:shorter]


def _without(written: Mapping[str, Any], bad: list[Steps]) -> dict[str, Any]:
    """The configuration less its refused parts, with stand-ins for what cannot be missing."""
    sound: dict[str, Any] = _copy(written)
    for path in bad:
        holder: Any = sound
        steps = [step for i, step in enumerate(path) if not any(isinstance(s, int) for s in path[: i + 1])]
        for step in steps[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and steps:
            holder.pop(steps[-1], None)
    if not isinstance(sound.get("gateway"), dict):
        sound["gateway"] = {"kind": "simulator"}
    sound.setdefault("accounts", "all")
    return sound


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _effective(settings: Settings, sound: Mapping[str, Any]) -> tuple[list[Effective], list[Problem]]:
    """The rules of every account, and the mistakes in their overrides."""
    if settings.accounts == "all":
        return [Effective(settings.rules)], []
    common = _by_exchange_roots(
        {name: enabled_as_mode(rule) for name, rule in (sound.get("rules") or {}).items()}
    )
    accounts, problems = [], []
    for index, account in enumerate(settings.accounts):
        base: Steps = ("accounts", index)
        overrides, mistaken = _read_overrides(_by_exchange_roots(account.rules), base)
        merged = overlaid(common, overrides)
        mistaken += problems_of(Rules, merged, (*base, "rules"))
        problems += mistaken
        rules = settings.rules if mistaken else Rules.model_validate(merged)
        accounts.append(Effective(rules, base, {} if mistaken else overrides))
    return accounts, problems


def _by_exchange_roots(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Rules whose root keys have one spelling, so that an override meets what it overrides."""
    return {name: _keys_as_roots(rule) if name in _KEYED_BY_ROOT else rule for name, rule in rules.items()}


def _keys_as_roots(rule: Any) -> Any:
    if not isinstance(rule, Mapping):
        return rule
    return {key: _as_roots(value) if key in ("limits", "by_root") else value for key, value in rule.items()}


def _as_roots(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    roots = {instruments.exchange_root(str(key)): inner for key, inner in value.items()}
    return roots if len(roots) == len(value) else value  # a product written twice is the schema's to refuse


def _read_overrides(written: Mapping[str, Any], base: Steps) -> tuple[dict[str, Any], list[Problem]]:
    overrides: dict[str, Any] = {}
    problems = []
    for name, rule in written.items():
        try:
            overrides[name] = enabled_as_mode(rule)
        except Unreadable as error:
            path = (*base, "rules", name, "enabled")
            problems.append(Problem(path, f"cannot use {'.'.join(map(str, path))}: {error.why}", error.hint))
    return overrides, problems


def _with_overrides(settings: Settings, accounts: list[Effective], sound: Mapping[str, Any]) -> Settings:
    """Overrides in their canonical words; a rule that only an account has keeps the mode it has there."""
    if settings.accounts == "all":
        return settings
    common = sound.get("rules") or {}
    listed = []
    for account, effective in zip(settings.accounts, accounts, strict=True):
        dump = effective.rules.model_dump()
        rules = {}
        for name, override in effective.overrides.items():
            named = override if name in common else {"mode": None, **override}
            rules[name] = _picked(dump[name], named)
        listed.append(account.model_copy(update={"rules": rules}))
    return settings.model_copy(update={"accounts": tuple(listed)})


def _picked(dump: Any, override: Any) -> Any:
    if not isinstance(dump, dict) or not isinstance(override, Mapping):
        return list(dump) if isinstance(dump, tuple) else dump
    return {key: _picked(dump[key], inner) for key, inner in override.items()}
