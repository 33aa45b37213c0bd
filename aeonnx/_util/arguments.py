"""Converts arguments of Python functions to the types of options. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aeonnx.errors import UsageError

__all__ = ["StrPath", "name_of", "names_of", "numbers_of", "path_of"]

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


def numbers_of(what: str, value: Any) -> tuple[int, ...] | None:
    """Several numbers, or None; raises as `path_of`."""
    if value is None:
        return None
    numbers = None if isinstance(value, str | bytes) else _items(value)
    if numbers is None:
        raise UsageError(f"{what}: expected a list of numbers, got {value!r}")
    return numbers


def _items(value: Any) -> tuple[Any, ...] | None:
    return tuple(value) if isinstance(value, Iterable) else None
