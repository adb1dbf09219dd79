"""A seeded random market: every contract with a price takes small steps, the same ones for the same seed."""

import random
from fractions import Fraction

from ops.simulator.contracts import Contract
from ops.simulator.prices import Price

#: Moves per second of one contract at speed 1.
PACE = 1.0
#: How far one move goes at most, in ticks.
REACH = 3
#: The share of moves that change the touch without a trade.
TOUCH_ONLY = 0.3


class RandomMarket:
    """A random walk in whole ticks with a one-tick spread on each side."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def step(self, contract: Contract, price: Price) -> dict[str, Fraction]:
        """The sides of a contract that move next: mostly a trade with its touch, else the touch alone."""
        tick, roll = contract.tick_size or Fraction(1), self._random
        last = price.last or contract.start or Fraction(100)
        if price.last is not None and roll.random() < TOUCH_ONLY:
            return {
                "bid": max(last - tick * roll.randint(1, 2), tick),
                "ask": last + tick * roll.randint(1, 2),
            }
        last = max(contract.nearest(last) + tick * roll.randint(-REACH, REACH), tick)
        return {"last": last, "bid": max(last - tick, tick), "ask": last + tick}
