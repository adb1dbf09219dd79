"""A secret comes from where the configuration says, and never shows itself."""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config.fields import CommandSecret, EnvSecret, FileSecret, KeyringSecret
from config.secrets import SecretUnavailable, resolve


def test_secret_from_the_environment_hides_itself() -> None:
    secret = resolve(EnvSecret(env="KEY"), {"KEY": " hunter2\n"})

    assert secret.get_secret_value() == "hunter2"
    assert "hunter2" not in f"{secret} {secret!r}"


@pytest.mark.parametrize("env", [{}, {"KEY": ""}, {"KEY": " \n"}])
def test_secret_that_is_not_set_or_empty_is_refused(env: dict[str, str]) -> None:
    with pytest.raises(SecretUnavailable, match="KEY"):
        resolve(EnvSecret(env="KEY"), env)


def test_secret_from_a_private_file_beside_the_configuration(write: Any) -> None:
    path: Path = write("hunter2\n", "key", 0o600)

    assert resolve(FileSecret(file=Path("key")), {}, path.parent).get_secret_value() == "hunter2"
    assert resolve(FileSecret(file=path), {}).get_secret_value() == "hunter2"


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX matter")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_secret_file_that_others_can_read_is_refused(write: Any, mode: int) -> None:
    path: Path = write("hunter2\n", "key", mode)

    with pytest.raises(SecretUnavailable, match="others can read it") as refused:
        resolve(FileSecret(file=path), {})
    assert "hunter2" not in str(refused.value)


def test_secret_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="cannot read"):
        resolve(FileSecret(file=tmp_path / "none"), {})


def test_secret_from_a_program_is_what_it_prints() -> None:
    command = (sys.executable, "-c", "print('hunter2')")

    assert resolve(CommandSecret(command=command), {}).get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((sys.executable, "-c", "print('hunter2'); raise SystemExit(3)"), "ended with 3"),
        ((sys.executable, "-c", ""), "empty"),
        (("/does/not/exist",), "cannot run"),
    ],
)
def test_secret_from_a_program_that_fails_is_refused_without_its_output(
    command: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SecretUnavailable, match=said) as refused:
        resolve(CommandSecret(command=command), {})

    assert "hunter2" not in str(refused.value)


def test_keyring_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(SecretUnavailable, match="install"):
        resolve(KeyringSecret(keyring="key"), {})


def test_keyring_is_asked_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = ModuleType("keyring")
    kept = {("riskd", "key"): "hunter2"}
    keyring.get_password = lambda service, name: kept.get((service, name))  # type: ignore[attr-defined]
    keyring.errors = ModuleType("keyring.errors")  # type: ignore[attr-defined]
    keyring.errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)

    assert resolve(KeyringSecret(keyring="key"), {}).get_secret_value() == "hunter2"
    with pytest.raises(SecretUnavailable, match="has no other"):
        resolve(KeyringSecret(keyring="other"), {})
