"""`python3 ops/run.py mutants`: change the code that decides, one small change at a time; do tests notice?

    --seed N     another sample (default 1)
    --most N     mutants in the sample (default 150: some minutes)
    --all        every mutant (hours; an interrupted run is taken up again while nothing was edited)
    --only PATH  of files whose path begins so
    --json FILE  the same as one JSON object

Runs mutmut on a copy in `mutants/`, so that editing meanwhile changes nothing. Changes of a sentence that
people read are left out: no test should spell those. Exit 0 whatever survives; 1 if nothing could be tried.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "mutants"
MADE = COPY / "mutants"
"""Where mutmut puts its mutants, inside the copy."""
FOLDERS = ("actors/rules", "actors/enforcement", "actors/account")
COPIED = ("config", "actors", "supervisor", "ops", "tests", "pyproject.toml", "README.md")
PROFILE = '''"""Few and always the same examples: thousands of runs, one score."""

from hypothesis import settings

settings.register_profile("mutants", max_examples=40, derandomize=True, deadline=None, database=None)
settings.load_profile("mutants")
'''
CONFIGURATION = f"""
[tool.mutmut]
source_paths = {json.dumps(FOLDERS)}
also_copy = {json.dumps([*COPIED, "mutants_profile.py"])}
pytest_add_cli_args_test_selection = {json.dumps([f"tests/{folder}" for folder in FOLDERS])}
pytest_add_cli_args = ["-p", "mutants_profile"]
use_git_change_detection = false
"""
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
NOTICED = {1, 3, 36, 24, -24, 152, 255, -9, -11, 37}
"""Exit codes of mutmut's runs: a test failed, pytest broke, it never ended, the interpreter died."""


class Mutant(NamedTuple):
    name: str
    file: str
    line: int
    old: str
    new: str

    @property
    def folder(self) -> str:
        return str(Path(self.file).parent)

    @property
    def diff(self) -> str:
        """The changed lines as a patch shows them."""
        lines = difflib.ndiff(self.old.splitlines(), self.new.splitlines())
        return "\n".join(line for line in lines if line[0] in "+-")

    @property
    def is_prose(self) -> bool:
        """Only text with a space in it differs: mutmut wraps text in XX, lowers it, raises it."""
        old, new = TEXT.findall(self.old), TEXT.findall(self.new)
        different = [text for text, other in zip(old, new, strict=False) if text != other]
        same_code = [TEXT.sub("", code) for code in (self.old, self.new)]
        same_values = [VALUE.findall(code) for code in (self.old, self.new)]
        same = len(old) == len(new) and same_code[0] == same_code[1] and same_values[0] == same_values[1]
        return same and bool(different) and all(" " in text for text in different)


TEXT = re.compile(r'"([^"\n]*)"')
VALUE = re.compile(r"\{[^{}]*\}")


def main() -> int:
    asked = arguments()
    if not hasattr(os, "fork"):
        print("cannot make mutants: mutmut needs fork. Run this on Linux or macOS.")
        return 1
    start = time.monotonic()
    copy(keep=asked.all)
    generated = mutmut("nothing-is-called-this")  # only makes the mutants and times the tests
    every = {mutant.name: mutant for mutant in mutants()}
    if not every or not (MADE / "mutmut-stats.json").exists():
        print(generated + "\ncannot make mutants: the lines above say why. Do all tests pass?")
        return 1
    judged = [m for m in every.values() if not m.is_prose and m.file.startswith(asked.only)]
    chosen = judged if asked.all else random.Random(asked.seed).sample(judged, min(asked.most, len(judged)))
    print(f"{len(chosen)} of {len(judged)} mutants of {asked.only or 'all'}", flush=True)
    tested = tests_by_function()
    tried = [mutant for mutant in chosen if tested.get(mutant.name.rpartition("__mutmut_")[0])]
    mutmut(*([asked.only.replace("/", ".") + "*"] if asked.all else [mutant.name for mutant in tried]))
    report(asked, chosen, outcomes(), time.monotonic() - start)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description="Do tests notice small changes of the code?")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=150)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="", metavar="PATH")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


# ------------------------------------------------------------------------------ the copy


def copy(keep: bool) -> None:
    """Lay out what is mutated and tested; `keep` what was found before if nothing has changed since."""
    mark = COPY / ".digest"
    digest = digest_of_sources()
    if keep and mark.exists() and mark.read_text() == digest:
        return
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, COPY / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, COPY / name)
    with (COPY / "pyproject.toml").open("a") as file:
        file.write(CONFIGURATION)
    (COPY / "mutants_profile.py").write_text(PROFILE)
    mark.write_text(digest)


def digest_of_sources() -> str:
    digest = hashlib.sha256(CONFIGURATION.encode())
    for name in COPIED:
        for path in sorted((ROOT / name).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def mutmut(*names: str) -> str:
    """Run mutmut in the copy; what it printed."""
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(os.cpu_count() or 2)]
    ran = subprocess.run(
        [*command, *names], cwd=COPY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return "\n".join(line for line in ran.stdout.splitlines() if line[:1] not in SPINNER)


# ------------------------------------------------------------------------------ what mutmut made


def mutants() -> Iterator[Mutant]:
    """Every mutant with the lines that it changes; mutmut writes its functions' spans beside the file."""
    for spans in sorted(MADE.glob("actors/*/*.py.spans")):
        file = spans.relative_to(MADE).as_posix().removesuffix(".spans")
        lines = (MADE / file).read_text().splitlines()
        found = json.loads(spans.read_text())["spans"]
        module = file.removesuffix(".py").replace("/", ".")
        for name, span in found.items():
            function, _, number = name.rpartition("__mutmut_")
            if number == "orig":
                continue
            original = f"{function}__mutmut_orig"
            old = definition(lines, found[original], original, original)
            new = definition(lines, span, name, original)
            offset, before, after = changed(old, new)
            yield Mutant(f"{module}.{name}", file, line_of(file, function) + offset, before, after)


def definition(lines: list[str], span: list[int], name: str, original: str) -> list[str]:
    """A function from its `def` on, under the name of the original."""
    text, start = lines[span[0] : span[1]], re.compile(rf"\bdef {name}\b")
    first = next(i for i, line in enumerate(text) if start.search(line))
    return [start.sub(f"def {original}", text[first]), *text[first + 1 :]]


def changed(old: list[str], new: list[str]) -> tuple[int, str, str]:
    """Where two versions of a function differ: how many lines below `def`, the old lines, the new ones."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    different = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"] or [("", 0, 0, 0, 0)]
    (_, i1, _, j1, _), (_, _, i2, _, j2) = different[0], different[-1]
    return i1, "\n".join(old[i1:i2]), "\n".join(new[j1:j2])


def line_of(file: str, mangled: str) -> int:
    """The line of `def` in the source: mutmut calls a function x_NAME, a method xǁCLASSǁNAME."""
    *owner, name = mangled.split("ǁ")[1:] if "ǁ" in mangled else [mangled.removeprefix("x_")]
    return definitions(file).get((owner[0] if owner else "", name), 1)


@cache
def definitions(file: str) -> dict[tuple[str, str], int]:
    tree = ast.parse((COPY / file).read_text())
    found = {("", n.name): n.lineno for n in tree.body if isinstance(n, ast.FunctionDef)}
    for owner in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        found |= {(owner.name, n.name): n.lineno for n in owner.body if isinstance(n, ast.FunctionDef)}
    return found


def tests_by_function() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((MADE / "mutmut-stats.json").read_text())[
        "tests_by_mangled_function_name"
    ]
    return found


def outcomes() -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for meta in MADE.glob("actors/*/*.py.meta"):
        found |= json.loads(meta.read_text())["exit_code_by_key"]
    return found


# ------------------------------------------------------------------------------ what came of it


def report(
    asked: argparse.Namespace, chosen: list[Mutant], found: dict[str, int | None], took_s: float
) -> None:
    survivors = sorted(
        (m for m in chosen if found.get(m.name) not in NOTICED), key=lambda m: (m.file, m.line)
    )
    for mutant in survivors:
        print(f"\n{mutant.file}:{mutant.line}  {mutant.name.rpartition('.')[2]}\n{mutant.diff}")
    print()
    scores = {}
    for folder in (*FOLDERS, ""):
        all_of = [m for m in chosen if m.folder.startswith(folder)]
        killed = len(all_of) - sum(m.folder.startswith(folder) for m in survivors)
        scores[folder or "all"] = {"mutants": len(all_of), "killed": killed}
        score = 100 * killed / max(1, len(all_of))
        print(f"{folder or 'all':20} {killed:5} of {len(all_of):5} noticed  {score:5.1f} %")
    print(f"seed {asked.seed}, {took_s:.0f} s")
    if asked.json:
        told = [{**m._asdict(), "diff": m.diff} for m in survivors]
        whole = {
            "schema": 1,
            "seed": asked.seed,
            "scores": scores,
            "survivors": told,
            "took_s": round(took_s),
        }
        asked.json.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
