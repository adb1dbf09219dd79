"""Making a configuration: a first one, asked for or from options, and one out of the older files."""

from __future__ import annotations

import getpass
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ops.cli.page import talk
from ops.cli.place import Place, now
from supervisor.protocol import Exit, Refused

PRACTICE = "practice"
EXAMPLES = (PRACTICE, "evaluation", "funded", "several_accounts", "simulator")
KEY_FILE = "api.key"
KEYRING_SERVICE = "riskd"
WAYS = ("env", "file", "keyring")


class Wishes(msgspec.Struct):
    """What a first configuration is made from."""

    example: str = PRACTICE
    username: str = ""
    accounts: tuple[str, ...] = ()
    keep_key: str = "env"
    witness: str = ""


def init(
    ctx: typer.Context,
    example: Annotated[
        str | None,
        typer.Option("--example", metavar="NAME", help=f"{', '.join(EXAMPLES)}."),
    ] = None,
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="The gateway's user name.")
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", metavar="ACCT", help="An account to guard; repeatable.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="WAY", help="Keep the API key in: env, file, keyring.")
    ] = None,
    key_from: Annotated[
        Path | None, typer.Option("--key-from", metavar="FILE", help="Read the API key from a file.")
    ] = None,
    witness: Annotated[
        str | None,
        typer.Option("--witness", metavar="FILE", help="A file outside the home that also notes lockouts."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
) -> None:
    """Write a first configuration: asked for on a terminal, or from the options."""
    place: Place = ctx.obj
    target = free_target(place.files[0], force=force)
    told = any(value is not None for value in (example, username, account, key, key_from, witness))
    wishes = Wishes(example or PRACTICE, username or "", tuple(account or ()), key or "env", witness or "")
    if not told and sys.stdin.isatty():
        wishes = ask(input_on_stderr)
    if wishes.keep_key not in WAYS:
        raise Refused(Exit.USAGE, f"cannot keep the key in {wishes.keep_key!r}", ", ".join(WAYS))
    text = written(wishes, target.parent)
    if wishes.keep_key != "env":
        keep_key(wishes, target.parent, key_from)
    write(target, text)
    place.page.line(f"wrote {target}")
    _say_what_is_left(place, target, wishes)


def free_target(target: Path, *, force: bool) -> Path:
    if target.exists() and not force:
        raise Refused(Exit.FAILED, f"cannot write {target}: it exists", "--force replaces it")
    return target


def write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    except OSError as error:
        raise Refused(Exit.FAILED, f"cannot write {target}: {error.strerror}") from None


# ------------------------------------------------------------------------------ asking


def input_on_stderr(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise Refused(Exit.FAILED, "nothing is written: no answer")
    return answer.strip()


def ask(answer: Callable[[str], str]) -> Wishes:
    """The questions of a guided start; an empty answer takes what stands in brackets."""
    example = answer(f"start from {', '.join(EXAMPLES[:-1])} or {EXAMPLES[-1]}? [{PRACTICE}] ") or PRACTICE
    example_text(example)
    username = answer("the gateway's user name [taken from PROJECT_X_USERNAME]: ")
    accounts = answer("accounts to guard, by name or id, with commas between [all of the login]: ")
    ways = "the API key: in the environment (env), in a file only you can read (file)"
    ways += ", in the system's key store (keyring)" if has_keyring() else ""
    keep = answer(f"{ways}? [file] ") or "file"
    witness = answer("a file outside the home that also notes lockouts and their end [none]: ")
    listed = tuple(name for part in accounts.split(",") if (name := part.strip()))
    return Wishes(example, username, listed or ("all",), keep, witness)


def has_keyring() -> bool:
    return importlib.util.find_spec("keyring") is not None


# ------------------------------------------------------------------------------ writing


def example_text(name: str) -> str:
    """One of the shipped configurations; raises Refused for a name that is none."""
    from importlib.resources import files

    folder = files("config") / "examples"
    names = sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )
    if name not in names:
        raise Refused(Exit.USAGE, f"cannot write {name!r}: no such example", ", ".join(names))
    return (folder / f"{name}.yaml").read_text("utf-8")


def written(wishes: Wishes, folder: Path) -> str:
    """The example's text with what was wished for, comments kept."""
    from config.edit import edited

    text = example_text(wishes.example)
    if wishes.username:
        text = edited(text, "gateway.username", quoted(wishes.username))
    if wishes.accounts == ("all",):
        text = edited(text, "accounts", "all")
    elif wishes.accounts:
        listed = ", ".join(f"{{name: {quoted(name)}}}" for name in wishes.accounts)
        text = edited(text, "accounts", f"[{listed}]")
    if wishes.keep_key == "file":
        text = edited(text, "gateway.api_key", f"{{file: {quoted(str((folder / KEY_FILE).absolute()))}}}")
    elif wishes.keep_key == "keyring":
        text = edited(text, "gateway.api_key", f"{{keyring: {quoted(wishes.username or KEY_FILE)}}}")
    if wishes.witness:
        text = edited(text, "tamper.witness", quoted(wishes.witness))
    return text


def quoted(text: str) -> str:
    """A text as YAML takes it whatever is in it; `${NAME}` is what somebody typed, not a name to fill in."""
    return msgspec.json.encode(text.replace("$", "$$")).decode()


def keep_key(wishes: Wishes, folder: Path, key_from: Path | None) -> None:
    """Put the API key where the configuration names it: a file of mode 0600, or the system's key store."""
    if wishes.keep_key == "keyring" and not has_keyring():
        raise Refused(Exit.FAILED, "cannot use the key store: it is not installed", "install riskd[keyring]")
    value = _key(key_from)
    if wishes.keep_key == "file":
        _write_secret(folder / KEY_FILE, value)
        return
    import keyring  # type: ignore[import-not-found,unused-ignore]

    try:
        keyring.set_password(KEYRING_SERVICE, wishes.username or KEY_FILE, value)
    except keyring.errors.KeyringError as error:
        why = f"cannot use the key store: {type(error).__name__}"
        raise Refused(Exit.FAILED, why, "--key file keeps it in a file only you can read") from None


def _key(key_from: Path | None) -> str:
    if key_from is not None:
        try:
            found = key_from.read_text("utf-8").strip()
        except OSError as error:
            raise Refused(Exit.FAILED, f"cannot read {key_from}: {error.strerror}") from None
    elif sys.stdin.isatty():
        found = getpass.getpass("API key: ").strip()
    else:
        raise Refused(
            Exit.USAGE, "cannot ask for the API key: no terminal", "--key-from names a file with it"
        )
    if not found:
        raise Refused(Exit.FAILED, "nothing is written: the API key is empty")
    return found


def _write_secret(path: Path, value: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f"{value}\n")
    except OSError as error:
        raise Refused(Exit.FAILED, f"cannot write {path}: {error.strerror}") from None


def _say_what_is_left(place: Place, target: Path, wishes: Wishes) -> None:
    from config.load import load
    from config.mistakes import ConfigurationMistakes

    simulated = False
    try:
        loaded = load((target,), (), os.environ, Path(place.env_file) if place.env_file else None)
        simulated = loaded.settings.gateway.kind == "simulator"
    except ConfigurationMistakes as error:
        for mistake in error.mistakes:
            talk(f"still to do: {mistake}")
    if wishes.keep_key == "env" and not simulated:
        talk("the API key is read from PROJECT_X_API_KEY")
    talk("then: riskd config check, riskd up")


# ------------------------------------------------------------------------------ the older files


def import_older(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds risk_config.yaml and its companions.")],
    monday: Annotated[
        int | None, typer.Option("--monday", min=0, max=1, help="Which number Monday has in allowed_days.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")] = False,
) -> None:
    """Take over the older files of a folder, and say of each key what became of it.

    Refused, with everything that is missing, where an enabled rule needs a file that is not there.
    """
    from config.mistakes import ConfigurationMistakes, rendered
    from config.older.importing import CannotImport, imported

    place: Place = ctx.obj
    target = free_target(place.files[0], force=force)
    try:
        found = imported(folder, monday)
    except ConfigurationMistakes as error:
        talk(rendered(error.mistakes))
        raise Refused(Exit.BAD_CONFIG, f"cannot import {folder}: it cannot be read") from None
    except CannotImport as error:
        raise Refused(Exit.BAD_CONFIG, error.why, "; ".join(error.missing)) from None
    _refuse_mistakes(folder, found.document)
    write(target, as_yaml(found.document))
    if json:
        lines = [msgspec.to_builtins({s: getattr(line, s) for s in LINE}) for line in found.lines]
        place.page.json({"schema": 1, "at": now(), "file": str(target), "keys": lines})
        return
    for line in found.lines:
        goal = f" -> {line.to}" if line.to else ""
        why = f" ({line.why})" if line.why else ""
        place.page.line(f"{line.outcome:<10}  {line.file}: {line.key}{goal}{why}")
    place.page.line(f"wrote {target}")
    talk("look through it, then: riskd config check, riskd up")


LINE = ("file", "key", "outcome", "to", "why")


def _refuse_mistakes(folder: Path, document: dict[str, Any]) -> None:
    """What the older program let pass may not fit together: said before anything is written."""
    from config.checks import judge

    problems = judge(document).problems
    if problems:
        listed = "; ".join(f"{problem.text}. {problem.hint}".rstrip(". ") for problem in problems)
        raise Refused(Exit.BAD_CONFIG, f"cannot import {folder}: it does not fit together", listed)


def as_yaml(document: dict[str, Any]) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    yaml, text = YAML(typ="rt"), StringIO()
    yaml.default_flow_style = None
    yaml.width = 110
    yaml.dump(document, text)
    return text.getvalue()
