"""Changing the configuration of a running guard, as its operator does: processes, commands, signals."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from supervisor.roles import AdminSecret
from tests.ops.rig import Guard, guard

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

COUNT: dict[str, Any] = {"max_contracts": {"mode": "armed", "limit": 4}}


@pytest.fixture(scope="module")
def guarding() -> Iterator[Guard]:
    with guard(COUNT, tamper={"loosen_after": "1h"}) as made:
        yield made


def limits(guard: Guard) -> set[str]:
    """One, but while the accounts are armed afresh one after the other."""
    return {rule["limit"] for account in guard.status()["accounts"] for rule in account["rules"]}


def write(guard: Guard, number: int) -> None:
    document = json.loads(guard.file.read_text())
    document["rules"]["max_contracts"]["limit"] = number
    guard.file.write_text(json.dumps(document))


def hang_up(guard: Guard) -> None:
    os.kill(guard.status()["daemon"]["pid"], signal.SIGHUP)


def test_a_change_goes_through_reload_signal_wait_cancel_and_up(guarding: Guard) -> None:
    """One story: the file is tightened by signal, loosened by reload, cancelled, mistaken, and compared."""
    write(guarding, 3)
    hang_up(guarding)
    guarding.until(lambda: limits(guarding) == {"3"}, "SIGHUP reads the file again")

    write(guarding, 9)
    told = guarding.riskd("reload")
    assert told.code == 0, told
    assert "waits until" in told.out
    assert "rules.max_contracts.limit: 3 -> 9" in told.out
    assert "reloaded: 1 waiting" in told.out
    (pending,) = guarding.status()["pending"]
    assert limits(guarding) == {"3"}
    assert pending["id"] in guarding.riskd("config", "diff").out

    again = guarding.riskd("rules", "set", "max_contracts", "limit=8")
    assert again.out.startswith("waits until"), again
    (pending,) = guarding.status()["pending"]
    cancelled = guarding.riskd("config", "cancel", pending["id"])
    assert (cancelled.code, "withdrawn: rules.max_contracts.limit: 3 -> 8" in cancelled.out) == (0, True)
    assert guarding.status()["pending"] == []
    assert guarding.riskd("config", "cancel", pending["id"]).code == 1

    write(guarding, -1)
    refused = guarding.riskd("reload")
    assert refused.code == 78
    assert "the old configuration stays in force" in refused.err
    assert f"{guarding.file}:1:" in refused.err
    reasons = guarding.until(
        lambda: [r for r in guarding.status()["reasons"] if r["code"] == "config_mistaken"], "degraded"
    )
    assert "riskd config check" in reasons[0]["text"]
    assert guarding.riskd("config", "diff").code == 78

    write(guarding, 7)
    assert "rules.max_contracts.limit: in force 3, file 7" in guarding.riskd("config", "diff").out


def test_a_signal_brings_no_secret_and_only_tightens(guarding: Guard) -> None:
    AdminSecret(guarding.home.admin_secret).set("correct horse battery")
    try:
        write(guarding, 2)
        hang_up(guarding)
        guarding.until(lambda: limits(guarding) == {"2"}, "tightened")
        write(guarding, 6)
        hang_up(guarding)
        guarding.until(lambda: "without the admin secret" in str(guarding.log()), "refused and said")
        assert guarding.status()["pending"] == []
    finally:
        guarding.home.admin_secret.unlink()
