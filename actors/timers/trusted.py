"""The time that deadlines are compared with: the wall clock, as far as the gateway bears it out. Pure.

Whoever sets the machine's clock must not end a lockout by it. So the wall clock counts, but never more
than two seconds ahead of the gateway's own time, which its timestamps give and the monotonic clock carries
on; and a clock set back while the program runs does not stop time either: it goes on as measured. After a
restart of the machine the monotonic clock begins anew: then the last gateway time known stands still until
the gateway is heard again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

AHEAD = timedelta(seconds=2)
"""How far the wall clock may be ahead of gateway time (rules, section 3)."""
DOUBTFUL = timedelta(minutes=5)
"""A stamp so far ahead of both clocks must be borne out by a second one."""
AGREE = timedelta(seconds=60)
DRIFT_AFTER_S = 600.0
"""A bound this old may also be corrected down: the monotonic clock may run fast by some parts per million."""


class Point(Struct, frozen=True, gc=False):
    """An instant and the monotonic second at which it was current."""

    at: datetime
    mono: float

    def carried(self, mono: float) -> datetime:
        return self.at + timedelta(seconds=mono - self.mono)


class Saved(Struct, frozen=True):
    """What is kept over restarts. Both points belong to the boot they were measured in."""

    boot: str
    gateway: Point
    trusted: Point


class Trust(Struct, frozen=True):
    """What is known of the time."""

    gateway: Point | None = None
    """The newest gateway time, carried on by the monotonic clock."""
    stands: datetime | None = None
    """The last gateway time before the machine restarted; it stands still until the gateway is heard."""
    own: Point | None = None
    """The wall clock as first read, where nothing is known of the gateway."""
    last: Point | None = None
    """The last answer of `trusted`."""
    doubted: Point | None = None

    @property
    def contact(self) -> bool:
        """The gateway's time is known in this boot of the machine."""
        return self.gateway is not None


def trusted(trust: Trust, wall: datetime, mono: float) -> tuple[Trust, datetime]:
    """Trusted time now, and what is known afterwards."""
    own = trust.own or Point(wall, mono)
    gone_on = wall if trust.last is None else max(wall, trust.last.carried(mono))
    now = min(gone_on, _bound(trust, own, mono) + AHEAD)
    return replace(trust, own=own, last=Point(now, mono)), now


def _bound(trust: Trust, own: Point, mono: float) -> datetime:
    if trust.gateway is not None:
        return trust.gateway.carried(mono)
    return trust.stands if trust.stands is not None else own.carried(mono)


def seen(trust: Trust, at: datetime, mono: float, wall: datetime) -> Trust:
    """A timestamp of the gateway's, read at `mono`. An old one proves nothing and changes nothing."""
    point = Point(at, mono)
    if trust.gateway is None:
        return replace(trust, gateway=point, stands=None)
    ahead = at - trust.gateway.carried(mono)
    if ahead > DOUBTFUL and at - wall > DOUBTFUL and not _borne_out(trust.doubted, point):
        return replace(trust, doubted=point)
    if ahead >= timedelta(0) or _drifted(trust.gateway, point, ahead):
        return replace(trust, gateway=point, doubted=None)
    return trust


def _borne_out(doubted: Point | None, point: Point) -> bool:
    return doubted is not None and abs(doubted.carried(point.mono) - point.at) <= AGREE


def _drifted(known: Point, point: Point, ahead: timedelta) -> bool:
    return point.mono - known.mono > DRIFT_AFTER_S and -ahead < AHEAD


def saved(trust: Trust, boot: str) -> bytes | None:
    """What to keep, once the gateway was heard."""
    if trust.gateway is None or trust.last is None:
        return None
    mono = trust.last.mono
    return msgspec.json.encode(Saved(boot, Point(trust.gateway.carried(mono), mono), trust.last))


def restored(body: bytes | None, boot: str) -> Trust:
    """Trust after a restart: of the program, where the boot is still the same; else of the machine."""
    if body is None:
        return Trust()
    kept = msgspec.json.decode(body, type=Saved)
    if kept.boot == boot:
        return Trust(gateway=kept.gateway, last=kept.trusted)
    return Trust(stands=kept.gateway.at)
