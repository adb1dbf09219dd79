"""One normaliser for every spelling of a product, and the cross-check of its ticks."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import instruments
from config.instruments import (
    UnknownContract,
    cross_check,
    disagreement,
    exchange_root,
    matches,
    root_of,
    root_of_name,
)


@pytest.mark.parametrize(
    ("contract", "root"),
    [
        ("CON.F.US.MNQ.Z25", "MNQ"),
        ("CON.F.US.ENQ.Z25", "NQ"),
        ("CON.F.US.EP.H26", "ES"),
        ("CON.F.US.MES.M26", "MES"),
        ("CON.F.US.EU6.Z25", "6E"),
        ("CON.F.US.TYA.Z25", "ZN"),
        ("CON.F.US.M6E.Z25", "M6E"),
        ("CON.F.US.CLE.F26", "CL"),
        ("F.US.ENQ", "NQ"),
        ("con.f.us.gce.z25", "GC"),
        ("CON.F.US.ABC.Z25", "ABC"),
    ],
)
def test_root_of_contract_id_is_the_exchange_root(contract: str, root: str) -> None:
    assert root_of(contract) == root


def test_root_of_nasdaq_is_never_the_micro() -> None:
    assert root_of("CON.F.US.ENQ.Z25") != root_of("CON.F.US.MNQ.Z25")


def test_root_of_known_code_is_not_overruled_by_the_contract_name() -> None:
    assert root_of("CON.F.US.TYA.Z25", "ZBZ5") == "ZN"


def test_root_of_unlisted_code_is_settled_by_the_contract_name() -> None:
    assert root_of("CON.F.US.QQX.Z25", "ZNZ5") == "ZN"


@pytest.mark.parametrize(
    "wrong", ["", "MNQ", "CON.F.US.MNQ", "CON.F.US..Z25", "CON.F.US.MNQ.A25", "CON.F.US.M*Q.Z25"]
)
def test_root_of_another_form_is_refused_not_guessed(wrong: str) -> None:
    with pytest.raises(UnknownContract):
        root_of(wrong)


@pytest.mark.parametrize(
    ("name", "root"),
    [("ZNZ5", "ZN"), ("MNQZ25", "MNQ"), ("6EH26", "6E"), ("M6EZ5", "M6E"), ("GFX5", "GF"), ("ENQU5", "NQ")],
)
def test_root_of_name_less_month_and_year(name: str, root: str) -> None:
    assert root_of_name(name) == root


def test_disagreement_of_the_two_witnesses_is_told() -> None:
    assert disagreement("CON.F.US.TYA.Z25", "ZNZ5") is None
    assert "ZN" in (disagreement("CON.F.US.TYA.Z25", "ZBZ5") or "")


def test_every_alias_leads_to_a_known_product_with_a_group() -> None:
    for code, root in instruments.ALIASES.items():
        assert exchange_root(code) == exchange_root(root) == root
        assert instruments.is_known(code)
        assert instruments.product_group(code) is not None


def test_product_group_of_an_unknown_root_is_none() -> None:
    assert instruments.product_group("ABC") is None
    assert instruments.product_group("ZC") == "grains"


@pytest.mark.parametrize(
    ("root", "pattern", "meant"),
    [
        ("ES", "ES", True),
        ("MES", "ES", False),
        ("ES", "es", True),
        ("NQ", "*NQ*", True),
        ("MNQ", "*nq*", True),
        ("ES", "*NQ*", False),
        ("NQ", "ENQ", True),
        ("MNQ", "M?Q", True),
        ("NQ", "?NQ", False),
        ("NQ", "EN*", False),  # globs match the exchange's root only
        ("6E", "*", True),
        ("ZN", "Z.", False),
    ],
)
def test_matches_root_or_glob(root: str, pattern: str, meant: bool) -> None:
    assert matches(root, pattern) is meant


@given(st.text(max_size=8), st.sampled_from(sorted(instruments.TICKS)))
def test_matches_never_raises_and_a_root_always_means_itself(pattern: str, root: str) -> None:
    matches(root, pattern)

    assert matches(root, root)


@pytest.mark.parametrize(
    ("root", "size", "value"),
    [
        ("MNQ", Fraction(1, 4), 5_000),
        ("ZN", Fraction(1, 64), 156_250),
        ("ZF", Fraction(1, 128), 78_125),
        ("ZT", Fraction(1, 256), 78_125),
        ("M6B", Fraction("0.0001"), 6_250),
        ("6J", Fraction("0.0000005"), 62_500),
        ("MET", Fraction(1, 2), 500),
    ],
)
def test_cross_check_agreeing_record_is_no_alert(root: str, size: Fraction, value: int) -> None:
    assert cross_check(root, size, value) is None


def test_cross_check_differing_record_names_both_values() -> None:
    told = cross_check("MNQ", Fraction(1, 2), 10_000)

    assert told is not None
    assert "tick size 1/2 instead of 1/4" in told
    assert "10000 instead of 5000" in told


def test_cross_check_root_outside_the_table_is_no_difference() -> None:
    assert cross_check("ABC", Fraction(1), 1) is None
