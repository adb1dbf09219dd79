"""The broker forbids trading: everything is closed as far as possible and the account locked until it
may trade again (RULE-010). And people hear of it when the link or the login is lost.

A lost link closes nothing by itself, and is never reported as protection. The alert is repeated for as
long as it lasts, and says what to do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    Breach,
    LinkState,
    Lock,
    LockKind,
    Notice,
    Now,
)
from config.settings import AuthLossGuard, LevelOrIgnore

from . import sandbox
from .episodes import UNNUMBERED, Episodes, follow
from .exposure import working
from .machine import Machine, breaches_of, instant_text
from .rule import Judgement, Probe, Wake

ACCOUNT = "*"
LINK = "link"
"""Component of link alerts, so that they can be chosen by `alerts: only: [link]`."""
WHAT_TO_DO = {
    "link": "Open positions are not watched live. Check the network and the gateway; if in doubt close in "
    "the broker's own screen.",
    "login": "Nothing can be watched or closed. Check user name and API key (`riskd account test`); close in "
    "the broker's own screen if in doubt.",
}


START_MOST = timedelta(seconds=10)
"""How long a first link may take from its first hub to its first read; a longer one is told as lost."""


def _still_starts(snapshot: AccountSnapshot, now: Now) -> bool:
    """Whether the link is being made for the first time since the account was armed, also by a reload."""
    if snapshot.link_since is None:
        return True
    return not snapshot.linked and now.wall - snapshot.link_since < START_MOST


class Loss(Struct, frozen=True, gc=False):
    """A lost link or login, and the alerts it gave."""

    what: str
    """`link` or `login`."""
    since: datetime
    told: int
    told_at: datetime


class GuardState(Struct, frozen=True, gc=False):
    """Whether the broker forbids trading, what is lost, and when the permission was last asked for."""

    episodes: Episodes = Episodes()
    loss: Loss | None = None
    missing_told: bool = False
    asked_at: datetime | None = None


class AuthLossGuardRule(Machine[GuardState]):
    """RULE-010."""

    name = "auth_loss_guard"
    wakes_on = frozenset({Wake.ACCOUNT, Wake.LINK, Wake.TIME, Wake.FILL, Wake.POSITION, Wake.ORDER})

    def __init__(self, config: AuthLossGuard) -> None:
        self._check_every, self._repeat_every = config.check_every, config.repeat_every
        self._levels: dict[str, LevelOrIgnore] = {
            "link": config.on_disconnect,
            "login": config.on_auth_failure,
        }
        self._auto = config.unlock == "auto"

    def initial(self) -> GuardState:
        return GuardState()

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        return snapshot.can_trade is True

    # ------------------------------------------------------------------------------ judge

    def judge(self, state: GuardState, snapshot: AccountSnapshot, now: Now) -> Judgement[GuardState]:
        forbidden = snapshot.can_trade is False
        seen = {ACCOUNT: self._breach(snapshot)} if forbidden else {}
        episodes = follow(state.episodes, self.name, snapshot.day, seen)
        loss, notices = self._loss(state.loss, snapshot, now)
        missing = snapshot.can_trade is None and snapshot.read_mono > 0
        if missing and not state.missing_told:
            notices = (*notices, self._missing(snapshot))
        exposed = bool(snapshot.positions or working(snapshot))
        asks = self._asks(state, snapshot, now)
        return Judgement(
            GuardState(episodes, loss, missing, now.wall if asks else state.asked_at),
            breaches_of(episodes),
            (AccountFlat(),) if forbidden and exposed else (),
            lock=self._lock(episodes.open[ACCOUNT]) if forbidden else None,
            notices=notices,
            condition_over=self._auto and not forbidden and snapshot.read_mono > 0,
            wants_read="canTrade is due to be checked" if asks else None,
        )

    def _asks(self, state: GuardState, snapshot: AccountSnapshot, now: Now) -> bool:
        if now.mono - snapshot.read_mono < self._check_every.total_seconds():
            return False
        return state.asked_at is None or now.wall - state.asked_at >= self._check_every

    def _breach(self, snapshot: AccountSnapshot) -> Breach:
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=None,
            value="canTrade false",
            limit="canTrade true",
            mark=None,
            cause="account",
            at=snapshot.cause_at or snapshot.now.wall,
            text="the broker does not allow this account to trade",
            inputs={"unlock": "auto" if self._auto else "admin"},
        )

    def _lock(self, breach: Breach) -> Lock:
        return Lock(LockKind.CONDITION, breach.at, None, breach.text, flatten=True, breach=breach.id)

    def _missing(self, snapshot: AccountSnapshot) -> Notice:
        text = "the gateway does not say whether the account may trade; it is taken as allowed"
        return Notice("warning", self.name, text, f"{self.name}/missing/{instant_text(snapshot.now.wall)}")

    # ------------------------------------------------------------------------------ link and login

    def _loss(
        self, before: Loss | None, snapshot: AccountSnapshot, now: Now
    ) -> tuple[Loss | None, tuple[Notice, ...]]:
        if snapshot.link_since is None:  # not connected for the first time yet
            return before, ()
        what = "login" if snapshot.auth_failed else "link" if snapshot.link is not LinkState.LIVE else None
        if before is None and what == "link" and _still_starts(snapshot, now):
            return None, ()
        if what is None:
            return None, (self._back(before, now),) if before is not None and before.told else ()
        if before is None or before.what != what:
            before = Loss(what, snapshot.link_since, 0, now.wall)
        elif now.wall - before.told_at < self._repeat_every:
            return before, ()
        loss = msgspec.structs.replace(before, told=before.told + 1, told_at=now.wall)
        level = self._levels[what]
        if level == "ignore":
            return msgspec.structs.replace(loss, told=0), ()
        return loss, (self._lost(loss, level),)

    def _lost(self, loss: Loss, level: str) -> Notice:
        since = instant_text(loss.since)
        happened = "the gateway refuses the login" if loss.what == "login" else "the link is lost"
        message = f"{happened} since {since}. {WHAT_TO_DO[loss.what]}"
        return Notice(level, LINK, message, f"{LINK}/{loss.what}/{since}/{loss.told}", {"since": since})

    def _back(self, loss: Loss, now: Now) -> Notice:
        since = instant_text(loss.since)
        lasted = int((now.wall - loss.since).total_seconds())
        message = f"the {loss.what} is back after {lasted} s"
        return Notice("info", LINK, message, f"{LINK}/{loss.what}/{since}/back", {"since": since})

    # ------------------------------------------------------------------------------ probe

    def probe(self, now: Now) -> Probe:
        then = sandbox.after(now, 1)
        allowed = sandbox.snapshot(now)
        return Probe(
            (allowed, sandbox.snapshot(then, can_trade=False, cause="account")),
            (allowed, sandbox.snapshot(then, link=LinkState.DOWN, cause="link")),
        )
