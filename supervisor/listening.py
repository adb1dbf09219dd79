"""Listens for guarded accounts that have gone silent and has them read; what silence is says `silence`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.connection.link import LinkView
from actors.messages import AccountSnapshot, Now, ReadAccount
from actors.tally import Tally
from supervisor.arming import Armed
from supervisor.life import Alerting
from supervisor.silence import Silence, in_session, listened
from supervisor.tree import Parts

LISTEN_S = 1.0


class Listening:
    """Tells people, once, that nothing is heard of an account that holds something in an open market."""

    def __init__(self, parts: Callable[[], Parts], armed: Mapping[str, Armed], alert: Alerting) -> None:
        self._parts, self._armed, self._alert = parts, armed, alert
        self._silence: dict[str, Silence | None] = {}
        self._listened = 0.0

    def listen(self, after_s: float) -> None:
        """Once a second, however often called. `after_s`: so many seconds without a word are silence."""
        parts = self._parts()
        now = Now(parts.clock.wall(), parts.clock.mono())
        if now.mono - self._listened < LISTEN_S:
            return
        self._listened = now.mono
        is_open = in_session(parts.calendar, tuple(parts.settings.sessions), now.wall)
        link = parts.board.read(("link",), LinkView)
        quoted = 0.0 if link is None else link.last_quote_mono
        for name, armed in self._armed.items():
            tally = parts.board.read(("tally", "account", name), Tally) or Tally()
            snapshot = parts.board.read(("snapshot", name), AccountSnapshot)
            self._silence[name], silent = listened(
                self._silence.get(name),
                snapshot,
                max(tally.heard.get("event", 0.0), quoted),
                now.mono,
                in_session=is_open,
                after_s=after_s,
            )
            if silent:
                self._say_silent(parts, armed, now, after_s / 60)

    def _say_silent(self, parts: Parts, armed: Armed, now: Now, minutes: float) -> None:
        name = armed.guarded.name
        text = (
            f"nothing was heard of {name} for {minutes:.0f} minutes although it holds something and "
            "its market is open; it is read again. Compare with the broker's screen."
        )
        self._alert("warning", text, f"silent/{name}/{now.wall.isoformat()}", name)
        parts.address("connection").tell(ReadAccount(armed.guarded.id, "silence"))
