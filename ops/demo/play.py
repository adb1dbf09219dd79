"""Playing a story: one act after the other, each until what must be seen is seen or its time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import assert_never

from ops.demo.acts import Act, KillActor, KillDaemon, Played, Step, Until
from ops.demo.sights import Look
from ops.demo.stage import Stage

LOOK_S = 0.05


def play(stage: Stage) -> Iterator[Act | Played]:
    """Each act before it is played, and again as it went."""
    for act in stage.script.acts:
        yield act
        yield play_act(stage, act)
        time.sleep(stage.script.tempo.pause_s)


def play_act(stage: Stage, act: Act) -> Played:
    before = stage.status()
    began, start = stage.clock.wall(), time.monotonic()
    since = stage.began if act.looks_back else began
    for step in act.does:
        do(stage, step)
    until = time.monotonic() + act.within_s
    while True:
        look = stage.look(act.account, since, before)
        missed = missing(act, look)
        if not missed or time.monotonic() > until:
            return Played(
                act=act, began=began, took_s=time.monotonic() - start, missed=missed, history=look.history
            )
        time.sleep(LOOK_S)


def missing(act: Act, look: Look) -> tuple[tuple[str, str], ...]:
    """What is not seen yet: expected, and seen instead."""
    return tuple((sight.expected(), sight.seen(look)) for sight in act.sees if not sight.holds(look))


def do(stage: Stage, step: Step) -> None:
    match step:
        case dict():
            stage.trade(step)
        case KillActor(actor):
            stage.kill_actor(actor)
        case KillDaemon():
            stage.kill_daemon()
        case Until(instant):
            stage.wait_until(instant)
        case _:
            assert_never(step)
