"""`riskd doctor`: a healthy home has no fault, and each broken one has the line that says so."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import filelock
import msgspec
import pytest

from actors.messages import StoreMeta
from actors.persistence import keys
from actors.persistence.store import Store
from config.calendar import holiday_table
from config.load import load
from config.pending import Standing, kept
from ops.cli import doctor_guard
from ops.cli.doctor import clock
from ops.cli.doctor_config import holidays
from ops.cli.doctor_home import disk_space
from ops.start import Sources
from supervisor.examination import found
from supervisor.home import Home
from supervisor.identity import Identity, identity_of
from supervisor.protocol import Exit, Refused
from supervisor.roles import AdminSecret
from tests.ops.cli.stand_in import Riskd, StandIn
from tests.ops.units.machine import needs_root

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and locks of POSIX")
CONFIGURATION = """\
version: 1
gateway:
  api_url: https://api.topstepx.com/api
  user_hub_url: https://rtc.topstepx.com/hubs/user
  market_hub_url: https://rtc.topstepx.com/hubs/market
  username: ann
  api_key: {file: api.key}
accounts: all
tamper: {witness: WITNESS}
rules:
  max_contracts: {limit: 5}
"""
NOW = datetime.now(UTC)


@cache
def _secret() -> bytes:
    """A kept admin secret; scrypt is slow on purpose, so it is made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "admin.secret")
        AdminSecret(path).set("correct horse")
        return path.read_bytes()


def make_healthy(home: Home) -> None:
    """A home in which a guard has run, ended in good order, and could start again."""
    home.make()
    witness = home.folder.with_name("witness")
    witness.touch()
    home.config.write_text(CONFIGURATION.replace("WITNESS", str(witness)))
    (home.folder / "api.key").write_text("key")
    (home.folder / "api.key").chmod(0o600)
    home.admin_secret.write_bytes(_secret())
    home.admin_secret.chmod(0o600)
    with filelock.FileLock(home.lock):
        store = Store.open(home.database, NOW, home.backups)
        standing = Standing.settled(load([home.config]).settings)
        store.apply([StoreMeta(keys.CONFIGURATION, kept(standing))])
        store.close()
    (home.backups / "riskd-20260302T142950Z-1f3a90cc.db").touch(mode=0o600)


@pytest.fixture
def healthy(home: Home) -> Home:
    make_healthy(home)
    return home


@pytest.fixture
def examined_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examination in this process: its own costs most of a second at every call."""

    def here(home: Home, sources: Sources) -> doctor_guard.Found | None:
        made = found(home, sources.files, sources.sets, sources.env_file)
        return msgspec.json.decode(msgspec.json.encode(made), type=doctor_guard.Found)

    monkeypatch.setattr(doctor_guard, "_examined", here)


def lines(riskd: Riskd) -> dict[str, dict[str, Any]]:
    """Every check by name; the exit code agrees with them and every fault has a cure."""
    ran = riskd("doctor", "--json")
    checks = ran.json["checks"]
    assert ran.code == (1 if any(check["ok"] is False for check in checks) else 0), checks
    assert all(check["cure"] for check in checks if check["ok"] is False), checks
    assert len({check["name"] for check in checks}) == len(checks)
    return {check["name"]: check for check in checks}


# ------------------------------------------------------------------------------ healthy


def test_healthy_home_without_a_daemon_has_no_fault_and_stays_as_it_is(healthy: Home, riskd: Riskd) -> None:
    """By the real examining process."""
    before = {path: path.stat().st_mtime_ns for path in healthy.folder.rglob("*") if path.is_file()}

    seen = lines(riskd)

    assert [name for name, check in seen.items() if check["ok"] is not True] == ["daemon"]
    assert seen["database"]["fact"] == "whole"
    assert seen["in force"]["fact"] == "what the file says"
    after = {path: path.stat().st_mtime_ns for path in healthy.folder.rglob("*") if path.is_file()}
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {
        healthy.lock
    }


def test_home_that_was_never_used_is_no_fault_but_its_missing_configuration_is(
    home: Home, riskd: Riskd
) -> None:
    seen = lines(riskd)

    assert seen["home"]["ok"] is None
    assert seen["configuration"]["ok"] is False
    assert not home.folder.exists(), "looking makes no home"


# ------------------------------------------------------------------------------ broken, daemon down


def _text(old: str, new: str) -> Callable[[Home], None]:
    return lambda home: home.config.write_text(home.config.read_text().replace(old, new)) and None


def _mode(name: str, mode: int) -> Callable[[Home], None]:
    return lambda home: (home.folder / name).chmod(mode)


def _no_config(home: Home) -> None:
    home.config.unlink()


def _open_env(home: Home) -> None:
    (home.folder / ".env").write_text("A=b\n")
    (home.folder / ".env").chmod(0o644)


def _damaged(home: Home) -> None:
    with home.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def _no_database_at_all(home: Home) -> None:
    home.database.write_bytes(b"this is a shopping list" * 100)


def _newer(home: Home) -> None:
    with sqlite3.connect(home.database) as conn:
        (table,) = conn.execute("SELECT name FROM sqlite_master WHERE name LIKE '%migrations%'").fetchone()
        names = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
        row = list(conn.execute(f"SELECT * FROM {table} LIMIT 1").fetchone())
        row[names.index("name")] = "m999_of_tomorrow"
        if "id" in names:
            row[names.index("id")] = 999
        conn.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
    conn.close()


def _tables_gone(home: Home) -> None:
    with sqlite3.connect(home.database) as conn:
        conn.execute("DROP TABLE lockouts")
    conn.close()


def _stale_pid(home: Home) -> None:
    home.watchdog.write_bytes(msgspec.json.encode(Identity(4_000_000, 7)))


def _no_watchdog(home: Home) -> None:
    home.daemon.write_bytes(msgspec.json.encode(identity_of(os.getpid())))


def _hung_start(home: Home) -> None:
    home.watchdog.write_bytes(msgspec.json.encode(identity_of(os.getpid())))


def _no_secret(home: Home) -> None:
    home.admin_secret.unlink()


def _no_witness(home: Home) -> None:
    home.folder.with_name("witness").unlink()


def _old_backup(home: Home) -> None:
    (copy,) = home.backups.iterdir()
    os.utime(copy, (0, (NOW - timedelta(days=3)).timestamp()))


def _not_a_folder(home: Home) -> None:
    (home.journal).rmdir()
    home.journal.touch()


BROKEN: list[tuple[str, Callable[[Home], None], str, bool | None, str]] = [
    ("configuration missing", _no_config, "configuration", False, "cannot read"),
    ("configuration mistaken", _text("limit: 5", "limit: -5"), "configuration", False, "riskd.yaml:11:"),
    ("unknown key", _text("rules:", "ruls:"), "configuration", False, "ruls"),
    ("file differs", _text("limit: 5", "limit: 7"), "in force", False, "rules.max_contracts.limit"),
    ("no write for the owner", _mode(".", 0o550), "home", False, "cannot be written"),
    ("a file where a folder should be", _not_a_folder, "home", False, "journal"),
    ("home writable by others", _mode(".", 0o777), "home is private", False, "777"),
    ("home readable by others", _mode(".", 0o755), "home is private", None, "755"),
    ("secret readable by the group", _mode("admin.secret", 0o640), "secret files", False, "admin.secret"),
    ("database readable by others", _mode("riskd.db", 0o644), "secret files", False, "riskd.db"),
    ("journal open", _mode("journal", 0o755), "secret files", False, "journal"),
    (".env open", _open_env, "configuration", False, ".env"),
    ("key file open", _mode("api.key", 0o644), "login", False, "mode 0644"),
    ("key file gone", lambda home: (home.folder / "api.key").unlink(), "login", False, "api.key"),
    ("database damaged", _damaged, "database", False, "damaged"),
    ("something else in its place", _no_database_at_all, "database", False, "damaged"),
    ("tables missing", _tables_gone, "database", False, "lockouts"),
    ("schema newer", _newer, "database", False, "newer"),
    ("record of a dead process", _stale_pid, "processes", False, "pid 4000000"),
    ("daemon without a watchdog", _no_watchdog, "watchdog", False, "nobody would replace it"),
    ("watchdog whose daemon is silent", _hung_start, "daemon", False, "does not answer"),
    ("no admin secret", _no_secret, "admin secret", None, "without one"),
    ("witness missing", _no_witness, "tamper witness", False, "is missing"),
    ("no witness set", _text("tamper:", "#"), "tamper witness", None, "none"),
    ("backup too old", _old_backup, "backup", False, "3 days older"),
]


@pytest.mark.usefixtures("examined_here")
@pytest.mark.parametrize(
    ("breaks", "name", "ok", "says"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN]
)
def test_broken_home_has_the_line_that_says_so(
    healthy: Home, riskd: Riskd, breaks: Callable[[Home], None], name: str, ok: bool | None, says: str
) -> None:
    breaks(healthy)
    try:
        seen = lines(riskd)
    finally:
        healthy.folder.chmod(0o750)

    assert seen[name]["ok"] is ok
    assert says in seen[name]["fact"]


@pytest.mark.usefixtures("examined_here")
def test_loosening_that_waits_for_its_time_is_no_deviation_of_the_file(healthy: Home, riskd: Riskd) -> None:
    before = load([healthy.config]).settings
    healthy.config.write_text(healthy.config.read_text().replace("limit: 5", "limit: 7"))
    waiting = Standing(before, load([healthy.config]).settings, {"rules.max_contracts.limit": None})
    store = Store.open(healthy.database, NOW, healthy.backups)
    store.apply([StoreMeta(keys.CONFIGURATION, kept(waiting))])
    store.close()

    assert lines(riskd)["in force"]["ok"] is True


def test_lock_held_by_a_stranger_is_named_with_its_pid(healthy: Home, riskd: Riskd) -> None:
    with filelock.FileLock(healthy.lock):
        seen = lines(riskd)

    assert seen["lock"]["ok"] is False
    assert f"process {os.getpid()}" in seen["lock"]["fact"]


@pytest.mark.usefixtures("examined_here")
def test_home_with_too_long_a_name_says_where_its_socket_is(
    tmp_path: Path, riskd: Riskd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    long = Home(tmp_path / ("x" * 90))
    make_healthy(long)

    ran = riskd("--home", str(long.folder), "doctor", "--json")

    (check,) = (c for c in ran.json["checks"] if c["name"] == "control socket")
    assert (ran.code, check["ok"]) == (0, None)
    assert str(tmp_path / "riskd") in check["fact"]

    (tmp_path / "riskd").chmod(0o777)
    ran = riskd("--home", str(long.folder), "doctor", "--json")
    (check,) = (c for c in ran.json["checks"] if c["name"] == "control socket")
    assert (ran.code, check["ok"]) == (1, False)


@pytest.mark.parametrize(("free_mb", "ok"), [(100_000, True), (500, True), (499, False), (0, False)])
def test_disk_nearly_full_is_a_fault(free_mb: int, ok: bool) -> None:
    assert disk_space(free_mb).ok is ok


@pytest.mark.parametrize(("days_left", "ok"), [(400, True), (89, None), (0, None), (-1, False)])
def test_holiday_table_that_ends_is_told_before_and_after(days_left: int, ok: bool | None) -> None:
    assert holidays(holiday_table().last - timedelta(days=days_left)).ok is ok


def test_holiday_table_knows_nothing_before_its_first_day() -> None:
    assert holidays(date(1999, 1, 1)).ok is False


@needs_root
def test_another_users_home_is_seen_from_outside_without_a_traceback(healthy: Home) -> None:
    """A service's home, looked at by its trader."""
    from ops.cli.doctor_home import outside

    os.chown(healthy.folder, 4001, 4001)
    assert outside(healthy) is None, "root sees everything"


# ------------------------------------------------------------------------------ with the daemon


@pytest.fixture
def answering(healthy: Home, daemon: StandIn) -> StandIn:
    """A daemon that finds nothing wrong, with a watchdog beside it."""
    me = msgspec.json.encode(identity_of(os.getpid()))
    healthy.watchdog.write_bytes(me)
    healthy.daemon.write_bytes(me)
    daemon.answers["doctor"] = {"checks": [{"name": "rules", "ok": True, "fact": "5 armed", "cure": ""}]}
    daemon.answers["config.diff"] = {"differences": [], "mistakes": [], "pending": []}
    return daemon


@pytest.mark.usefixtures("examined_here", "answering")
def test_healthy_home_with_its_daemon_is_ok_in_every_line(riskd: Riskd) -> None:
    assert {check["ok"] for check in lines(riskd).values()} == {True}


@pytest.mark.usefixtures("examined_here")
@pytest.mark.parametrize(
    ("command", "answer", "name", "says"),
    [
        ("config.diff", {"differences": [{"key": "quotes.stale_after"}]}, "in force", "quotes.stale_after"),
        ("config.diff", {"mistakes": [{"key": "rules"}]}, "in force", "mistake"),
        ("config.diff", Refused(Exit.UNKNOWN, "no answer in time"), "in force", "no answer"),
        (
            "doctor",
            {"checks": [{"name": "store", "ok": False, "fact": "disk full", "cure": "make room"}]},
            "store",
            "disk full",
        ),
    ],
)
def test_what_the_daemon_finds_is_a_line(
    answering: StandIn, riskd: Riskd, command: str, answer: object, name: str, says: str
) -> None:
    answering.answers[command] = answer

    seen = lines(riskd)

    assert (seen[name]["ok"], says in seen[name]["fact"]) == (False, True)


# ------------------------------------------------------------------------------ the gateway's clock


@contextmanager
def gateway_at(ahead_s: float, *, dated: bool = True) -> Iterator[str]:
    """A server whose clock is that far ahead of ours."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            if dated:
                self.send_header(
                    "Date", format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), True)
                )
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.mark.parametrize(
    ("ahead_s", "ok", "word"),
    [(0, True, ""), (90, False, "behind"), (-90, False, "ahead of"), (5, False, "")],
)
def test_clock_is_held_against_the_gateways(ahead_s: float, ok: bool, word: str) -> None:
    with gateway_at(ahead_s) as url:
        check = clock(url)

    assert check.ok is ok, check
    assert word in check.fact


def test_gateway_that_gives_no_time_is_no_fault_of_the_clock() -> None:
    with gateway_at(0, dated=False) as url:
        assert clock(url).ok is None
    assert clock(url).ok is None, "nobody there"


def test_examination_is_a_command_of_its_own(healthy: Home) -> None:
    command = [sys.executable, "-P", "-m", "supervisor.examination", "--home", str(healthy.folder)]
    done = subprocess.run(command, capture_output=True, check=True)

    assert msgspec.json.decode(done.stdout)["state"] == "good"
