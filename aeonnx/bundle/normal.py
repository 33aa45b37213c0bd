"""What normal rows score, by which the score of another row is judged. Standard library only."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from aeonnx._util.serde import require

__all__ = ["QUANTILES", "NormalScores", "least_rows", "rank_of"]

QUANTILES = 101
"""Stored quantiles: the lowest score, those of 1 % to 99 %, and the highest."""


def rank_of(n: int, percentile: int) -> int:
    """Which of n ascending normal scores is a conformal threshold, from 1 to n.

    A new normal score exceeds it with a probability of at most 1 - percentile / 100, if n is large
    enough for such a rank (99 for the 99th percentile). Vovk et al. 2005, "Algorithmic learning in
    a random world", section 4.2.2.
    """
    return min(n, math.ceil((n + 1) * percentile / 100))


def least_rows(threshold: str) -> int:
    """The fewest normal scores for which `rank_of` keeps its promise: 99 of "p99", 19 of "p95"."""
    return math.ceil(100 / (100 - int(threshold.removeprefix("p")))) - 1


@dataclass(frozen=True)
class NormalScores:
    """The distribution of a score over normal rows.

    Args:
        rows: number of rows.
        held_out: whether the model was not trained on them; else scores of new rows are higher.
        quantiles: `QUANTILES` scores, from the lowest to the highest.
        false_alarms: by threshold such as "p99", the bounds of the share of new normal rows above
            it, from 0 to 1, that hold with 95 % confidence if they are like these rows.
    """

    rows: int
    held_out: bool
    quantiles: tuple[float, ...]
    false_alarms: dict[str, tuple[float, float]]

    def __post_init__(self) -> None:
        require(self.rows > 0, f"rows: expected 1 or more, got {self.rows}")
        found = self.quantiles
        require(
            len(found) == QUANTILES
            and all(map(math.isfinite, found))
            and all(low <= high for low, high in pairwise(found)),
            f"quantiles: expected {QUANTILES} finite numbers in ascending order",
        )
        for name, (low, high) in self.false_alarms.items():
            require(
                0 <= low <= high <= 1,
                f"false_alarms.{name}: expected shares from 0 to 1, ascending, got {low}, {high}",
            )

    def percentile(self, score: float) -> float:
        """Share of the normal rows with a lower score, in %, from 0 to 100."""
        found, last = self.quantiles, QUANTILES - 1
        place = bisect_left(found, score)
        if place == 0:
            return 0.0
        if place > last:
            return 100.0
        low, high = found[place - 1], found[place]
        return place - 1 + (score - low) / (high - low)
