"""How fast the supervisor mends and how much it carries, each beside bare pykka in the same run.

`run()` gives rows {line, value, unit, peer, ratio, target}. `ratio` is the value to a limit where there is
one, else to the same thing done with bare pykka, and is held when it is not above `target`.
"""

from __future__ import annotations

import gc
import random
import statistics
import threading
import time
from collections.abc import Callable

import pykka
import trio

from actors.clock import SystemClock
from actors.worker import Actor
from supervisor.child_spec import Backoff, ChildSpec, SupervisorSpec
from supervisor.driver import Supervisor

PATIENCE_S = 60.0
Row = dict[str, object]


def run() -> list[Row]:
    return [
        *crash_to_next_message(),
        *hung_to_replaced(),
        *poison_among_thousands(),
        *tell_throughput(),
        *scan_of_a_thousand(),
    ]


def row(
    line: str,
    value: float,
    unit: str,
    *,
    limit: float | None = None,
    bare: float | None = None,
    target: float = 1.0,
) -> Row:
    """One line; `limit` is absolute, `bare` what bare pykka took, `target` the ratio that is good enough."""
    named = {"limit": limit, "bare pykka": bare}
    peer = ", ".join(f"{name} {number:,.1f}" for name, number in named.items() if number is not None)
    against = limit if limit is not None else bare
    ratio = None if not against else round(value / against, 3)
    wanted = None if against is None else target
    return {
        "line": line,
        "value": round(value, 2),
        "unit": unit,
        "peer": peer,
        "ratio": ratio,
        "target": wanted,
    }


def count_row(line: str, value: int, expected: int) -> Row:
    """A count that has to be exactly what is expected."""
    ratio = 0.0 if value == expected else 2.0
    return {
        "line": line,
        "value": value,
        "unit": "",
        "peer": f"expected {expected}",
        "ratio": ratio,
        "target": 1.0,
    }


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spec(name: str, factory: Callable[..., Actor], *args: object, **terms: object) -> ChildSpec:
    plain: dict[str, object] = {"crashes": "unlimited", "backoff": Backoff(min_s=0, max_s=0)}
    return ChildSpec(**{"id": name, "factory": factory, "args": args, **plain, **terms})  # type: ignore[arg-type]


def with_tree(work: Callable[[Supervisor], object], *children: ChildSpec, in_place: bool = True) -> object:
    """Run `work` in a thread of its own while trio drives the tree."""

    async def main() -> object:
        supervisor = Supervisor(
            SupervisorSpec(id="root", children=children), SystemClock(), in_place=in_place
        )
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            result = await trio.to_thread.run_sync(work, supervisor)
            await supervisor.stop()
        return result

    return trio.run(main)


# Crash until the replacement serves the next message in the queue.


class Mortal(Actor):
    """Dies of an exception; otherwise notes when it handled a message."""

    def __init__(self, kept: object | None, served: SimpleEvent) -> None:
        self.served = served

    def receive(self, message: object) -> None:
        if isinstance(message, Exception):
            self.served.began = time.perf_counter()
            raise message
        self.served.fire()


class SimpleEvent:
    """Two stamps and a wake."""

    def __init__(self) -> None:
        self.began = 0.0
        self.ended = 0.0
        self._done = threading.Semaphore(0)

    def fire(self) -> None:
        self.ended = time.perf_counter()
        self._done.release()

    def wait_us(self) -> float:
        if not self._done.acquire(timeout=PATIENCE_S):
            raise TimeoutError("nobody served")
        return (self.ended - self.began) * 1e6


class BareMortal(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, served: SimpleEvent, dead: Callable[[], None]) -> None:
        super().__init__()
        self.served, self.dead = served, dead

    def on_receive(self, message: object) -> None:
        if isinstance(message, Exception):
            self.served.began = time.perf_counter()
            raise message
        self.served.fire()

    def on_failure(self, *_: object) -> None:
        self.dead()


def crash_to_next_message(rounds: int = 400) -> list[Row]:
    peer = bare_crashes(rounds)
    rows = []
    for label, in_place in (("", True), (" through trio", False)):
        served = SimpleEvent()

        def work(supervisor: Supervisor, served: SimpleEvent = served) -> list[float]:
            handle, times = supervisor.handle("a"), []
            for _ in range(rounds):
                handle.tell(ValueError("boom"))
                handle.tell("next")
                times.append(served.wait_us())
                time.sleep(0.001)  # let the old thread end, as it would between two real crashes
            return times

        times = with_tree(work, spec("a", Mortal, served, max_attempts=1), in_place=in_place)
        assert isinstance(times, list)
        for share, limit in ((0.5, 1_000.0), (0.99, 10_000.0)):
            line = f"crash to next message{label}, p{share * 100:g}"
            bare = percentile(peer, share)
            rows.append(row(line, percentile(times, share), "us", limit=limit, bare=bare))
    return rows


def bare_crashes(rounds: int) -> list[float]:
    """pykka's own way: on_failure starts the next one, and what was queued has to be sent again."""
    served, times = SimpleEvent(), []
    current: list[pykka.ActorRef[BareMortal]] = []

    def again() -> None:
        current[:] = [BareMortal.start(served, again)]
        current[0].tell("next")

    logger_off()
    current.append(BareMortal.start(served, again))
    for _ in range(rounds):
        current[0].tell(ValueError("boom"))
        times.append(served.wait_us())
        time.sleep(0.001)
    pykka.ActorRegistry.stop_all()
    return times


def logger_off() -> None:
    """Formatting a traceback costs pykka a millisecond per crash; that is not what is measured here."""
    import logging

    logging.getLogger("pykka").setLevel(logging.CRITICAL)


# Hang.


class Deaf(Actor):
    def __init__(self, kept: object | None, served: SimpleEvent) -> None:
        self.served = served

    def receive(self, message: object) -> None:
        if message == "hang":
            self.served.began = time.perf_counter()
            time.sleep(0.4)
        else:
            self.served.fire()


def hung_to_replaced(rounds: int = 15) -> list[Row]:
    served = SimpleEvent()

    def work(supervisor: Supervisor) -> list[float]:
        handle, times = supervisor.handle("a"), []
        for _ in range(rounds):
            handle.tell("hang")
            handle.tell("next")
            times.append(served.wait_us())
            time.sleep(0.45)
        return times

    times = with_tree(work, spec("a", Deaf, served, max_attempts=1, handler_deadline_s=0.25))
    assert isinstance(times, list)
    limit = (0.25 + 0.06) * 1e6
    figures = {"p50": statistics.median(times), "max": max(times)}
    return [row(f"hang to next message, {name}", value, "us", limit=limit) for name, value in figures.items()]


# Poison.


class Taster(Actor):
    def __init__(self, kept: object | None, seen: list[object]) -> None:
        self.seen = seen

    def receive(self, message: object) -> None:
        if isinstance(message, Exception):
            raise message
        self.seen.append(message)


def poison_among_thousands(messages: int = 10_000, poison: int = 100) -> list[Row]:
    seen: list[object] = []
    chance = random.Random(1)
    bad = set(chance.sample(range(messages), poison))

    def work(supervisor: Supervisor) -> tuple[float, int]:
        handle = supervisor.handle("a")
        began = time.perf_counter()
        for number in range(messages):
            handle.tell(ValueError("poison") if number in bad else number)
        handle.ask("end", PATIENCE_S).result()
        return time.perf_counter() - began, supervisor.dead_letters.count

    taken = with_tree(work, spec("a", Taster, seen, mailbox_limit=2 * messages))
    assert isinstance(taken, tuple)
    duration_s, letters = taken
    expected = [number for number in range(messages) if number not in bad]
    lost = len(set(expected) - set(seen))
    doubled = len(seen) - 1 - len(set(seen) - {"end"})
    return [
        row(f"{messages} messages, {poison} poison", duration_s * 1e3, "ms"),
        count_row("  lost", lost, 0),
        count_row("  doubled or out of order", doubled + (seen[:-1] != expected), 0),
        count_row("  dead letters", letters, poison),
    ]


# Throughput.


class Sink(Actor):
    def __init__(self, kept: object | None, last: int, served: SimpleEvent) -> None:
        self.left, self.served = last, served

    def receive(self, message: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.served.fire()


class BareSink(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, last: int, served: SimpleEvent) -> None:
        super().__init__()
        self.left, self.served = last, served

    def on_receive(self, message: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.served.fire()


def tell_throughput(messages: int = 100_000, rounds: int = 5) -> list[Row]:
    ours, bare = [], []
    for _ in range(rounds):
        bare.append(bare_tell_us(messages))
        ours.append(our_tell_us(messages))
    return [row("tell, per message", statistics.median(ours), "us", bare=statistics.median(bare), target=0.5)]


def our_tell_us(messages: int) -> float:
    served = SimpleEvent()

    def work(supervisor: Supervisor) -> float:
        return timed(supervisor.handle("a").tell, messages, served) / messages

    taken = with_tree(work, spec("a", Sink, messages, served, mailbox_limit=2 * messages))
    assert isinstance(taken, float)
    return taken


def bare_tell_us(messages: int) -> float:
    served = SimpleEvent()
    ref = BareSink.start(messages, served)
    taken = timed(ref.tell, messages, served) / messages
    ref.stop()
    return taken


def timed(tell: Callable[[object], None], messages: int, served: SimpleEvent) -> float:
    served.began = time.perf_counter()
    for number in range(messages):
        tell(number)
    return served.wait_us()


# The scan.


class Idle(Actor):
    def __init__(self, kept: object | None) -> None: ...

    def receive(self, message: object) -> None: ...


def scan_of_a_thousand(actors: int = 1_000, rounds: int = 300) -> list[Row]:
    def work(supervisor: Supervisor) -> list[float]:
        times = []
        gc.freeze()
        for _ in range(rounds):
            now = supervisor.clock.mono()
            began = time.perf_counter()
            supervisor.scan.overdue(now)
            supervisor.scan.vanished()
            supervisor.scan.silent(now)
            times.append((time.perf_counter() - began) * 1e6)
        gc.unfreeze()
        return times

    times = with_tree(work, *(spec(f"a{number}", Idle) for number in range(actors)))
    assert isinstance(times, list)
    return [row(f"scan of {actors} idle actors, p50", statistics.median(times), "us", limit=50.0)]
