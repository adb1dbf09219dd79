"""Two configurations into one, key by key: the walk behind every comparison of protection. Pure.

`blend` asks `decide` for each unit of the schema (a key, or keys that mean something only together) which
value to take. An account's rules are compared as they come out for it, overrides and all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from config.directions import ROWS
from config.fields import Page
from config.settings import Account, Rule, Rules, Session, Settings
from config.strictness import FREE, SESSION, UNKNOWN, Direction

_MODES = ("off", "shadow", "armed")
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


class Unit(NamedTuple):
    """One thing that can change by itself."""

    key: str
    direction: Direction
    old: Any
    new: Any
    told: Callable[[], tuple[str, str]]
    """Both values in the words of the configuration."""


type Decide = Callable[[Unit], Any]


def blend(old: Settings, new: Settings, decide: Decide) -> Settings:
    """The configuration that `decide` makes of the two; `new` itself where nothing of `old` is left."""
    made = _blended(old, new, decide)
    return new if units(made) == units(new) else made


def units(settings: Settings) -> dict[str, Any]:
    """Every unit's value, as it comes out for each account."""
    found: dict[str, Any] = {}

    def note(unit: Unit) -> Any:
        found[unit.key] = unit.new
        return unit.new

    _blended(settings, settings, note)
    return found


def _blended(old: Settings, new: Settings, decide: Decide) -> Settings:
    rules, accounts = _guarded(old, new, decide)
    update: dict[str, Any] = {
        "rules": rules,
        "accounts": accounts,
        "sessions": _sessions(old, new, decide),
    }
    for name in type(old).model_fields:
        if name in update:
            continue
        was, wanted = getattr(old, name), getattr(new, name)
        if isinstance(was, Page) and isinstance(wanted, Page):
            update[name] = _page(was, wanted, name, decide, _forced(name, old, new))
        else:
            update |= _row(old, new, "", name, name, decide, None)
    return new.model_copy(update=update)


def _forced(name: str, old: Settings, new: Settings) -> Direction | None:
    """A simulated gateway has other addresses with every start."""
    simulated = old.gateway.kind == new.gateway.kind == "simulator"
    return FREE if name == "gateway" and simulated else None


def _page(
    old: Page, new: Page, at: str, decide: Decide, forced: Direction | None = None, row: str | None = None
) -> Any:
    update: dict[str, Any] = {}
    row = row or at
    for name in type(old).model_fields:
        if name in update:
            continue
        was, wanted = getattr(old, name), getattr(new, name)
        if f"{row}.{name}" not in ROWS:
            update[name] = _page(was, wanted, f"{at}.{name}", decide, forced, f"{row}.{name}")
        else:
            update |= _row(old, new, at, f"{row}.{name}", name, decide, forced)
    return new.model_copy(update=update)


def _row(
    old: Page, new: Page, at: str, row: str, name: str, decide: Decide, forced: Direction | None
) -> dict[str, Any]:
    names, direction = ROWS[row]
    single = len(names) == 1
    was = getattr(old, name) if single else tuple(getattr(old, each) for each in names)
    wanted = getattr(new, name) if single else tuple(getattr(new, each) for each in names)
    key = f"{at}.{names[0]}" if at else names[0]
    free = forced if forced is not None and names != ("mode",) else direction
    taken = decide(Unit(key, free, was, wanted, lambda: (_words(old, names), _words(new, names))))
    return {name: taken} if single else dict(zip(names, taken, strict=True))


def _words(page: Page, names: tuple[str, ...]) -> str:
    dump = page.model_dump(mode="json", include=set(names))
    if len(names) == 1:
        return _text(dump[names[0]])
    return ", ".join(f"{name} {_text(dump[name])}" for name in names)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _ANY.dump_json(value).decode()


# ---------------------------------------------------------------------- rules and accounts


def _guarded(old: Settings, new: Settings, decide: Decide) -> tuple[Rules, Any]:
    """The rules for all, and who is guarded by them or by rules of his own."""
    was, wanted = _kind(old), _kind(new)
    direction = FREE if was == wanted or _only_adds(old, new) else UNKNOWN
    taken = decide(Unit("accounts", direction, was, wanted, lambda: (was, wanted)))
    if was != wanted and taken == wanted:
        return new.rules, new.accounts
    if taken == "all":
        return _rules(old.rules, new.rules, "rules", decide), "all"
    return _listed(old, new if wanted == "list" else _list_of(old, new), decide)


def _kind(settings: Settings) -> str:
    return "all" if settings.accounts == "all" else "list"


def _only_adds(old: Settings, new: Settings) -> bool:
    """All instead of a list: every account that was listed stays at least as strictly guarded."""
    if new.accounts != "all":
        return False
    return all(_rules(rules, new.rules, "rules", _met) == new.rules for rules in _rules_by_name(old).values())


def _list_of(old: Settings, new: Settings) -> Settings:
    """The same accounts as before, each under the rules that are wanted for all."""
    names = tuple(Account(name=name) for name in _rules_by_name(old))
    return new.model_copy(update={"accounts": names})


def _rules_by_name(settings: Settings) -> dict[str, Rules]:
    if settings.accounts == "all":
        return {}
    return {account.name: settings.for_account(account.name) for account in settings.accounts}


def _listed(old: Settings, new: Settings, decide: Decide) -> tuple[Rules, tuple[Account, ...]]:
    common = _under(_rules(old.rules, new.rules, "rules", _met))
    was, wanted = _rules_by_name(old), _rules_by_name(new)
    kept = list[Account]()
    for name in {**was, **wanted}:
        before, after = name in was, name in wanted
        direction = UNKNOWN if before and not after else FREE
        if not decide(Unit(f"accounts.{name}", direction, before, after, _guards(before, after))):
            continue
        rules = was[name] if before else wanted[name]
        if before and after:
            rules = _rules(was[name], wanted[name], f"accounts.{name}.rules", decide)
        kept.append(_account(name, rules, common))
    return common, tuple(kept)


def _met(unit: Unit) -> Any:
    return unit.direction.meet(unit.old, unit.new)


def _guards(before: bool, after: bool) -> Callable[[], tuple[str, str]]:
    said = {True: "guarded", False: "not guarded"}
    return lambda: (said[before], said[after])


def _under(common: Rules) -> Rules:
    """Rules for accounts to differ from: with empty maps, because an override cannot take a root away."""
    lots, session = common.max_contracts_per_instrument, common.session_block_outside
    return common.model_copy(
        update={
            lots.name: lots.model_copy(update={"limits": {}}),
            session.name: session.model_copy(update={"by_root": {}}),
        }
    )


def _account(name: str, rules: Rules, common: Rules) -> Account:
    """The account with what its rules have beyond those for all."""
    under = common.model_dump(mode="json")
    overrides = {}
    for rule, page in rules.model_dump(mode="json").items():
        changed = {key: value for key, value in page.items() if value != under[rule][key]}
        if changed:
            overrides[rule] = changed
    return Account(name=name, rules=overrides)


def _rules(old: Rules, new: Rules, at: str, decide: Decide) -> Rules:
    update = {}
    for name in type(old).model_fields:
        was, wanted = getattr(old, name), getattr(new, name)
        update[name] = _page(was, wanted, f"{at}.{name}", decide, _by_mode(was, wanted), f"rules.{name}")
    return new.model_copy(update=update)


def _by_mode(old: Rule, new: Rule) -> Direction | None:
    """Keys of a rule that acts more than before, or never did, are free; of one to act less they wait."""
    before, after = _MODES.index(old.mode), _MODES.index(new.mode)
    if after < before:
        return UNKNOWN
    return None if old.mode == "armed" else FREE


# ---------------------------------------------------------------------- sessions


def _sessions(old: Settings, new: Settings, decide: Decide) -> dict[str, Session]:
    used = _in_use(old)
    was, wanted = _in_their_zones(old), _in_their_zones(new)
    kept = {}
    for name in {**was, **wanted}:
        direction = SESSION if name in used else FREE
        before, after = was.get(name), wanted.get(name)
        taken = decide(Unit(f"sessions.{name}", direction, before, after, _both(before, after)))
        if taken is not None:
            kept[name] = taken
    return kept


def _both(old: Session | None, new: Session | None) -> Callable[[], tuple[str, str]]:
    def words() -> tuple[str, str]:
        said = ["none" if one is None else _text(one.model_dump(mode="json")) for one in (old, new)]
        return said[0], said[1]

    return words


def _in_use(settings: Settings) -> set[str]:
    """Sessions that some rule which is not off goes by."""
    used = set[str]()
    for rules in (settings.rules, *_rules_by_name(settings).values()):
        rule = rules.session_block_outside
        if rule.mode != "off":
            used |= {rule.session, *rule.by_root.values()}
    return used


def _in_their_zones(settings: Settings) -> dict[str, Session]:
    zone = settings.trading_day.timezone
    return {
        name: one if one.timezone is not None else one.model_copy(update={"timezone": zone})
        for name, one in settings.sessions.items()
    }
