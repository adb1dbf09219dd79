"""What the schema refuses, said in the trader's words: which key, why, and how to write it instead."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAliasType, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.fields import Page
from config.values import Unreadable, close_match

type Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake by its path in the configuration, before it has a line."""

    path: Steps
    text: str
    hint: str = ""
    at_key: bool = False
    """The key itself is wrong, not its value."""
    others: tuple[Steps, ...] = ()
    """What else it was judged by: refused parts of the configuration cannot convict."""

    @property
    def involved(self) -> tuple[Steps, ...]:
        """Every path the problem rests on."""
        return (self.path, *self.others)


def problems_of(model: type[Page], written: Mapping[str, Any], base: Steps = ()) -> list[Problem]:
    """Every problem the model has with what is written under `base`; none where it can be used."""
    try:
        model.model_validate(written)
    except ValidationError as refused:
        # Without the input: it may hold a secret.
        errors = [error for error in refused.errors(include_url=False) if not _echo(error, refused)]
        return list(dict.fromkeys(_problem(model, written, error, base) for error in errors))
    return []


def _echo(error: ErrorDetails, refused: ValidationError) -> bool:
    """Whether a list only counts as too short because its entries were refused."""
    loc = error["loc"]
    inner = (other["loc"] for other in refused.errors(include_url=False, include_input=False))
    return error["type"] == "too_short" and any(other[: len(loc)] == loc != other for other in inner)


def _problem(model: type[Page], written: Any, error: ErrorDetails, base: Steps) -> Problem:
    kind = error["type"]
    inner = _written_path(written, error["loc"], kind)
    path = (*base, *inner)
    key = ".".join(map(str, path)) or "this"
    if kind == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        near = close_match(str(path[-1]), known)
        hint = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
        return Problem(path, f"cannot use {key}: there is no such key", hint, at_key=True)
    if kind == "missing":
        return Problem(path, f"cannot do without {key}: it is missing", f"add {path[-1]}:")
    why, hint = _reason(error)
    return Problem(path, f"cannot use {key}: {why}", hint)


def _written_path(written: Any, loc: Iterable[str | int], kind: str) -> Steps:
    """The error's location without the steps that only the schema has, such as the tag of a union."""
    steps = tuple(loc)
    path: list[str | int] = []
    for position, step in enumerate(steps):
        last = position == len(steps) - 1
        if _has(written, step):
            written = written[step]
        elif not (kind == "missing" and last):
            continue
        path.append(step)
    return tuple(path)


def _has(written: Any, step: str | int) -> bool:
    if isinstance(written, (list, tuple)):
        return isinstance(step, int) and step < len(written)
    return isinstance(written, Mapping) and step in written


def _keys_at(model: type[Page], loc: Iterable[str | int]) -> list[str]:
    """The keys known at a place of the schema, as they are written."""
    here = {model}
    for step in loc:
        inner = {found for owner in here for found in _field_models(owner, step)}
        here = inner or here
    return sorted({info.alias or name for owner in here for name, info in owner.model_fields.items()})


def _field_models(owner: type[Page], step: str | int) -> set[type[Page]]:
    for name, info in owner.model_fields.items():
        if step in (name, info.alias):
            return _models_in(info.annotation)
    return set()


def _models_in(annotation: Any) -> set[type[Page]]:
    if isinstance(annotation, TypeAliasType):
        return _models_in(annotation.__value__)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation} if issubclass(annotation, Page) else set()
    return {model for part in get_args(annotation) for model in _models_in(part)}


def _reason(error: ErrorDetails) -> tuple[str, str]:
    context = error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Unreadable):
        return cause.why, cause.hint
    value = error["input"]
    shown = "nothing" if value is None else repr(str(value)) if isinstance(value, (str, int)) else "this"
    match error["type"]:
        case "literal_error":
            known = str(context["expected"]).replace("'", "").replace(" or ", ", ")
            near = close_match(str(value), known.split(", ")) if isinstance(value, str) else ""
            return f"{shown} is not one of {known}", f"did you mean {near}?" if near else ""
        case "int_parsing" | "int_type" | "int_from_float":
            return f"{shown} is not a whole number", "write digits only, such as 5"
        case "bool_parsing" | "bool_type":
            return f"{shown} is neither true nor false", "write true or false"
        case "greater_than":
            return f"{shown} is not greater than {context['gt']}", f"write {context['gt'] + 1} or more"
        case "greater_than_equal":
            return f"{shown} is less than {context['ge']}", f"write {context['ge']} or more"
        case "less_than_equal":
            return f"{shown} is more than {context['le']}", f"write {context['le']} or less"
        case "string_type":
            return f"{shown} is not a text", "write a word"
        case "too_short" | "string_too_short":
            return "it is empty", "name at least one"
        case "tuple_type" | "list_type":
            return "it is not a list", "write [a, b], or one entry per line after a dash"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "it has no keys under it", "write {key: value}, or the keys indented on the next lines"
        case _:
            return error["msg"].lower(), ""
