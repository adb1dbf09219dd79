"""Which riskd this is."""

from __future__ import annotations


def own_version() -> str:
    """The installed version; `unknown` when run from a folder that was never installed."""
    # Imported late: it costs a tenth of a quick command.
    import importlib.metadata

    try:
        return importlib.metadata.version("riskd")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
