"""A running connection with everything it tells: the real loop thread on the simulator, or on a fake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from actors.board import Board
from actors.clock import SystemClock
from actors.connection.budget import Limits
from actors.connection.loop import GatewayLoop
from actors.connection.options import Options, Outlets
from actors.connection.port import Gateway, GuardAccount
from actors.connection.projectx import ProjectXGateway, ProjectXSettings
from actors.messages import (
    AccountId,
    AccountsFound,
    Call,
    Called,
    CallKind,
    ContractId,
    LinkChanged,
    LinkState,
)
from ops.simulator.server import Urls
from tests.actors.connection.fake_gateway import yesterday
from tests.actors.connection.inbox import Inbox

A = AccountId(1001)
B = AccountId(1002)
UNSTRETCHED = Limits(requests=100_000)
"""So large a budget that the steady reads of a test come as often as it asks."""
USER, KEY = "demo-user", "demo-key-1234567890"


def settings_of(urls: Urls, key: str = KEY, timeout: float = 2.0, **fields: Any) -> ProjectXSettings:
    return ProjectXSettings(
        urls.api_url, urls.user_hub_url, urls.market_hub_url, USER, key, request_timeout=timeout, **fields
    )


@dataclass
class Bench:
    """The connection under test and the mailboxes around it."""

    loop: GatewayLoop
    board: Board
    tree: Inbox
    connection: Inbox
    persistence: Inbox
    notices: Inbox
    timers: Inbox
    accounts: dict[AccountId, Inbox] = field(default_factory=dict)
    enforcement: Inbox = field(default_factory=lambda: Inbox("enforcement"))
    calls: int = 0

    def guard(self, account: AccountId = A, *, live: bool = True) -> Inbox:
        """Guard an account and, unless told otherwise, wait until it is live."""
        self.tree.wait(AccountsFound)
        inbox = self.accounts.setdefault(account, Inbox(f"account/{account}"))
        self.loop.guard(GuardAccount(account, inbox, self.enforcement))
        if live:
            inbox.wait(LinkChanged, lambda link: link.state is LinkState.LIVE)
        return inbox

    def call(self, kind: CallKind, contract: ContractId, **fields: Any) -> Called:
        """Submit a call and wait for its answer."""
        self.calls += 1
        call = Call(f"receipt/{self.calls}", A, kind, contract, **fields)
        self.loop.submit(call, self.enforcement)
        return self.enforcement.wait(Called, lambda called: called.call.id == call.id)


@contextmanager
def running(make: Any, clock: SystemClock | None = None, **options: Any) -> Iterator[Bench]:
    """A connection on the gateway that `make` returns; ended with the block."""
    clock = clock or SystemClock()
    if "reconcile_every" in options:
        options["limits"] = UNSTRETCHED
    tree, connection, persistence, notices, timers = (
        Inbox(name) for name in ("tree", "connection", "persistence", "notices", "timers")
    )
    board = Board()
    outlets = Outlets(tree, connection, persistence, notices, timers, board)
    loop = GatewayLoop(make, Options(day_start=yesterday, **options), outlets, clock)
    loop.start()
    try:
        yield Bench(loop, board, tree, connection, persistence, notices, timers)
    finally:
        assert loop.close()


def projectx(urls: Urls, **fields: Any) -> Any:
    """Makes a ProjectX gateway that talks to the simulator."""

    def make() -> Gateway:
        return ProjectXGateway(settings_of(urls, **fields), SystemClock())

    return make
