"""What an operator or the program itself may ask of a running level: add, stop, restart, forget a child.

Every request is answered exactly once with an `Answered`, in OTP's words where OTP has one. Pure, as `core`
is.
"""

from typing import assert_never

import msgspec

from actors.address import Reason
from supervisor.child import Child, State
from supervisor.child_spec import ChildSpec, SpecError
from supervisor.core import Core, Mode
from supervisor.events import (
    Answered,
    DeleteChild,
    Output,
    RecycleChild,
    Refusal,
    Request,
    RestartChild,
    StartChild,
    TerminateChild,
)


def administer(core: Core, now: float, request: Request) -> list[Output]:
    """Take one request at instant `now`; what is to be done about it, in order."""
    return core.change(now, lambda: take(core, request))


def take(core: Core, event: Request) -> None:
    if core.mode is not Mode.RUNNING:
        refuse(core, event.request, "dead" if core.mode is Mode.DOWN else "stopping")
        return
    match event:
        case StartChild():
            start_child(core, event)
        case TerminateChild() | RestartChild() | DeleteChild() | RecycleChild():
            child = core.children.get(event.id)
            if child is None:
                refuse_unknown(core, event)
            else:
                take_for(core, child, event)
        case _:
            assert_never(event)


def take_for(
    core: Core, child: Child, event: TerminateChild | RestartChild | DeleteChild | RecycleChild
) -> None:
    match event:
        case TerminateChild(request):
            terminate(core, child, request)
        case RestartChild(request):
            restart_child(core, child, request)
        case DeleteChild(request):
            delete(core, child, request)
        case RecycleChild(request):
            recycle(core, child, request)
        case _:
            assert_never(event)


def start_child(core: Core, event: StartChild) -> None:
    spec = member_spec(core, event.args) if core.is_pool else event.spec
    if spec is None:
        refuse(core, event.request, "bad_spec")
        return
    try:
        core.spec.admit(spec)
    except SpecError as error:
        refuse(core, event.request, "bad_spec", Reason("start_failed", error=error))
        return
    present = core.children.get(spec.id)
    if present is not None:
        running = present.state in (State.RUNNING, State.STARTING)
        refuse(core, event.request, "already_started" if running else "already_present")
        return
    child = Child(spec, is_new=True)
    child.request = event.request
    core.children[spec.id] = child
    core.begin(child)


def member_spec(core: Core, args: tuple[object, ...]) -> ChildSpec:
    """The template of a pool, under a name of its own and with its own arguments."""
    template = core.spec.children[0]
    core.issued += 1
    return msgspec.structs.replace(template, id=f"{template.id}/{core.issued}", args=template.args + args)


def terminate(core: Core, child: Child, request: object) -> None:
    child.wanted = False
    child.stale = False
    child.stop_requests.append(request)
    if not child.has_process:
        core.lay_down(child, "stopped")
    elif child.state is not State.STOPPING:
        core.ask_stop(child)


def restart_child(core: Core, child: Child, request: object) -> None:
    if core.is_pool:
        refuse(core, request, "simple_one_for_one")
    elif child.has_process:
        refuse(core, request, "running")
    elif is_restarting(core, child):
        refuse(core, request, "restarting")
    else:
        begin_anew(core, child, request)


def delete(core: Core, child: Child, request: object) -> None:
    if core.is_pool:
        refuse(core, request, "simple_one_for_one")
    elif child.has_process:
        refuse(core, request, "running")
    elif is_restarting(core, child):
        refuse(core, request, "restarting")
    else:
        core.forget(child)
        core.out.append(Answered(request, id=child.spec.id))


def recycle(core: Core, child: Child, request: object) -> None:
    core.refuse_waiting(child, "restarting", None)
    child.insists = child.spec.restart != "temporary"
    if not child.has_process:
        begin_anew(core, child, request)
        return
    child.clear_budgets()
    child.request = request
    child.wanted = True
    if child.state is not State.STOPPING:
        core.ask_stop(child)


def begin_anew(core: Core, child: Child, request: object) -> None:
    child.clear_budgets()
    child.request = request
    child.wanted = True
    if child.down_since is None:
        child.down_since = core.now
    core.retry(child)


def is_restarting(core: Core, child: Child) -> bool:
    return child.state is State.RESTARTING or (child.wanted and child.spec.id in core.batch)


def refuse_unknown(core: Core, event: TerminateChild | RestartChild | DeleteChild | RecycleChild) -> None:
    if core.is_pool and event.id == core.spec.children[0].id:
        refuse(core, event.request, "simple_one_for_one")
    elif isinstance(event, TerminateChild) and was_member(core, event.id):
        core.out.append(Answered(event.request, id=event.id))
    else:
        refuse(core, event.request, "not_found")


def was_member(core: Core, name: str) -> bool:
    """Whether this pool once had a member of that name."""
    prefix, _, number = name.rpartition("/")
    is_own = core.is_pool and prefix == core.spec.children[0].id
    return is_own and number.isdigit() and 0 < int(number) <= core.issued


def refuse(core: Core, request: object, refusal: Refusal, reason: Reason | None = None) -> None:
    core.out.append(Answered(request, refusal, reason=reason))
