"""Allowed values of options: declared as types, checked, and described as on the command line.

The type of a recipe's option declares its allowed values:

    def recipe(config, *, beta: Weight = 1.0, pixels: Literal["intensities", "binary"] = ...)

Standard library only.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal

from aeonnx.errors import UnknownNameError, UsageError

__all__ = [
    "Allowed",
    "Annotated",
    "CorruptionKind",
    "Count",
    "Level",
    "Literal",
    "Range",
    "Share",
    "Weight",
    "allowed_by",
    "flag",
    "one_of",
    "require_number",
    "require_whole",
    "whole",
    "within",
]


@dataclass(frozen=True)
class Range:
    """Numbers from `lowest` to `most`, both included, above `above` and below `below`."""

    lowest: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    most: float = math.inf

    def __contains__(self, value: float) -> bool:
        finite = math.isfinite(value)
        return finite and self.lowest <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        """ "0 or more and below 1"; "" for any number."""
        low = f"{self.lowest:g} or more" if self.lowest > -math.inf else ""
        low = f"above {self.above:g}" if self.above > -math.inf else low
        high = f"up to {self.most:g}" if self.most < math.inf else ""
        high = f"below {self.below:g}" if self.below < math.inf else high
        return " and ".join(text for text in (low, high) if text)


Count = Annotated[int, Range(lowest=1)]
"""A whole number, 1 or more."""
Weight = Annotated[float, Range(lowest=0)]
"""Factor of a loss term: 0 or more."""
Share = Annotated[float, Range(lowest=0, below=1)]
"""A fraction, in [0, 1)."""
Level = Annotated[float, Range(above=0, most=1)]
"""A strength, in (0, 1]."""
CorruptionKind = Literal["gaussian", "masking", "salt-pepper"]
"""Kinds of corruption, see `aeonnx.training.corruption`."""


@dataclass(frozen=True)
class Allowed:
    """Values that an option accepts.

    Args:
        kind: type of the values.
        range: allowed numbers.
        names: allowed strings; empty for any.
    """

    kind: type[str] | type[int] | type[float]
    range: Range = Range()
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The allowed values in words; "" if the type is the only limit."""
        *names, last = self.names or ("",)
        return f"{', '.join(names)} or {last}" if names else last or str(self.range)

    def check(self, what: str, value: str | float) -> str | float:
        """Return `value`, as an int if `kind` is int.

        Args:
            what: name of the option in the message.
            value: the value to check.

        Raises:
            UsageError: it is of another type, or not allowed.
        """
        if self.kind is str:
            if not isinstance(value, str):
                raise UsageError(f"{what}: expected a name, got {value!r}")
            return one_of(what, value, self.names) if self.names else value
        require_number(what, value)
        value = typing.cast(float, value)
        if self.kind is int:
            return whole(what, value, int(self.range.lowest))
        if value not in self.range:
            raise UsageError(f"{what}: expected a number {self.range}".rstrip() + f", got {value}")
        return value


def allowed_by(annotation: Any) -> Allowed:
    """The values that a type allows: `float`, `Annotated[float, Range(...)]`, `Literal["a", "b"]`.

    Raises:
        TypeError: the type has none of these forms.
    """
    if annotation in (str, int, float):
        return Allowed(annotation)
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal and all(isinstance(a, str) for a in arguments):
        return Allowed(str, names=arguments)
    if typing.get_origin(annotation) is Annotated and arguments[0] in (int, float):
        for item in arguments[1:]:
            if isinstance(item, Range):
                return Allowed(arguments[0], item)
    raise TypeError(
        "expected str, int, float, Literal names or a range of aeonnx.catalog.ranges, "
        f"got {annotation!r}"
    )


def whole(what: str, value: float, lowest: int, most: int = 2**31 - 1) -> int:
    """Return `value` as an int.

    Raises:
        UsageError: it is not whole, below `lowest` or above `most`.
    """
    require_number(what, value)
    if value < lowest:
        raise UsageError(f"{what}: expected {lowest} or more, got {value}")
    if value > most:
        raise UsageError(f"{what}: expected up to {most}, got {value}")
    require_whole(what, value)
    return int(value)


def require_number(what: str, value: object) -> None:
    """Raise `UsageError` unless a value is a number of Python or numpy, and no bool."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{what}: expected a number, got {value!r}")


def require_whole(what: str, value: float) -> None:
    """Raise `UsageError` unless a value is a whole number; NaN and infinity are not."""
    require_number(what, value)
    if value % 1:
        raise UsageError(f"{what}: expected a whole number, got {value}")


def within(
    what: str,
    value: float,
    *,
    lowest: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Return `value` if it is in [lowest, below) and above `above`.

    Raises:
        UsageError: it is out of range or not finite.
    """
    checked = Allowed(float, Range(lowest, above, below)).check(what, value)
    return typing.cast(float, checked)


def flag(name: str) -> str:
    """The command-line flag of an option: "batch_size" -> "--batch-size"."""
    return "--" + name.replace("_", "-")


def one_of(what: str, value: str, known: Iterable[str]) -> str:
    """Return `value` if it is one of `known`.

    Raises:
        UnknownNameError: it is not; suggests the nearest name.
    """
    if value not in known:
        raise UnknownNameError(what, value, known)
    return value
