"""Which folder is the home: `--home`, else `RISKD_HOME`, else the system's place for a user's data."""

from __future__ import annotations

import os
from pathlib import Path

from supervisor.home import Home

__all__ = ["Home", "resolve"]


def resolve(given: str | None = None) -> Home:
    """The home as named on the command line, by the environment, or by the system."""
    named = given or os.environ.get("RISKD_HOME")
    if named:
        return Home(Path(named).expanduser().absolute())
    import platformdirs  # only here: most calls name their home, and start-up is counted in milliseconds

    return Home(Path(platformdirs.user_data_dir("riskd", appauthor=False)))
