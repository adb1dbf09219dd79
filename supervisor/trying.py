"""`account test --live`: the daemon tries accounts at the gateway, beside the connection in force."""

from __future__ import annotations

import trio

from actors.connection.trial import Asked, Step, Trial
from actors.enforcement.view import EnforcementView
from supervisor.arming import Armed
from supervisor.handlers import Call, Daemon
from supervisor.protocol import DoTestAccount, Exit, Refused
from supervisor.records import headed
from supervisor.telling import HANDLERS

__all__ = ["HANDLERS"]

LONGEST_S = 55.0


@HANDLERS.on("account.test", DoTestAccount)
async def account_test(context: Call, request: DoTestAccount) -> object:
    """Login, hubs, snapshot, first events; with `trade` one micro contract opened and closed."""
    daemon = context.parts
    chosen = _chosen(daemon, request)
    program = daemon.program
    names = tuple(armed.guarded.name for armed in chosen)
    day_start = program.calendar.previous_reset(daemon.now().wall)
    asked = Asked(names, request.trade, day_start)
    trying = program.loop.beside(lambda gateway: Trial(gateway, program.clock, asked).run())
    with trio.move_on_after(LONGEST_S):
        steps: tuple[Step, ...] = await trio.to_thread.run_sync(trying.result, abandon_on_cancel=True)
        return headed(daemon, steps=steps)
    raise Refused(Exit.UNKNOWN, "the test did not end in time", "riskd status shows what the account holds")


def _chosen(daemon: Daemon, request: DoTestAccount) -> tuple[Armed, ...]:
    """The accounts to try. A trade is for one that is free, and never meets a lockout. Raises Refused."""
    one = None if request.account is None else daemon.account(request.account)
    chosen = tuple(daemon.program.armed.values()) if one is None else (one,)
    if not request.trade:
        return chosen
    if len(chosen) != 1:
        why = "cannot trade in several accounts at once"
        raise Refused(Exit.USAGE, why, "name one: riskd account test ACCT --live --trade")
    name = chosen[0].guarded.name
    view = daemon.program.board.read(("enforcement", name), EnforcementView)
    if view is not None and view.lockouts:
        raise Refused(Exit.FAILED, f"cannot trade: {name} is locked", "riskd lockouts")
    return chosen
