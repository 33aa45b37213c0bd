"""Rows of numbers as JSON, for scorers of tables and of windows."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from aeonnx.bundle import TensorSpec
from aeonnx.errors import RequestError
from aeonnx.serving.lists import Ragged, WrongValues, array_of, loads

__all__ = ["rows_of"]


def rows_of(spec: TensorSpec, body: bytes) -> npt.NDArray[np.float32]:
    """Rows as JSON: lists in the order of the columns, or objects by their names; windows as lists.

    A missing value is null.

    Raises:
        RequestError: they cannot be used.
    """
    names = spec.names
    expected = f"expected JSON rows of {spec.shape[1]} numbers"
    if names and len(spec.shape) == 2:
        expected += f", or objects of {', '.join(names)}"
    try:
        document = loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            400, f"{expected}, got no JSON: it is wrong at byte {error.pos}"
        ) from None
    rows = document if isinstance(document, list) else [document]
    if not rows:
        raise RequestError(400, f"{expected}, got none")
    if not isinstance(rows[0], list | dict):  # one row of numbers
        rows = [rows]
    lines = [
        _listed_row(names, row, place, expected) if isinstance(row, dict) else row
        for place, row in enumerate(rows)
    ]
    try:
        found = array_of(lines, (float, int, NoneType), np.float64)
    except Ragged:
        raise RequestError(400, f"{expected}, got rows of several lengths") from None
    except WrongValues:
        raise RequestError(400, f"{expected}, and null for a missing value, got others") from None
    with np.errstate(over="ignore"):  # becomes infinite, which the check of values refuses
        return found.astype(np.float32)


def _listed_row(
    names: tuple[str, ...], row: Mapping[str, Any], place: int, expected: str
) -> list[Any]:
    """The values of a row in the order of the columns."""
    absent = [name for name in names if name not in row]
    if absent or not names:
        text = f"row {place}: {expected}: {(absent or ['a name'])[0]!r} is missing"
        raise RequestError(400, text)
    return [row[name] for name in names]
