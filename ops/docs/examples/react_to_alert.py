"""Run a program of your own for every alert, with the alert as JSON on its standard input.

    .venv/bin/python ops/docs/examples/react_to_alert.py --home HOME --level error -- say-it-aloud

The program gets each alert once; an alert that the guard only repeats is a new one. What it does is up to
you: it can ask `riskd panic --yes`, but it cannot loosen anything without the admin secret.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ops import client
from supervisor.home import Home
from supervisor.protocol import AskHistory, Refused

LEVELS = ("info", "warning", "error", "critical")


def alerts(home: Home, since: datetime) -> list[dict[str, Any]]:
    """Alerts from this instant on, oldest first. Raises Refused when nobody answers."""
    answer = client.call(home, "history", AskHistory(since=since, kind="alert", limit=1000))
    found: list[dict[str, Any]] = msgspec.msgpack.decode(answer)["history"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--level", choices=LEVELS, default="warning")
    parser.add_argument("--since", type=datetime.fromisoformat, default=datetime.now(UTC))
    parser.add_argument("--for", dest="seconds", type=float, default=3600.0)
    parser.add_argument("program", nargs="+")
    arguments = parser.parse_args()
    until, known = time.monotonic() + arguments.seconds, set[str]()
    while True:
        try:
            found = alerts(Home(arguments.home), arguments.since)
        except Refused as no:
            sys.exit(str(no))
        for alert in found:
            if alert["id"] not in known and LEVELS.index(alert["level"]) >= LEVELS.index(arguments.level):
                subprocess.run(arguments.program, input=msgspec.json.encode(alert), check=True)
            known.add(alert["id"])
        if time.monotonic() + 1 > until:
            return
        time.sleep(1)


if __name__ == "__main__":
    main()
