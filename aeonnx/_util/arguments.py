"""Converts arguments of Python functions to the types of options. Standard library only."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar, cast

from aeonnx.errors import UsageError

__all__ = [
    "StrPath",
    "flag_of",
    "keywords_of",
    "name_of",
    "names_of",
    "number_of",
    "numbers_of",
    "path_of",
]

N = TypeVar("N", bound=float | None)

StrPath = str | os.PathLike[str]


def path_of(what: str, value: StrPath | None) -> Path | None:
    """A path, or None.

    Raises:
        UsageError: `value` is something else; the message begins with `what`, the argument's name.
    """
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise UsageError(f"{what}: expected a path, got {value!r}")
    return Path(value)


def name_of(what: str, value: str | None) -> str | None:
    """A string, or None; raises as `path_of`."""
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{what}: expected a name, got {value!r}")
    return value


def names_of(what: str, value: str | Iterable[str]) -> tuple[str, ...]:
    """One name or several; raises as `path_of`."""
    names = (value,) if isinstance(value, str) else _items(value)
    if names is None or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{what}: expected a name or a list of names, got {value!r}")
    return names


def number_of(what: str, value: N) -> N:
    """A number, also one of numpy, as Python's own type; or None. Raises as `path_of`."""
    given: object = value
    if given is None:
        return value
    if isinstance(given, bool) or not isinstance(given, Real):
        raise UsageError(f"{what}: expected a number, got {value!r}")
    item = getattr(given, "item", None)  # of numpy's numbers
    return cast(N, item() if item else given)


def numbers_of(what: str, value: Iterable[int] | None) -> tuple[int, ...] | None:
    """Several numbers, see `number_of`, or None; raises as `path_of`."""
    numbers = () if isinstance(value, str | bytes) else _items(value)
    if value is not None and not numbers:
        raise UsageError(f"{what}: expected a list of numbers, got {value!r}")
    return None if value is None else tuple(number_of(what, number) for number in numbers or ())


def flag_of(what: str, value: object) -> bool:
    """True or False; raises as `path_of`, since "no" would count as true."""
    if not isinstance(value, bool):
        raise UsageError(f"{what}: expected True or False, got {value!r}")
    return value


def keywords_of(function: Callable[..., object]) -> list[str]:
    """Names of the arguments that a function lists, without `**` ones: for suggestions."""
    parameters = inspect.signature(function).parameters.values()
    return [item.name for item in parameters if item.kind is not item.VAR_KEYWORD]


def _items(value: Any) -> tuple[Any, ...] | None:
    return tuple(value) if isinstance(value, Iterable) else None
