"""Runs a part in tiles that overlap and are blended, where no margin makes them exact.

At each place the outputs of the tiles are averaged. Along an axis the weight of a tile grows
linearly over its overlap with the tile before and falls over that with the tile after; the weights
of all tiles sum to 1. Whole numbers such as codes are those of the tile with the largest weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import Axis, Interface, ScaledAxis, TensorSpec, scaled, shape_at
from aeonnx.runtime.interface import Array
from aeonnx.runtime.tiles import Piece, Run, each_tile, sized_axes

__all__ = ["averaged", "overlapping", "run_blended", "sum_dtype", "weights"]


def overlapping(axis: Axis, size: int, tile: int, overlap: int) -> list[Piece]:
    """The tiles along an axis, all of one length and evenly spread.

    Args:
        axis: which sizes and starts are allowed.
        size: of the axis, which it allows.
        tile: length of a tile, a multiple.
        overlap: the least number of places that a tile shares with the next, less than `tile`
            after rounding up to a multiple.
    """
    if size <= tile:
        return [Piece(0, size, 0, size)]
    step = (tile - overlap) // axis.multiple
    room = (size - tile) // axis.multiple
    count = -(-room // step)
    firsts = [room * number // count * axis.multiple for number in range(count + 1)]
    return [Piece(first, first + tile, first, first + tile) for first in firsts]


def averaged(dtype: str) -> bool:
    """Whether outputs of this dtype are averaged, not chosen from one tile."""
    return dtype.startswith("float") or dtype == "uint8"


def sum_dtype(dtype: str) -> npt.DTypeLike:
    """The dtype that the outputs of tiles are summed in."""
    return np.float32 if averaged(dtype) and dtype != "float64" else dtype


def weights(
    cut: Sequence[Piece], number: int, each: ScaledAxis, dtype: str
) -> npt.NDArray[np.float64]:
    """The weights of a tile along an axis of an output: float64 [places of the tile].

    Args:
        cut: all tiles of the axis.
        number: of the tile.
        each: how the output follows the axis.
        dtype: of the output.
    """
    first, last = each.at(cut[number].first), each.at(cut[number].last)
    own = _ramps(cut, number, each)
    total, chosen = own.copy(), np.ones(len(own), bool)
    near = [n for n in range(number - 2, number + 3) if 0 <= n < len(cut) and n != number]
    for other in near:  # a tile is at least twice as long as an overlap: no others reach it
        start, stop = each.at(cut[other].first), each.at(cut[other].last)
        low, high = max(first, start), min(last, stop)
        if low >= high:
            continue
        theirs = _ramps(cut, other, each)[low - start : high - start]
        mine = slice(low - first, high - first)
        total[mine] += theirs
        chosen[mine] &= (own[mine] > theirs) | ((own[mine] == theirs) & (number < other))
    return own / total if averaged(dtype) else chosen.astype(np.float64)


def _ramps(cut: Sequence[Piece], number: int, each: ScaledAxis) -> npt.NDArray[np.float64]:
    """The weights of a tile before they are made to sum to 1."""
    first, last = each.at(cut[number].first), each.at(cut[number].last)
    place = np.arange(last - first) + 0.5
    found = np.ones(last - first)
    if number > 0 and (before := each.at(cut[number - 1].last) - first) > 0:
        found = np.minimum(found, place / before)
    if number + 1 < len(cut) and (after := last - each.at(cut[number + 1].first)) > 0:
        found = np.minimum(found, place[::-1] / after)
    return found


def run_blended(
    part: Interface,
    run: Run,
    inputs: Mapping[str, Array],
    sizes: Mapping[str, int],
    tile: int,
    overlap: int,
) -> dict[str, Array]:
    """Run a part tile by tile, and blend its outputs; see `run_tiled` and `overlapping`."""
    cuts = {
        name: overlapping(axis, sizes[name], tile, overlap)
        for name, axis in sized_axes(part).items()
    }
    outputs: dict[str, Array] = {}
    dtypes: dict[str, np.dtype[np.generic]] = {}
    for numbers, found in each_tile(part, run, inputs, cuts):
        for spec in part.outputs:
            if spec.name not in found:
                continue
            value = found[spec.name]
            dtype = dtypes.setdefault(spec.name, value.dtype)
            if spec.name not in outputs:
                shape = (len(value), *shape_at(spec.shape[1:], sizes))
                outputs[spec.name] = np.zeros(shape, sum_dtype(str(dtype)))
            there, share = _weighted(spec, value, cuts, numbers, outputs[spec.name].dtype)
            outputs[spec.name][there] += share
    return {
        name: np.rint(value).astype(np.uint8)
        if dtypes[name] == np.uint8
        else value.astype(dtypes[name], copy=False)
        for name, value in outputs.items()
    }


def _weighted(
    spec: TensorSpec,
    value: Array,
    cuts: Mapping[str, Sequence[Piece]],
    numbers: Mapping[str, int],
    dtype: npt.DTypeLike,
) -> tuple[tuple[slice, ...], Array]:
    """Where the outputs of a tile lie in the whole, and its share of the sum there."""
    there, share = [], value.astype(dtype)
    for place, size in enumerate(spec.shape):
        each = scaled(size)
        if each is None or each.axis not in cuts:
            there.append(slice(None))
            continue
        cut, number = cuts[each.axis], numbers[each.axis]
        there.append(slice(each.at(cut[number].first), each.at(cut[number].last)))
        line = weights(cut, number, each, str(value.dtype)).astype(dtype)
        share *= line.reshape(-1, *[1] * (value.ndim - place - 1))
    return tuple(there), share
