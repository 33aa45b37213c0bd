"""Runs a part along the only dynamic axis of its tensors, piece by piece, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from aeonnx.bundle import ScaledAxis, TensorSpec, Variant, scaled, solve
from aeonnx.errors import InputError
from aeonnx.runtime.blending import overlapping, sum_dtype, weights
from aeonnx.runtime.interface import Array
from aeonnx.runtime.tiles import Piece, frames_for, pieces, sized_axes
from aeonnx.runtime.tiling import Tiling

__all__ = ["Pieces", "Read", "Streamed", "Write", "along", "long_axis", "pieces_of", "run_pieces"]

Read = Callable[[int, int], Array]
"""(first, last) -> the values of an input from `first` to before `last`, [1, ...]."""

Write = Callable[[int, Array], None]
"""(start, values) -> None: writes values [1, ...] of an output from a place on."""


@dataclass(frozen=True)
class Streamed:
    """An input of one row that is read in pieces.

    Args:
        spec: the input.
        length: of its long axis, before padding; not used if it has none.
        read: reads it.
    """

    spec: TensorSpec
    length: int
    read: Read

    def between(self, piece: Piece) -> Array:
        """What a piece takes; after the end, the input goes on as its reflection."""
        place = long_axis(self.spec)
        if place is None:
            return self.read(0, self.length)
        follows = _follows(self.spec)
        first, last = follows.at(piece.first), follows.at(piece.last)
        if last <= self.length:
            return self.read(first, last)
        period = 2 * (self.length - 1)
        places = np.arange(first, last) % period if period else np.zeros(last - first, np.int64)
        places = np.where(places >= self.length, period - places, places)
        low, high = int(places.min()), int(places.max()) + 1
        return np.take(self.read(low, high), places - low, place)


@dataclass(frozen=True)
class Pieces:
    """How a row of a part is cut along its only dynamic axis.

    Args:
        cut: the pieces; one if the part has to see the whole row.
        blended: whether the pieces overlap and are blended.
    """

    cut: list[Piece]
    blended: bool

    def size(self, spec: TensorSpec) -> int:
        """Of the long axis of a whole tensor."""
        return _follows(spec).at(self.cut[-1].last)


def long_axis(spec: TensorSpec) -> int | None:
    """The place of the only axis of a tensor that is dynamic, beside that of rows; None without."""
    places = [place for place, size in enumerate(spec.shape) if place and scaled(size)]
    return places[0] if len(places) == 1 else None


def pieces_of(part: str, variant: Variant, length: int, tiling: Tiling | None) -> Pieces:
    """Cut a row of a part whose first input has this length.

    Args:
        part: its name, for messages.
        variant: has one dynamic axis beside that of rows, which its first input follows.
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
        return Pieces([Piece(0, size, 0, size)], blended=False)
    if tiling.overlap is None:
        return Pieces(pieces(axis, size, tiling.side), blended=False)
    cut = overlapping(axis, size, tiling.side, tiling.overlap)
    return Pieces(cut, blended=len(cut) > 1)


def run_pieces(
    how: Pieces,
    run: Callable[[dict[str, Array]], Mapping[str, Array]],
    given: Sequence[Streamed],
    made: Sequence[tuple[TensorSpec, Write]],
    advanced: Callable[[int], None],
) -> None:
    """Read, run and write one piece after the other.

    Args:
        how: the pieces.
        run: from the inputs of a piece to its outputs.
        given: the inputs.
        made: the outputs, and what writes each: it is called with a place of the output and the
            values from there on, in order.
        advanced: is called with the length of the first input that is done.
    """
    joins = [_Join(how, spec, write) for spec, write in made]
    for number, piece in enumerate(how.cut):
        found = run({each.spec.name: each.between(piece) for each in given})
        for join in joins:
            join.add(number, found[join.spec.name])
        advanced(_follows(given[0].spec).at(piece.stop))


@dataclass
class _Join:
    """Puts the pieces of one output together."""

    how: Pieces
    spec: TensorSpec
    write: Write
    carried: Array | None = None

    def add(self, number: int, found: Array) -> None:
        """Write the part of a piece that no later piece changes."""
        place, piece = long_axis(self.spec), self.how.cut[number]
        if place is None:  # it belongs to the whole, which is then the only piece
            self.write(0, found)
            return
        out = _follows(self.spec)
        first = out.at(piece.first)
        if not self.how.blended:
            start, stop = out.at(piece.start), out.at(piece.stop)
            self.write(start, along(found, place, start - first, stop - first))
            return
        last = number + 1 == len(self.how.cut)
        done = (out.at(piece.last) if last else out.at(self.how.cut[number + 1].first)) - first
        share = self._weighted(number, found, place)
        if self.carried is not None:
            along(share, place, 0, self.carried.shape[place])[...] += self.carried
        self.write(first, along(share, place, 0, done).astype(found.dtype))
        self.carried = along(share, place, done, share.shape[place]).copy()

    def _weighted(self, number: int, found: Array, place: int) -> Array:
        """The share of a piece in the sum of all."""
        dtype = sum_dtype(str(found.dtype))
        line = weights(self.how.cut, number, _follows(self.spec), str(found.dtype)).astype(dtype)
        shaped = line.reshape(-1, *[1] * (found.ndim - place - 1))
        return cast(Array, found.astype(dtype) * shaped)


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
