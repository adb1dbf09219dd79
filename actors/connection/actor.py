"""The connection actor: takes orders for the gateway loop and records how the link moves.

It is no stop on the way of an event or a call. The loop and everything on it belong to no incarnation of
this actor: one that is reborn finds the link as it is.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import replace

from actors.address import Address
from actors.clock import Clock
from actors.connection.link import LinkView
from actors.connection.loop import GatewayLoop
from actors.connection.options import Outlets
from actors.connection.port import DropLink, GuardAccount, LoadContracts, UnguardAccount
from actors.messages import (
    AccountId,
    Alert,
    Call,
    HistoryKind,
    LinkChanged,
    LinkState,
    Notice,
    ReadAccount,
    ReadPrice,
    Record,
    Tick,
    WatchContracts,
)
from actors.worker import Actor

STALLED_AFTER = 3.0
"""Seconds without a beat after which the loop counts as stalled, and the link as blind."""


class ConnectionActor(Actor):
    """Actor `connection`. What it keeps over a crash: to whom each account's calls are answered."""

    deadline_s: ClassVar[float] = 5.0

    def __init__(self, kept: object | None, loop: GatewayLoop, outlets: Outlets, clock: Clock) -> None:
        self._loop = loop
        self._outlets = outlets
        self._clock = clock
        self._enforcement: dict[AccountId, Address] = dict(kept) if isinstance(kept, tuple) else {}
        self._stalled = False

    def started(self) -> None:
        self._loop.start()

    def keep(self) -> object | None:
        return tuple(self._enforcement.items())

    def receive(self, message: object) -> None:
        match message:
            case Call():
                self._loop.submit(message, self._enforcement[message.account])
            case ReadAccount(account, why, verify):
                self._loop.read_account(account, why, verify)
            case ReadPrice(contract):
                self._loop.read_price(contract)
            case WatchContracts(account, contracts):
                self._loop.watch(account, contracts)
            case GuardAccount(account, _, enforcement):
                self._enforcement[account] = enforcement
                self._loop.guard(message)
            case UnguardAccount(account):
                self._enforcement.pop(account, None)
                self._loop.unguard(account)
            case LoadContracts():
                self._loop.load_contracts(message)
            case DropLink(why):
                self._loop.drop_link(why)
            case LinkChanged():
                self._moved(message)
            case Tick(now):
                self._look(now.mono)
            case _:
                raise TypeError(f"cannot handle {type(message).__name__}: no message to the connection")

    def _moved(self, link: LinkChanged) -> None:
        """One line of history per state and generation."""
        body: dict[str, object] = {
            "state": link.state.value,
            "generation": link.generation,
            "reason": link.reason,
            "since": link.since,
        }
        name = f"link/{link.since.isoformat()}/{link.generation}/{link.state.value}"
        self.send(self._outlets.persistence, Record(name, HistoryKind.LINK, self._clock.wall(), "", body))

    def _look(self, mono: float) -> None:
        """A loop that does not beat hears nothing: the link is shown as blind, whatever it last said."""
        stalled = mono - self._loop.beat > STALLED_AFTER
        if stalled:
            view = self._outlets.board.read(("link",), LinkView)
            if view is not None and view.state is LinkState.LIVE:
                reason = "the gateway loop does not answer"
                blind = replace(view, state=LinkState.BLIND, since=self._clock.wall(), reason=reason)
                self._outlets.board.post(("link",), blind)
        if stalled and not self._stalled:
            text = "The gateway loop does not answer; events and calls wait."
            notice = Notice("critical", "connection", text, "gateway-loop-stalled")
            self.send(self._outlets.notices, Alert(self._clock.wall(), "", notice))
        self._stalled = stalled
