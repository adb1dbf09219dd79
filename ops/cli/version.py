"""Which riskd this is."""

from __future__ import annotations

import importlib.metadata


def own_version() -> str:
    """The installed version; `unknown` when run from a folder that was never installed."""
    try:
        return importlib.metadata.version("riskd")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
