"""The kinds of value a setting can hold, as pydantic types: text of the file in, exact value out, text again.

Each type reads what `config.values` reads and writes back the same words, so that the configuration in force
can be stored as text and read again without loss.
"""

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
)

from config import instruments, values
from config.values import Unreadable, dollars_text, duration_text


class Page(BaseModel):
    """A part of the configuration: nothing in it changes once read, and nothing unknown is let in."""

    # Not defer_build: building all pages at once on first use takes longer than each on its own (measured).
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


def _loss(money: int) -> int:
    if money >= 0:
        negative = values.dollars_text(-money) if money else "-500"
        raise Unreadable(f"{dollars_text(money)} is not a loss", f"losses are negative: write {negative}")
    return money


def _profit(money: int) -> int:
    if money <= 0:
        positive = values.dollars_text(-money) if money else "500"
        raise Unreadable(f"{dollars_text(money)} is not a profit", f"profits are positive: write {positive}")
    return money


def _positive(span: timedelta) -> timedelta:
    if span == timedelta(0):
        raise Unreadable("'0s' leaves no time at all", "write a longer duration")
    return span


def _word_or_duration(*words: str) -> Callable[[Any], Any]:
    def read(written: Any) -> Any:
        if isinstance(written, str) and written.strip() in words:
            return written.strip()
        if written is None and "none" in words:
            raise Unreadable("nothing is written", "write none, until_reset or a duration such as 30m")
        try:
            return _positive(values.duration(written))
        except Unreadable as error:
            known = ", ".join(words)
            if error.why.endswith("is not a duration"):
                near = values.close_match(str(written), words)
                hint = f"did you mean {near}?" if near else f"write {known} or a duration such as 30m"
                raise Unreadable(f"{str(written)!r} is neither {known} nor a duration", hint) from None
            raise

    return read


def _write_lockout(value: str | timedelta | None) -> str | None:
    return duration_text(value) if isinstance(value, timedelta) else value


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda written: None if written is None else read(written)


def _http(written: str) -> str:
    url = written.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Unreadable(f"{url!r} is not an address", f"{error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreadable(f"{url!r} is not an address", "write https://HOST/PATH")
    if parts.username or parts.password:
        raise Unreadable("an address must not hold a password", "name a secret under api_key instead")
    if parts.scheme == "http" and not is_loopback(url):
        raise Unreadable(
            f"{url!r} would send the login unencrypted", f"write https://{url.removeprefix('http://')}"
        )
    return url


def is_loopback(url: str) -> bool:
    """Whether the address stays on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _root(written: Any) -> str:
    text = str(written).strip()
    if not text.isalnum():
        raise Unreadable(f"{text!r} is not a root", "write the exchange's product code, such as MNQ")
    return instruments.exchange_root(text)


def _glob(written: Any) -> str:
    text = str(written).strip()
    if not text.replace("*", "").replace("?", "").isalnum() and not (text and set(text) <= {"*", "?"}):
        raise Unreadable(
            f"{text!r} is neither a root nor a glob", "write ES, or *NQ* for every root with NQ in it"
        )
    return instruments.root_pattern(text)


def _one_secret(written: Any) -> Any:
    if isinstance(written, Page):
        return written
    ways = "{env: NAME}, {file: PATH}, {command: [PROGRAM, ARG]} or {keyring: NAME}"
    if not isinstance(written, Mapping):
        # The text itself may be the secret: it is never repeated.
        raise Unreadable("a secret must not stand in the configuration", f"name where it is kept: {ways}")
    if len(written) != 1 or next(iter(written)) not in ("env", "file", "command", "keyring"):
        raise Unreadable("a secret is named in exactly one way", f"write {ways}")
    return written


class EnvSecret(Page):
    """A secret kept in an environment variable (or in the `.env` beside the configuration)."""

    env: str = Field(min_length=1)


class FileSecret(Page):
    """A secret that is the content of a file which others cannot read."""

    file: Path


class CommandSecret(Page):
    """A secret that a program prints, such as a password manager's."""

    command: tuple[str, ...] = Field(min_length=1)


class KeyringSecret(Page):
    """A secret kept by the desktop's keyring under service `riskd`."""

    keyring: str = Field(min_length=1)


def _way(written: Any) -> str:
    if isinstance(written, Page):
        return next(iter(type(written).model_fields))
    return str(next(iter(written)))


Money = Annotated[
    int, PlainValidator(values.dollars), PlainSerializer(dollars_text, return_type=str)
]  # 1/10000 dollar
Loss = Annotated[Money, AfterValidator(_loss)]
Profit = Annotated[Money, AfterValidator(_profit)]
Duration = Annotated[
    timedelta, PlainValidator(values.duration), PlainSerializer(duration_text, return_type=str)
]
Span = Annotated[Duration, AfterValidator(_positive)]
TimeOfDay = Annotated[
    time, PlainValidator(values.time_of_day), PlainSerializer(values.time_text, return_type=str)
]
Day = Annotated[date, PlainValidator(values.calendar_date), PlainSerializer(date.isoformat, return_type=str)]
Weekday = Annotated[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], PlainValidator(values.weekday)]
Zone = Annotated[ZoneInfo, PlainValidator(values.zone), PlainSerializer(str, return_type=str)]
Share = Annotated[
    Fraction | None,
    PlainValidator(_optional(values.share)),
    PlainSerializer(_optional(values.share_text), return_type=str | None),
]
Url = Annotated[str, AfterValidator(_http)]
Root = Annotated[str, PlainValidator(_root)]
RootOrGlob = Annotated[str, PlainValidator(_glob)]
Lockout = Annotated[
    Literal["none", "until_reset"] | timedelta,
    PlainValidator(_word_or_duration("none", "until_reset")),
    PlainSerializer(_write_lockout, return_type=str),
]
Cooldown = Annotated[
    Literal["until_reset"] | timedelta,
    PlainValidator(_word_or_duration("until_reset")),
    PlainSerializer(_write_lockout, return_type=str),
]
Delay = Annotated[
    Literal["next_reset"] | timedelta | None,
    PlainValidator(_optional(_word_or_duration("next_reset"))),
    PlainSerializer(_write_lockout, return_type=str | None),
]
Secret = Annotated[
    Annotated[EnvSecret, Tag("env")]
    | Annotated[FileSecret, Tag("file")]
    | Annotated[CommandSecret, Tag("command")]
    | Annotated[KeyringSecret, Tag("keyring")],
    Discriminator(_way),
    BeforeValidator(_one_secret),
]
