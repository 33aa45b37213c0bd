"""Numbers and names that people give: checked, and called as the command line does."""

from __future__ import annotations

import math
from collections.abc import Iterable

from aeonnx.errors import UnknownNameError, UsageError

__all__ = ["flag", "one_of", "whole", "within"]


def whole(what: str, value: float, lowest: int) -> int:
    """`value` as a whole number.

    Raises:
        UsageError: it is not whole, or below `lowest`.
    """
    if value < lowest:
        raise UsageError(f"{what}: expected {lowest} or more, got {value}")
    if value % 1:  # NaN and infinity too
        raise UsageError(f"{what}: expected a whole number, got {value}")
    return int(value)


def within(
    what: str,
    value: float,
    *,
    lowest: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """`value`, in [lowest, below) and above `above`.

    Raises:
        UsageError: it is not.
    """
    if lowest <= value < below and above < value:
        return value
    low = f"above {above:g}" if above > -math.inf else f"{lowest:g} or more"
    high = f" and below {below:g}" if below < math.inf else ""
    raise UsageError(f"{what}: expected a number {low}{high}, got {value}")


def flag(name: str) -> str:
    """What the command line calls an option."""
    return "--" + name.replace("_", "-")


def one_of(what: str, value: str, known: Iterable[str]) -> str:
    """`value`, one of `known`.

    Raises:
        UnknownNameError: it is not; suggests the nearest.
    """
    if value not in known:
        raise UnknownNameError(what, value, known)
    return value
