"""A small machine below a folder, with account lists of its own, and real users on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.units.carry import search_path

ANN, BOB = 4001, 4002
"""The trader, and somebody else on the machine."""
PASSWD = "root:x:0:0::/root:/bin/sh\nann:x:4001:4001::/home/ann:/bin/sh\nbob:x:4002:4002::/home/bob:/bin/sh\n"
GROUP = "root:x:0:\nann:x:4001:\nbob:x:4002:\n"
SHADOW = "root:*:1::::::\nann:*:1::::::\nbob:*:1::::::\n"

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid")
    or os.geteuid() != 0
    or not all(shutil.which(tool, path=search_path()) for tool in ("useradd", "systemctl")),
    reason="gives files to other users: needs root and the system's own tools",
)


@contextmanager
def machine() -> Iterator[Path]:
    """An almost empty root folder that every user may enter."""
    root = Path(tempfile.mkdtemp(prefix="rm-", dir="/tmp"))
    try:
        root.chmod(0o755)
        for name in ("etc/systemd/system", "var/lib", "opt"):
            (root / name).mkdir(parents=True)
        for name, text in (
            ("passwd", PASSWD),
            ("group", GROUP),
            ("shadow", SHADOW),
            ("gshadow", "root:*::\nann:*::\nbob:*::\n"),
        ):
            (root / "etc" / name).write_text(text)
        yield root
    finally:
        shutil.rmtree(root)


def can(uid: int, gids: tuple[int, ...], test: str, path: Path) -> bool:
    """Ask the kernel as that user: `-r`, `-w`, `-x` of a path."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'test {test} "$0"', str(path)],
        user=uid,
        group=gids[0] if gids else uid,
        extra_groups=list(gids),
        cwd="/",
        check=False,
    )
    return done.returncode == 0
