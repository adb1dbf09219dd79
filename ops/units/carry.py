"""Carrying out steps: the one place that touches the machine for a service.

Below another root (`--root`: an image to be packed, a test) paths and account names are that root's, and
only commands that can act there are run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import assert_never

from ops.units.steps import Access, Copy, Folder, Program, Remove, Run, Say, Step, Write, told
from supervisor.protocol import Exit, Refused

LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".git", ".venv", ".venv.lock", ".boot", "tests", ".*"
)
RUN_S = 900.0
"""Setting up the program's environment downloads it."""

type Talk = Callable[[str], None]


def carry_out(steps: Sequence[Step], root: Path, talk: Talk) -> None:
    """Do the steps in order, saying each. Raises Refused at the first that fails; what was done stays."""
    for step in steps:
        talk(told(step)[0])
        try:
            _do(step, root)
        except OSError as error:
            why = f"cannot {told(step)[0]}: {error.strerror or error}"
            raise Refused(Exit.FAILED, why, "mend it and run the same command again") from None


def _do(step: Step, root: Path) -> None:
    match step:
        case Folder(path=path, access=access):
            place = below(root, path)
            place.mkdir(parents=True, exist_ok=True)
            _give(place, access, root)
        case Write(path=path, text=text, access=access):
            _put(below(root, path), text.encode(), access, root)
        case Copy(source=source, path=path, access=access):
            _put(below(root, path), Path(source).read_bytes(), access, root)
        case Program():
            _program(step, root)
        case Run():
            _run(step, root)
        case Remove(path=path):
            below(root, path).unlink(missing_ok=True)
        case Say():
            pass
        case _:
            assert_never(step)


def below(root: Path, path: PurePath) -> Path:
    """Where a path of the plan is under this root."""
    return root / path.relative_to(path.anchor)


def _put(place: Path, content: bytes, access: Access, root: Path) -> None:
    """Whole or not at all, and never readable by others on the way."""
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _give(fresh, access, root)
    fresh.replace(place)


def _give(place: Path, access: Access, root: Path) -> None:
    if not access.owner or os.name != "posix":
        return
    os.chown(place, uid_of(access.owner, root), gid_of(access.group, root))
    place.chmod(access.mode)


def _program(step: Program, root: Path) -> None:
    place = below(root, step.path)
    for name in ("actors", "config", "ops", "supervisor"):
        shutil.rmtree(place / name, ignore_errors=True)
    shutil.copytree(step.source, place, ignore=LEFT_OUT, symlinks=True, dirs_exist_ok=True)
    if not step.owner or os.name != "posix":
        return
    uid, gid = uid_of(step.owner, root), gid_of(step.group, root)
    for folder, _, files in os.walk(place):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(path, uid, gid, follow_symlinks=False)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _run(step: Run, root: Path) -> None:
    command = list(step.command)
    if root != Path(root.anchor):
        if step.below is None:
            return
        command[1:1] = [step.below, str(root)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": search_path()},
        )
    except subprocess.TimeoutExpired:
        raise Refused(Exit.UNKNOWN, f"{command[0]} did not end within {RUN_S:g} s") from None
    if done.returncode and not step.may_fail:
        said = (done.stderr or done.stdout).strip().splitlines()
        why = f"cannot {step.why}: {command[0]} ended with {done.returncode}"
        raise Refused(Exit.FAILED, f"{why}: {said[-1]}" if said else why)


def search_path() -> str:
    """Where programs are looked for: root by way of `su` has no folder with `useradd` in its path."""
    own = os.environ.get("PATH", os.defpath)
    return own if os.name == "nt" else os.pathsep.join((own, "/usr/sbin", "/sbin"))


def uid_of(user: str, root: Path) -> int:
    """The number of a user as this root's account list has it. Raises OSError where there is none."""
    return _number(root / "etc" / "passwd", user)


def gid_of(group: str, root: Path) -> int:
    return _number(root / "etc" / "group", group)


def _number(table: Path, name: str) -> int:
    if table.parent.parent == Path(table.anchor):
        import grp
        import pwd

        try:
            return pwd.getpwnam(name).pw_uid if table.name == "passwd" else grp.getgrnam(name).gr_gid
        except KeyError:
            raise OSError(0, f"there is no {'user' if table.name == 'passwd' else 'group'} {name}") from None
    for line in table.read_text("utf-8").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise OSError(0, f"{table} has no {name}")
