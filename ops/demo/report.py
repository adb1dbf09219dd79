"""What came of a story: per rule what set it off, what was done and how fast; restarts; what was missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from config.instruments import root_of
from ops.cli.page import Page
from ops.demo.acts import Act, Played
from ops.demo.script import Script
from ops.demo.storm.table import FaultRow, show_faults


class Fired(Struct, frozen=True):
    """A rule that acted: from what set it off to the account that was seen to comply."""

    rule: str
    account: str
    tells: str
    trigger: str
    action: str
    breach_to_order_ms: float | None
    """Null where the rule had nothing to send."""
    breach_to_verified_ms: float | None
    lockout: str | None
    calls: list[dict[str, Any]]


class Missed(Struct, frozen=True):
    expected: str
    seen: str


class ActReport(Struct, frozen=True):
    tells: str
    account: str
    rule: str | None
    held: bool
    took_s: float
    missed: tuple[Missed, ...]


class Restart(Struct, frozen=True):
    actor: str
    cause: str
    uncovered_ms: float | None


class Report(Struct, frozen=True):
    """The whole demonstration, as `--json` prints it."""

    schema: int
    scenario: str
    good: bool
    took_s: float
    rules: tuple[Fired, ...]
    silent: tuple[str, ...]
    """Configured rules that did not act."""
    restarts: tuple[Restart, ...]
    acts: tuple[ActReport, ...]
    trouble: str | None
    """Why it could not be played to its end."""
    logs: str | None
    """Where the logs were kept, after a failure."""
    faults: tuple[FaultRow, ...] = ()
    """Of a storm: what each fault did."""


def report(
    script: Script,
    played: Sequence[Played],
    restarts: Iterable[dict[str, Any]],
    took_s: float,
    trouble: str | None,
    faults: tuple[FaultRow, ...] = (),
) -> Report:
    rules = tuple(fired(each) for each in played if each.act.rule and each.held)
    silent = tuple(rule for rule in script.rules if rule not in {each.rule for each in rules})
    good = trouble is None and not silent and all(each.held for each in played)
    return Report(
        schema=1,
        scenario=script.name,
        good=good and len(played) == len(script.acts) and all(row.good for row in faults),
        took_s=round(took_s, 3),
        rules=rules,
        silent=silent,
        restarts=tuple(Restart(r["actor"], r["cause"], r["uncovered_ms"]) for r in restarts),
        acts=tuple(_act(each) for each in played),
        trouble=trouble,
        logs=None,
        faults=faults,
    )


def fired(played: Played) -> Fired:
    """What the act's rule did, from the records of the guard itself."""
    act, lines = played.act, [line for line in played.history if _is_of(line, played.act)]
    breach = next((line for line in lines if line["kind"] == "breach"), None)
    receipt = next((line for line in lines if line["kind"] == "enforcement" and line["verified"]), {})
    lock = next((line for line in lines if line["kind"] == "lockout"), None)
    calls = [call for call in receipt.get("calls", ()) if call["outcome"] == "confirmed"]
    return Fired(
        rule=act.rule,
        account=act.account,
        tells=act.tells,
        trigger=breach["text"] if breach else "it looks after stop and target",
        action=_action(calls, lock),
        breach_to_order_ms=receipt.get("breach_to_call_ms"),
        breach_to_verified_ms=receipt.get("breach_to_verified_ms"),
        lockout=lock["reason"] if lock else None,
        calls=calls,
    )


def _is_of(line: dict[str, Any], act: Act) -> bool:
    return line["account"] == act.account and act.rule in (line.get("rule"), *line.get("rules", ()))


def _action(calls: Sequence[dict[str, Any]], lock: dict[str, Any] | None) -> str:
    done = [
        f"{call['call'].replace('_', ' ')} {call['size'] or ''} {root_of(call['contract'])}" for call in calls
    ]
    if lock is not None:
        done.append(f"locked until {lock['until']}" if lock["until"] else "locked while it lasts")
    return ", ".join(" ".join(one.split()) for one in done)


def _act(played: Played) -> ActReport:
    act = played.act
    return ActReport(
        tells=act.tells,
        account=act.account,
        rule=act.rule or None,
        held=played.held,
        took_s=round(played.took_s, 3),
        missed=tuple(Missed(expected, seen) for expected, seen in played.missed),
    )


# ---------------------------------------------------------------------- for people


def show(page: Page, told: Report) -> None:
    """The report in words."""
    page.line()
    title = "What was done wrong to the connection" if told.faults else "What fired, why, and what was done"
    page.line(page.styled(title, "bold"))
    for one in told.rules if not told.faults else ():
        page.line(f"  {page.styled(one.rule, 'cyan')}  {one.account}: {one.tells}")
        page.line(f"      because {one.trigger}")
        page.line(f"      {one.action}")
        page.line(f"      {_times(one)}")
    if told.faults:
        show_faults(page, told.faults)
    if told.restarts:
        page.line()
        page.line(page.styled("What died and was survived", "bold"))
    for restart in told.restarts:
        page.line(f"  {restart.actor}: {restart.cause}; nobody in its place for {_ms(restart.uncovered_ms)}")
    page.line()
    for act in told.acts:
        for missed in act.missed:
            page.line(page.styled(f"NOT SEEN: {act.tells}", "red"))
            page.line(f"  expected {missed.expected}")
            page.line(f"  seen     {missed.seen}")
    if told.silent:
        page.line(page.styled(f"did not fire: {', '.join(told.silent)}", "red"))
    if told.trouble:
        page.line(page.styled(told.trouble, "red"))
    if told.logs:
        page.line(f"the logs are kept in {told.logs}")
    page.line(_verdict(page, told))


def _rules_fired(told: Report) -> str:
    names = {one.rule for one in told.rules}
    return "1 rule" if len(names) == 1 else f"{len(names)} rules"


def _times(one: Fired) -> str:
    order = (
        "nothing to send" if one.breach_to_order_ms is None else f"order after {_ms(one.breach_to_order_ms)}"
    )
    return f"{order}, seen to comply after {_ms(one.breach_to_verified_ms)}"


def _ms(value: float | None) -> str:
    if value is None:
        return "an unknown time"
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def _verdict(page: Page, told: Report) -> str:
    held = sum(act.held for act in told.acts)
    word = page.styled("Every expectation held", "green") if told.good else page.styled("FAILED", "red")
    return (
        f"{word}: {held} of {len(told.acts)} acts as expected, {_rules_fired(told)} fired, "
        f"{len(told.restarts)} restarts survived, in {told.took_s:.0f} s."
    )
