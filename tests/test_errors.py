"""Every error of the program says who must act by its place in the tree; nothing stands in two places."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from config.errors import CallerMustAct, GatewayMustAct, OperatorMustAct, WeMustAct

ROOT = Path(__file__).resolve().parents[1]
BRANCHES = (CallerMustAct, OperatorMustAct, GatewayMustAct, WeMustAct)
SIGNALS = {
    "actors.worker.Ignore",
    "actors.worker.Fenced",
    "actors.worker.ChaosCrash",
    "actors.connection.lanes.NoSlot",
    "actors.connection.trial.Failed",
    "actors.persistence.backup._Cancelled",
    "ops.cli.page.ReaderGone",
}
"""They end a loop, a thread or a wait; nobody has to put anything right."""


def exceptions() -> dict[str, type[BaseException]]:
    """Every exception class that our packages define; the simulator is the other side of the wire."""
    found = {}
    for package in ("actors", "config", "supervisor", "ops"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "simulator" in path.parts or path.name in ("__main__.py", "run.py"):
                continue
            for name in _classes(path):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                kind = getattr(importlib.import_module(module), name, None)
                if isinstance(kind, type) and issubclass(kind, BaseException):
                    found[f"{module}.{name}"] = kind
    return found


def _classes(path: Path) -> list[str]:
    text = path.read_text("utf-8")
    if "class " not in text:
        return []
    tree = ast.parse(text)
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef) and _may_be_error(node)]


def _may_be_error(node: ast.ClassDef) -> bool:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    return bool(bases) and not bases & {"Struct", "Actor", "Protocol", "StrEnum", "IntEnum", "NamedTuple"}


FOUND = exceptions()


@pytest.mark.parametrize("name", sorted(FOUND))
def test_an_error_says_who_must_act(name: str) -> None:
    branches = [branch.__name__ for branch in BRANCHES if issubclass(FOUND[name], branch)]

    assert len(branches) == (0 if name in SIGNALS else 1), branches


def test_the_tree_is_small_and_known() -> None:
    assert set(FOUND) >= SIGNALS
    assert 20 <= len(FOUND) <= 60
