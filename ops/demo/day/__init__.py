"""One trading day in which every configured rule fires."""

from __future__ import annotations

from ops.demo.day import loss, size
from ops.demo.script import Script, Tempo


def day(tempo: Tempo) -> Script:
    acts = (loss.OPEN_LOSS, loss.DAY_LOSS, size.TOO_MANY_OF_ONE)
    return Script("day", tempo, (size.part(tempo), loss.part(tempo)), acts)
