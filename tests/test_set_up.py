"""The start from nothing: old syntax, locked lists, an interpreter found by running candidates."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ops import run as set_up

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "ops" / "run.py"
LISTS = ("requirements.txt", "requirements-dev.txt", "requirements-uv.txt")
HASHED = re.compile(r"--hash=sha256:[0-9a-f]{64}")
OLD_PYTHON_HAS = {"hashlib", "os", "shutil", "subprocess", "sys", "time", "pathlib"}
NEWER_THAN_3_8 = re.compile(
    r"\.(?:removeprefix|removesuffix|is_relative_to|readlink)\(|strict=|\b(?:list|dict|set|tuple|type)\["
)

posix = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")


# ------------------------------------------------------------------------------ the script


def test_script_parses_as_python_3_8() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_newer_syntax_would_be_noticed() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("match 1:\n    case 1: pass\n", feature_version=(3, 8))


def test_script_uses_only_what_an_old_python_has() -> None:
    tree = ast.parse(SCRIPT.read_text())
    imported = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    imported |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}

    assert imported <= OLD_PYTHON_HAS
    assert NEWER_THAN_3_8.findall(SCRIPT.read_text()) == []


@pytest.mark.parametrize("verb", sorted(set_up.VERBS))
def test_every_developer_verb_is_a_module_or_a_script_in_this_project(verb: str) -> None:
    command = set_up.VERBS[verb]

    assert command[0] == "-m" or command[0].startswith(("tests/", "ops/"))


def test_verb_without_its_script_is_refused_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(set_up.VERBS, "nowhere", ["tests/nowhere.py"])
    monkeypatch.setattr(set_up, "ensure", lambda group: pytest.fail("set up for nothing"))

    with pytest.raises(SystemExit, match="cannot run nowhere"):
        set_up.main(["nowhere"])


# ------------------------------------------------------------------------------ the locked lists


def entries(name: str) -> list[str]:
    """The requirements of a list, each with its continuation lines."""
    text = (ROOT / "ops" / name).read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def locked(name: str) -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for entry in entries(name):
        requirement = Requirement(HASHED.sub("", entry).strip())
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version(requirement: Requirement) -> Version:
    (pin,) = requirement.specifier
    return Version(pin.version)


@pytest.mark.parametrize("name", LISTS)
def test_every_line_of_a_list_is_an_exact_version_with_its_hashes(name: str) -> None:
    assert entries(name)
    assert [e for e in entries(name) if not HASHED.search(e)] == []
    for pins in locked(name).values():
        for requirement in pins:
            assert [pin.operator for pin in requirement.specifier] == ["=="], str(requirement)


@pytest.mark.parametrize("name", LISTS)
def test_lists_name_no_host(name: str) -> None:
    found = re.findall(
        r"://|--(?:index|extra-index|find-links|trusted-host)\S*| @ ", "\n".join(entries(name))
    )

    assert found == []


def project() -> dict[str, list[str]]:
    """What each list must hold, as `pyproject.toml` asks for it."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = read["project"]["dependencies"]
    return {"requirements.txt": run, "requirements-dev.txt": [*run, *read["dependency-groups"]["dev"]]}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_list_holds_what_the_project_asks_for(name: str) -> None:
    pins = locked(name)
    for asked in map(Requirement, project()[name]):
        found = pins.get(canonicalize_name(asked.name), [])
        assert found, f"{asked.name} is not locked in {name}"
        assert all(asked.specifier.contains(version(pin), prereleases=True) for pin in found), str(asked)


def test_both_lists_lock_the_same_versions() -> None:
    run, dev = locked("requirements.txt"), locked("requirements-dev.txt")

    assert {name: sorted(map(str, dev.get(name, []))) for name in run} == {
        name: sorted(map(str, pins)) for name, pins in run.items()
    }


def test_what_runs_here_is_what_is_locked() -> None:
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert read["project"]["requires-python"] == ">={}.{},<{}.{}".format(*set_up.NEED, *set_up.BELOW)
    assert set_up.NEED <= sys.version_info[:2] < set_up.BELOW


# ------------------------------------------------------------------------------ which interpreter

Make = Callable[[str, str], Path]


@pytest.fixture
def fake(tmp_path: Path) -> Make:
    """Writes a small program at a path below the test's folder."""

    def make(where: str, script: str) -> Path:
        path = tmp_path / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)
        return path

    return make


def says(version: str, path: str = "/where/python") -> str:
    return f"echo '{version}|{path}'"


SHIM = "echo 'pyenv: python3.13: command not found' >&2; exit 127"


def test_interpreter_that_runs_these_tests_fits() -> None:
    assert set_up.fits([sys.executable]) == sys.executable


@posix
@pytest.mark.parametrize(
    ("script", "found"),
    [
        pytest.param(says("3.12"), "/where/python", id="oldest that fits"),
        pytest.param(says("3.14"), "/where/python", id="newest that fits"),
        pytest.param(says("3.11"), None, id="too old"),
        pytest.param(says("3.15"), None, id="too new"),
        pytest.param(says("3.9"), None, id="compared as numbers"),
        pytest.param(SHIM, None, id="a shim that exists and still refuses"),
        pytest.param("echo hello", None, id="something else"),
        pytest.param("echo 'x.y|/where'", None, id="no version"),
        pytest.param("exit 0", None, id="silent"),
    ],
)
def test_candidate_is_judged_by_running_it(fake: Make, script: str, found: str | None) -> None:
    assert set_up.fits([str(fake("python", script))]) == found


def test_candidate_that_is_not_there_does_not_fit(tmp_path: Path) -> None:
    assert set_up.fits([str(tmp_path / "python3.13")]) is None


@posix
def test_candidate_that_may_not_be_run_does_not_fit(fake: Make) -> None:
    path = fake("python", says("3.13"))
    path.chmod(0o644)

    assert set_up.fits([str(path)]) is None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with an empty PATH and no pyenv, started by a Python that is too old."""
    monkeypatch.delenv("RISKD_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(set_up.sys, "executable", str(tmp_path / "old"))
    return tmp_path


def chosen() -> str | None:
    return next((hit for hit in map(set_up.fits, set_up.candidates()) if hit), None)


def test_named_interpreter_is_the_only_candidate(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKD_PYTHON", "/opt/python")

    assert list(set_up.candidates()) == [["/opt/python"]]


def test_interpreter_that_runs_the_script_is_tried_first(machine: Path) -> None:
    assert next(iter(set_up.candidates())) == [str(machine / "old")]


@posix
def test_interpreter_behind_a_refusing_shim_is_found_in_pyenvs_folder(machine: Path, fake: Make) -> None:
    """Debian's own 3.11 starts it; pyenv has 3.12 and 3.13 installed, none of them active."""
    fake("old", says("3.11"))
    for name in ("python3.12", "python3.13", "python3.14"):
        fake(f"path/{name}", SHIM)
    fake("pyenv/versions/3.12.4/bin/python3", says("3.12", "/pyenv/3.12"))
    fake("pyenv/versions/3.13.1/bin/python3", says("3.13", "/pyenv/3.13"))

    assert chosen() == "/pyenv/3.13"


@posix
def test_fitting_interpreter_on_the_path_comes_before_pyenvs(machine: Path, fake: Make) -> None:
    fake("old", says("3.8"))
    fake("path/python3.13", says("3.13", "/path/3.13"))
    fake("pyenv/versions/3.13.1/bin/python3", says("3.13", "/pyenv/3.13"))

    assert chosen() == "/path/3.13"


@posix
def test_no_fitting_interpreter_is_found_where_there_is_none(machine: Path, fake: Make) -> None:
    fake("old", says("3.11"))

    assert chosen() is None


# ------------------------------------------------------------------------------ stamp and lock


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout with two small lists, not yet set up."""
    (tmp_path / "ops").mkdir()
    (tmp_path / ".venv").mkdir()
    for name in ("pyproject.toml", "ops/requirements.txt", "ops/requirements-dev.txt"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    monkeypatch.setattr(set_up, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(set_up, "LOCK", tmp_path / ".venv.lock")
    return tmp_path


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which lists were installed."""
    done: list[str] = []
    monkeypatch.setattr(set_up, "install", done.append)
    return done


def test_second_start_installs_nothing(checkout: Path, installed: list[str]) -> None:
    set_up.ensure("run")
    set_up.ensure("run")

    assert installed == ["run"]
    assert not set_up.LOCK.exists()


@pytest.mark.parametrize("name", ["pyproject.toml", "ops/requirements.txt"])
def test_changed_list_is_installed_anew(checkout: Path, installed: list[str], name: str) -> None:
    set_up.ensure("run")
    (checkout / name).write_text("another")

    set_up.ensure("run")

    assert installed == ["run", "run"]


def test_developers_tools_serve_and_are_never_stripped(checkout: Path, installed: list[str]) -> None:
    set_up.ensure("dev")
    set_up.ensure("run")
    (checkout / "ops" / "requirements-dev.txt").write_text("another")
    set_up.ensure("run")

    assert installed == ["dev", "dev"]


def test_failed_set_up_leaves_neither_stamp_nor_lock(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(group: str) -> None:
        raise SystemExit("cannot set up")

    monkeypatch.setattr(set_up, "install", fail)
    with pytest.raises(SystemExit):
        set_up.ensure("run")

    assert not set_up.is_ready("run")
    assert not set_up.LOCK.exists()


@posix
def test_lock_of_a_process_that_is_gone_is_taken_over(checkout: Path, installed: list[str]) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    set_up.LOCK.write_text(str(gone.pid))

    set_up.ensure("run")

    assert installed == ["run"]


def test_lock_of_a_living_process_is_waited_for_and_then_named(
    checkout: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up.LOCK.write_text(str(os.getpid()))
    monkeypatch.setattr(set_up, "SETUP_WAIT_S", -1)

    with pytest.raises(SystemExit, match=f"process {os.getpid()} holds"):
        set_up.ensure("run")

    assert installed == []
    assert set_up.LOCK.exists()


def test_set_up_is_steered_by_nobody_elses_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set_up.FOREIGN:
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("RISKD_HOME", "here")

    environment = set_up.clean_environment()

    assert environment["RISKD_HOME"] == "here"
    assert not set(set_up.FOREIGN) & set(environment)
