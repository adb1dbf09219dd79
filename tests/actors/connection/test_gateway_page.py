"""`ops/docs/gateway.md` says what the code does: fields, numbers and codes, each with its source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from actors.connection import codes, shapes, translate
from actors.connection.codes import Code
from actors.connection.translate import Malformed
from actors.messages import OrderStatus, OrderType

PAGE = Path(__file__).resolve().parents[3] / "ops" / "docs" / "gateway.md"
SOURCES = {"protocol", "live", "measured"}
SHAPES = [
    each for each in vars(shapes).values() if isinstance(each, type) and each.__module__ == shapes.__name__
]
TABLES = {name: each for name, each in vars(codes).items() if name.isupper() and isinstance(each, dict)}

type Rows = list[list[str]]


def table(title: str) -> Rows:
    """The rows of the table under a heading of the page, without its head."""
    found = re.search(rf"^### {title}\n(.*?)(?=^#|\Z)", PAGE.read_text(), re.M | re.S)
    assert found is not None, f"no table {title}"
    lines = [line for line in found.group(1).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def sources(rows: Rows) -> Iterable[str]:
    for row in rows:
        yield from (word.strip() for word in row[-1].split(";"))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_field_that_is_read_is_on_the_page_as_it_is_read(shape: type[msgspec.Struct]) -> None:
    rows = table(shape.__name__)
    read = {name.strip("`"): how for name, how, *_ in rows if how != "ignored"}
    fields = msgspec.structs.fields(shape)
    assert read == {field.name: "required" if field.required else "optional" for field in fields}
    ignored = {name.strip("`") for name, how, *_ in rows if how == "ignored"}
    assert not ignored & {field.name for field in fields}
    assert set(sources(rows)) <= SOURCES


@pytest.mark.parametrize("name", TABLES)
def test_every_error_code_is_on_the_page_with_what_follows_from_it(name: str) -> None:
    codes_of: dict[int, Code] = TABLES[name]
    expected = [[str(n), c.name, c.meaning.value, c.text] for n, c in sorted(codes_of.items())]
    assert table(name) == expected


@pytest.mark.parametrize(("title", "numbers"), [("Order type", OrderType), ("Order status", OrderStatus)])
def test_every_documented_number_is_on_the_page(
    title: str, numbers: type[OrderType] | type[OrderStatus]
) -> None:
    expected = [[str(int(each)), each.name.lower(), "protocol"] for each in numbers if each.name != "UNKNOWN"]
    assert table(title) == expected


def row(**changes: object) -> dict[str, object]:
    return {
        "id": 1,
        "accountId": 1001,
        "contractId": "CON.F.US.MNQ.H26",
        "creationTimestamp": "2026-03-04T16:00:00Z",
        "orderId": 2,
        "size": 2,
        "price": 1.0,
        "averagePrice": 1.0,
        **changes,
    }


def test_sides_and_directions_are_those_of_the_page_and_no_other_is_guessed() -> None:
    sides = {int(number): name for number, name, _ in table("Side")}
    for number in range(-1, 5):
        if number in sides:
            assert (translate.fill(row(side=number)).size > 0) is (sides[number] == "buy")
        else:
            with pytest.raises(Malformed):
                translate.fill(row(side=number))
    types = {int(number): name for number, name, _ in table("Position type")}
    assert translate.position(row(type=0, size=0)).size == 0
    for number in range(-1, 5):
        if types.get(number) in ("long", "short"):
            assert (translate.position(row(type=number)).size > 0) is (types[number] == "long")
        else:
            with pytest.raises(Malformed):
                translate.position(row(type=number))
