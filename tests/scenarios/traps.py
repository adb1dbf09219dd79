"""What went wrong in earlier programs for the same job, row by row; every row has a test.

L was seen live on a practice account, C was read in code, T was met in tests. A test named
`test_trap_L24_...` covers its row; a scenario that proves one beside its own point says `@covers("L24")`.
"""

from __future__ import annotations

from collections.abc import Callable

TRAPS = {
    "L1": "rules waited for event kinds that nobody published",
    "L2": "a published event had no subscriber",
    "L3": "events without account or contract meant 'no breach'",
    "L4": "realized P&L was computed average against average: always 0",
    "L5": "a crash at the first position took everything down",
    "L6": "one tick value for every product",
    "L7": "the gateway's ENQ was taken for MNQ",
    "L8": "the first configured product was used for every event",
    "L9": "two rules each kept the day's P&L, or neither did",
    "L10": "each event was delivered three times and counted three times",
    "L11": "deduplication by content hid a second protective order",
    "L12": "a moved stop was judged by its old price",
    "L13": "a short's take-profit was taken for its stop",
    "L14": "stops placed in the broker's own screen were not seen",
    "L15": "only orders placed by the program itself were known",
    "L16": "failing queries passed in silence",
    "L17": "a product that was not configured was traded unseen",
    "L18": "a flat position event crashed the program",
    "L19": "a last price of 0 gave a giant loss",
    "L20": "spellings of one product differed between parts",
    "L21": "a rule that could not be loaded was skipped and the program 'ran'",
    "L22": "fewer rules were loaded than configured, unsaid",
    "L23": "loader and rule named the same field differently",
    "L24": "a breach was flattened but never locked",
    "L25": "the lockout came after a broker call that hung",
    "L26": "the reset was computed in another zone than configured",
    "L27": "a flood of depth events drowned the loop",
    "L28": "a call with wrong argument names failed in silence",
    "L29": "a filled order was not taken as final",
    "L30": "a lockout was over the moment it was set",
    "L31": "a rule's verdict had another type than the engine expected",
    "L32": "a coroutine was never awaited",
    "L33": "partial closes and scale-ins were not tracked",
    "C1": "a locked account could trade freely",
    "C2": "half of the configured actions did nothing",
    "C3": "close demands carried no contract",
    "C4": "close demands were keyed by another name than positions",
    "C5": "flatten stopped at the first failure",
    "C6": "flatten covered configured products only",
    "C7": "orders were never cancelled",
    "C8": "a rule fired again while its close was pending and reversed the position",
    "C9": "rules were called by other signatures than they had",
    "C10": "an exception inside a rule meant 'no breach'",
    "C11": "configured rules were never loaded while status said all were",
    "C12": "the rule engine never learned of positions",
    "C13": "trades were never counted",
    "C14": "order, disconnect and login events were never published",
    "C15": "canTrade was never read",
    "C16": "timers, lockout expiry and reset were never started",
    "C17": "the configured session was ignored",
    "C18": "session days and holidays were ignored",
    "C19": "the configured reset time did not reach the rules",
    "C20": "the day's P&L rolled at midnight, not at the reset",
    "C21": "trades of the day were counted by the UTC date",
    "C22": "a reset missed while down never happened",
    "C23": "an unreadable duration meant no cooldown",
    "C24": "a short cooldown replaced a lockout until the reset",
    "C25": "the lockout's rule was not stored",
    "C26": "a restart turned a cooldown into a lockout without end",
    "C27": "an account id of another type meant 'not locked'",
    "C28": "a lockout without expiry was not possible",
    "C29": "P&L of closes made while locked was not recorded",
    "C30": "one trade was added by two rules",
    "C31": "later fills of one order were dropped as repeats",
    "C32": "a short was taken for a long",
    "C33": "a throttle delayed the unrealized limit",
    "C34": "any cancel in a contract lost its stop",
    "C35": "a full queue dropped fills",
    "C36": "the command line people were pointed to did not exist",
    "T1": "rule tests stubbed what the rule no longer called",
    "T2": "fixed old timestamps fell out of every rolling window",
    "T3": "tests patched the clock's module",
    "T4": "stand-ins accepted any signature",
    "T5": "no test drove the running daemon",
    "T6": "status was written by hand",
}


def covers[**P, R](*rows: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Say which rows a scenario proves beside its own point."""
    unknown = set(rows) - set(TRAPS)
    assert not unknown, f"no such row: {sorted(unknown)}"
    return lambda test: test
