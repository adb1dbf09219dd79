"""A seeded random market: every contract with a price takes small steps, the same ones for the same seed."""

import random
from fractions import Fraction

from ops.simulator.contracts import Contract
from ops.simulator.prices import Price

#: Moves per second of one contract at speed 1.
PACE = 1.0
#: How far one move goes at most, in ticks.
REACH = 3


class RandomMarket:
    """A random walk in whole ticks with a one-tick spread on each side."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def step(self, contract: Contract, price: Price) -> Price:
        """The next price of a contract; some moves trade, some only change the touch."""
        tick = contract.tick_size or Fraction(1)
        last = price.last or contract.start or Fraction(100)
        if self._random.random() < 0.3:
            return Price(
                last, last - tick * self._random.randint(1, 2), last + tick * self._random.randint(1, 2)
            )
        last = max(contract.nearest(last) + tick * self._random.randint(-REACH, REACH), tick)
        return Price(last, max(last - tick, tick), last + tick)
