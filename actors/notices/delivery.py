"""Sending one message to one target, in a thread of its own: a server that hangs holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable

from actors.crash_points import crash_point

type Deliver = Callable[[str, str, str, str], str | None]
"""Address, level, title, text; None when it was accepted, else why not."""


def start_delivery(
    deliver: Deliver, message: tuple[str, str, str, str], done: Callable[[str | None], None]
) -> None:
    """Deliver and call `done` with the outcome, in the delivering thread."""

    def run() -> None:
        why: str | None = "the delivery broke off"
        try:
            crash_point("notice.sending")
            why = deliver(*message)
            crash_point("notice.sent")
        finally:
            done(why)

    threading.Thread(target=run, name="notice", daemon=True).start()


def by_apprise(url: str, level: str, title: str, text: str) -> str | None:
    """Deliver through apprise, which knows the services; reads its answer, which is no bool."""
    # Imported late: 28 MB and a fifth of a second that only a program with targets needs.
    import apprise

    sender = apprise.Apprise()
    if not sender.add(url):
        return "the address is not one that apprise understands"
    kind = {"info": "info", "warning": "warning"}.get(level, "failure")
    answer = sender.notify(body=text, title=title, notify_type=kind)
    return None if answer else "the service did not accept it"


def warm_up() -> None:
    """Import apprise before the first alert, which comes at a moment when nothing should be slow."""
    threading.Thread(target=lambda: __import__("apprise"), name="notice-warm-up", daemon=True).start()
