"""One guard per host, port and account."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.claims import Claims
from supervisor.home import Home

URL = "http://127.0.0.1:4000/api"
TAKE = "from pathlib import Path; from supervisor.claims import Claims; from supervisor.home import Home;"


def claims(folder: Path, home: str, url: str = URL) -> Claims:
    return Claims(Home(Path(home)), url, lambda: folder)


def test_second_home_is_told_who_guards_the_account(tmp_path: Path) -> None:
    first, second = claims(tmp_path, "/homes/one"), claims(tmp_path, "/homes/two")

    assert first.take(1001) == ""
    assert first.take(1001) == "", "asking again for one's own is no conflict"
    assert second.take(1001) == f"pid {os.getpid()} guards it from /homes/one"
    assert second.take(1002) == ""

    first.release()
    assert second.take(1001) == ""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (URL, "http://127.0.0.1:4000/other", True),
        (URL, "http://127.0.0.1:4001/api", False),
        ("https://api.example.com/api", "https://api.example.com:443/", True),
        ("https://api.example.com/api", "https://API.EXAMPLE.COM/api", True),
        ("https://api.example.com/api", "https://rtc.example.com/api", False),
    ],
)
def test_gateway_is_its_host_and_port(tmp_path: Path, one: str, other: str, same: bool) -> None:
    first, second = claims(tmp_path, "/homes/one", one), claims(tmp_path, "/homes/two", other)
    first.take(1001)

    assert bool(second.take(1001)) is same


def test_killed_holder_keeps_nobody_out(tmp_path: Path) -> None:
    code = f"{TAKE} c = Claims(Home(Path('/homes/one')), {URL!r}, lambda: Path({str(tmp_path)!r}));"
    code += "print(repr(c.take(1001)), flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline().strip() == b"''"
        second = claims(tmp_path, "/homes/two")
        assert second.take(1001) == f"pid {holder.pid} guards it from /homes/one"
        holder.kill()
        holder.wait(10)

    assert second.take(1001) == ""
