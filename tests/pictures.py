"""`python3 ops/run.py pictures`: the pictures of the documentation, from a simulated day under guard.

The day is played on the clock that scenarios use, so that the same program draws the same pictures.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ["TZ"] = "America/Chicago"
time.tzset()
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec  # noqa: E402 - after the zone is set
from rich.console import Console  # noqa: E402
from rich.terminal_theme import DIMMED_MONOKAI  # noqa: E402

from ops.cli import chart  # noqa: E402
from ops.cli.screen import screen  # noqa: E402
from ops.cli.watch import Look  # noqa: E402
from supervisor.identity import identity_of  # noqa: E402
from supervisor.protocol import AskReport, OfAccounts  # noqa: E402
from tests.scenarios.desk import A, B, Desk, desk  # noqa: E402

FOLDER = Path(__file__).resolve().parents[1] / "ops" / "docs" / "pictures"
COLUMNS = 132
RULES = {
    "max_contracts": {"limit": 4},
    "daily_realized_loss": {"limit": -500},
    "daily_unrealized_loss": {"limit": -300},
    "daily_realized_profit": {"target": 1000},
    "trade_frequency_limit": {"mode": "shadow", "per_minute": 3, "per_hour": 10, "per_session": 50},
    "cooldown_after_loss": {"tiers": [{"loss": -200, "cooldown": "5m"}]},
    "no_stop_loss_grace": {"mode": "armed", "grace": "2m"},
    "session_block_outside": {"session": "main"},
    "auth_loss_guard": {},
}


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    guarded = [{"name": A}, {"name": B}]
    with desk(RULES, accounts=guarded, prices={"MNQ": 21000.0, "MES": 5800.0}) as day:
        # The desk has no watchdog, and a guard without one says so on every picture.
        day.home.watchdog.write_bytes(msgspec.json.encode(identity_of(os.getpid())))
        play(day)
        kept = {"watch.svg": watched(day), "report.svg": reported(day)}
    for name, text in kept.items():
        (FOLDER / name).write_text(text, "utf-8")
        print(f"drawn {FOLDER / name}")
    return 0


def play(day: Desk) -> None:
    """One account works its way up with a guard beside it; the other gives its day away."""
    for minutes, account, pnl in (
        (6, A, 120), (4, B, -90), (9, A, 84), (3, B, 60), (8, A, -60), (5, B, -230),
        (7, A, 150), (6, B, 45), (9, A, -36), (4, B, -180), (8, A, 96), (5, B, -140),
    ):  # fmt: skip
        day.advance(timedelta(minutes=minutes).total_seconds())
        day.book(pnl, account)
        day.settle()
    day.advance(240)
    day.buy("MNQ", 6, A)  # two more than may be held
    day.holds(A, MNQ=4)
    day.price("MNQ", 21012)
    day.settle()
    day.sell("MNQ", 2, A)
    day.holds(A, MNQ=2)
    day.price("MNQ", 20989.5)
    day.advance(38)


def watched(day: Desk) -> str:
    """The live screen as rich draws it, without a font from elsewhere."""

    class Asked:
        """What `Look` needs of a place: the desk answers."""

        def ask(self, command: str, request: Any) -> Any:
            return day.ask(command, request)

        def ask_for(self, kind: type[Any], command: str, request: Any) -> Any:
            return msgspec.convert(day.ask(command, request), kind)

    look = Look(Asked(), OfAccounts())
    seen = look()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(screen(seen, None, "", look.decisions))
    svg = console.export_svg(title="riskd watch", theme=DIMMED_MONOKAI, unique_id="watch")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code, ", "")


def reported(day: Desk) -> str:
    return chart.drawn(day.ask("report", AskReport("day")))


if __name__ == "__main__":
    sys.exit(main())
