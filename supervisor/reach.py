"""How the configured gateway is reached: from settings and a resolved key to the SDK-backed gateway."""

from __future__ import annotations

from collections.abc import Callable

from actors.clock import Clock
from actors.connection.budget import Limits
from actors.connection.port import Gateway
from config.settings import Settings
from supervisor.program import MakeGateway


def gateway_maker(api_key: str) -> MakeGateway:
    """Makes the gateway on the loop's own thread, where alone it may be touched."""

    def of(settings: Settings, clock: Clock) -> Callable[[], Gateway]:
        return lambda: _projectx(settings, clock, api_key)

    return of


def _projectx(settings: Settings, clock: Clock, api_key: str) -> Gateway:
    # The SDK takes over a second to import: only the daemon pays it, and beside the rest of the start.
    from actors.connection.projectx import ProjectXGateway, ProjectXSettings

    gateway = settings.gateway
    if not (gateway.api_url and gateway.user_hub_url and gateway.market_hub_url and gateway.username):
        raise ValueError("cannot reach the gateway: its three addresses and the user name must be set")
    budget = gateway.budget
    return ProjectXGateway(
        ProjectXSettings(
            gateway.api_url,
            gateway.user_hub_url,
            gateway.market_hub_url,
            gateway.username,
            api_key,
            gateway.request_timeout.total_seconds(),
            Limits(budget.requests, budget.per.total_seconds(), budget.reserved),
        ),
        clock,
    )
