"""Which product stands behind a contract: one normaliser for every spelling, and a cross-check of its ticks.

The gateway's product codes differ from the exchange's (`ENQ` is `NQ`); a trader writes the exchange's root
everywhere and may use either spelling. The tick table only cross-checks: the gateway's contract record is
what is used. Sources: the gateway's documentation and responses (`seen`), and an independent table.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from config.errors import GatewayMustAct
from config.values import dollars

# Gateway code = exchange root.
_ALIASES = """
EP=ES ENQ=NQ GCE=GC CLE=CL CPE=HG EU6=6E BP6=6B JY6=6J DA6=6A CA6=6C SF6=6S MX6=6M NE6=6N GLE=LE EEU=E7
GMCD=MCD GMET=MET NQM=QM NQG=QG MCLE=MCL NGE=NG SIE=SI PLE=PL HOE=HO RBE=RB TYA=ZN FVA=ZF TUA=ZT TNA=TN
USA=ZB ULA=UB ZCE=ZC ZWA=ZW ZSE=ZS ZME=ZM ZLE=ZL
"""

# Product group: root tick $/tick, `y` where the gateway itself was seen to say so. Sizes in the unit of the
# quoted price: cents for grains, livestock and ZL.
_PRODUCTS = """
equity: ES 0.25 12.50 y, MES 0.25 1.25 y, NQ 0.25 5 y, MNQ 0.25 0.50 y, RTY 0.1 5 y, M2K 0.1 0.50 y
equity: YM 1 5, MYM 1 0.50, NKD 5 25 y, EMD 0.1 10 y
rates: ZN 1/64 15.625, TN 1/64 15.625, ZB 1/32 31.25, UB 1/32 31.25, ZF 1/128 7.8125, ZT 1/256 7.8125
rates: SR3 0.005 12.50 y
fx: 6E 0.00005 6.25 y, M6E 0.0001 1.25 y, 6B 0.0001 6.25 y, M6B 0.0001 0.625 y, 6J 0.0000005 6.25 y
fx: 6A 0.00005 5 y, M6A 0.0001 1 y, 6C 0.00005 5 y, MCD 0.0001 1 y, 6S 0.00005 6.25 y, 6N 0.00005 5 y
fx: 6M 0.00001 5 y, E7 0.0001 6.25 y
energy: CL 0.01 10 y, MCL 0.01 1, QM 0.025 12.50 y, NG 0.001 10, QG 0.005 12.50 y, MNG 0.001 1
energy: RB 0.0001 4.20, HO 0.0001 4.20
metals: GC 0.1 10 y, MGC 0.1 1 y, SI 0.005 25, SIL 0.005 5, HG 0.0005 12.50 y, MHG 0.0005 1.25, PL 0.1 5
grains: ZC 0.25 12.50, ZW 0.25 12.50, ZS 0.25 12.50, ZM 0.1 10, ZL 0.01 6
livestock: LE 0.025 10 y, HE 0.025 10 y, GF 0.025 12.50 y
crypto: MBT 5 0.50 y, BTC 5 25, ETH 0.5 25, MET 0.5 0.05 y
"""


@dataclass(frozen=True, slots=True)
class Ticks:
    """One product's smallest price step and what it is worth: `value` in 1/10000 dollar per contract."""

    size: Fraction
    value: int
    group: str
    """The product group whose holidays it keeps."""
    seen: bool
    """Also seen in the gateway's own documentation or responses, not only in an independent table."""


def _read_products() -> dict[str, Ticks]:
    read = {}
    for line in _PRODUCTS.split("\n")[1:-1]:
        group, _, entries = line.partition(": ")
        for entry in entries.split(", "):
            root, size, value, *seen = entry.split()
            read[root] = Ticks(Fraction(size), dollars(value), group, seen=bool(seen))
    return read


ALIASES: Mapping[str, str] = MappingProxyType(dict(pair.split("=") for pair in _ALIASES.split()))
TICKS: Mapping[str, Ticks] = MappingProxyType(_read_products())

_CONTRACT_ID = re.compile(r"CON\.[A-Z]\.[A-Z]+\.([A-Z0-9]+)\.([FGHJKMNQUVXZ]\d{1,4})")
_SYMBOL_ID = re.compile(r"[A-Z]\.[A-Z]+\.([A-Z0-9]+)")
_CONTRACT_NAME = re.compile(r"([A-Z0-9]+?)[FGHJKMNQUVXZ]\d{1,2}")


class UnknownContract(GatewayMustAct, ValueError):
    """A contract id or name that does not have the documented form: its root cannot be told."""


def exchange_root(written: str) -> str:
    """The exchange's root of a product code in either spelling, upper case: `enq` -> `NQ`, `MNQ` -> `MNQ`."""
    code = written.strip().upper()
    return ALIASES.get(code, code)


def root_of(contract_id: str, contract_name: str | None = None) -> str:
    """The exchange's root behind a contract id (`CON.F.US.ENQ.Z25` -> `NQ`) or symbol id (`F.US.ENQ`).

    A code that neither the alias list nor the tick table knows is settled by the contract record's name
    (`ZNZ5` -> `ZN`) where there is one. Raises `UnknownContract` where the id has another form.
    """
    text = contract_id.strip().upper()
    match = _CONTRACT_ID.fullmatch(text) or _SYMBOL_ID.fullmatch(text)
    if match is None:
        raise UnknownContract(f"cannot tell the root of {contract_id!r}: not of the form CON.F.US.ROOT.Z25")
    root = exchange_root(match[1])
    if root not in TICKS and contract_name is not None:
        return root_of_name(contract_name)
    return root


def root_of_name(contract_name: str) -> str:
    """The exchange's root of a contract's name: `ZNZ5` -> `ZN`, `6EH26` -> `6E`."""
    match = _CONTRACT_NAME.fullmatch(contract_name.strip().upper())
    if match is None:
        raise UnknownContract(f"cannot tell the root of {contract_name!r}: not root, month letter and year")
    return exchange_root(match[1])


def disagreement(contract_id: str, contract_name: str) -> str | None:
    """What to alert when the two witnesses of a contract's root differ, else None."""
    by_id, by_name = root_of(contract_id), root_of_name(contract_name)
    if by_id == by_name:
        return None
    return f"contract {contract_id} reads as {by_id}, its name {contract_name} as {by_name}"


def is_known(root: str) -> bool:
    """Whether the alias list or the tick table knows the root, in either spelling."""
    return exchange_root(root) in TICKS


def product_group(root: str) -> str | None:
    """The group whose holidays the root keeps, such as `equity` or `grains`; None for an unknown root."""
    known = TICKS.get(exchange_root(root))
    return known.group if known else None


def cross_check(root: str, tick_size: Fraction, tick_value: int) -> str | None:
    """What differs between the gateway's contract record and the table, for an alert; None where they agree.

    `tick_value` in 1/10000 dollar. A root the table does not hold is no difference.
    """
    known = TICKS.get(exchange_root(root))
    if known is None:
        return None
    wrong = []
    if tick_size != known.size:
        wrong.append(f"tick size {tick_size} instead of {known.size}")
    if tick_value != known.value:
        wrong.append(f"tick value {tick_value} instead of {known.value} (1/10000 dollar)")
    return f"{exchange_root(root)}: {' and '.join(wrong)}" if wrong else None


def root_pattern(written: str) -> str:
    """A root or glob as the rules keep it: upper case, a plain root in the exchange's spelling."""
    text = written.strip().upper()
    return text if is_glob(text) else exchange_root(text)


def is_glob(pattern: str) -> bool:
    """Whether the text stands for several roots: `*` for any run of characters, `?` for one."""
    return "*" in pattern or "?" in pattern


def matches(root: str, pattern: str) -> bool:
    """Whether the exchange's root is meant by a root or glob: `ES` is not `MES`, `*NQ*` is `NQ` and `MNQ`."""
    glob = re.escape(root_pattern(pattern)).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(glob, exchange_root(root)) is not None


def matches_any(root: str, patterns: Collection[str]) -> bool:
    """Whether one of the roots or globs means the root."""
    return any(matches(root, pattern) for pattern in patterns)
