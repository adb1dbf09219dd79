"""What a nemesis did and found, for people."""

from __future__ import annotations

from collections.abc import Iterator

from ops.chaos.nemesis import Ended


def lines(ended: Ended) -> Iterator[str]:
    """What was broken how often, the rare moments that were met, every difference, one last line."""
    for what, times in ended.done.items():
        yield f"  {what:<24} {times:>5}"
    for what, times in ended.reached.items():
        if times:
            yield f"  {what:<52} {times:>5} x"
    for text in ended.differences:
        yield f"DIFFERENCE {text}"
    broken = sum(ended.done.values())
    agree = "all agree" if not ended.differences else f"{len(ended.differences)} differences"
    yield f"chaos run: {broken} things broken, {ended.acts} acts of trading, {agree}, seed {ended.seed}"
