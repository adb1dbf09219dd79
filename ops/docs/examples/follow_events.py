"""Follow what happens to the guarded accounts, as one line each, through `riskd history --json`.

    .venv/bin/python ops/docs/examples/follow_events.py --home HOME --for 60

A program in any language can do the same: ask for the lines since the last one seen, and skip known ids.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

RISKD = [sys.executable, "-m", "ops"]


def new_lines(home: str, since: str | None, known: set[str]) -> Iterator[dict[str, Any]]:
    """The lines of history that were not seen yet, oldest first."""
    asked = [*RISKD, "--home", home, "history", "--json", "--limit", "1000"]
    ran = subprocess.run(asked + (["--since", since] if since else []), capture_output=True, text=True)
    if ran.returncode:
        sys.exit(ran.stderr.strip())
    for line in map(json.loads, ran.stdout.splitlines()):
        if line["id"] not in known:
            known.add(line["id"])
            yield line


def shown(line: dict[str, Any]) -> str:
    rest = {key: value for key, value in line.items() if key not in ("id", "at", "kind", "account")}
    return f"{line['at']} {line['account']:14} {line['kind']:11} {json.dumps(rest)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--home", required=True)
    parser.add_argument("--for", dest="seconds", type=float, default=3600.0)
    parser.add_argument("--every", type=float, default=1.0)
    arguments = parser.parse_args()
    until, since, known = time.monotonic() + arguments.seconds, None, set[str]()
    while True:
        for line in new_lines(arguments.home, since, known):
            print(shown(line), flush=True)
            since = line["at"]
        if time.monotonic() + arguments.every > until:
            return
        time.sleep(arguments.every)


if __name__ == "__main__":
    main()
