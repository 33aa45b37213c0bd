"""Reads rows of any kind from arrays: latents, codes, vectors, volumes, signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from aeonnx.errors import ImageError
from aeonnx.io.arrays import fits, names_of_images, names_of_latents, to_values
from aeonnx.io.decode import kind_of
from aeonnx.io.source import Batches, Source, joined, numbered
from aeonnx.io.stored import Numbers, Stored, first_bytes, named, stored

__all__ = [
    "Rows",
    "arrays_of",
    "centre_of",
    "open_latents",
    "open_rows",
    "read_rows",
    "whole_numbers",
]

Array = npt.NDArray[Any]

_AT_ONCE = 1024


@dataclass(frozen=True)
class Rows:
    """What rows must be.

    Args:
        name: of the input that takes them.
        shape: of a row; 0 stands for any size.
        dtype: of the input. An array of floats is read as float32 where this is a float. Where it
            is a whole number, any array of whole numbers is read, also of floats without fractions.
        what: names the rows in messages.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    what: str = "rows"

    @property
    def floats(self) -> bool:
        """Whether rows are floats."""
        return self.dtype.startswith("float")

    @property
    def expected(self) -> str:
        """The array that is expected, for messages."""
        values = "floats" if self.floats else "whole numbers"
        return f"expected {self.what}, a .npy or .npz array of {values} {self.axes}"

    @property
    def axes(self) -> str:
        """The shape of an array, for messages."""
        return f"[{', '.join(('n', *(str(size or 'any') for size in self.shape)))}]"


def open_latents(
    path: Path | str,
    latents: Rows,
    others: Sequence[Rows] = (),
    way: str = ", such as aeonnx encode makes of pictures",
) -> Source:
    """Open latents or codes, [n, ...] or a single row: a .npy or .npz array.

    Args:
        path: of the file; "-" for stdin.
        latents: the rows; in a .npz the array of this name, or see `arrays.names_of_latents`.
        others: further inputs, which are read from the arrays of their names in a .npz; those that
            it does not have are left out.
        way: how to get such rows, for messages.

    Raises:
        ImageError: the file is missing or is not such an array, or arrays have different numbers
            of rows.
    """
    where = named(path)
    start, stream = first_bytes(path)
    _refuse_picture(start, where, latents, way)
    arrays = arrays_of(path, start, stream, latents.name, [each.name for each in others])
    shape, batches = _of(arrays.pop(latents.name), latents)
    further = {each.name: each for each in others}
    more = {}
    for name, array in arrays.items():
        (rows, *_), more[name] = _of(array, further[name])
        if rows != shape[0]:
            raise ImageError(
                f"{array.where}: expected {shape[0]} rows, as many as of {latents.name}, got {rows}"
            )
    return Source(Numbers(shape[0]), batches, others=more, values=math.prod(shape[1:]))


def arrays_of(
    path: Path | str, start: bytes, stream: BinaryIO | None, first: str, others: Sequence[str]
) -> dict[str, Stored]:
    """The array of a part's first input, and those of its further inputs that a .npz has, by input.

    Args:
        path, start, stream: see `stored`.
        first: name of the first input, see `arrays.names_of_latents`.
        others: names of the further inputs.
    """
    inputs = [first]

    def choose(names: set[str]) -> list[str]:
        further = [name for name in others if name in names]
        inputs.extend(further)
        return [names_of_latents(names, named(path), first, further), *further]

    return dict(zip(inputs, stored(path, start, stream, choose), strict=True))


def open_rows(paths: Sequence[Path | str], wanted: Rows) -> Source:
    """Open rows that are no images, [n, ...] or a single row: .npy or .npz arrays.

    Values are returned as they are stored.

    Args:
        paths: of the files; "-" for stdin.
        wanted: the rows; of a .npz the array `x` or `data`, or the only one.

    Raises:
        ImageError: a file is missing or is not such an array.
    """
    parts = []
    for path in paths:
        where = named(path)
        start, stream = first_bytes(path)
        _refuse_picture(start, where, wanted)
        arrays = stored(path, start, stream, lambda names, at=where: names_of_images(names, at)[0])  # type: ignore[misc]
        found = []
        for array in arrays:
            shape = _shape(array, wanted)
            rows = _batches(array, shape)
            found.append(Source(Numbers(shape[0]), rows, values=math.prod(shape[1:])))
        parts.append(joined(found) if len(paths) == 1 else numbered(joined(found), where))
    return joined(parts)


def read_rows(path: Path, wanted: Rows, centre: Sequence[int]) -> Array:
    """All rows of an array at once, in the dtype of their input.

    Args:
        path: of the file.
        wanted: the rows.
        centre: the shape that is cut out of the middle of each row.

    Raises:
        ImageError: the file is missing or is not such an array, or rows are smaller than `centre`.
    """
    rows = np.concatenate([*open_latents(path, wanted, way="").batches(_AT_ONCE)])
    found = centre_of(rows, centre)
    if found is None:
        raise ImageError(
            f"{named(path)}: expected rows of at least {list(centre)}, got "
            f"{list(rows.shape[1:])}: give larger ones"
        )
    return found


def centre_of(rows: Array, size: Sequence[int]) -> Array | None:
    """The middle of each row; None if rows are smaller."""
    starts = [(have - want) // 2 for have, want in zip(rows.shape[1:], size, strict=True)]
    if min(starts) < 0:
        return None
    cuts = (slice(start, start + want) for start, want in zip(starts, size, strict=True))
    return rows[(slice(None), *cuts)]


def _refuse_picture(start: bytes, where: str, wanted: Rows, way: str = "") -> None:
    kind = kind_of(start)
    if kind is not None:
        raise ImageError(f"{where} is a picture ({kind}): {wanted.expected}{way}")


def _shape(array: Stored, wanted: Rows, kinds: str = "biuf") -> tuple[int, ...]:
    """[n, ...] of an array, which may be a single row.

    Raises:
        ImageError: its rows have another shape or another kind of dtype, or it has none.
    """
    single = len(array.shape) == len(wanted.shape)
    shape = (1, *array.shape) if single else array.shape
    if array.dtype.kind not in kinds or not fits(shape[1:], wanted.shape):
        raise ImageError(f"{array.where}: {wanted.expected}, got {array.dtype} {list(array.shape)}")
    if not shape[0]:
        raise ImageError(f"{array.where} holds no rows: give at least one")
    return shape


def _of(array: Stored, wanted: Rows) -> tuple[tuple[int, ...], Batches]:
    """The shape [n, ...] of an array, and its rows in the dtype of their input."""
    shape = _shape(array, wanted, "f" if wanted.floats else "iuf")
    if wanted.floats:
        return shape, _batches(array, shape, to_values)
    return shape, _batches(array, shape, partial(whole_numbers, array.where, wanted.dtype))


def _batches(
    array: Stored,
    shape: tuple[int, ...],
    ready: Callable[[Array], Array] = np.ascontiguousarray,
) -> Batches:
    return lambda size: (ready(rows) for rows in array.rows(shape, size))


def whole_numbers(where: str, dtype: str, values: Array) -> Array:
    """Whole numbers in the dtype of their input, from numbers of any dtype.

    Raises:
        ImageError: a number has a fraction, or the dtype does not hold it.
    """
    with np.errstate(invalid="ignore"):  # NaN and numbers that are too large
        found = np.array(values, dtype, order="C")
    if not np.array_equal(found, values):
        wrong = values[found != values].flat[0]
        raise ImageError(
            f"{where}: expected whole numbers ({dtype}), got {values.dtype} with {wrong}"
        )
    return found
