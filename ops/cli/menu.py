"""`risk-admin`: an interactive menu over the admin commands. Each choice runs the command it names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ops.cli.page import talk
from supervisor.protocol import Exit, Refused

ASK = "> "


class Item(NamedTuple):
    """One line of a menu: what it says, and the command line it makes (asked values in braces)."""

    says: str
    command: str


RULES = (
    Item("Where each rule stands", "rules list"),
    Item("Arm a rule", "rules enable {rule}"),
    Item("Let a rule only record (shadow)", "rules shadow {rule}"),
    Item("Switch a rule off", "rules disable {rule}"),
    Item("Set one key of a rule", "rules set {rule} {key=value}"),
    Item("Every key: value, default, range, effect", "@keys"),
)
ACCOUNTS = (
    Item("Accounts of the login", "account list"),
    Item("Try the login and the hubs", "account test --live"),
    Item("Guard one more", "account add {account}"),
    Item("Guard one no longer", "account remove {account}"),
    Item("End a lockout", "unlock -a {account}"),
    Item("Start the day's figures from zero", "reset -a {account}"),
)
GUARD = (
    Item("Status", "status"),
    Item("Start the guard", "up"),
    Item("Replace the daemon", "restart"),
    Item("Read the configuration again", "reload"),
    Item("What differs from the file", "config diff"),
    Item("Check this machine", "doctor"),
    Item("End the guard", "down"),
)
KEPT = (
    Item("Newest log lines", "logs -n 50"),
    Item("Newest history", "history --limit 50"),
    Item("Verify the audit chain", "audit verify"),
    Item("Backups", "backup list"),
    Item("Make a backup now", "backup now"),
    Item("Restore a backup", "backup restore {backup}"),
)
MENU = (("Guard", GUARD), ("Rules", RULES), ("Accounts", ACCOUNTS), ("Logs and backups", KEPT))


def run(argv: Sequence[str]) -> int:
    """Show the menu until it is left; options such as --home are given to every command."""
    if not sys.stdin.isatty():
        raise Refused(Exit.USAGE, "cannot show a menu: no terminal", "riskd --help lists the commands")
    return menu(argv, _typed)


def _typed(prompt: str) -> str:
    return input(prompt).strip()


def menu(everywhere: Sequence[str], typed: Callable[[str], str]) -> int:
    while True:
        section = _choose("risk-admin", [name for name, _ in MENU], typed)
        if section is None:
            return 0
        items = MENU[section][1]
        while (choice := _choose(MENU[section][0], [item.says for item in items], typed)) is not None:
            _carry_out(items[choice], everywhere, typed)


def _choose(title: str, lines: Sequence[str], typed: Callable[[str], str]) -> int | None:
    """The number of the chosen line; None to go back."""
    while True:
        talk(f"\n{title}")
        for number, line in enumerate(lines, 1):
            talk(f"  {number}  {line}")
        talk("  0  back")
        try:
            word = typed(ASK)
        except EOFError:
            return None
        if word in ("0", "q", ""):
            return None
        if word.isdigit() and 1 <= int(word) <= len(lines):
            return int(word) - 1
        talk(f"cannot choose {word!r}: 0 to {len(lines)}")


def _carry_out(item: Item, everywhere: Sequence[str], typed: Callable[[str], str]) -> None:
    from ops.cli import main

    if item.command == "@keys":
        show_keys(typed("rule: "))
        return
    words = []
    for word in item.command.split():
        words.append(typed(f"{word[1:-1]}: ") if word.startswith("{") else word)  # noqa: PERF401 - it asks
    if all(words):
        talk(f"riskd {' '.join(words)}")
        main([*everywhere, *words])


def show_keys(rule: str) -> None:
    """Every key of a rule from the schema itself: type, default and what it does."""
    from config.settings import Rules

    field = Rules.model_fields.get(rule)
    if field is None:
        talk(f"cannot show {rule!r}: no such rule. {', '.join(Rules.model_fields)}")
        return
    schema = Rules.model_json_schema(by_alias=True)
    reference = schema["properties"][rule]
    name = (reference.get("$ref") or reference["allOf"][0]["$ref"]).rsplit("/", 1)[-1]
    page = schema["$defs"][name]
    talk(f"{rule}: {page.get('description', '')}")
    for key, about in page["properties"].items():
        limits = [
            f"{word} {about[word]}" for word in ("minimum", "exclusiveMinimum", "maximum") if word in about
        ]
        kind = about.get("type") or " | ".join(map(str, about.get("enum", ()))) or "as in the example"
        default = f", default {about['default']}" if "default" in about else ""
        talk(f"  {key}: {kind}{', '.join(['', *limits])}{default}  {about.get('description', '')}".rstrip())
