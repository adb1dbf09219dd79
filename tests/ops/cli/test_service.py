"""`riskd service`: installed below a root of its own by the system's own tools, held against real users."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.cli import main
from ops.cli.place import Place
from ops.cli.service import _permit
from ops.units.carry import gid_of, uid_of
from ops.units.layout import layout
from ops.units.standing import Running, recorded_service, standing
from supervisor.home import Home
from supervisor.protocol import Exit, Nothing, Refused
from supervisor.roles import AdminSecret
from tests.ops.cli.stand_in import Ran, Riskd, StandIn
from tests.ops.units.machine import ANN, BOB, can, machine, needs_root

CONFIGURATION = """\
version: 1
gateway:
  api_url: https://api.topstepx.com/api
  user_hub_url: https://rtc.topstepx.com/hubs/user
  market_hub_url: https://rtc.topstepx.com/hubs/market
  username: ${PROJECT_X_USERNAME}   # mine
  api_key: {env: PROJECT_X_API_KEY}
accounts: all
rules:
  max_contracts: {limit: 5}
"""
KEY = "key-that-nobody-sees"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the other systems are plans alone")
WHERE = layout("systemd")


@pytest.fixture
def old(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A trader's home that has guarded before, with a login in the shell's environment."""
    home.make()
    home.config.write_text(CONFIGURATION)
    home.database.write_bytes(b"not looked into")
    (home.journal / "1.journal").write_bytes(b"lockouts")
    monkeypatch.setenv("PROJECT_X_USERNAME", "ann@example.org")
    monkeypatch.setenv("PROJECT_X_API_KEY", KEY)
    return home


@contextmanager
def installed(riskd: Riskd, *more: str) -> Iterator[Path]:
    """A machine with the service on it; its program has a stand-in for an environment."""
    with machine() as root:
        ran: Ran = riskd("service", "install", "--trader", "ann", "--root", str(root), *more)
        assert ran.code == 0, ran
        python = root / "opt/riskd/.venv/bin/python"
        python.parent.mkdir(parents=True)
        python.symlink_to("/bin/sh")
        yield root


# ------------------------------------------------------------------------------ what is shown before


def test_dry_run_shows_everything_but_secrets_and_changes_nothing(old: Home, riskd: Riskd) -> None:
    with machine() as root:
        before = sorted(root.rglob("*"))
        ran: Ran = riskd("service", "install", "--trader", "ann", "--root", str(root), "--dry-run")
        after = sorted(root.rglob("*"))

    assert (ran.code, before) == (0, after)
    assert 'control: {traders: ["ann"]}' in ran.out
    assert "riskd:riskd 0600" in ran.out
    assert "ExecStart=/opt/riskd/.venv/bin/python -P -m ops.watchdog --home /var/lib/riskd" in ran.out
    assert KEY not in ran.out + ran.err


def test_dry_run_names_what_would_stand_in_the_way(old: Home, riskd: Riskd) -> None:
    ran: Ran = riskd("service", "install", "--trader", "nobody", "--dry-run", "--python", "/no/such/python")

    assert ran.code == 0
    assert "would be refused: there is no /no/such/python" in ran.err


@pytest.mark.parametrize(
    ("change", "arguments", "code", "says"),
    [
        (("api_key: {env: PROJECT_X_API_KEY}", "api_key: {keyring: key}"), (), 78, "no desktop"),
        (("gateway:", "gateway:\n  kind: simulator"), (), 78, "it guards nothing"),
        (("limit: 5", "limit: -5"), (), 78, "limit"),
        (("limit: 5", "limit: 5"), ("--name", "A b"), 2, "as the name of a service"),
        (("limit: 5", "limit: 5"), ("--trader", "no-such-user"), 2, "--trader"),
        (("limit: 5", "limit: 5"), ("--trader", "root"), 2, "root can end anything"),
    ],
)
def test_what_no_service_can_run_on_is_refused_with_the_reason(
    old: Home, riskd: Riskd, change: tuple[str, str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    old.config.write_text(CONFIGURATION.replace(*change))
    with machine() as root:
        ran: Ran = riskd("service", "install", "--trader", "ann", "--root", str(root), *arguments)

        assert (ran.code, says in ran.err) == (code, True), ran
        assert not (root / "etc/riskd").exists()


def test_home_in_which_a_guard_runs_is_not_taken_over(old: Home, riskd: Riskd) -> None:
    from supervisor.identity import identity_of

    me = identity_of(os.getpid())
    assert me is not None
    old.daemon.write_text(f'{{"pid": {me.pid}, "start_ticks": {me.start_ticks}}}')
    with machine() as root:
        ran: Ran = riskd("service", "install", "--trader", "ann", "--root", str(root))

    assert ran.code == Exit.NOT_PERMITTED
    assert f"riskd --home {old.folder} down" in ran.err


# ------------------------------------------------------------------------------ what real users can do


@needs_root
def test_trader_reads_and_talks_but_cannot_write_end_or_look_inside(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        own, group = uid_of("riskd", root), gid_of("riskd", root)
        home = root / "var/lib/riskd"
        (home / "riskd.db").chmod(0o600)
        ann, bob, service = (ANN, (ANN, group)), (BOB, (BOB,)), (own, (group,))
        asks: list[tuple[tuple[int, tuple[int, ...]], str, str, bool]] = [
            (ann, "-r", "etc/riskd/riskd.yaml", True),
            (ann, "-w", "etc/riskd/riskd.yaml", False),
            (ann, "-w", "etc/riskd", False),
            (ann, "-r", "opt/riskd/ops/__main__.py", True),
            (ann, "-w", "opt/riskd/ops/__main__.py", False),
            (ann, "-w", "opt/riskd", False),
            (ann, "-w", "etc/systemd/system/riskd.service", False),
            (ann, "-x", "var/lib/riskd/run", True),
            (ann, "-r", "var/lib/riskd", False),
            (ann, "-w", "var/lib/riskd", False),
            (ann, "-r", "var/lib/riskd/riskd.db", False),
            (ann, "-r", "var/lib/riskd/secrets.env", False),
            (ann, "-x", "var/lib/riskd/logs", False),
            (ann, "-x", "var/lib/riskd/journal", False),
            (bob, "-r", "etc/riskd/riskd.yaml", False),
            (bob, "-x", "var/lib/riskd/run", False),
            (service, "-w", "var/lib/riskd/riskd.db", True),
            (service, "-w", "var/lib/riskd/journal/1.journal", True),
            (service, "-r", "var/lib/riskd/secrets.env", True),
            (service, "-r", "etc/riskd/riskd.yaml", True),
            (service, "-w", "etc/riskd/riskd.yaml", False),
            (service, "-w", "opt/riskd/ops", False),
        ]
        assert [(who[0], t, p) for who, t, p, held in asks if can(*who, t, root / p) is not held] == []

        with socket.socket(socket.AF_UNIX) as control:
            control.bind(str(home / "run/control.sock"))
            os.chown(home / "run/control.sock", own, group)
            (home / "run/control.sock").chmod(0o660)
            assert can(*ann, "-w", home / "run/control.sock")
            assert not can(*bob, "-w", home / "run/control.sock")


@needs_root
def test_process_of_the_service_is_not_the_traders_to_end(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        guard = subprocess.Popen(["sleep", "60"], user=uid_of("riskd", root), cwd="/")
        try:
            kill = ["/bin/sh", "-c", f"kill -9 {guard.pid}"]
            tried = subprocess.run(kill, user=ANN, group=ANN, cwd="/", capture_output=True, check=False)
            assert tried.returncode != 0
            assert guard.poll() is None
        finally:
            guard.send_signal(signal.SIGKILL)
            guard.wait(5)


# ------------------------------------------------------------------------------ what it takes over, and keeps


@needs_root
def test_lockouts_login_and_trader_move_in_and_comments_stay(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        home, config = root / "var/lib/riskd", (root / "etc/riskd/riskd.yaml").read_text()

        assert (home / "journal/1.journal").read_bytes() == b"lockouts"
        assert (home / "riskd.db").read_bytes() == b"not looked into"
        assert (home / "secrets.env").read_text().splitlines() == [
            'PROJECT_X_USERNAME="ann@example.org"',
            f'PROJECT_X_API_KEY="{KEY}"',
        ]
        assert "# mine" in config
        assert 'control: {traders: ["ann"]}' in config
        assert KEY not in config
        assert not (root / "opt/riskd/tests").exists()
        assert (root / "etc/systemd/system/multi-user.target.wants/riskd.service").is_symlink()


@needs_root
def test_installing_again_keeps_the_installed_configuration_and_store(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        config, database = root / "etc/riskd/riskd.yaml", root / "var/lib/riskd/riskd.db"
        config.write_text(config.read_text().replace("limit: 5", "limit: 2"))
        database.write_bytes(b"newer")
        old.config.write_text("not: usable\n")

        ran: Ran = riskd("service", "install", "--trader", "ann", "--root", str(root))

        assert ran.code == 0, ran
        assert "limit: 2" in config.read_text()
        assert database.read_bytes() == b"newer"


@needs_root
def test_secret_in_a_file_moves_in_and_the_configuration_names_the_new_place(old: Home, riskd: Riskd) -> None:
    key = old.folder / "my.key"
    key.write_text(KEY)
    key.chmod(0o600)
    old.config.write_text(CONFIGURATION.replace("{env: PROJECT_X_API_KEY}", "{file: my.key}"))
    with installed(riskd) as root:
        kept = root / "var/lib/riskd/api.key"

        assert kept.read_text() == KEY
        assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (uid_of("riskd", root), 0o600)
        assert 'api_key: {"file": "/var/lib/riskd/api.key"}' in (root / "etc/riskd/riskd.yaml").read_text()


@needs_root
def test_removing_takes_the_unit_away_and_leaves_what_the_guard_knows(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        shown: Ran = riskd("service", "uninstall", "--root", str(root), "--dry-run")
        assert "remove  /etc/systemd/system/riskd.service" in shown.out

        ran: Ran = riskd("service", "uninstall", "--root", str(root))

        assert ran.code == 0, ran
        assert list((root / "etc/systemd/system").rglob("*.service")) == []
        assert (root / "var/lib/riskd/journal/1.journal").exists()
        assert riskd("service", "uninstall", "--root", str(root)).code == 1


# ------------------------------------------------------------------------------ which promises hold


def status(riskd: Riskd, root: Path) -> dict[str, bool | None]:
    ran: Ran = riskd("service", "status", "--root", str(root), "--json")
    found = {check["name"]: check["ok"] for check in ran.json["checks"]}
    assert ran.code == (1 if False in found.values() else 0)
    assert all(check["cure"] for check in ran.json["checks"] if check["ok"] is False)
    return found


def _owned_by(path: str, uid: int) -> Callable[[Path], None]:
    return lambda root: os.chown(root / path, uid, uid)


def _mode(path: str, mode: int) -> Callable[[Path], None]:
    return lambda root: (root / path).chmod(mode)


def _unit_edited(root: Path) -> None:
    unit = root / "etc/systemd/system/riskd.service"
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=no"))


def _not_at_boot(root: Path) -> None:
    (root / "etc/systemd/system/multi-user.target.wants/riskd.service").unlink()


def _out_of_the_group(root: Path) -> None:
    group = root / "etc/group"
    group.write_text("\n".join(line.removesuffix("ann") for line in group.read_text().splitlines()))


def _trader_is_the_account(root: Path) -> None:
    passwd = root / "etc/passwd"
    passwd.write_text(passwd.read_text().replace(f"ann:x:{ANN}", f"ann:x:{uid_of('riskd', root)}"))


BROKEN: list[tuple[str, Callable[[Path], None]]] = [
    ("installed", _unit_edited),
    ("starts at boot", _not_at_boot),
    ("the trader cannot end it", _trader_is_the_account),
    ("the trader cannot write the program", _mode("opt/riskd/ops/home.py", 0o666)),
    ("the trader cannot write the program", _owned_by("opt/riskd/ops", ANN)),
    ("the trader cannot write the program", _owned_by("opt", ANN)),
    ("the service can read what it needs", _mode("etc/riskd/riskd.yaml", 0o600)),
    ("the service can read what it needs", _mode("opt/riskd/.venv", 0o700)),
    ("the trader cannot write the configuration", _owned_by("etc/riskd/riskd.yaml", ANN)),
    ("the trader cannot write the configuration", _mode("etc/riskd", 0o770)),
    ("the trader cannot read or write database, logs and secrets", _mode("var/lib/riskd/riskd.db", 0o640)),
    ("the trader cannot read or write database, logs and secrets", _mode("var/lib/riskd/logs", 0o750)),
    ("the trader cannot read or write database, logs and secrets", _owned_by("var/lib/riskd/riskd.db", ANN)),
    ("owners and modes", _mode("var/lib/riskd/journal", 0o701)),
    ("owners and modes", _owned_by("var/lib/riskd/backups", 0)),
    ("the trader may use the control socket", _out_of_the_group),
]


@needs_root
def test_status_tells_a_sound_service_from_each_deviation(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        assert set(status(riskd, root).values()) == {True}
        for name, breaks in BROKEN:
            with machine() as other:
                subprocess.run(["cp", "-a", f"{root}/.", str(other)], check=True)
                breaks(other)
                assert status(riskd, other)[name] is False, name


@needs_root
def test_process_of_another_user_in_the_services_home_is_named(old: Home, riskd: Riskd) -> None:
    with installed(riskd) as root:
        found, own = recorded_service(WHERE, root), uid_of("riskd", root)

        def runs(*running: Running) -> tuple[bool | None, str]:
            (line,) = (c for c in standing(WHERE, found, root, running) if c.name == "runs")
            return line.ok, line.fact

        assert runs(Running(10, own)) == (True, "pid 10")
        assert runs(Running(10, own), Running(11, ANN)) == (False, f"pid 11 runs as user {ANN}")
        assert runs()[0] is False


def test_status_without_a_service_says_so(riskd: Riskd) -> None:
    with machine() as root:
        ran: Ran = riskd("service", "status", "--root", str(root))

    assert (ran.code, "not installed -> riskd service install" in ran.out) == (1, True)


# ------------------------------------------------------------------------------ leave to remove it


def test_running_guard_is_asked_before_its_service_is_removed(daemon: StandIn, home: Home) -> None:
    place = Place(str(home.folder))
    daemon.answers["positions"] = {"positions": []}
    daemon.answers["service.uninstall"] = Refused(Exit.COOLING_OFF, "tamper.loosen_after asks for time")

    with pytest.raises(Refused) as refused:
        _permit(place, WHERE, yes=True)
    assert refused.value.code is Exit.COOLING_OFF

    daemon.answers["service.uninstall"] = {"text": "go on"}
    _permit(place, WHERE, yes=True)
    assert daemon.asked[-1] == ("service.uninstall", Nothing())


def test_open_positions_are_asked_about(daemon: StandIn, home: Home) -> None:
    daemon.answers["positions"] = {"positions": [{"account": "A", "root": "MNQ"}]}

    with pytest.raises(Refused, match="A MNQ open"):
        _permit(Place(str(home.folder)), WHERE, yes=False)
    assert [name for name, _ in daemon.asked] == ["positions"]


def test_without_the_guard_the_admin_secret_is_still_asked(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.make()
    AdminSecret(home.admin_secret).set("correct horse")
    wrong = home.folder / "wrong"
    wrong.write_text("battery staple")
    monkeypatch.setenv("RISKD_ADMIN_SECRET_FILE", str(wrong))

    with pytest.raises(Refused) as refused:
        _permit(Place(str(home.folder)), WHERE, yes=True)
    assert refused.value.code is Exit.NOT_PERMITTED


@needs_root
def test_secret_set_by_root_is_the_services_to_read(home: Home) -> None:
    home.make()
    os.chown(home.folder, ANN, ANN)
    AdminSecret(home.admin_secret).set("correct horse")

    assert home.admin_secret.stat().st_uid == ANN
    assert main(["--version"]) == 0
