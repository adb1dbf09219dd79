"""No secret in anything the program leaves behind, with the real SDK telling all it can."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops.simulator.remote import run_as_process
from tests.ops.rig import A, Guard, _folder, projectx

KEY = "planted-key-Zx81kQw0"
USER = "planted.user@desk.example"
HOOK = "planted-hook-77aa"
LIBRARIES = ("project_x_py", "pysignalr", "websockets", "httpx", "httpcore", "aiohttp", "apprise")
TOKEN = "eyJ"
"""How every token of the gateway begins."""


@pytest.fixture(scope="module")
def talkative() -> Iterator[Guard]:
    """A guard whose libraries log at debug level, that acted, sent alerts, and lost its link once."""
    with _folder() as folder:
        scenario = folder / "desk.yaml"
        scenario.write_text(f"user: {USER}\napi_key: {KEY}\nprices: {{MES: 5800}}\n")
        (folder / "key").write_text(KEY)
        (folder / "key").chmod(0o600)
        with run_as_process("--scenario", str(scenario), "--rate-limit", "off") as simulator:
            made = Guard(folder, simulator)
            urls = simulator.urls
            gateway = projectx(urls.api_url, urls.user_hub_url, urls.market_hub_url)
            made.configure(
                {
                    "gateway": gateway | {"username": USER, "api_key": {"file": str(folder / "key")}},
                    "accounts": "all",
                    "rules": {"max_contracts": {"limit": 1}},
                    "alerts": [{"to": {"env": "HOOK"}, "level": "info"}],
                    "chaos": {"enabled": True},
                    "logging": {"level": "debug", "modules": dict.fromkeys(LIBRARIES, "debug")},
                }
            )
            try:
                ran = made.riskd("up", HOOK=f"json://127.0.0.1:9/{HOOK}")
                assert ran.code == 0, ran
                act(made)
                yield made
            finally:
                made.end()


def act(guard: Guard) -> None:
    guard.buy("MES", 2)
    guard.until(lambda: guard.held().get("MES") == 1, "the excess is closed")
    guard.control(op="fault", name="http_500", path="Order/*", times=1)
    guard.riskd("chaos", "drop-link")
    guard.until(lambda: guard.status()["link"]["generation"] > 1, "a new connection")
    guard.until(lambda: guard.history("alert"), "an alert")
    guard.riskd("alerts", "test")


def test_the_libraries_did_talk(talkative: Guard) -> None:
    told = {str(line["logger"]).split(".")[0] for line in talkative.log()}

    assert {"project_x_py", "pysignalr", "httpcore"} <= told


def test_no_file_of_the_home_holds_a_secret(talkative: Guard) -> None:
    """The store keeps the configuration in force, with the user name and the place of the key in it."""
    held = {
        path.name: sorted(secrets_in(path.read_bytes(), but=(USER,) if path.name.startswith("riskd") else ()))
        for path in talkative.home.folder.rglob("*")
        if path.is_file() and path.suffix != ".log"
    }
    logs = {path.name: sorted(secrets_in(path.read_bytes())) for path in talkative.home.logs.glob("*")}

    assert {name: found for name, found in (held | logs).items() if found} == {}


@pytest.mark.parametrize(
    "command",
    [
        ("logs", "-n", "5000"),
        ("history", "--limit", "1000", "--json"),
        ("status", "--json"),
        ("export", "logs", "-"),
        ("export", "history", "-"),
        ("metrics",),
    ],
    ids=" ".join,
)
def test_no_answer_holds_a_secret(talkative: Guard, command: tuple[str, ...]) -> None:
    ran = talkative.riskd(*command)

    assert ran.code in (0, 1, 5), ran
    assert secrets_in((ran.out + ran.err).encode()) == set()


def test_no_process_shows_a_secret(talkative: Guard) -> None:
    lines = [
        " ".join(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline"])
        if any(str(talkative.home.folder) in word for word in process.info["cmdline"] or ())
    ]
    assert lines
    assert secrets_in("\n".join(lines).encode()) == set()


def test_an_export_can_hide_whose_it_is(talkative: Guard, tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    talkative.riskd("export", "history", str(file), "--mask")

    text = file.read_text()
    assert A not in text
    assert {json.loads(line)["account"] for line in text.splitlines()} == {"", "account-1"}


def secrets_in(data: bytes, but: tuple[str, ...] = ()) -> set[str]:
    """Which of the planted secrets stand in it, plain or in base64."""
    planted = {KEY, USER, HOOK} - set(but)
    found = {one for one in planted if one.encode() in data or base64.b64encode(one.encode()) in data}
    return found | ({TOKEN} if TOKEN.encode() in data else set())
