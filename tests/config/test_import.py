"""What a daemon restart and the command line may load: restarts count, and so does every command."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("config.canonical", ("ruamel", "config.load", "project_x_py", "trio", "msgspec")),
        ("config.settings", ("ruamel", "subprocess")),
        ("config.mistakes", ("pydantic", "ruamel")),
        ("config.values", ("pydantic", "ruamel")),
        ("config.instruments", ("pydantic", "ruamel")),
        ("config.calendar", ("pydantic", "ruamel")),
        ("config.env_file", ("pydantic", "ruamel")),
        ("config.load", ("project_x_py", "trio", "keyring")),
    ],
)
def test_import_leaves_out_what_it_does_not_need(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*[name for name in {unwanted!r} if name in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert loaded == []
