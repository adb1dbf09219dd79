"""The running tree: real threads, real pykka actors, trio."""

import threading

import pytest
import trio
import trio.lowlevel

from actors.clock import SystemClock
from actors.worker import Actor, Address
from supervisor.child_spec import Backoff, ChildSpec, SupervisorSpec
from supervisor.driver import Refused, StartFailed, Supervisor, outcome

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


def root(*children: ChildSpec) -> SupervisorSpec:
    return SupervisorSpec(id="root", children=children)


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


@pytest.mark.trio
async def test_children_come_and_go_while_the_tree_runs():
    seen: list[object] = []
    accounts = SupervisorSpec(id="accounts")
    supervisor = Supervisor(root(accounts.as_child()), SystemClock())

    async def use() -> None:
        account = SupervisorSpec(id="tree/A", children=(counter("A", seen), counter("A/rule", seen)))
        await supervisor.add_child("accounts", account.as_child())
        supervisor.handle("A/rule").tell(1)
        assert await count_at(supervisor.handle("A/rule")) == 1
        with pytest.raises(Refused, match="already_present"):
            await supervisor.add_child("accounts", counter("A", seen))
        with pytest.raises(Refused, match="dead"):
            await supervisor.add_child("nowhere", counter("B", seen))
        address = supervisor.handle("A")
        await supervisor.remove_child("tree/A")
        with pytest.raises(KeyError):
            supervisor.handle("A")
        address.tell("too late")
        assert supervisor.dead_letters.kept[-1].message == "too late"
        await supervisor.add_child("accounts", account.as_child())
        assert await count_at(supervisor.handle("A")) == 0
        with pytest.raises(Refused, match="not_found"):
            await supervisor.remove_child("tree/Z")

    await running(supervisor, use)


@pytest.mark.trio
async def test_an_added_child_that_cannot_start_leaves_nothing_behind():
    def broken(kept: object | None) -> Actor:
        raise OSError("no disk")

    supervisor = Supervisor(root(), SystemClock())

    async def use() -> None:
        with pytest.raises(Refused, match=r"start_failed.*no disk"):
            await supervisor.add_child("root", ChildSpec(id="a", factory=broken))
        assert supervisor.handles == {}
        await supervisor.add_child("root", counter("a", []))
        await supervisor.remove_child("a")

    await running(supervisor, use)


@pytest.mark.trio
async def test_pool_members_are_added_with_arguments_of_their_own():
    template = ChildSpec(id="w", factory=Counter, restart="temporary")
    pool = SupervisorSpec(id="pool", strategy="simple_one_for_one", children=(template,))
    supervisor = Supervisor(root(pool.as_child()), SystemClock())

    async def use() -> None:
        seen: list[object] = []
        name = await supervisor.add_member("pool", seen)
        assert name == "w/1"
        supervisor.handle(name).tell("hello")
        assert await count_at(supervisor.handle(name)) == 1
        await supervisor.remove_child(name)
        assert name not in supervisor.handles

    await running(supervisor, use)


@pytest.mark.trio
async def test_restarting_a_level_keeps_the_mail_of_its_actors():
    seen: list[object] = []
    gate = threading.Event()

    class Gated(Counter):
        def started(self) -> None:
            if self.epoch > 1:
                gate.wait(PATIENCE_S)

    sub = SupervisorSpec(id="sub", children=(ChildSpec(id="a", factory=Gated, args=(seen,)),))
    supervisor = Supervisor(root(sub.as_child()), SystemClock())

    async def use() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.restart, "sub")
            while (incumbent := supervisor.handle("a").incumbent) is None or incumbent.epoch == 1:
                await trio.lowlevel.checkpoint()
            supervisor.handle("a").tell("meanwhile")
            gate.set()
        assert await count_at(supervisor.handle("a")) == 1
        assert supervisor.dead_letters.count == 0

    await running(supervisor, use)


@pytest.mark.trio
async def test_stop_works_after_the_nursery_was_cancelled():
    supervisor = Supervisor(root(counter("a", [])), SystemClock())
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            nursery.cancel_scope.cancel()
        await supervisor.stop()
    assert (await supervisor.wait_ended()).kind == "shutdown"
    assert supervisor.tree()["state"] == "down"


@pytest.mark.trio
async def test_whoever_waits_for_the_end_learns_of_an_escalation():
    spec = ChildSpec(id="a", factory=Counter, args=([],), stance="escalate")
    supervisor = Supervisor(root(spec), SystemClock())
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            for _ in range(5):
                supervisor.handle("a").tell(ValueError("boom"))
            assert (await supervisor.wait_ended()).kind == "escalated"


@pytest.mark.trio
async def test_restarts_may_also_go_through_the_main_thread():
    seen: list[object] = []
    supervisor = Supervisor(root(counter("a", seen)), SystemClock(), in_place=False)

    async def use() -> None:
        supervisor.handle("a").tell(ValueError("boom"))
        assert await count_at(supervisor.handle("a")) == 0
        assert supervisor.uncovered_ms("a") > 0

    await running(supervisor, use)


@pytest.mark.trio
async def test_an_ask_that_outlives_the_tree_disturbs_nobody():
    supervisor = Supervisor(root(counter("a", [])), SystemClock())
    answers = []

    async def use() -> None:
        answers.append(supervisor.handle("a").ask("count", PATIENCE_S))
        with trio.move_on_after(0):
            await outcome(answers[0])

    await running(supervisor, use)
    assert answers[0].done()
