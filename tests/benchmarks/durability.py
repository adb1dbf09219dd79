"""`bench durability`: what the store costs and keeps, and how long nobody guards when a process dies."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = ("durability_store", "durability_process")

type Row = dict[str, object]


def run() -> list[Row]:
    """The lines of every part."""
    return [row for part in PARTS for row in load(part).run()]


def load(name: str):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(f"bench_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
