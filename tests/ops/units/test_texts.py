"""The unit files: what they promise, and that the systems' own checkers take them."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ops.units import launchd, systemd, windows
from ops.units.layout import Service, command, layout
from supervisor.protocol import Refused

SERVICE = Service(
    "default",
    "ann",
    sys.executable,
    (
        "--config",
        "/etc/riskd/riskd.yaml",
        "--set",
        "gateway.username=a b$c%d",
        "--env-file",
        "/x/secrets.env",
    ),
    heartbeat_s=2.5,
    memory_mb=400,
)
SYSTEMD, MAC, WINDOWS = layout("systemd"), layout("launchd"), layout("windows")
has_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def settings(text: str) -> dict[str, list[str]]:
    """The unit's lines by key."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    ("key", "value", "because"),
    [
        ("Type", "notify", "started means guarding"),
        ("NotifyAccess", "main", "only the watchdog speaks for the guard"),
        ("Restart", "always", "something always brings it back"),
        ("RestartPreventExitStatus", "0", "but not after riskd down"),
        ("StartLimitIntervalSec", "0", "and never gives up"),
        ("KillMode", "process", "the daemon outlives a watchdog that crashed"),
        ("OOMPolicy", "continue", "a daemon without memory is the watchdog's to replace"),
        ("UMask", "0077", "what it writes is its own"),
        ("LimitCORE", "0", "no secrets in core files"),
        ("ProtectSystem", "strict", "it writes nothing but its home"),
        ("ReadWritePaths", "/var/lib/riskd", "it writes its home"),
        ("User", "riskd", "not the trader"),
        ("WantedBy", "multi-user.target", "at boot"),
    ],
)
def test_systemd_unit_promises(key: str, value: str, because: str) -> None:
    assert settings(systemd.unit(SYSTEMD, SERVICE))[key] == [value], because


def test_systemd_restrictions_that_would_break_the_guard_are_left_out() -> None:
    found = settings(systemd.unit(SYSTEMD, SERVICE))

    assert "MemoryDenyWriteExecute" not in found, "polars runs a page that it wrote"
    assert "PrivateUsers" not in found, "callers of the socket would all be nobody"


def test_systemd_waits_longer_for_a_sign_than_the_watchdog_may_be_silent() -> None:
    from ops.watchdog.verdict import Limits

    limits = Limits()
    assert limits.start_s + limits.longest_pause_s + limits.stop_s < systemd.WATCHDOG_S


@has_systemd
@pytest.mark.parametrize("name", ["default", "evaluation"])
def test_systemd_itself_finds_no_mistake_in_the_unit(name: str, tmp_path: Path) -> None:
    where = layout("systemd", name)
    unit = tmp_path / where.unit.name
    unit.write_text(systemd.unit(where, SERVICE))

    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@has_systemd
def test_systemd_finds_the_unit_well_fenced(tmp_path: Path) -> None:
    unit = tmp_path / "riskd.service"
    unit.write_text(systemd.unit(SYSTEMD, SERVICE))
    analyse = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)]

    done = subprocess.run(analyse, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", "plain"),
        ("/with space", '"/with space"'),
        ('say "x"', '"say \\"x\\""'),
        ("50%", '"50%%"'),
        ("a\\b", '"a\\\\b"'),
        ("", '""'),
        ("a;b", '"a;b"'),
    ],
)
def test_words_reach_the_program_as_they_are(word: str, written: str) -> None:
    assert systemd.quoted(word) == written


def test_variables_and_specifiers_are_not_expanded_in_the_command() -> None:
    (line,) = settings(systemd.unit(SYSTEMD, SERVICE))["ExecStart"]

    assert '"gateway.username=a b$$c%%d"' in line


def test_launchd_reads_the_property_list() -> None:
    text = launchd.plist(MAC, SERVICE)
    found = plistlib.loads(text.encode())

    assert found["ProgramArguments"] == command(MAC, SERVICE)
    assert found["UserName"] == "_riskd"
    assert found["RunAtLoad"] is True
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["AbandonProcessGroup"] is True
    assert found["Umask"] == 0o077


@pytest.mark.skipif(shutil.which("plutil") is None, reason="no plutil here")
def test_plutil_finds_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "riskd.plist"
    path.write_text(launchd.plist(MAC, SERVICE))

    assert subprocess.run(["plutil", "-lint", str(path)], check=False).returncode == 0


TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
ON_WINDOWS = Service(
    "default", "ann", "C:\\Program Files\\riskd\\.venv\\Scripts\\python.exe", ("--set", "a=b c")
)


def test_windows_task_starts_at_boot_as_local_service_and_has_no_time_limit() -> None:
    top = ElementTree.fromstring(windows.task(WINDOWS, ON_WINDOWS))

    assert top.find(f"{TASK}Triggers/{TASK}BootTrigger/{TASK}Enabled") is not None
    found = {
        name: top.findtext(".//" + TASK + name)
        for name in ("UserId", "ExecutionTimeLimit", "StopIfGoingOnBatteries", "Command", "Arguments")
    }
    assert found["UserId"] == "S-1-5-19"
    assert found["ExecutionTimeLimit"] == "PT0S"
    assert found["StopIfGoingOnBatteries"] == "false"
    assert found["Command"] == ON_WINDOWS.python
    assert (found["Arguments"] or "").endswith('--restarted -- --set "a=b c"')


def test_windows_wrapper_runs_the_same_command() -> None:
    top = ElementTree.fromstring(windows.wrapper(WINDOWS, ON_WINDOWS))
    task = ElementTree.fromstring(windows.task(WINDOWS, ON_WINDOWS))

    assert top.findtext("executable") == task.findtext(f".//{TASK}Command")
    assert top.findtext("arguments") == task.findtext(f".//{TASK}Arguments")
    assert top.findtext("startmode") == "Automatic"


def test_every_kind_runs_the_watchdog_in_the_foreground_as_a_restart() -> None:
    for where in (SYSTEMD, MAC, WINDOWS):
        words = command(where, SERVICE)
        assert words[1:4] == ["-P", "-m", "ops.watchdog"]
        own, daemon = words[: words.index("--")], words[words.index("--") + 1 :]
        assert "--restarted" in own
        assert own[own.index("--heartbeat-deadline") + 1] == "2.5"
        assert tuple(daemon) == SERVICE.arguments


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "-x", "a" * 17, "a/b", "ä"])
def test_name_that_could_be_anything_else_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        layout("systemd", name)
