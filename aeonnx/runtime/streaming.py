"""Runs a part along the only dynamic axis of its tensors, piece by piece, in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from aeonnx.bundle import ScaledAxis, TensorSpec, Variant, scaled, solve
from aeonnx.errors import InputError
from aeonnx.runtime.blending import overlapping, sum_dtype, weights
from aeonnx.runtime.interface import Array
from aeonnx.runtime.tiles import Piece, frames_for, pieces, sized_axes
from aeonnx.runtime.tiling import Tiling

__all__ = ["Pieces", "Read", "along", "pieces_of", "run_pieces"]

Read = Callable[[int, int], Array]
"""(first, last) -> the values of an input from `first` to before `last`, [1, ...]."""


@dataclass(frozen=True)
class Pieces:
    """How a row of a part is cut along its only dynamic axis.

    Args:
        given, made: the input and the output that are streamed.
        cut: the pieces; one if the part has to see the whole row.
        length: of the input that is there, before padding.
        overlap: whether the pieces are blended.
    """

    given: TensorSpec
    made: TensorSpec
    cut: list[Piece]
    length: int
    blended: bool

    @property
    def size(self) -> int:
        """Of the axis of the whole output."""
        return _follows(self.made).at(self.cut[-1].last)


def pieces_of(
    part: str, variant: Variant, made: TensorSpec, length: int, tiling: Tiling | None
) -> Pieces:
    """Cut a row of a part whose first input has this length.

    Args:
        part: its name, for messages.
        variant: has one dynamic axis beside that of rows, which its first input and the output
            follow.
        made: the output.
        length: of the input; it is padded by reflection to a size that is allowed.
        tiling: how the part is cut; None to run it whole.

    Raises:
        InputError: the signal is too short or too long.
    """
    given = variant.inputs[0]
    ((name, axis),) = sized_axes(variant).items()
    each = _follows(given)
    try:
        size = frames_for(given, axis, [(each, length)])
        if size is None:  # above the largest: the error of a call names the rule
            least = each.at(-(-length * each.divisor // each.factor))
            size = solve({given.name: ((_size(given),), (least,))}, variant.axes)[name]
    except ValueError as error:
        raise InputError(f"{part}: {error}") from error
    if tiling is None:
        return Pieces(given, made, [Piece(0, size, 0, size)], length, blended=False)
    if tiling.overlap is None:
        return Pieces(given, made, pieces(axis, size, tiling.side), length, blended=False)
    cut = overlapping(axis, size, tiling.side, tiling.overlap)
    return Pieces(given, made, cut, length, blended=len(cut) > 1)


def run_pieces(
    how: Pieces,
    run: Callable[[Array], Array],
    read: Read,
    write: Callable[[int, Array], None],
    advanced: Callable[[int], None],
) -> None:
    """Read, run and write one piece after the other.

    Args:
        how: the pieces.
        run: from the input of a piece to its output.
        read: reads the input that is there.
        write: is called with a place of the output and the values from there on, in order.
        advanced: is called with the part of the input that is done.
    """
    into, out = _follows(how.given), _follows(how.made)
    place = next(n for n, size in enumerate(how.made.shape) if n and scaled(size))
    carried: Array | None = None
    for number, piece in enumerate(how.cut):
        found = run(_padded(how, read, into.at(piece.first), into.at(piece.last)))
        first = out.at(piece.first)
        if not how.blended:
            start, stop = out.at(piece.start), out.at(piece.stop)
            write(start, along(found, place, start - first, stop - first))
        else:
            last = number + 1 == len(how.cut)
            done = (out.at(piece.last) if last else out.at(how.cut[number + 1].first)) - first
            share = _weighted(how, number, found, place)
            if carried is not None:
                along(share, place, 0, carried.shape[place])[...] += carried
            write(first, along(share, place, 0, done).astype(found.dtype))
            carried = along(share, place, done, share.shape[place]).copy()
        advanced(into.at(piece.stop))


def _weighted(how: Pieces, number: int, found: Array, place: int) -> Array:
    """The share of a piece in the sum of all."""
    dtype = sum_dtype(str(found.dtype))
    line = weights(how.cut, number, _follows(how.made), str(found.dtype)).astype(dtype)
    return cast(Array, found.astype(dtype) * line.reshape(-1, *[1] * (found.ndim - place - 1)))


def _padded(how: Pieces, read: Read, first: int, last: int) -> Array:
    """Values of the input, which goes on after its end as its reflection."""
    if last <= how.length:
        return read(first, last)
    period = 2 * (how.length - 1)
    places = np.arange(first, last) % period if period else np.zeros(last - first, np.int64)
    places = np.where(places >= how.length, period - places, places)
    low, high = int(places.min()), int(places.max()) + 1
    axis = next(n for n, size in enumerate(how.given.shape) if n and scaled(size))
    return np.take(read(low, high), places - low, axis)


def along(value: Array, place: int, first: int, last: int) -> Array:
    """The values of an array from `first` to before `last` of one axis."""
    cut: list[slice] = [slice(None)] * value.ndim
    cut[place] = slice(first, last)
    return value[tuple(cut)]


def _size(spec: TensorSpec) -> int | str:
    """The size of the long axis of a tensor, such as "320*frames"."""
    return next(size for size in spec.shape[1:] if scaled(size))


def _follows(spec: TensorSpec) -> ScaledAxis:
    """How the long axis of a tensor follows the axis of the part."""
    return next(axis for axis in map(scaled, spec.shape[1:]) if axis)
