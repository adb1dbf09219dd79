"""`python3 ops/run.py reference`: writes ops/docs/reference/ from the program itself.

Commands come from the command line, keys from the configuration's schema, answers and frames from the Structs
that are sent. A test compares the pages with what this writes, so they cannot fall behind.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import click
import msgspec
import pydantic

from actors.messages import HistoryKind
from config import fields, settings
from ops.cli.root import root
from ops.cli.table import TABLE
from supervisor import answers, protocol

KINDS_OF_SECRET = frozenset({fields.EnvSecret, fields.FileSecret, fields.CommandSecret, fields.KeyringSecret})
PAGES = Path(__file__).resolve().parent / "docs" / "reference"
WIDTH = 100
FIRST = "<!-- Written by `python3 ops/run.py reference`; edits are lost. -->\n\n"

WORDS = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "datetime": "instant",
    "Raw": "any value",
}
"""A type as the reader of JSON calls it."""
LINES: Mapping[HistoryKind, str] = {
    HistoryKind.FILL: "trade, order, contract, side, size, price, pnl, fees, own",
    HistoryKind.BREACH: "rule, contract, value, limit, mark, mode, cause",
    HistoryKind.DEMAND: "rule, contract, target",
    HistoryKind.ENFORCEMENT: "rules, demand, calls, verified, verified_at, rounds",
    HistoryKind.LOCKOUT: "rule, lockout_kind, since, until, reason",
    HistoryKind.UNLOCK: "rule, lockout_kind, since, until, reason",
    HistoryKind.RESET: "day, cause",
    HistoryKind.ALERT: "level, component, message, data, outcome",
    HistoryKind.ADMIN: "command, role, by, outcome",
    HistoryKind.RESTART: "actor, cause, uncovered_ms",
    HistoryKind.LINK: "state, generation",
}
"""What a history line of each kind holds beside `id`, `at`, `kind` and `account`."""


def main() -> int:
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"ops/docs/reference/{name}\n")
    return 0


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "commands.md": FIRST + "\n".join(commands()),
        "configuration.md": FIRST + "\n".join(configuration()),
        "json.md": FIRST + "\n".join(json_answers()),
        "socket.md": FIRST + "\n".join(socket()),
    }


# ---------------------------------------------------------------------- commands


def commands() -> Iterator[str]:
    yield "# Commands\n\nAs `riskd COMMAND --help` says it. `--home`, `--config`, `--set`, `--env-file` and"
    yield "`--color` may stand anywhere on the line.\n"
    yield "| Exit code | Meaning |\n|---|---|"
    for code in protocol.Exit:
        yield f"| {code.value} | {code.name.lower().replace('_', ' ')} |"
    top = root()
    for panel in dict.fromkeys(entry.panel for entry in TABLE.values()):
        yield f"\n## {panel}"
        for name, entry in TABLE.items():
            if entry.panel == panel:
                command = top.get_command(click.Context(top), name)
                assert command is not None
                yield from _command(command, _context(command, f"riskd {name}"))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"\n### `{context.info_name}`\n"
    yield "```"
    yield command.get_help(context).rstrip()
    yield "```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _command(below, _context(below, f"{context.info_name} {name}"))


def _context(command: click.Command, name: str) -> click.Context:
    return click.Context(command, info_name=name, terminal_width=WIDTH)


# ---------------------------------------------------------------------- keys


def configuration() -> Iterator[str]:
    yield "# Configuration keys\n\nTimes `HH:MM` or `HH:MM:SS`, durations `30s 5m 2h 1d`, money in dollars,"
    yield "weekdays `mon` to `sun`, zones by their IANA names. A secret is never written in the file, only"
    yield "where it is kept: `{env: NAME}`, `{file: PATH}`, `{command: [PROGRAM, ARG]}` or `{keyring: NAME}`."
    yield "An annotated file: config/examples/riskd.example.yaml."
    yield from _page(settings.Settings, "", set())


def _page(page: type[pydantic.BaseModel], prefix: str, done: set[type]) -> Iterator[str]:
    if page in done:
        return
    done.add(page)
    yield f"\n## {prefix.rstrip('.') or 'The file'}\n\n{inspect.getdoc(page) or ''}\n"
    yield "| Key | Default | Meaning |\n|---|---|---|"
    for name, field in page.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield f"| `{key}` | {_default(page, name, field)} | {_meaning(field)} |"
    for name, field in page.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        for below, suffix in _pages_in(field.annotation):
            yield from _page(below, f"{key}{suffix}.", done)


def _default(page: type[pydantic.BaseModel], name: str, field: pydantic.fields.FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, pydantic.BaseModel):
        return "off" if isinstance(default, settings.Rule) and default.mode == "off" else "as below"
    if default is None:
        return "none"
    if default in ((), {}, ""):
        return "empty"
    held = page.model_construct(None, **{name: default}).model_dump(mode="json", include={name})[name]
    return f"`{_as_written(held)}`"


def _as_written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_as_written, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_as_written(inner)}' for key, inner in value.items())}}}"
        case _:
            return str(value)


def _meaning(field: pydantic.fields.FieldInfo) -> str:
    said = field.description or next((_first_sentence(page) for page, _ in _pages_in(field.annotation)), "")
    listed = ", ".join(f"`{choice}`" for choice in _choices(field.annotation))
    return "; ".join(
        part for part in (said.replace("|", "\\|"), f"one of {listed}" if listed else "") if part
    )


def _first_sentence(page: type[pydantic.BaseModel]) -> str:
    return (inspect.getdoc(page) or "").split("\n\n")[0].replace("\n", " ").rstrip(".")


def _choices(kind: object) -> tuple[object, ...]:
    kind = kind.__value__ if isinstance(kind, typing.TypeAliasType) else kind
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return ()


def _pages_in(kind: object) -> Iterator[tuple[type[pydantic.BaseModel], str]]:
    """The pages a key holds, and how one of them is addressed below the key."""
    kind = kind.__value__ if isinstance(kind, typing.TypeAliasType) else kind
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        if kind not in KINDS_OF_SECRET:
            yield kind, ""
        return
    suffix = {"dict": ".NAME", "tuple": "[]"}.get(getattr(typing.get_origin(kind), "__name__", ""), "")
    for inner in typing.get_args(kind):
        for found, below in _pages_in(inner):
            yield found, suffix + below


# ---------------------------------------------------------------------- answers


def json_answers() -> Iterator[str]:
    yield "# JSON answers\n\nEvery reading command takes `--json`: one object with `schema` and `at`; streams"
    yield "are JSON lines. Money and prices are text with a sign where negative, times UTC ISO 8601 with `Z`."
    yield "\n## `status --json`\n"
    yield "`positions`, `orders`, `lockouts` and `rules --json` hold the same entries, each with its"
    yield "`account`. Entries stand below in the order in which they are first met."
    notes = documented(answers)
    for struct in _structs(answers.Status):
        yield from _struct(struct, notes)
    yield "\n## History lines\n\nEvery line has `id`, `at`, `kind` and `account`.\n"
    yield "| kind | further fields |\n|---|---|"
    for kind, held in LINES.items():
        yield f"| `{kind.value}` | {', '.join(f'`{name}`' for name in held.split(', '))} |"
    yield ""


def _structs(first: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    found: list[type[msgspec.Struct]] = []

    def visit(kind: object) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in found:
            found.append(kind)
            for field in msgspec.structs.fields(kind):
                visit(field.type)
        for inner in typing.get_args(kind):
            visit(inner)

    visit(first)
    return found


def _struct(struct: type[msgspec.Struct], notes: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield f"\n### {struct.__name__}\n"
    if own := vars(struct).get("__doc__"):
        yield f"{inspect.cleandoc(own)}\n"
    yield "| Field | Type | |\n|---|---|---|"
    for field in msgspec.structs.fields(struct):
        note = notes.get((struct.__name__, field.name), "").replace("\n", " ").replace("|", "\\|")
        yield f"| `{field.encode_name}` | {type_name(field.type)} | {note} |"


def type_name(kind: object) -> str:
    """A type as the reader of JSON calls it."""
    if kind is type(None):
        return "null"
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_name(one) for one in inner)
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in (tuple, list):
        return f"list of {type_name(inner[0])}"
    name = getattr(kind, "__name__", str(kind))
    return WORDS.get(name, name)


def documented(module: ModuleType) -> dict[tuple[str, str], str]:
    """(class, field) -> the text below the field in the module's source."""
    notes: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, node.body[1:], strict=False):
                match field, after:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                        value=ast.Constant(value=str(said))
                    ):
                        notes[node.name, name] = said
    return notes


# ---------------------------------------------------------------------- the socket


def socket() -> Iterator[str]:
    yield "# The control socket\n\n" + (inspect.getdoc(protocol) or "").split("\n\n")[1] + "\n"
    yield "The socket is `run/control.sock` in the home folder, or where `run/control.path` points. This is"
    yield f"version {protocol.VERSION}; the longest frame has {protocol.MOST_BYTES} bytes, the longest"
    yield f"deadline is {protocol.LONGEST_DEADLINE_S:g} s. The caller's role comes from the kernel's"
    yield "credentials of its connection."
    notes = documented(protocol)
    for struct in (protocol.Request, protocol.Reply):
        yield from _struct(struct, notes)
    yield "\nBoth are arrays in this order.\n\n## Requests\n"
    yield "| Command | From role | Changes something | Body |\n|---|---|---|---|"
    for name, command in protocol.COMMANDS.items():
        body = ", ".join(
            f"`{field.encode_name}`: {type_name(field.type)}"
            for field in msgspec.structs.fields(command.request)
        )
        yield f"| `{name}` | {command.access.value} | {'yes' if command.acting else ''} | {body} |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
