"""One moment of an act: the daemon's own status and history, and the gateway's books beside them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from config.instruments import root_of
from supervisor.answers import Account, Status

LONG = 1
WORKING = (1, 6)
"""Order states Open and Pending of the gateway."""


class Look(Struct, frozen=True):
    """What can be seen at one moment of an act."""

    status: Status | None
    """None while no daemon answers."""
    history: list[dict[str, Any]]
    """Lines since the act (or the story) began, oldest first."""
    gateway: dict[str, Any]
    """The gateway's own state."""
    before: Status | None = None
    """The daemon's status when the act began."""

    def account(self, name: str) -> Account | None:
        return _named(self.status, name)

    def was(self, name: str) -> Account | None:
        return _named(self.before, name)

    def lines(self, kind: str, account: str, rule: str = "") -> list[dict[str, Any]]:
        """Lines of one kind and account; of one rule where it is named."""
        return [
            line
            for line in self.history
            if line["kind"] == kind
            and line["account"] == account
            and (not rule or rule in (line.get("rule"), *line.get("rules", ())))
        ]

    def held(self, account: str) -> dict[str, int]:
        """Open size by root, as the gateway's books have it."""
        return {
            root_of(row["contractId"]): row["size"] if row["type"] == LONG else -row["size"]
            for row in self.gateway["positions"]
            if row["accountId"] == self._id(account) and row["size"]
        }

    def working(self, account: str) -> int:
        """How many orders work in the gateway's books."""
        mine = self._id(account)
        return sum(row["accountId"] == mine and row["status"] in WORKING for row in self.gateway["orders"])

    def executions(self, account: str) -> int:
        """How often the account traded, in the gateway's books."""
        mine = self._id(account)
        return sum(row["accountId"] == mine for row in self.gateway["trades"])

    def _id(self, account: str) -> int:
        return number_of(self.gateway, account)


def number_of(gateway: dict[str, Any], account: str) -> int:
    """The account's number in the gateway's books."""
    return next(int(row["id"]) for row in gateway["accounts"] if row["name"] == account)


def _named(status: Status | None, name: str) -> Account | None:
    accounts = status.accounts if status else ()
    return next((account for account in accounts if account.name == name), None)
