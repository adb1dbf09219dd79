"""What the gateway's error codes mean: one table per endpoint, because the same number differs.

A business failure is an HTTP 200 with `success: false` and an `errorCode`. Source: the gateway's
documentation and Swagger. `Meaning` says what enforcement may conclude; the text is for people.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from actors.messages import CallKind, Outcome


class Meaning(StrEnum):
    DONE = "done"
    GONE = "gone"
    """What should end is not there any more: as good as done."""
    UNKNOWN = "unknown"
    """The gateway itself does not know yet: re-read, never assume."""
    LATER = "later"
    """Refused as things are now; the same request may pass later."""
    PERMANENT = "permanent"
    """Refused for good on this account."""


class Code(Struct, frozen=True, gc=False):
    name: str
    meaning: Meaning
    text: str


def _table(rows: str) -> dict[int, Code]:
    table = {0: Code("Success", Meaning.DONE, "done")}
    for row in filter(None, (line.strip() for line in rows.splitlines())):
        number, name, meaning, text = row.split(" ", 3)
        table[int(number)] = Code(name, Meaning(meaning), text)
    return table


LOGIN = _table("""
    1 UserNotFound permanent the user name is not known; check gateway.username
    2 PasswordVerificationFailed permanent the password was not accepted
    3 InvalidCredentials permanent user name and key do not belong together; check both
    4 AppNotFound permanent the application is not known to the gateway
    5 AppVerificationFailed permanent the application was not accepted
    6 InvalidDevice permanent this device was not accepted
    7 AgreementsNotSigned permanent agreements are not signed; sign them on the firm's site
    8 UnknownError later the gateway could not say why
    9 ApiSubscriptionNotFound permanent no API subscription; buy or renew it on the firm's site
    10 ApiKeyAuthenticationDisabled permanent login by API key is switched off for this user
""")

VALIDATE = _table("""
    1 InvalidSession permanent the session is not valid
    2 SessionNotFound permanent the session is not known
    3 ExpiredToken permanent the token has expired
    4 UnknownError later the gateway could not say why
""")

PLACE = _table("""
    1 AccountNotFound permanent the account is not known
    2 OrderRejected later the order was rejected
    3 InsufficientFunds later not enough funds
    4 AccountViolation permanent the account is in violation of its rules
    5 OutsideTradingHours later the market is closed
    6 OrderPending unknown the order is still pending
    7 UnknownError unknown the gateway could not say why
    8 ContractNotFound permanent the contract is not known
    9 ContractNotActive later the contract is not active
    10 AccountRejected permanent the account may not do this
""")

CANCEL = _table("""
    1 AccountNotFound permanent the account is not known
    2 OrderNotFound gone there is no such working order
    3 Rejected later the cancel was rejected
    4 Pending unknown the cancel is still pending
    5 UnknownError unknown the gateway could not say why
    6 AccountRejected permanent the account may not cancel orders
""")

MODIFY = _table("""
    1 AccountNotFound permanent the account is not known
    2 OrderNotFound later there is no such working order
    3 Rejected later the change was rejected
    4 Pending unknown the change is still pending
    5 UnknownError unknown the gateway could not say why
    6 AccountRejected permanent the account may not change orders
    7 ContractNotFound permanent the contract is not known
""")

CLOSE = _table("""
    1 AccountNotFound permanent the account is not known
    2 PositionNotFound gone there is no such position: already flat
    3 ContractNotFound permanent the contract is not known
    4 ContractNotActive later the contract is not active
    5 OrderRejected later the closing order was rejected: market closed or no price
    6 OrderPending unknown the closing order is still pending
    7 UnknownError unknown the gateway could not say why
    8 AccountRejected permanent the account may not close positions
""")

PARTIAL_CLOSE = _table("""
    1 AccountNotFound permanent the account is not known
    2 PositionNotFound gone there is no such position: already flat
    3 ContractNotFound permanent the contract is not known
    4 ContractNotActive later the contract is not active
    5 InvalidCloseSize later the size is not less than what is open
    6 OrderRejected later the closing order was rejected: market closed or no price
    7 OrderPending unknown the closing order is still pending
    8 UnknownError unknown the gateway could not say why
    9 AccountRejected permanent the account may not close in parts
""")

SEARCH = _table("1 AccountNotFound permanent the account is not known")
CONTRACT = _table("1 ContractNotFound permanent the contract is not known")
BARS = _table("""
    1 ContractNotFound permanent the contract is not known
    2 UnitInvalid permanent the unit is not valid
    3 UnitNumberInvalid permanent the unit number is not valid
    4 LimitInvalid permanent the limit is not valid
""")

UNDOCUMENTED = Code("Undocumented", Meaning.LATER, "an error code nobody documented")
CONTRADICTION = Code("Contradiction", Meaning.UNKNOWN, "a failure without an error code")


def table_of(kind: CallKind) -> dict[int, Code]:
    match kind:
        case CallKind.CLOSE:
            return CLOSE
        case CallKind.PARTIAL_CLOSE:
            return PARTIAL_CLOSE
        case CallKind.CANCEL:
            return CANCEL
        case CallKind.MODIFY:
            return MODIFY
        case CallKind.PLACE:
            return PLACE
        case _:
            assert_never(kind)


def meaning_of(kind: CallKind, code: int | None) -> Meaning:
    """What a `Called` with this code says; None (no code) is never more than unknown."""
    if code is None:
        return Meaning.UNKNOWN
    return table_of(kind).get(code, UNDOCUMENTED).meaning


def failure(table: dict[int, Code], code: int | None, said: str | None) -> tuple[Code, str]:
    """The entry of a failed answer, and its sentence with the gateway's own words where it gave any."""
    entry = CONTRADICTION if not code else table.get(code, UNDOCUMENTED)
    text = entry.text if not said else f"{entry.text} (gateway: {said})"
    return entry, text


def outcome_of(meaning: Meaning) -> Outcome:
    match meaning:
        case Meaning.DONE | Meaning.GONE:
            return Outcome.CONFIRMED
        case Meaning.UNKNOWN:
            return Outcome.UNKNOWN
        case Meaning.LATER | Meaning.PERMANENT:
            return Outcome.REFUSED
        case _:
            assert_never(meaning)
