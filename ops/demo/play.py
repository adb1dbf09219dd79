"""Playing a story: one act after the other, each until what must be seen is seen or its time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import assert_never

from ops.demo.acts import Act, KillActor, KillDaemon, Pause, Played, Step, Until
from ops.demo.look import Look
from ops.demo.screen import Teller
from ops.demo.stage import Stage
from supervisor.protocol import Refused

LOOK_S = 0.05
WATCH_S = 0.5
"""How often the screen is drawn while there is time to read."""


def play(stage: Stage, teller: Teller) -> Iterator[Played]:
    """Each act as it went."""
    for act in stage.script.acts:
        teller.begins(act)
        played = play_act(stage, act, teller)
        teller.went(played)
        yield played
        _let_pass(stage, act, teller, stage.script.tempo.pause_s)


def play_act(stage: Stage, act: Act, teller: Teller) -> Played:
    _let_pass(stage, act, teller, act.rests_s)
    before, books = stage.status(), stage.trade({"op": "state"})
    began, start = stage.clock.wall(), time.monotonic()
    since = stage.began if act.looks_back else began
    missed = _done(stage, act, teller)
    until = time.monotonic() + act.within_s
    while True:
        look = stage.look(act.account, since, before)
        teller.sees(act, look)
        missing = missed or _missing(act, look)
        if not missing or missed or time.monotonic() > until:
            took_s = time.monotonic() - start
            return Played(
                act=act,
                began=began,
                took_s=took_s,
                missed=missing,
                history=look.history,
                books=(books, look.gateway),
            )
        time.sleep(LOOK_S)


def _missing(act: Act, look: Look) -> tuple[tuple[str, str], ...]:
    """What is not seen yet: expected, and seen instead."""
    return tuple((sight.expected(), sight.seen(look)) for sight in act.sees if not sight.holds(look))


def _done(stage: Stage, act: Act, teller: Teller) -> tuple[tuple[str, str], ...]:
    """Do what the act does; what could not be done is a miss as well."""
    for step in act.does:
        try:
            _do(stage, act, step, teller)
        except (ValueError, Refused) as no:
            return ((f"{step} is carried out", str(no)),)
    return ()


def _do(stage: Stage, act: Act, step: Step, teller: Teller) -> None:
    match step:
        case dict():
            stage.trade(step)
        case KillActor(actor):
            stage.kill_actor(actor)
        case KillDaemon():
            stage.kill_daemon()
        case Until(instant):
            _let_pass(stage, act, teller, stage.left_s(instant))
        case Pause(seconds):
            time.sleep(seconds)
        case _:
            assert_never(step)


def _let_pass(stage: Stage, act: Act, teller: Teller, seconds: float) -> None:
    """Let time pass with the screen alive."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        teller.sees(act, stage.look(act.account, stage.clock.wall(), None))
        time.sleep(max(0.0, min(WATCH_S, left, until - time.monotonic())))
