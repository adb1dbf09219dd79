"""Proxies of the environment: the gateway is reached directly, and whoever wants otherwise is told."""

from __future__ import annotations

import os

import pytest

from config.proxies import proxied, reach_directly

LIVE = (
    "https://api.topstepx.com/api",
    "https://rtc.topstepx.com/hubs/user",
    "https://rtc.topstepx.com/hubs/market",
)
LOOPBACK = ("http://127.0.0.1:9/api", "http://localhost:9/hubs/user", "http://[::1]:9/hubs/market")
PROXY = "http://joe:secret@proxy.example:3128"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "proxy", [PROXY, "socks5://joe:secret@proxy.example:3128", "joe:secret@proxy.example:3128"]
)
def test_proxy_for_the_live_gateway_is_named_with_what_to_do_and_without_its_password(
    variable: str, proxy: str
) -> None:
    found = proxied(LIVE, {variable: proxy})
    assert found is not None
    assert found.hosts == ("api.topstepx.com", "rtc.topstepx.com")
    assert found.variable in found.why
    assert "proxy.example:3128" in found.why
    assert found.hint == "set NO_PROXY=api.topstepx.com,rtc.topstepx.com"
    assert "secret" not in found.why + found.hint


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HTTP_PROXY": PROXY},
        {"HTTPS_PROXY": ""},
        {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"},
        {"ALL_PROXY": PROXY, "no_proxy": "localhost, .topstepx.com"},
        {"ALL_PROXY": PROXY, "NO_PROXY": "api.topstepx.com:443,rtc.topstepx.com"},
    ],
)
def test_gateway_that_no_proxy_would_be_asked_for_is_no_matter(environment: dict[str, str]) -> None:
    assert proxied(LIVE, environment) is None


def test_only_what_is_left_to_the_proxy_is_named() -> None:
    found = proxied(LIVE, {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.topstepx.com"})
    assert found is not None
    assert found.hosts == ("rtc.topstepx.com",)


def test_loopback_never_needs_one() -> None:
    assert proxied(LOOPBACK, {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "127.0.0.1,localhost"), ("a.example", "a.example,127.0.0.1,localhost"), ("*", "*")],
)
def test_this_process_asks_none_for_the_gateway(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", before)
    monkeypatch.setenv("no_proxy", before)
    reach_directly(LOOPBACK[:2])
    reach_directly(LOOPBACK[:2])
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == after
