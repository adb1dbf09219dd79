"""Starting on a store that may not know every lockout: then the account is locked until the next reset.

Either the file was damaged and its lockouts could not all be read, or the witness outside the home saw a
home that this one is not: it was deleted, or an older copy of it was put back. Losing a file must not unlock
an account.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import trio

from actors.logs import get_logger
from actors.messages import AccountReport, LockKind, Lockout, StoreMeta
from actors.persistence import keys, witness
from actors.persistence.queries import AskWitness, Doubt, KeepWitness, ReadMeta
from supervisor.driver import Supervisor, answer
from supervisor.tree import Parts

log = get_logger("riskd.arming")

ASK_S = 10.0
LOOK_S = 5.0
"""A witness on a disk that does not answer is given up for this start."""
RULE = "store"


async def doubted(parts: Parts, supervisor: Supervisor, report: AccountReport) -> Lockout | None:
    """The lockout under which the account starts, if its store is in doubt. The same after every restart."""
    found = await _unwitnessed(parts, supervisor, report)
    key = keys.doubt(report.id)
    if found is not None:
        log.error("arming.store_in_doubt", account=report.name, why=found.why)
        supervisor.handle("persistence").tell(StoreMeta(key, msgspec.json.encode(found)))
    known = [found, *[await _kept(supervisor, name) for name in (key, keys.LOCKOUTS_LOST)]]
    doubts = [doubt for doubt in known if doubt is not None]
    if not doubts:
        return None
    newest = max(doubts, key=lambda doubt: doubt.at)
    until = parts.calendar.next_reset(newest.at)
    if until <= parts.clock.wall():
        return None
    reason = f"{newest.why}: lockouts may be missing"
    return Lockout(report.id, RULE, LockKind.UNTIL_RESET, newest.at, until, reason, True, None, None)


def keep_witness(parts: Parts, supervisor: Supervisor, report: AccountReport) -> None:
    """From now on the witness learns of every lockout of the account and its end."""
    path = parts.settings.tamper.witness
    if path is not None:
        name = witness.name_of(parts.settings.gateway.api_url or "", report.id)
        supervisor.handle("persistence").tell(KeepWitness(path, name))


async def _kept(supervisor: Supervisor, key: str) -> Doubt | None:
    body = await answer(supervisor.handle("persistence"), ReadMeta(key), ASK_S)
    return msgspec.json.decode(body, type=Doubt) if isinstance(body, bytes) and body else None


async def _unwitnessed(parts: Parts, supervisor: Supervisor, report: AccountReport) -> Doubt | None:
    path = parts.settings.tamper.witness
    if path is None:
        return None
    now = parts.clock.wall()
    try:
        with trio.fail_after(LOOK_S):
            entries = await trio.to_thread.run_sync(witness.read, Path(path), abandon_on_cancel=True)
    except witness.Unreadable as error:
        return Doubt(now, f"the witness cannot be read ({error})")
    except (OSError, trio.TooSlowError) as error:
        # Not there for now is no sign of a lost home; that it cannot be written will be shown.
        log.warning("arming.witness_not_there", why=str(error) or "no answer in time", path=path)
        return None
    seen = entries.get(witness.name_of(parts.settings.gateway.api_url or "", report.id))
    if seen is None:
        return None
    ask = AskWitness(seen.store, seen.head)
    if await answer(supervisor.handle("persistence"), ask, ASK_S):
        return None
    saw = f"its witness saw at {seen.at:%Y-%m-%d %H:%M} UTC"
    return Doubt(now, f"the home was lost, or is older than what {saw}")
