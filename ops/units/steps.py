"""What installing or removing a service does, as data; and each step in words, for `--dry-run`."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import PurePath, PureWindowsPath
from typing import assert_never

from msgspec import Struct


class Access(Struct, frozen=True):
    """Owner, group and mode of a file; no owner: left to the system (Windows, where `icacls` follows)."""

    owner: str
    group: str
    mode: int

    def __str__(self) -> str:
        return f"{self.owner}:{self.group} {self.mode:04o}" if self.owner else ""


class Folder(Struct, frozen=True, tag=True):
    """There is a folder with this access; what is in it stays."""

    path: PurePath
    access: Access


class Write(Struct, frozen=True, tag=True):
    """A file with this text takes its place at once."""

    path: PurePath
    text: str
    access: Access
    secret: bool = False
    """Its text is not shown."""


class Copy(Struct, frozen=True, tag=True):
    """A file is copied."""

    source: PurePath
    path: PurePath
    access: Access


class Program(Struct, frozen=True, tag=True):
    """The program's own files are copied, to be written by their owner alone."""

    source: PurePath
    path: PurePath
    owner: str
    group: str


class Run(Struct, frozen=True, tag=True):
    """A command of the system. `below`: its option for acting below another root, None: not done there."""

    command: tuple[str, ...]
    why: str
    below: str | None = None
    may_fail: bool = False


class Remove(Struct, frozen=True, tag=True):
    """The file is gone."""

    path: PurePath


class Say(Struct, frozen=True, tag=True):
    """Something a person should know or do; nothing is done."""

    text: str


type Step = Folder | Write | Copy | Program | Run | Remove | Say


def told(step: Step) -> list[str]:
    """The step in words, a file's text below its line."""
    match step:
        case Folder(path=path, access=access):
            return [_line("folder", path, access)]
        case Write(path=path, access=access, text=text, secret=secret):
            lines = ["(its text is not shown)"] if secret else text.splitlines()
            return [_line("write", path, access), *(f"    | {line}" for line in lines)]
        case Copy(source=source, path=path, access=access):
            return [_line("copy", path, access) + f"  from {source}"]
        case Program(source=source, path=path, owner=owner, group=group):
            whose = f"  {owner}:{group}, written by nobody else" if owner else ""
            return [f"program {path}{whose}  from {source}"]
        case Run(command=command, why=why):
            return [f"run     {written(command)}  # {why}"]
        case Remove(path=path):
            return [f"remove  {path}"]
        case Say(text=text):
            return [f"note    {text}"]
        case _:
            assert_never(step)


def _line(verb: str, path: PurePath, access: Access) -> str:
    return f"{verb:<7} {path}  {access}".rstrip()


def written(command: tuple[str, ...]) -> str:
    """The command as it would be typed."""
    windows = command[0].endswith(".exe") or isinstance(PurePath(command[0]), PureWindowsPath)
    return subprocess.list2cmdline(command) if windows else shlex.join(command)
