"""A secret from where the configuration says it is kept; it never prints itself."""

import importlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from config.env_file import open_to_others
from config.errors import OperatorMustAct
from config.fields import CommandSecret, EnvSecret, FileSecret, KeyringSecret

_COMMAND_SECONDS = 30.0
_SERVICE = "riskd"


class SecretUnavailable(OperatorMustAct, ValueError):
    """A secret that is not where the configuration says, with a hint how to put it there."""


def resolve(
    secret: EnvSecret | FileSecret | CommandSecret | KeyringSecret,
    env: Mapping[str, str],
    beside: Path | None = None,
) -> SecretStr:
    """The secret itself. `env` is the environment with the names of `.env`; a relative file is `beside`.

    Raises `SecretUnavailable` where it is not there, is empty, or its file can be read by others.
    """
    match secret:
        case EnvSecret(env=name):
            value = env.get(name)
            if value is None:
                raise SecretUnavailable(
                    f"cannot get the secret: {name} is not set. export it or add it to .env"
                )
            where = name
        case FileSecret(file=path):
            where = str(path)
            value = _from_file(beside / path if beside is not None else path)
        case CommandSecret(command=command):
            where = command[0]
            value = _from_command(command)
        case KeyringSecret(keyring=name):
            where = f"keyring {name}"
            value = _from_keyring(name)
    if not value.strip():
        raise SecretUnavailable(f"cannot get the secret: {where} is empty")
    return SecretStr(value.strip())


def _from_file(path: Path) -> str:
    path = path.expanduser()
    opened = open_to_others(path)
    if opened:
        raise SecretUnavailable(f"cannot use secret file {path}: {opened}. chmod 600 {path}")
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise SecretUnavailable(f"cannot read secret file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SecretUnavailable(f"cannot read secret file {path}: it is not text") from None


def _from_command(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_COMMAND_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise SecretUnavailable(f"cannot run {command[0]} for the secret: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        # Not chained: the exception carries what the program printed.
        raise SecretUnavailable(f"cannot get the secret: {command[0]} took longer than 30 s") from None
    if done.returncode != 0:
        raise SecretUnavailable(
            f"cannot get the secret: {command[0]} ended with {done.returncode}. run it by hand"
        )
    return done.stdout.decode("utf-8", "replace")


def _from_keyring(name: str) -> str:
    try:
        keyring = importlib.import_module("keyring")
    except ModuleNotFoundError:
        raise SecretUnavailable(
            "cannot use the keyring: it is not installed. install riskd[keyring]"
        ) from None
    try:
        value: str | None = keyring.get_password(_SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise SecretUnavailable(
            f"cannot use the keyring: {type(error).__name__}. use a file or env"
        ) from None
    if value is None:
        raise SecretUnavailable(
            f"cannot get the secret: the keyring has no {name}. keyring set {_SERVICE} {name}"
        )
    return value
