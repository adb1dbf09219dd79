"""The laws of the house: imports point one way, clocks and databases have one owner, nothing is swallowed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("config", "actors", "supervisor", "ops")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MAY_IMPORT = {
    "config": {"config"},
    "actors": {"config", "actors"},
    "supervisor": {"config", "actors", "supervisor"},
    "ops": {"config", "actors", "supervisor", "ops"},
}
"""Directions between packages. What `ops` may take of the others is narrower: see below."""


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file; parsed once for all laws."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of everything a file imports, with the line."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level] if node.level else ()
            module = ".".join((*base, *(node.module or "").split(".")))
            yield module.strip("."), node.lineno
            yield from ((f"{module}.{alias.name}".strip("."), node.lineno) for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def offenders(paths: list[Path], forbidden: re.Pattern[str]) -> list[str]:
    return [
        f"{name(path)}:{line} imports {module}"
        for path in paths
        for module, line in imports(path)
        if forbidden.match(module)
    ]


def under(*folders: str, but: tuple[str, ...] = ()) -> list[Path]:
    return [p for p in SOURCES if name(p).startswith(folders) and not name(p).startswith(but or ("\0",))]


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    others = set(PACKAGES) - MAY_IMPORT[package]
    if others:
        forbidden = re.compile(rf"({'|'.join(others)})(\.|$)")
        assert offenders(under(f"{package}/"), forbidden) == []


def test_rules_import_only_messages_trading_day_account_state_and_config() -> None:
    machines = under("actors/rules/", but=("actors/rules/actor.py",))
    allowed = r"actors\.(messages|money|trading_day|account\.state|rules)(\.|$)"

    assert offenders(machines, re.compile(rf"actors\.(?!rules$)(?!{allowed[8:]})")) == []
    assert offenders(machines, re.compile(r"(pykka|threading|logging|structlog|socket|time)(\.|$)")) == []


def test_only_projectx_imports_the_sdk() -> None:
    others = under(
        *(f"{p}/" for p in PACKAGES), but=("actors/connection/projectx.py", "actors/connection/quiet.py")
    )
    assert offenders(others, re.compile(r"(project_x_py|pysignalr)(\.|$)")) == []


def test_only_persistence_opens_the_database() -> None:
    others = under(*(f"{p}/" for p in PACKAGES), but=("actors/persistence/",))
    assert offenders(others, re.compile(r"(sqlite3|sqlite_utils)(\.|$)")) == []


def test_the_simulator_is_the_other_side_of_the_wire() -> None:
    assert offenders(under("ops/simulator/"), re.compile(r"(actors|supervisor)(\.|$)")) == []


def test_the_command_line_stays_light_and_speaks_only_through_the_socket() -> None:
    heavy = re.compile(
        r"(actors|project_x_py|sqlite_utils|polars|numpy|supervisor\.(tree|driver|core))(\.|$)"
    )
    assert offenders(under("ops/cli/", "ops/client.py"), heavy) == []


CLOCK_READERS = {"actors/clock.py", "ops/run.py"}
DECISIONS = under(
    "actors/rules/", "actors/account/", "actors/enforcement/", "actors/trading_day.py", "supervisor/core.py"
)


def test_decisions_never_read_a_clock() -> None:
    reads = re.compile(
        r"\b(datetime\.now|datetime\.utcnow|time\.time|time\.monotonic|perf_counter|date\.today)\("
    )
    found = [
        f"{name(path)}:{number}"
        for path in DECISIONS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if reads.search(line)
    ]
    assert found == []


BORDERS = {"actors/worker.py", "supervisor/control.py"}
"""The only two places that catch everything: the worker loop, and the answer to a caller of the socket."""


def test_broad_excepts_stand_at_the_borders_only() -> None:
    found = []
    for path in SOURCES:
        if name(path) in BORDERS or name(path) == "ops/run.py":
            continue
        for node in nodes(path):
            if isinstance(node, ast.ExceptHandler) and _broad(node.type) and not _passes_on(node):
                found.append(f"{name(path)}:{node.lineno}")  # noqa: PERF401
    assert found == []


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Cleans up and lets the error go on its way."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = [kind] if not isinstance(kind, ast.Tuple) else list(kind.elts)
    return any(isinstance(n, ast.Name) and n.id in ("Exception", "BaseException") for n in names)


def test_every_match_over_our_unions_ends_in_a_refusal() -> None:
    """A `case _` that passes silently is a rule that silently does nothing."""
    found = []
    for path in SOURCES:
        for node in nodes(path):
            if isinstance(node, ast.match_case) and isinstance(node.pattern, ast.MatchAs):
                silent = node.pattern.pattern is None and all(isinstance(s, ast.Pass) for s in node.body)
                if silent:
                    found.append(f"{name(path)}:{node.pattern.lineno}")
    assert found == []


def test_files_stay_readable() -> None:
    long = [f"{name(p)} has {n} lines" for p in SOURCES if (n := len(p.read_text().splitlines())) > 900]
    assert long == []


FORBIDDEN_WORDS = re.compile(
    r"https?://(?!127\.0\.0\.1|localhost|api\.topstepx|rtc\.topstepx)[a-z]+\.(?:org|com)/simple"
)


def test_nothing_names_a_registry_host_or_a_path_of_one_machine() -> None:
    tracked = [*SOURCES, ROOT / "pyproject.toml", *(ROOT / "ops").glob("requirements*.txt")]
    found = [name(p) for p in tracked if FORBIDDEN_WORDS.search(p.read_text()) or "/root/" in p.read_text()]
    assert found == []


def test_our_package_names_belong_to_nobody_else_in_the_environment() -> None:
    """Distributions exist on the public index whose import names are `config` and `supervisor`."""
    owners: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        for file in distribution.files or ():
            top = file.parts[0]
            if top in PACKAGES:
                owners.setdefault(top, set()).add(distribution.metadata["Name"])
    assert all(found <= {"riskd"} for found in owners.values())
