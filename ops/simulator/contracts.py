"""What the gateway lists: its products under its own codes, their ticks, and their expiries.

Ticks and tick values are the exchanges' (US dollars per tick and contract). The gateway's product codes
differ from the exchange's for many roots: NQ is listed as ENQ, ES as EP, gold as GCE.
"""

import re
from collections.abc import Iterator
from datetime import date
from fractions import Fraction

import msgspec

QUARTERLY = "HMUZ"
MONTHLY = "FGHJKMNQUVXZ"
MONTH_LETTERS = "FGHJKMNQUVXZ"
GRAINS = "HKNUZ"
SOY = "FHKNQUXZ"
CATTLE = "GJMQVZ"
FEEDERS = "FHJKQUVX"
METALS = "GJMQVZ"
COPPER = "HKNUZ"
PLATINUM = "FJNV"

#: A contract stays the front month up to this day of its delivery month (stock index futures settle on the
#: third Friday, the 15th at the earliest).
LAST_FRONT_DAY = 15

CONTRACT_ID = re.compile(r"CON\.F\.US\.(?P<code>[A-Z0-9]+)\.(?P<month>[FGHJKMNQUVXZ])(?P<year>\d\d)")


class Product(msgspec.Struct, frozen=True, gc=False):
    """One product: the exchange's root, the gateway's code, its tick and a plausible price to start from."""

    root: str
    code: str
    tick_size: Fraction
    tick_value: Fraction
    months: str
    start: Fraction
    title: str


class Contract(msgspec.Struct, frozen=True, gc=False):
    """One listed expiry. `known` is False when the gateway is to answer that it does not know it, and
    `ticks_shown` when its record is to lack tick data (the exchange itself goes on reckoning with them)."""

    id: str
    root: str
    name: str
    title: str
    symbol: str
    tick_size: Fraction | None
    tick_value: Fraction | None
    active: bool = True
    known: bool = True
    ticks_shown: bool = True
    start: Fraction | None = None

    def money(self, distance: Fraction) -> Fraction:
        """Dollars that a price distance is worth for one contract."""
        if self.tick_size is None or self.tick_value is None:
            return Fraction(0)
        return distance / self.tick_size * self.tick_value

    def aligned(self, price: Fraction) -> bool:
        return self.tick_size is None or (price / self.tick_size).denominator == 1

    def snapped(self, price: Fraction | None) -> Fraction | None:
        """A price that is a rounding error off a tick (1/1000 of one) put onto it; others as they are."""
        if price is None or self.tick_size is None:
            return price
        nearest = self.nearest(price)
        return nearest if abs(price - nearest) * 1000 < self.tick_size else price

    def nearest(self, price: Fraction) -> Fraction:
        """The tick nearest to a price."""
        return price if self.tick_size is None else round(price / self.tick_size) * self.tick_size


def _product(root: str, code: str, tick: str, value: str, months: str, start: str, title: str) -> Product:
    return Product(root, code, Fraction(tick), Fraction(value), months, Fraction(start), title)


PRODUCTS: tuple[Product, ...] = (
    _product("ES", "EP", "0.25", "12.50", QUARTERLY, "5800", "E-mini S&P 500"),
    _product("MES", "MES", "0.25", "1.25", QUARTERLY, "5800", "Micro E-mini S&P 500"),
    _product("NQ", "ENQ", "0.25", "5", QUARTERLY, "21000", "E-mini NASDAQ-100"),
    _product("MNQ", "MNQ", "0.25", "0.50", QUARTERLY, "21000", "Micro E-mini NASDAQ-100"),
    _product("RTY", "RTY", "0.1", "5", QUARTERLY, "2000", "E-mini Russell 2000"),
    _product("M2K", "M2K", "0.1", "0.50", QUARTERLY, "2000", "Micro E-mini Russell 2000"),
    _product("YM", "YM", "1", "5", QUARTERLY, "40000", "Mini Dow"),
    _product("MYM", "MYM", "1", "0.50", QUARTERLY, "40000", "Micro Mini Dow"),
    _product("NKD", "NKD", "5", "25", QUARTERLY, "38000", "Nikkei 225 (dollar)"),
    _product("EMD", "EMD", "0.1", "10", QUARTERLY, "3000", "E-mini S&P MidCap 400"),
    _product("ZN", "TYA", "1/64", "15.625", QUARTERLY, "110", "10-Year Note"),
    _product("TN", "TNA", "1/64", "15.625", QUARTERLY, "113", "Ultra 10-Year Note"),
    _product("ZB", "USA", "1/32", "31.25", QUARTERLY, "118", "Treasury Bond"),
    _product("UB", "ULA", "1/32", "31.25", QUARTERLY, "122", "Ultra Treasury Bond"),
    _product("ZF", "FVA", "1/128", "7.8125", QUARTERLY, "107", "5-Year Note"),
    _product("ZT", "TUA", "1/256", "7.8125", QUARTERLY, "103", "2-Year Note"),
    _product("SR3", "SR3", "0.005", "12.50", QUARTERLY, "96", "3-Month SOFR"),
    _product("LE", "GLE", "0.025", "10", CATTLE, "185", "Live Cattle"),
    _product("HE", "HE", "0.025", "10", CATTLE, "85", "Lean Hogs"),
    _product("GF", "GF", "0.025", "12.50", FEEDERS, "250", "Feeder Cattle"),
    _product("CL", "CLE", "0.01", "10", MONTHLY, "70", "Crude Oil"),
    _product("MCL", "MCLE", "0.01", "1", MONTHLY, "70", "Micro Crude Oil"),
    _product("QM", "NQM", "0.025", "12.50", MONTHLY, "70", "E-mini Crude Oil"),
    _product("NG", "NGE", "0.001", "10", MONTHLY, "3", "Natural Gas"),
    _product("QG", "NQG", "0.005", "12.50", MONTHLY, "3", "E-mini Natural Gas"),
    _product("MNG", "MNG", "0.001", "1", MONTHLY, "3", "Micro Natural Gas"),
    _product("RB", "RBE", "0.0001", "4.20", MONTHLY, "2", "RBOB Gasoline"),
    _product("HO", "HOE", "0.0001", "4.20", MONTHLY, "2.25", "Heating Oil"),
    _product("GC", "GCE", "0.1", "10", METALS, "2600", "Gold"),
    _product("MGC", "MGC", "0.1", "1", METALS, "2600", "Micro Gold"),
    _product("SI", "SIE", "0.005", "25", COPPER, "30", "Silver"),
    _product("SIL", "SIL", "0.005", "5", COPPER, "30", "Micro Silver"),
    _product("HG", "CPE", "0.0005", "12.50", COPPER, "4.25", "Copper"),
    _product("MHG", "MHG", "0.0005", "1.25", COPPER, "4.25", "Micro Copper"),
    _product("PL", "PLE", "0.1", "5", PLATINUM, "950", "Platinum"),
    _product("ZC", "ZCE", "0.25", "12.50", GRAINS, "430", "Corn"),
    _product("ZW", "ZWA", "0.25", "12.50", GRAINS, "570", "Wheat"),
    _product("ZS", "ZSE", "0.25", "12.50", SOY, "1000", "Soybeans"),
    _product("ZM", "ZME", "0.1", "10", SOY, "310", "Soybean Meal"),
    _product("ZL", "ZLE", "0.01", "6", SOY, "45", "Soybean Oil"),
    _product("6E", "EU6", "0.00005", "6.25", QUARTERLY, "1.08", "Euro FX"),
    _product("M6E", "M6E", "0.0001", "1.25", QUARTERLY, "1.08", "Micro Euro FX"),
    _product("6B", "BP6", "0.0001", "6.25", QUARTERLY, "1.27", "British Pound"),
    _product("M6B", "M6B", "0.0001", "0.625", QUARTERLY, "1.27", "Micro British Pound"),
    _product("6J", "JY6", "0.0000005", "6.25", QUARTERLY, "0.0066", "Japanese Yen"),
    _product("6A", "DA6", "0.00005", "5", QUARTERLY, "0.65", "Australian Dollar"),
    _product("M6A", "M6A", "0.0001", "1", QUARTERLY, "0.65", "Micro Australian Dollar"),
    _product("6C", "CA6", "0.00005", "5", QUARTERLY, "0.72", "Canadian Dollar"),
    _product("MCD", "GMCD", "0.0001", "1", QUARTERLY, "0.72", "Micro Canadian Dollar"),
    _product("6S", "SF6", "0.00005", "6.25", QUARTERLY, "1.13", "Swiss Franc"),
    _product("6N", "NE6", "0.00005", "5", QUARTERLY, "0.59", "New Zealand Dollar"),
    _product("6M", "MX6", "0.00001", "5", QUARTERLY, "0.05", "Mexican Peso"),
    _product("E7", "EEU", "0.0001", "6.25", QUARTERLY, "1.08", "E-mini Euro FX"),
    _product("MBT", "MBT", "5", "0.50", MONTHLY, "90000", "Micro Bitcoin"),
    _product("BTC", "BTC", "5", "25", MONTHLY, "90000", "Bitcoin"),
    _product("ETH", "ETH", "0.5", "25", MONTHLY, "3000", "Ether"),
    _product("MET", "GMET", "0.5", "0.05", MONTHLY, "3000", "Micro Ether"),
)

_BY_CODE = {product.code: product for product in PRODUCTS}
_BY_ROOT = {product.root: product for product in PRODUCTS}


class Catalogue:
    """The contracts of one gateway: the front months of a day, plus whatever a test lists beside them."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._listed: dict[str, Contract] = {}

    def list(self, contract: Contract) -> None:
        """Adds or replaces one contract record."""
        self._listed[contract.id] = contract

    def find(self, contract_id: str) -> Contract | None:
        """The record of a full contract id, of any expiry; None when no such product exists."""
        if contract_id in self._listed:
            return self._listed[contract_id]
        match = CONTRACT_ID.fullmatch(contract_id)
        if match is None or match["code"] not in _BY_CODE:
            return None
        return self._expiry(_BY_CODE[match["code"]], match["month"], match["year"])

    def named(self, text: str) -> Contract | None:
        """A contract by its id, or the front month of an exchange root (MNQ) or a gateway code (ENQ)."""
        product = _BY_ROOT.get(text) or _BY_CODE.get(text)
        return self.find(text) if product is None else self.front(product)

    def search(self, text: str) -> tuple[Contract, ...]:
        """Listed contracts (of every product its front month) that contain the text, any case."""
        wanted = text.upper()
        return tuple(
            contract
            for contract in self._offered()
            if wanted in contract.name.upper() or wanted in contract.id or wanted in contract.title.upper()
        )

    def available(self) -> tuple[Contract, ...]:
        return tuple(contract for contract in self._offered() if contract.active)

    def front(self, product: Product) -> Contract:
        letter, year = next(_months(product.months, self._today))
        return self._expiry(product, letter, year)

    def _offered(self) -> Iterator[Contract]:
        extra = dict(self._listed)
        for product in PRODUCTS:
            contract = self.front(product)
            extra.pop(contract.id, None)
            if contract.known:
                yield contract
        yield from (contract for contract in extra.values() if contract.known)

    def _expiry(self, product: Product, letter: str, year: str) -> Contract:
        contract_id = f"CON.F.US.{product.code}.{letter}{year}"
        return self._listed.get(contract_id) or Contract(
            id=contract_id,
            root=product.root,
            name=f"{product.root}{letter}{year[-1]}",
            title=f"{product.title}: {letter}{year}",
            symbol=f"F.US.{product.code}",
            tick_size=product.tick_size,
            tick_value=product.tick_value,
            start=product.start,
        )


def _months(cycle: str, today: date) -> Iterator[tuple[str, str]]:
    """Delivery months of a cycle from the front month on, as letter and two-digit year, without end."""
    year, month = today.year, today.month + (today.day > LAST_FRONT_DAY)
    while True:
        if month > len(MONTH_LETTERS):
            year, month = year + 1, 1
        letter = MONTH_LETTERS[month - 1]
        if letter in cycle:
            yield letter, f"{year % 100:02d}"
        month += 1
