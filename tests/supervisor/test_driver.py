"""The running tree: real threads, real pykka actors, trio."""

import threading

import pytest
import trio

from actors.clock import SystemClock
from actors.worker import Actor, Address
from supervisor.child_spec import Backoff, ChildSpec, SupervisorSpec
from supervisor.driver import StartFailed, Supervisor, outcome

PATIENCE_S = 5.0


class Counter(Actor):
    """Counts what it is told; crashes on request."""

    def __init__(self, kept: object | None, seen: list[object]) -> None:
        self.seen = seen
        self.count = kept if isinstance(kept, int) else 0

    def receive(self, message: object) -> None:
        match message:
            case "count":
                self.reply(self.count)
            case BaseException():
                raise message
            case _:
                self.count += 1
                self.seen.append(message)

    def keep(self) -> object:
        return self.count


def counter(name: str, seen: list[object]) -> ChildSpec:
    return ChildSpec(
        id=name, factory=Counter, args=(seen,), crashes="unlimited", backoff=Backoff(min_s=0, max_s=0)
    )


async def count_at(address: Address) -> object:
    return await outcome(address.ask("count", PATIENCE_S))


async def running(supervisor: Supervisor, use) -> None:
    with trio.fail_after(PATIENCE_S * 2):
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            try:
                await use()
            finally:
                await supervisor.stop()


@pytest.mark.trio
async def test_crash_keeps_the_queue_the_order_and_the_state():
    seen: list[object] = []
    supervisor = Supervisor(SupervisorSpec(id="root", children=(counter("a", seen),)), SystemClock())

    async def use() -> None:
        address = supervisor.handle("a")
        for message in (1, 2, ValueError("poison"), 3, SystemExit(), 4):
            address.tell(message)
        assert await count_at(address) == 4
        assert seen == [1, 2, 3, 4]
        assert [letter.attempts for letter in supervisor.dead_letters.kept] == [2, 2]

    await running(supervisor, use)


@pytest.mark.trio
async def test_start_and_stop_keep_the_order():
    steps: list[str] = []

    class Stepper(Actor):
        def __init__(self, kept: object | None) -> None:
            pass

        def started(self) -> None:
            steps.append(f"+{self.me.id}")

        def stopping(self) -> None:
            steps.append(f"-{self.me.id}")

    children = tuple(ChildSpec(id=name, factory=Stepper) for name in "cab")
    supervisor = Supervisor(SupervisorSpec(id="root", children=children), SystemClock())

    async def use() -> None:
        assert steps == ["+c", "+a", "+b"]

    await running(supervisor, use)
    assert steps[3:] == ["-b", "-a", "-c"]


@pytest.mark.trio
async def test_failing_start_stops_what_was_started_and_names_the_cause():
    def broken(kept: object | None) -> Actor:
        raise OSError("no disk")

    children = (counter("a", []), ChildSpec(id="b", factory=broken))
    supervisor = Supervisor(SupervisorSpec(id="root", children=children), SystemClock())
    before = threading.active_count()
    async with trio.open_nursery() as nursery:
        with pytest.raises(StartFailed, match="start_failed: b: OSError: no disk"):
            await supervisor.start(nursery)
    assert threading.active_count() <= before
