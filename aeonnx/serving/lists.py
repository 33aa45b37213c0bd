"""Lists of JSON as arrays of numbers, and values of JSON for messages, however large they are."""

from __future__ import annotations

import gc
from collections.abc import Collection
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from aeonnx.serving.threads import LARGE

__all__ = ["Ragged", "WrongValues", "array_of", "loads", "shown"]

_DEEPEST = 32  # dimensions; numpy has 64 at most
_LONGEST = 60  # characters of a value in a message


class Ragged(ValueError):  # noqa: N818  # the caller says what was expected
    """The lists at a depth have several lengths, or they are too deep."""


class WrongValues(ValueError):  # noqa: N818
    """There are other values than the allowed ones."""


def loads(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        orjson.JSONDecodeError: it is none.
    """
    if len(text) < LARGE or not gc.isenabled():
        return orjson.loads(text)
    # The parser keeps Python's lock, and the collector would look at each list again and again.
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        gc.enable()


def array_of(data: list[Any], kinds: Collection[type], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of the shape that nested lists have.

    `numpy.array` alone would make texts of all numbers if there is one text, each as long as that.

    Args:
        data: flat or nested.
        kinds: allowed types of the values; None becomes NaN.
        dtype: of the array.

    Raises:
        Ragged: the lists have several lengths, or they are too deep.
        WrongValues: a value has another type.
        OverflowError: a whole number does not fit.
    """
    shape = [len(data)]
    while data and type(data[0]) is list:
        size = len(data[0])
        if len(shape) == _DEEPEST or any(
            type(each) is not list or len(each) != size for each in data
        ):
            raise Ragged
        data = [*chain.from_iterable(data)]
        shape.append(size)
    found = {*map(type, data)}
    if list in found:
        raise Ragged
    if not found <= {*kinds}:
        raise WrongValues
    return np.array(data, dtype).reshape(shape)


def shown(value: Any) -> str:
    """A value of a client for a message: short."""
    text = "nothing" if value is None else orjson.dumps(_cut(value, 3)).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _cut(value: Any, depth: int) -> Any:
    """The begin of a value, which may be large, and deeper than what orjson writes."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, list):
        return [_cut(each, depth - 1) for each in value[:_LONGEST]] if depth else "..."
    if isinstance(value, dict):
        some = islice(value.items(), _LONGEST)
        return {key[:_LONGEST]: _cut(each, depth - 1) for key, each in some} if depth else "..."
    return value
