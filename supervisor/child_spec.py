"""How a part of the program wants to be supervised, in OTP's words; checked where it is written down.

A `ChildSpec` describes one actor or one sub-tree, a `SupervisorSpec` one level. Both are validated on
creation: a bad one raises `SpecError`, whose `name` says which rule was broken. Durations are seconds.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

import msgspec

from actors.worker import Actor
from config.errors import WeMustAct

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]
Stance = Literal["give_up", "escalate"]
Factory = Callable[..., Actor]

BRUTAL: Literal["brutal"] = "brutal"
INFINITY = math.inf


class SpecError(WeMustAct, ValueError):
    """A spec breaks a rule; `name` is the rule, stable for tests and scripts."""

    def __init__(self, name: str, value: object, why: str) -> None:
        super().__init__(f"cannot use spec ({name}): {value!r} {why}")
        self.name = name
        self.value = value


def require(holds: bool, name: str, value: object, why: str) -> None:
    if not holds:
        raise SpecError(name, value, why)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


class Budget(msgspec.Struct, frozen=True):
    """So many within `period_s` are too many: the `limit`-th is not answered by a restart any more."""

    limit: int
    period_s: float

    def __post_init__(self) -> None:
        require(
            type(self.limit) is int and self.limit > 0, "invalid_budget", self.limit, "is not a count > 0"
        )
        require(
            is_number(self.period_s) and self.period_s > 0, "invalid_budget", self.period_s, "is not > 0 s"
        )


class Backoff(msgspec.Struct, frozen=True):
    """Delays between restarts: the first is immediate, then `min_s`, growing by `factor` up to `max_s`.

    Each is spread by +-`jitter`. A child up for `reset_after_s` starts over with an immediate restart.
    """

    min_s: float = 0.05
    max_s: float = 5.0
    factor: float = 2.0
    jitter: float = 0.2
    reset_after_s: float = 30.0

    def __post_init__(self) -> None:
        sound = all(is_number(part) and part >= 0 for part in msgspec.structs.astuple(self))
        require(sound, "invalid_backoff", self, "has a part that is not a number >= 0")
        require(
            self.min_s <= self.max_s < INFINITY, "invalid_backoff", self, "needs min_s <= max_s < infinity"
        )
        require(
            self.factor >= 1 and self.jitter <= 1, "invalid_backoff", self, "needs factor >= 1, jitter <= 1"
        )

    def delay(self, streak: int, chance: float) -> float:
        """Seconds to wait before restart number `streak` (0 = first); `chance` in 0..1 places the jitter."""
        if streak == 0:
            return 0.0
        # The exponent is bounded, so that a very long outage does not overflow.
        plain = min(self.max_s, self.min_s * self.factor ** min(streak - 1, 64))
        return plain * (1 + self.jitter * (2 * chance - 1))


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One child: an actor (`factory`) or a level of its own (`supervisor`).

    `factory(kept, *args)` is called in the actor's own thread; `kept` is what the last incarnation's `keep()`
    returned, None for the first. `crashes` is the child's own budget; "supervisor" counts against the level's
    intensity as OTP does, "unlimited" never gives up. `stance` says what follows an exhausted budget.
    """

    id: str
    factory: Factory | None = None
    supervisor: "SupervisorSpec | None" = None
    args: tuple[object, ...] = ()
    restart: Restart = "permanent"
    shutdown_s: float | Literal["brutal"] | None = None
    significant: bool = False
    handler_deadline_s: float | None = None
    max_attempts: int = 2
    start_timeout_s: float | None = None
    mailbox_limit: int = 10_000
    crashes: Budget | Literal["supervisor", "unlimited"] = Budget(5, 30.0)
    failed_starts: Budget | Literal["unlimited"] = Budget(12, 60.0)
    backoff: Backoff = Backoff()
    stance: Stance = "give_up"
    replace_when_hung: bool = True
    drain: bool = False

    @property
    def type(self) -> Literal["worker", "supervisor"]:
        return "worker" if self.supervisor is None else "supervisor"

    @property
    def stop_wait_s(self) -> float:
        """How long an asked stop may take: 5 s for an actor, unlimited for a sub-tree, 0 for brutal."""
        if self.shutdown_s is None:
            return 5.0 if self.supervisor is None else INFINITY
        return 0.0 if self.shutdown_s == BRUTAL else self.shutdown_s

    @property
    def start_wait_s(self) -> float:
        """How long initialising may take: 10 s for an actor, unlimited for a sub-tree."""
        if self.start_timeout_s is None:
            return 10.0 if self.supervisor is None else INFINITY
        return self.start_timeout_s

    def __post_init__(self) -> None:
        require(isinstance(self.id, str) and self.id != "", "invalid_id", self.id, "is not a name")
        require(
            (self.factory is None) != (self.supervisor is None), "missing_start", self.id, "needs one of both"
        )
        require(
            self.factory is None or callable(self.factory), "invalid_start", self.factory, "is not callable"
        )
        tree = self.supervisor
        require(
            tree is None or isinstance(tree, SupervisorSpec), "invalid_start", tree, "is not a SupervisorSpec"
        )
        require(tree is None or tree.id == self.id, "invalid_id", self.id, "differs from its sub-tree's id")
        require(self.restart in get_args(Restart), "invalid_restart", self.restart, "is unknown")
        wait = self.shutdown_s
        sound = wait is None or wait == BRUTAL or (is_number(wait) and wait >= 0)
        require(sound, "invalid_shutdown", wait, "is neither seconds >= 0 nor 'brutal'")
        require(
            type(self.significant) is bool, "invalid_significant", self.significant, "is not a truth value"
        )
        lasting = self.significant and self.restart == "permanent"
        require(not lasting, "invalid_significant", self.id, "is permanent and so can never end the level")
        for name in ("handler_deadline_s", "start_timeout_s"):
            value = getattr(self, name)
            require(
                value is None or (is_number(value) and value > 0), f"invalid_{name}", value, "is not > 0 s"
            )
        for name in ("max_attempts", "mailbox_limit"):
            value = getattr(self, name)
            require(type(value) is int and value > 0, f"invalid_{name}", value, "is not a count > 0")
        sound = isinstance(self.crashes, Budget) or self.crashes in ("supervisor", "unlimited")
        require(sound, "invalid_budget", self.crashes, "is no crash budget")
        sound = isinstance(self.failed_starts, Budget) or self.failed_starts == "unlimited"
        require(sound, "invalid_budget", self.failed_starts, "is no budget for failed starts")
        require(isinstance(self.backoff, Backoff), "invalid_backoff", self.backoff, "is no Backoff")
        require(self.stance in get_args(Stance), "invalid_stance", self.stance, "is unknown")


class SupervisorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One level: its children in start order, and how they depend on each other.

    More than `intensity` restarts of children counted here inside `period_s` escalate: the level ends with
    reason `escalated`, which no parent takes for a clean exit.
    """

    id: str
    children: tuple[ChildSpec, ...] = ()
    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = "never"

    def __post_init__(self) -> None:
        require(isinstance(self.id, str) and self.id != "", "invalid_id", self.id, "is not a name")
        require(self.strategy in get_args(Strategy), "invalid_strategy", self.strategy, "is unknown")
        sound = type(self.intensity) is int and self.intensity >= 0
        require(sound, "invalid_intensity", self.intensity, "is not a count >= 0")
        sound = is_number(self.period_s) and 0 < self.period_s < INFINITY
        require(sound, "invalid_period", self.period_s, "is not a finite number of seconds > 0")
        require(
            self.auto_shutdown in get_args(AutoShutdown),
            "invalid_auto_shutdown",
            self.auto_shutdown,
            "is unknown",
        )
        for child in self.children:
            require(isinstance(child, ChildSpec), "not_a_spec", child, "is not a ChildSpec")
            self.admit(child)
        ids = [child.id for child in self.children]
        doubles = sorted({name for name in ids if ids.count(name) > 1})
        require(not doubles, "duplicate_id", doubles, "name more than one child")
        pool = self.strategy == "simple_one_for_one"
        require(not pool or len(ids) == 1, "pool_needs_one_template", ids, "is not exactly one template")

    def admit(self, child: ChildSpec) -> None:
        """Refuse a child this level cannot have."""
        idle = child.significant and self.auto_shutdown == "never"
        require(not idle, "invalid_significant", child.id, "is significant where auto_shutdown is never")

    def as_child(self, **terms: object) -> ChildSpec:
        """This level as a child of another; `terms` are further ChildSpec fields."""
        return ChildSpec(id=self.id, supervisor=self, **terms)  # type: ignore[arg-type]


def spec_from(fields: object) -> ChildSpec:
    """A ChildSpec from a mapping, as a configuration or a test table has it; unknown keys are ignored."""
    if isinstance(fields, ChildSpec):
        return fields
    if not isinstance(fields, Mapping):
        raise SpecError("not_a_spec", fields, "is neither a ChildSpec nor a mapping")
    require("id" in fields, "missing_id", dict(fields), "has no id")
    require(
        "factory" in fields or "supervisor" in fields, "missing_start", fields["id"], "has nothing to start"
    )
    return ChildSpec(**{name: fields[name] for name in ChildSpec.__struct_fields__ if name in fields})


def check_specs(specs: Iterable[object]) -> tuple[ChildSpec, ...]:
    """The specs, if they could be children of one level; raises SpecError for the first that could not."""
    return SupervisorSpec(
        id="check", children=tuple(map(spec_from, specs)), auto_shutdown="any_significant"
    ).children
