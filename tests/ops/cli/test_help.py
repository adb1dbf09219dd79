"""`--help` teaches: every command has an example below its help, and each example can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from ops.cli.examples import EXAMPLES
from ops.cli.root import root
from ops.cli.table import TABLE
from tests.ops.cli.stand_in import Riskd


def commands() -> Iterator[tuple[str, click.Command]]:
    whole = root()
    for name in TABLE:
        found = whole.get_command(click.Context(whole), name)
        assert found is not None
        if not isinstance(found, click.Group) or found.invoke_without_command:
            yield name, found
        if isinstance(found, click.Group):
            yield from ((f"{name} {below}", command) for below, command in found.commands.items())


ALL = dict(commands())


def test_every_command_has_an_example_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == set(ALL)


@pytest.mark.parametrize("path", ALL)
def test_help_says_what_it_does_with_an_example(path: str, riskd: Riskd) -> None:
    if path in ("simulator", "demo"):
        return  # programs of their own, with a help of their own
    ran = riskd(*path.split(), "--help")

    assert ran.code == 0
    assert ALL[path].help, "what it does"
    assert f"Example: {EXAMPLES[path]}"[:50] in " ".join(ran.out.split())


@pytest.mark.parametrize("path", EXAMPLES)
def test_an_example_can_be_typed(path: str) -> None:
    typed = shlex.split(EXAMPLES[path].partition(" | ")[0].partition(" > ")[0].partition(" && ")[0])
    program, *rest = typed
    words = path.split()

    assert program == "riskd"
    assert rest[: len(words)] == words
    if path in ("simulator", "demo", "up"):
        return  # the root takes what is left
    arguments = rest[len(words) :]
    context = ALL[path].make_context(path, arguments, resilient_parsing=False)
    assert not context.args
