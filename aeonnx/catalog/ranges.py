"""Allowed values of options: declared as types, checked, and described as on the command line.

The type of a recipe's option declares its allowed values:

    def recipe(config, *, beta: Weight = 1.0, pixels: Literal["intensities", "binary"] = ...)

Standard library only.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal

from aeonnx.errors import UnknownNameError, UsageError

__all__ = [
    "PAIRS",
    "Allowed",
    "Annotated",
    "CorruptionKind",
    "Count",
    "FeatureCorruptionKind",
    "Level",
    "Levels",
    "LevelsOrAuto",
    "Literal",
    "Range",
    "Share",
    "Span",
    "Weight",
    "allowed_by",
    "ends",
    "flag",
    "one_of",
    "require_number",
    "require_whole",
    "whole",
    "within",
]


_DASH = r"(?<![eE])-"  # not that of an exponent


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


@dataclass(frozen=True)
class Span:
    """One number in `range`, or two with a dash between them, the lower one first: "0.02-0.3"."""

    range: Range

    def parsed(self, text: str) -> str | float | None:
        """A number, the text of two numbers, or None if the text is neither."""
        numbers = [_float(part) for part in re.split(_DASH, text)]
        good = [number for number in numbers if number is not None and number in self.range]
        if len(good) < len(numbers) or len(good) > 2:
            return None
        if len(good) == 2:
            return f"{good[0]:g}-{good[1]:g}" if good[0] < good[1] else None
        return good[0]

    def __str__(self) -> str:
        """ "a number above 0 and up to 1, or two such as 0.02-0.3"."""
        return f"a number {self.range}, or two such as 0.02-0.3"


def ends(level: str | float) -> tuple[float, float]:
    """Lowest and highest of an option of type `Levels`; equal for a single number."""
    if isinstance(level, str):
        low, high = map(float, re.split(_DASH, level))
        return low, high
    return level, level


Count = Annotated[int, Range(lowest=1)]
"""A whole number, 1 or more."""
Weight = Annotated[float, Range(lowest=0)]
"""Factor of a loss term: 0 or more."""
Share = Annotated[float, Range(lowest=0, below=1)]
"""A fraction, in [0, 1)."""
_LEVEL = Range(above=0, most=1)
Level = Annotated[float, _LEVEL]
"""A strength, in (0, 1]."""
Levels = Annotated[str | float, Span(_LEVEL)]
"""A strength, or the ends of a range of them; see `ends`."""
LevelsOrAuto = Annotated[str | float, Span(_LEVEL), "auto"]
"""`Levels`, or "auto": the recipe chooses."""
CorruptionKind = Literal[
    "gaussian", "masking", "salt-pepper", "poisson-gaussian", "jpeg", "awgn", "pairs"
]
"""Kinds of corruption, see `aeonnx.training.corruption`; `PAIRS` is for images that are noisy."""
FeatureCorruptionKind = Literal["gaussian", "masking", "salt-pepper"]
"""Those kinds that can corrupt features as well as images."""
PAIRS = "pairs"


@dataclass(frozen=True)
class Allowed:
    """Values that an option accepts.

    Args:
        kind: type of the values.
        range: allowed numbers.
        names: allowed strings; empty for any.
        span: the value is a number, or a text that this parses; None if it is not of that kind.
    """

    kind: type[str] | type[int] | type[float]
    range: Range = Range()
    names: tuple[str, ...] = ()
    span: Span | None = None

    def __str__(self) -> str:
        """The allowed values in words; "" if the type is the only limit."""
        if self.span:
            return " or ".join(map(str, (self.span, *self.names)))
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
        if self.span:
            return self._check_span(self.span, what, value)
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

    def _check_span(self, span: Span, what: str, value: str | float) -> str | float:
        if isinstance(value, str) and value in self.names:
            return value
        if not isinstance(value, str):
            require_number(what, value)
        found = span.parsed(value) if isinstance(value, str) else value
        if found is None or (not isinstance(found, str) and found not in span.range):
            raise UsageError(f"{what}: expected {self}, got {value}")
        return found


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
    if typing.get_origin(annotation) is Annotated and arguments[0] == str | float:
        spans = [item for item in arguments[1:] if isinstance(item, Span)]
        if spans:
            names = tuple(item for item in arguments[1:] if isinstance(item, str))
            return Allowed(str, names=names, span=spans[0])
    raise TypeError(
        "expected str, int, float, Literal names or a range of aeonnx.catalog.ranges, "
        f"got {annotation!r}"
    )


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


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
