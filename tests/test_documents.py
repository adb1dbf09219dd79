"""What the documents say is so: rules, commands, links, decisions."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from actors.rules.registry import ALL
from ops.cli.root import root
from ops.run import VERBS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "ops" / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
WRITTEN = sorted({README, *DOCS.glob("*.md")} - {DOCS / "gateway.md", DOCS / "performance.md"})
"""Those that tell people what to type."""
DOCUMENTS = sorted([README, *DOCS.rglob("*.md")])


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def test_rule_table_of_the_readme_lists_every_rule_in_its_order() -> None:
    table = README.read_text().split("## Rules", 1)[1].split("##", 1)[0]

    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == ALL


# ------------------------------------------------------------------------------ commands

CALL = re.compile(r"(?:python3 ops/run\.py|(?:\.venv/bin/|uv run --no-sync )?riskd) (.+)")
PLACEHOLDER = re.compile(r"^(?:\.\.\.|[A-Z][A-Z_/]*|[A-Z.]+\.\.\.)$")


def calls(text: str) -> Iterator[str]:
    """The command lines in code spans and code blocks, without our program's name and the comment."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    for line in [*"\n".join(blocks).splitlines(), *(" ".join(span.split()) for span in spans)]:
        if found := CALL.fullmatch(line.split(" #")[0].strip()):
            choices = (word.split("|") for word in found.group(1).split())
            yield from (" ".join(words) for words in itertools.product(*choices))


def refusal(line: str) -> str | None:
    """Why `riskd LINE` is no command, or None."""
    words = shlex.split(line)
    if words and words[0] in VERBS:
        return None
    command: click.Command = root()
    known = _options(command)
    rest = iter(words)
    for word in rest:
        if PLACEHOLDER.match(word):
            continue
        if word.startswith("-"):
            name, sign, _ = word.partition("=")
            if name not in known:
                return f"riskd {line}: no option {word}"
            if known[name] and not sign:
                next(rest, None)
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return f"riskd {line}: no command {word}"
            command = found
            known |= _options(command)
            if command.context_settings.get("ignore_unknown_options"):
                return None  # the rest belongs to another program
    return None


def _options(command: click.Command) -> dict[str, bool]:
    """Options by their names, each with whether a value follows it."""
    found = {"-h": False, "--help": False}
    for option in command.params:
        valued = isinstance(option, click.Option) and not option.is_flag and not option.count
        found |= dict.fromkeys((*option.opts, *option.secondary_opts), valued)
    return found


@pytest.mark.parametrize("document", names(WRITTEN))
def test_every_command_a_document_names_exists(document: str) -> None:
    assert [why for line in calls((ROOT / document).read_text()) if (why := refusal(line))] == []


def test_commands_are_found_in_the_documents() -> None:
    assert {"demo", "test", "status", "up", "panic", "down"} <= set(calls(README.read_text()))
    assert len(list(calls((DOCS / "runbook.md").read_text()))) > 5


@pytest.mark.parametrize(
    "line", ["statuss", "status --chekc", "actors reboot account/A", "config init --now"]
)
def test_command_that_is_not_there_would_be_noticed(line: str) -> None:
    assert refusal(line) is not None


# ------------------------------------------------------------------------------ links

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """Names under which headings can be linked to."""
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(document: Path) -> list[str]:
    found = []
    for link in LINK.findall(document.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        inside = target.exists() and target.is_relative_to(ROOT)
        if not inside or (anchor and anchor not in anchors(target.read_text())):
            found.append(link)
    return found


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_relative_links_lead_somewhere(document: str) -> None:
    assert broken(ROOT / document) == []


def linked_from(document: Path) -> set[Path]:
    """What a document links to; a folder stands for what lies in it."""
    found = set[Path]()
    for link in LINK.findall(document.read_text()):
        target = (document.parent / link.partition("#")[0]).resolve()
        found |= set(target.iterdir()) if target.is_dir() else {target}
    return found


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, fresh = set[Path](), {README}
    while fresh:
        reached |= fresh
        pages = [page for page in fresh if page.suffix == ".md"]
        fresh = set[Path]().union(*map(linked_from, pages)) - reached

    assert names([path for path in DOCUMENTS if path not in reached]) == []
    assert names([path for path in (DOCS / "examples").glob("*.py") if path not in reached]) == []


def test_link_that_leads_nowhere_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](nothing.md) [b](https://example.org) [c](#missing) [d](/etc/hosts)\n")

    assert broken(page) == ["nothing.md", "#missing", "/etc/hosts"]


# ------------------------------------------------------------------------------ decisions, changelog


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("document", names(DECISIONS))
def test_decision_tells_number_context_decision_and_consequences(document: str) -> None:
    path = ROOT / document
    text = path.read_text()

    assert text.startswith(f"# {int(path.name[:4])}. ")
    parts = [text.find(f"**{part}.**") for part in ("Context", "Decision", "Consequences")]
    assert parts == sorted(parts)
    assert min(parts) > 0, "Context, Decision and Consequences, in this order"


def test_changelog_has_a_place_for_what_is_not_released_yet() -> None:
    sections = re.findall(r"^## (.+)$", (DOCS / "changelog.md").read_text(), re.MULTILINE)

    assert sections[0] == "Unreleased"


# ------------------------------------------------------------------------------ nothing of one machine

MACHINE_PATH = re.compile(r"(?<![\w./~-])/(?:home|root|work|Users|mnt|data)/\S+|\b[A-Z]:\\Users\\\S+")
HOST = re.compile(r"[a-z]+://(?:[^/@\s]*@)?([\w.-]+)")
KNOWN_HOSTS = {"api.topstepx.com", "rtc.topstepx.com", "127.0.0.1", "localhost"}


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_documents_name_no_path_of_one_machine_and_no_registry(document: str) -> None:
    text = (ROOT / document).read_text()

    assert MACHINE_PATH.findall(text) == []
    assert set(HOST.findall(text)) <= KNOWN_HOSTS


@pytest.mark.parametrize("text", ["see /home/ann/riskd", "/root/x", "in `/work/y`", r"C:\Users\ann\riskd"])
def test_path_of_one_machine_would_be_noticed(text: str) -> None:
    assert MACHINE_PATH.search(text)


# ------------------------------------------------------------------------------ architecture


def test_every_module_in_the_code_map_is_there() -> None:
    text = (DOCS / "architecture.md").read_text()
    code_map = text.split("## Code map\n", 1)[1].split("\n## ", 1)[0]
    gone = []
    for folders, said in re.findall(r"^\*\*([\w/, ]+?)/?\*\* - (.*?)(?=^\*\*|\Z)", code_map, re.M | re.S):
        first, *others = [folder.strip(" /") for folder in folders.split(",")]
        beside = [first, *(f"{first.rpartition('/')[0]}/{other}" for other in others)]
        for name in re.findall(r"`([a-z_]+(?:/[a-z_]+)*)`", said):
            places = [ROOT, *(ROOT / folder for folder in beside), (ROOT / first).parent]
            if not any((p / f"{name}.py").exists() or (p / name).is_dir() for p in places):
                gone.append(f"{folders}: {name}")

    assert gone == []
    assert code_map.count("\n**") > 8
