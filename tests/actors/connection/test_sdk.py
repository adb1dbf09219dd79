"""Canaries: what we rely on inside the pinned SDK, and that it stays silent."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import httpx
import pysignalr.client
from project_x_py import ProjectX, ProjectXConfig
from project_x_py.exceptions import ProjectXError
from project_x_py.realtime.async_hub import AsyncHubConnection
from pysignalr.exceptions import AuthorizationError
from pysignalr.transport.websocket import WebsocketTransport

from ops.simulator.settings import Settings
from ops.simulator.thread import run_in_thread

ROOT = Path(__file__).resolve().parents[3]


def test_sdk_is_the_pinned_one() -> None:
    assert metadata.version("project-x-py") == "4.4.1"
    assert metadata.version("pysignalr") == "1.3.3"


def test_one_request_method_takes_what_we_pass_and_neither_retries_nor_waits() -> None:
    taken = inspect.signature(ProjectX._execute_http_request).parameters
    assert {"method", "endpoint", "data", "retry_count"} <= set(taken)
    source = inspect.getsource(ProjectX._execute_http_request)
    assert "asyncio.shield(request_task)" in source
    assert "sleep" not in source
    assert not hasattr(ProjectX._execute_http_request, "__wrapped__")


def test_client_makes_its_http_client_on_demand_and_keeps_what_we_set() -> None:
    client = ProjectX("user", "key-0123456789", ProjectXConfig(requests_per_minute=10**9))
    assert inspect.iscoroutinefunction(client._ensure_client)
    assert client.session_token == ""
    assert client.rate_limiter.max_requests == 10**9
    assert client.rate_limiter.window_seconds == 60
    assert issubclass(ProjectXError, Exception)
    assert hasattr(httpx.AsyncClient, "event_hooks")


def test_hub_connection_offers_what_we_use() -> None:
    for name in ("on", "on_open", "on_close", "on_error", "start", "stop", "send", "_ensure_client"):
        assert callable(getattr(AsyncHubConnection, name))
    hub = AsyncHubConnection("http://127.0.0.1:9/hub?access_token=a.b.c", hub_name="user-1")
    assert hub.hub_name == "user-1"
    assert hub._token_factory() == "a.b.c"
    assert 'name=f"hub:{self.hub_name}"' in inspect.getsource(AsyncHubConnection.start)


def test_hub_decodes_through_a_protocol_object_we_can_listen_at() -> None:
    source = inspect.getsource(pysignalr.client.SignalRClient.__init__)
    assert "self._protocol = protocol or JSONProtocol()" in source
    assert "protocol=self._protocol" in source
    assert "self._ws = conn" in inspect.getsource(WebsocketTransport._loop)
    assert issubclass(AuthorizationError, Exception)


SESSION = """
import asyncio, sys
sys.path.insert(0, {root!r})
import logging
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
from pathlib import Path
from actors import logs
from actors.clock import SystemClock
from config.settings import Logging
logs.start(Path({folder!r}), Logging(level="debug"), SystemClock())
from actors.connection import quiet
from actors.connection.budget import Lane
from actors.connection.projectx import ProjectXGateway, ProjectXSettings
from actors.messages import AccountId
from tests.actors.connection.test_gateway_contract import Listener

def silent(logger):
    handlers = logger.handlers
    return bool(handlers) and all(isinstance(handler, logging.NullHandler) for handler in handlers)

async def main():
    settings = ProjectXSettings({api!r}, {user!r}, {market!r}, "demo-user", "demo-key-1234567890")
    gateway = ProjectXGateway(settings, SystemClock())
    await gateway.login()
    hubs = await gateway.open_hubs(Listener())
    await hubs.guard(AccountId(1001))
    await gateway.positions(AccountId(1001), Lane.REST)
    print("TOKEN", gateway._client.session_token, file=sys.stderr)
    names = quiet.module_names("project_x_py")
    loud = [name for name in names if not silent(logging.getLogger(name))]
    print("LOUD", len(names), loud, file=sys.stderr)
    await hubs.close()
    await gateway.close()

asyncio.run(main())
logs.stop()
print((Path({folder!r}) / "riskd.log").read_text())
"""


def test_whole_session_with_every_log_open_shows_neither_key_nor_token(tmp_path: Path) -> None:
    with run_in_thread(Settings()) as sim:
        urls = sim.urls
        code = SESSION.format(
            root=str(ROOT),
            folder=str(tmp_path),
            api=urls.api_url,
            user=urls.user_hub_url,
            market=urls.market_hub_url,
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT
        )
    assert done.returncode == 0, done.stderr
    token = done.stderr.split("TOKEN ")[1].split()[0]
    shown = done.stdout + done.stderr.replace(f"TOKEN {token}", "")
    assert "Position/searchOpen" in shown
    assert re.search(r"LOUD 1\d\d \[\]", shown)
    assert "demo-key-1234567890" not in shown
    assert token not in shown
    assert token.split(".")[2] not in shown
