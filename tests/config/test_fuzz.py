"""Whatever a configuration file holds, loading ends in settings or in mistakes; never a traceback.

Seeded; `RISKD_FUZZ=N` tries N times as much.
"""

from __future__ import annotations

import os
import random
import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from config.edit import NotEditable, edited
from config.load import load
from config.mistakes import ConfigurationMistakes, rendered
from config.older.importing import CannotImport, imported
from config.pending import loosenings, tightened
from config.settings import Settings

MORE = int(os.environ.get("RISKD_FUZZ", "1"))
SEED = 20261121
ENV = {"PROJECT_X_USERNAME": "anna", "EMPTY": "", "ODD": "}: [*&"}
SHIPPED = sorted(
    entry.read_text("utf-8")
    for entry in (files("config") / "examples").iterdir()
    if entry.name.endswith(".yaml")
)
OLDER = Path(__file__).parent / "older"
SCRAPS = [
    *(
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "&a ",
        "*a",
        "? ",
        "| ",
        ">-",
        "!!python/object:x ",
        "!!int ",
        "#",
        "'",
        '"',
    ),
    *(
        "null",
        "~",
        "true",
        "off",
        "1e999",
        "-0",
        "0x1F",
        "0o17",
        ".inf",
        ".nan",
        "1_000",
        "12:30:15",
        "2026-02-30",
    ),
    *(
        "${",
        "${EMPTY}",
        "${ODD}",
        "${NONE}",
        "${A:-${B}}",
        "$$",
        "%",
        "\t",
        "\x00",
        "\x85",
        "\ufeff",
        "é",
        "\U0001f600",
    ),
    *("9" * 400, "-", "---\n", "...\n", "%YAML 1.1\n", "<<: *a", "{a: {b: {c: 1}}}", "[[[[[[[[[[]]]]]]]]]]"),
    *(
        "accounts: all",
        "enabled: maybe",
        "mode: off",
        "limits: {ES: 1, EP: 2}",
        "by_root: {ES: nowhere}",
        "30s",
        "-5m",
    ),
]


def bent(text: str, chance: random.Random, most: int = 4) -> str:
    """The text after a few accidents: a scrap put in, a piece cut out or doubled, a value replaced."""
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(text) + 1)
        lines = text.splitlines(keepends=True) or [""]
        line = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                text = text[:at] + chance.choice(SCRAPS) + text[at:]
            case 1:
                text = text[:at] + text[at + chance.randrange(30) :]
            case 2:
                lines.insert(chance.randrange(len(lines) + 1), lines[line])
                text = "".join(lines)
            case 3:
                lines[line] = " " * chance.randrange(9) + lines[line]
                text = "".join(lines)
            case 4:
                text = re.sub(
                    r"[^\s{}\[\],:]+", lambda _: chance.choice(SCRAPS), text, count=chance.randint(1, 3)
                )
            case _:
                values = list(re.finditer(r": *([^\s{}\[\],]+)", text))
                if values:
                    hit = chance.choice(values)
                    text = text[: hit.start(1)] + chance.choice(SCRAPS) + text[hit.end(1) :]
    return text


def read(path: Path, *sets: str) -> Settings | None:
    """The settings, or None where there are mistakes; each of those has its place and its words."""
    try:
        return load((path,), sets, ENV).settings
    except ConfigurationMistakes as error:
        assert error.mistakes
        for mistake in error.mistakes:
            assert mistake.line >= 1
            assert mistake.column >= 1
            assert mistake.text.startswith("cannot "), mistake
        assert rendered(error.mistakes)
        return None


@pytest.mark.parametrize("number", range(len(SHIPPED)))
def test_bent_configurations_are_read_or_refused(tmp_path: Path, number: int) -> None:
    chance = random.Random(SEED + number)
    path, usable = tmp_path / "riskd.yaml", 0
    for _ in range(40 * MORE):
        path.write_bytes(bent(SHIPPED[number], chance).encode("utf-8", "surrogatepass"))
        usable += read(path) is not None
    print(f"seed {SEED + number}: {usable} usable")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "riskd.yaml"
    for _ in range(60 * MORE):
        path.write_bytes(chance.randbytes(chance.randrange(60)))
        read(path)


def test_made_up_settings_on_the_command_line_are_read_or_refused(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    path = tmp_path / "riskd.yaml"
    path.write_text(SHIPPED[0])
    keys = [
        "rules.max_contracts.limit",
        "accounts",
        "gateway",
        "rules",
        "sessions.main",
        "",
        ".",
        "a.b.c",
        "accounts.0",
    ]
    for _ in range(40 * MORE):
        read(path, f"{chance.choice(keys)}{chance.choice(['=', '', '==', ' = '])}{chance.choice(SCRAPS)}")


def test_edits_of_bent_files_give_a_text_or_say_why_not() -> None:
    chance = random.Random(SEED)
    keys = [
        "rules.max_contracts.limit",
        "rules.symbol_blocks.mode",
        "accounts.PRAC-V2-1001.rules.loss_streak.mode",
    ]
    for _ in range(80 * MORE):
        try:
            assert isinstance(edited(bent(chance.choice(SHIPPED), chance), chance.choice(keys), "5"), str)
        except NotEditable:
            continue


def test_any_two_usable_configurations_can_be_compared(tmp_path: Path) -> None:
    """Given what is usable of bent files, then what is taken of one over another loosens nothing of it."""
    chance = random.Random(SEED)
    path = tmp_path / "riskd.yaml"
    usable = list[Settings]()
    for _ in range(60 * MORE):
        text = bent(chance.choice(SHIPPED), chance, most=1)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        found = read(path)
        usable += [found] if found is not None else []
    assert len(usable) > 3
    for one, other in pairwise(usable):
        strict = tightened(one, other)
        assert loosenings(one, strict) == frozenset()
        assert tightened(strict, other) == strict


def test_bent_older_files_are_taken_over_or_refused(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    whole = {file.name: file.read_text() for file in OLDER.iterdir()}
    for _ in range(25 * MORE):
        for name, text in whole.items():
            spoilt = bent(text, chance) if chance.random() < 0.4 else text
            (tmp_path / name).write_bytes(spoilt.encode("utf-8", "surrogatepass"))
        try:
            assert imported(tmp_path).lines
        except (CannotImport, ConfigurationMistakes):
            continue
