"""What must be seen before the storm begins."""

from __future__ import annotations

from ops.demo.look import Look
from ops.demo.sights import Sight


class Measured(Sight, frozen=True, kw_only=True):
    """What each open position cost is known: from here on it is compared with what it was."""

    def expected(self) -> str:
        return f"the cost of every position of {self.account}"

    def seen(self, look: Look) -> str:
        account = look.account(self.account)
        open_ = account.positions if account else ()
        return ", ".join(f"{p.root} from {p.average_price}" for p in open_) or "no position"

    def holds(self, look: Look) -> bool:
        account = look.account(self.account)
        return account is not None and all(p.average_price is not None for p in account.positions)
