"""What the gateway lists: codes, ticks, tick values, expiries."""

from datetime import date
from fractions import Fraction

import pytest

from ops.simulator.contracts import PRODUCTS, Catalogue


@pytest.mark.parametrize(
    ("contract", "contracts", "entry", "exit_", "dollars"),
    [
        ("MNQ", 1, "26233.25", "26233.75", "1"),
        ("ENQ", 1, "21000", "20999", "-20"),
        ("ES", 1, "5000", "5002.50", "125"),
        ("MNQ", 2, "21000", "20700", "-1200"),
        ("RTY", 1, "2000", "1999.5", "-25"),
        ("YM", -1, "40000", "39990", "50"),
        ("M2K", -3, "2000", "2000.3", "-4.5"),
        ("ES", 10, "5800", "5804", "2000"),
        ("ZN", 1, "110", "110.015625", "15.625"),
        ("ZF", 2, "107", "106.9921875", "-15.625"),
        ("ZT", 1, "103", "103.00390625", "7.8125"),
        ("6J", 1, "0.0066", "0.0066005", "6.25"),
        ("M6B", 1, "1.27", "1.2701", "0.625"),
        ("MET", 1, "3000", "3000.5", "0.05"),
    ],
)
def test_money_of_a_move_is_ticks_times_tick_value(contract, contracts, entry, exit_, dollars):
    record = Catalogue(date(2026, 9, 14)).named(contract)
    assert record.money(Fraction(exit_) - Fraction(entry)) * contracts == Fraction(dollars)


@pytest.mark.parametrize(
    ("root", "code"),
    [("ES", "EP"), ("NQ", "ENQ"), ("GC", "GCE"), ("CL", "CLE"), ("6E", "EU6"), ("ZB", "USA"), ("QM", "NQM")],
)
def test_product_is_listed_under_the_gateways_code_and_named_after_the_exchanges_root(root, code):
    record = Catalogue(date(2026, 9, 14)).named(root)
    assert record.id.split(".")[3] == code
    assert record.symbol == f"F.US.{code}"
    assert record.name[:-2] == root
    assert Catalogue(date(2026, 9, 14)).named(code) == record


def test_no_two_products_share_a_root_or_a_code():
    assert len({product.root for product in PRODUCTS}) == len(PRODUCTS)
    assert len({product.code for product in PRODUCTS}) == len(PRODUCTS)


@pytest.mark.parametrize(
    ("today", "root", "front"),
    [
        (date(2026, 9, 15), "MNQ", "CON.F.US.MNQ.U26"),
        (date(2026, 9, 16), "MNQ", "CON.F.US.MNQ.Z26"),
        (date(2026, 12, 31), "ES", "CON.F.US.EP.H27"),
        (date(2026, 9, 16), "CL", "CON.F.US.CLE.V26"),
        (date(2026, 12, 16), "CL", "CON.F.US.CLE.F27"),
        (date(2026, 9, 1), "GC", "CON.F.US.GCE.V26"),
        (date(2026, 9, 1), "ZC", "CON.F.US.ZCE.U26"),
    ],
)
def test_root_means_the_front_month_of_the_day(today, root, front):
    assert Catalogue(today).named(root).id == front


def test_any_expiry_of_a_known_product_is_found_by_its_id():
    catalogue = Catalogue(date(2026, 9, 14))
    assert catalogue.find("CON.F.US.MNQ.Z25").name == "MNQZ5"
    assert catalogue.find("CON.F.US.XYZ.Z25") is None
    assert catalogue.find("MNQ") is None


def test_search_finds_by_name_id_and_title_whatever_the_case():
    catalogue = Catalogue(date(2026, 9, 14))
    assert {contract.root for contract in catalogue.search("mnq")} == {"MNQ"}
    assert {contract.root for contract in catalogue.search("ENQ")} == {"NQ"}
    assert {contract.root for contract in catalogue.search("gold")} == {"GC", "MGC"}
    assert len(catalogue.available()) == len(PRODUCTS)
