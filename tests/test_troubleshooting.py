"""The troubleshooting page has an entry for each exit code, reason, alert and line of `doctor`, and no other.

What there is to explain is read out of the source: an alert counts as the sentence it is made from, with `…`
where something is filled in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from supervisor.protocol import Exit

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "ops/docs/troubleshooting.md").read_text("utf-8")
INTERRUPTED = 130
ALERTING = frozenset({"Notice", "alert", "_alert", "notify", "_warn"})
"""What tells people something is called one of these, and the sentence is among what it is given."""
PASSING_ON = frozenset({*ALERTING, "_tell", "alerts", "receive", "__init__", "by_apprise"})
"""Functions that hand on a sentence that somebody else has made."""
SENTENCES: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("actors/account/actor.py", "_tell_oddities"): {
        "actors/account/booking.py": (
            "own book and broker differ by … dollars in …",
            "fill … at … is on no tick of …",
        )
    },
    ("actors/connection/records.py", "_learn"): {
        "config/instruments.py": (
            "contract … reads as …, its name … as …",
            "cannot tell the root of …: not …",
            "…: tick size … instead of …",
        )
    },
    ("actors/rules/auth_loss_guard.py", "_lost"): {
        "actors/rules/auth_loss_guard.py": (
            "the link is lost since …. …",
            "the gateway refuses the login since …. …",
        )
    },
    ("actors/rules/episodes.py", "near_alerts"): {
        "actors/rules/daily_pnl.py": ("the day's P&L is … of …",),
        "actors/rules/position_pnl.py": ("open P&L of … is … of …",),
        "actors/rules/contract_limits.py": ("… of … contracts open in …",),
        "actors/rules/trade_frequency.py": ("… of … … …",),
    },
    ("actors/rules/unknown_contract.py", "_notice"): {
        "actors/rules/unknown_contract.py": (
            "the gateway does not know …: the position cannot be measured. …",
        )
    },
    ("actors/timers/actor.py", "_look_at_holidays"): {
        "actors/timers/deadlines.py": (
            "no holidays are known for …: sessions run without them. Update riskd.",
            "the holiday table ends within … days of …. Update riskd.",
        )
    },
    ("actors/timers/actor.py", "_notice_jump"): {
        "actors/timers/jumps.py": (
            "the wall clock went … s forward: it was set, or the machine slept. The accounts are read again.",
            "the wall clock was set back by … s. The accounts are read again.",
            "nothing ran for … s: the machine slept or was overloaded. The accounts are read again.",
        )
    },
    ("supervisor/accounts.py", "is_ours"): {
        "supervisor/accounts.py": (
            "cannot guard …: …. …",
            "cannot tell whether another guard has …: …",
        )
    },
}
"""Alerts whose sentence is not made where they are sent: who makes it, and how it reads."""


# ------------------------------------------------------------------------------ the page


def entries(section: str) -> set[str]:
    """First cells of the tables under the headings that begin so, without their backticks."""
    parts = [part for part in PAGE.split("\n## ")[1:] if part.startswith(section)]
    cells = re.findall(r"^\| (.+?) \|", "\n".join(parts), re.MULTILINE)
    return {cell.strip("`") for cell in cells} - {"Code", "Alert", "Line"}


# ------------------------------------------------------------------------------ the source


@cache
def functions(folder: str) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (path.relative_to(ROOT).as_posix(), node)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def calls(function: ast.AST, wanted: Callable[[str], bool]) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if wanted(name):
                yield node


def sentences(node: ast.AST, function: ast.AST) -> list[str]:
    """The texts an expression may be, with `…` for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in parts)]
        case ast.Name(id=name):
            return [
                text
                for each in ast.walk(function)
                if isinstance(each, ast.Assign) and any(getattr(t, "id", "") == name for t in each.targets)
                for text in sentences(each.value, function)
            ]
        case _:
            return []


def alerts() -> set[str]:
    """Every sentence that people may be alerted with."""
    found: set[str] = set()
    for folder in ("actors", "supervisor"):
        for path, function in functions(folder):
            if function.name in PASSING_ON and (path, function.name) != (
                "actors/enforcement/rows.py",
                "alerts",
            ):
                continue
            if (path, function.name) in SENTENCES:
                found |= {text for texts in SENTENCES[path, function.name].values() for text in texts}
                continue
            for call in calls(function, ALERTING.__contains__):
                said = {text for value in call.args for text in sentences(value, function) if " " in text}
                assert said, (
                    f"{path}:{call.lineno} {function.name} alerts with a sentence made elsewhere: SENTENCES"
                )
                found |= said
    return found


def codes(kind: str) -> set[str]:
    """Codes of the reasons or the notes of `status`."""
    found = set()
    for path, function in functions("supervisor"):
        if re.search(rf"from supervisor\.answers import .*\b{kind}\b", (ROOT / path).read_text("utf-8")):
            for call in calls(function, kind.__eq__):
                found |= set(sentences(call.args[0], function))
    return found


def lines_of_doctor() -> set[str]:
    found = set()
    for folder in ("ops/cli", "ops/units"):
        for _, function in functions(folder):
            for call in calls(function, "Check".__eq__):
                found |= set(sentences(call.args[0], function))
    steps = re.findall(
        r'\("([\w ]+)", self\._\w+\)', (ROOT / "actors/connection/trial.py").read_text("utf-8")
    )
    own = re.findall(r'"name": "(\w+)"', (ROOT / "supervisor/records.py").read_text("utf-8"))
    return {name for name in found if "…" not in name} | {f"gateway: {step}" for step in steps} | set(own)


# ------------------------------------------------------------------------------ both


def test_every_exit_code_is_explained() -> None:
    assert entries("Exit codes") == {str(code.value) for code in Exit} | {str(INTERRUPTED)}


def test_every_reason_and_note_of_status_is_explained() -> None:
    assert len(codes("Reason")) > 12
    assert entries("Reasons") == codes("Reason") | codes("Note")


def test_every_alert_is_explained() -> None:
    told, known = entries("Alerts"), alerts()

    assert len(known) > 50
    assert (sorted(known - told), sorted(told - known)) == ([], []), "not explained; explained and gone"


@pytest.mark.parametrize(
    ("path", "text"),
    [(path, text) for made in SENTENCES.values() for path, texts in made.items() for text in texts],
)
def test_sentence_made_elsewhere_is_still_made_there(path: str, text: str) -> None:
    source = (ROOT / path).read_text("utf-8")

    made = text.removesuffix(". The accounts are read again.")
    pieces = [piece.strip(" .:") for piece in re.split("…| since ", made)]
    assert [piece for piece in pieces if piece not in source] == []


def test_every_line_of_doctor_is_explained() -> None:
    told, known = entries("Lines of"), lines_of_doctor()

    assert len(known) > 30
    assert (sorted(known - told), sorted(told - known)) == ([], []), "not explained; explained and gone"
