"""The plans: who owns what, what is shown, what is left alone. Nothing is carried out here."""

from __future__ import annotations

import re
from pathlib import PurePath

import pytest

from ops.units.layout import Kind, Service, layout
from ops.units.plan import Machine, Sources, install, uninstall
from ops.units.steps import Copy, Folder, Program, Remove, Run, Say, Step, Write, told, written

SECRET = "never-to-be-shown"
SERVICE = Service("default", "ann", "/opt/riskd/.venv/bin/python", ("--config", "/etc/riskd/riskd.yaml"))
SOURCES = Sources(
    program="/somewhere/riskd",
    base_python="/usr/bin/python3.13",
    files=(("riskd.yaml", "version: 1\n"),),
    secrets=f'KEY="{SECRET}"\n',
    secret_files=(("/somewhere/key", "api.key"),),
    old_home=(("/old/riskd.db", "riskd.db"), ("/old/admin.secret", "admin.secret")),
)
POSIX: tuple[Kind, ...] = ("systemd", "launchd")


def planned(kind: Kind, machine: Machine | None = None, service: Service = SERVICE) -> tuple[Step, ...]:
    return install(layout(kind, service.name), service, SOURCES, machine or Machine())


def commands(steps: tuple[Step, ...]) -> list[str]:
    return [written(step.command) for step in steps if isinstance(step, Run)]


@pytest.mark.parametrize("kind", POSIX)
def test_what_the_service_keeps_is_its_own_and_closed_to_others(kind: Kind) -> None:
    where = layout(kind)
    kept = [
        step
        for step in planned(kind)
        if isinstance(step, Folder | Write | Copy) and step.path.is_relative_to(where.home)
    ]

    assert {PurePath(step.path).name for step in kept} >= {
        "riskd.db",
        "admin.secret",
        "secrets.env",
        "api.key",
    }
    for step in kept:
        assert step.access.owner == where.account, step
        assert not step.access.mode & 0o067, step
        if not isinstance(step, Folder) or step.path not in (where.home, where.home / "run"):
            assert not step.access.mode & 0o070, "the group only passes through to the socket"


@pytest.mark.parametrize("kind", POSIX)
def test_programs_configuration_and_unit_are_written_by_administrators_alone(kind: Kind) -> None:
    where = layout(kind)
    for step in planned(kind):
        if isinstance(step, Program):
            assert step.owner == "root"
        if isinstance(step, Folder | Write) and not step.path.is_relative_to(where.home):
            assert step.access.owner == "root", step
            assert not step.access.mode & 0o022, step


@pytest.mark.parametrize("kind", ["systemd", "launchd", "windows"])
def test_plan_in_words_shows_every_text_but_no_secret(kind: Kind) -> None:
    words = "\n".join(line for step in planned(kind) for line in told(step))

    assert SECRET not in words
    assert "version: 1" in words
    assert "/somewhere/riskd" in words.replace("\\", "/")


def test_accounts_that_are_there_are_not_made_again() -> None:
    fresh = commands(planned("systemd"))
    again = commands(planned("systemd", Machine(has_account=True, has_group=True, trader_is_member=True)))

    assert [line for line in fresh if re.match(r"(group|user)", line)] == [
        "groupadd --system --force riskd",
        "useradd --system --gid riskd --home-dir /var/lib/riskd --no-create-home "
        "--shell /usr/sbin/nologin riskd",
        "usermod --append --groups riskd ann",
    ]
    assert [line for line in again if re.match(r"(group|user)", line)] == []


def test_second_login_shares_the_account_and_has_a_group_home_and_unit_of_its_own() -> None:
    second = Service("evaluation", "bob", SERVICE.python, SERVICE.arguments)
    steps = planned("systemd", Machine(has_account=True), second)

    assert "groupadd --system riskd-evaluation" in commands(steps)
    assert "usermod --append --groups riskd-evaluation bob" in commands(steps)
    units = [step for step in steps if isinstance(step, Write) and step.path.suffix == ".service"]
    assert "User=riskd\nGroup=riskd-evaluation\n" in units[0].text
    assert "--home /var/lib/riskd-evaluation " in units[0].text


def test_windows_access_lists_keep_the_trader_out_of_the_home_and_reading_elsewhere() -> None:
    lists = {
        step.command[1].replace("\\", "/"): step.command[2:]
        for step in planned("windows")
        if isinstance(step, Run) and step.command[0] == "icacls.exe"
    }

    home = lists["C:/ProgramData/riskd/home"]
    assert not any("ann" in word for word in home)
    assert "/inheritance:r" in home
    assert "*S-1-5-19:(OI)(CI)M" in home
    for folder in ("C:/Program Files/riskd", "C:/ProgramData/riskd/config"):
        assert "ann:(OI)(CI)RX" in lists[folder]
        assert "*S-1-5-19:(OI)(CI)RX" in lists[folder]


def test_witness_outside_the_home_may_be_written() -> None:
    service = Service("default", "ann", SERVICE.python, (), writes=("/var/lib/riskd-witness",))
    steps = planned("systemd", None, service)

    assert any(isinstance(s, Folder) and str(s.path) == "/var/lib/riskd-witness" for s in steps)
    units = [s.text for s in steps if isinstance(s, Write) and s.path.suffix == ".service"]
    assert "ReadWritePaths=/var/lib/riskd /var/lib/riskd-witness\n" in units[0]


@pytest.mark.parametrize("kind", ["systemd", "launchd", "windows"])
def test_removing_ends_it_and_takes_away_the_unit_alone(kind: Kind) -> None:
    where = layout(kind)
    steps = uninstall(where)

    assert [step.path for step in steps if isinstance(step, Remove)] == [where.unit]
    assert not any(isinstance(step, Folder | Write | Copy | Program) for step in steps)
    assert isinstance(steps[-1], Say)
    assert str(where.home) in steps[-1].text
