"""The accounts of the login as the gateway lists them: `canTrade`, and who there is to be guarded."""

from __future__ import annotations

from actors.address import Address
from actors.clock import Clock
from actors.connection.budget import Lane
from actors.connection.ingest import Ingest
from actors.connection.login import Login
from actors.connection.port import Gateway, GatewayError
from actors.connection.records import Records
from actors.connection.translate import Malformed
from actors.logs import get_logger
from actors.messages import AccountReport, AccountsFound


class Listing:
    """Listed with every generation and every `check_every` seconds; the tree hears of each change."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        login: Login,
        ingest: Ingest,
        records: Records,
        tree: Address,
        check_every: float,
    ) -> None:
        self._gateway, self._clock, self._login = gateway, clock, login
        self._ingest, self._records, self._tree = ingest, records, tree
        self._check_every = check_every
        self._due = 0.0
        self._found: tuple[AccountReport, ...] = ()
        self._log = get_logger("riskd.connection")

    async def read(self) -> None:
        """Raises GatewayError or Malformed."""
        accounts = await self._login.authorised(lambda: self._gateway.accounts(Lane.VERIFY))
        self._due = self._clock.mono() + self._check_every
        self._found = accounts
        for account in accounts:
            self._ingest.accounts[account.id] = account
        self._records.live = bool(accounts) and all(each.simulated is False for each in accounts)

    def tell(self) -> None:
        self._tree.tell(AccountsFound(self._found))

    def is_due(self, now: float) -> bool:
        """Whether it is time to list them again; said once each time."""
        if now < self._due:
            return False
        self._due = now + self._check_every
        return True

    async def check(self) -> None:
        """`canTrade` by REST; the next read of each account carries it."""
        before = {each.id for each in self._found}
        try:
            await self.read()
        except (GatewayError, Malformed) as error:
            self._log.warning("gateway.accounts_not_listed", reason=str(error))
            return
        if {each.id for each in self._found} != before:
            self.tell()
