"""Runs a part on inputs of any size in pieces, whose results are those of the whole.

An output value depends on inputs within the margin of its axis. A tile is a piece of the outputs;
its inputs reach a margin further on each side, or to the border. Tiles begin at multiples of the
axis, so that strides fall on the same places as in the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from aeonnx.bundle import BATCH, Axis, Interface, ScaledAxis, TensorSpec, scaled, shape_at
from aeonnx.runtime.interface import Array

__all__ = ["Piece", "can_tile", "pad_to_allowed", "pieces", "run_tiled", "tile_side"]

_SIDES = {1: 2**18, 2: 512, 3: 64}
"""Length of a tile by the number of axes that are cut."""


@dataclass(frozen=True)
class Piece:
    """A tile along one axis.

    Args:
        start, stop: the places whose outputs it computes.
        first, last: the places of its inputs, from `first` to before `last`.
    """

    start: int
    stop: int
    first: int
    last: int


def can_tile(part: Interface) -> bool:
    """Whether a part has dynamic axes beside that of rows, and a margin for each of them."""
    axes = [axis for name, axis in part.axes.items() if name != BATCH]
    return bool(axes) and all(axis.margin is not None for axis in axes)


def tile_side(part: Interface) -> int:
    """The length of a tile where nothing else is asked for."""
    count = len(part.axes.keys() - {BATCH})
    return _SIDES.get(count, 64)


def pieces(axis: Axis, size: int, side: int) -> list[Piece]:
    """The tiles along an axis.

    Args:
        axis: with a margin.
        size: of the axis, which it allows.
        side: length of a tile's inputs; raised to four margins and a multiple.
    """
    margin = -(-(axis.margin or 0) // axis.multiple) * axis.multiple
    # With two margins alone in a tile, nearly all that is computed would be thrown away.
    side = max(side // axis.multiple * axis.multiple, 4 * margin + axis.multiple, axis.min)
    if size <= side:
        return [Piece(0, size, 0, size)]
    step, found = side - 2 * margin, []
    for start in range(0, size, step):
        stop = min(start + step, size)
        first, last = max(0, start - margin), min(size, stop + margin)
        first = max(0, min(first, last - axis.min))
        last = max(last, first + axis.min)
        found.append(Piece(start, stop, first, last))
    return found


def run_tiled(
    part: Interface,
    run: Callable[[Mapping[str, Array]], Mapping[str, Array]],
    inputs: Mapping[str, Array],
    sizes: Mapping[str, int],
    side: int,
    advanced: Callable[[int, int], None] | None = None,
) -> dict[str, Array]:
    """Run a part tile by tile, and put its outputs together.

    Args:
        part: its axes have margins.
        run: from inputs to outputs, by name; it is called with one tile of all rows.
        inputs: of the whole.
        sizes: of its axes.
        side: length of a tile.
        advanced: called with the number of tiles that are done, and of all.
    """
    names = [name for name in part.axes if name != BATCH]
    cuts = [pieces(part.axes[name], sizes[name], side) for name in names]
    outputs: dict[str, Array] = {}
    tiles = [*product(*cuts)]
    for number, tile in enumerate(tiles, start=1):
        along = dict(zip(names, tile, strict=True))
        given = {spec.name: inputs[spec.name][tuple(_inputs(spec, along))] for spec in part.inputs}
        found = run({name: np.ascontiguousarray(value) for name, value in given.items()})
        for spec in part.outputs:
            if spec.name not in found:
                continue
            value = found[spec.name]
            if spec.name not in outputs:
                shape = (len(value), *shape_at(spec.shape[1:], sizes))
                outputs[spec.name] = np.empty(shape, value.dtype)
            there, here = zip(*_outputs(spec, along), strict=True)
            outputs[spec.name][there] = value[here]
        if advanced:
            advanced(number, len(tiles))
    return outputs


def _inputs(spec: TensorSpec, along: Mapping[str, Piece]) -> Iterator[slice]:
    """What a tile takes of each axis of an input."""
    for size in spec.shape:
        axis = scaled(size)
        if axis is None or axis.axis not in along:
            yield slice(None)
        else:
            piece = along[axis.axis]
            yield slice(axis.at(piece.first), axis.at(piece.last))


def _outputs(spec: TensorSpec, along: Mapping[str, Piece]) -> Iterator[tuple[slice, slice]]:
    """Where the outputs of a tile lie in the whole, and in the tile, on each axis."""
    for size in spec.shape:
        axis = scaled(size)
        if axis is None or axis.axis not in along:
            yield slice(None), slice(None)
        else:
            piece = along[axis.axis]
            start, stop, first = axis.at(piece.start), axis.at(piece.stop), axis.at(piece.first)
            yield slice(start, stop), slice(start - first, stop - first)


def pad_to_allowed(part: Interface, spec: TensorSpec, value: Array) -> Array:
    """An input whose sizes its axes allow: padded by reflection at the end of each axis.

    An axis gets the smallest size that it may have at which no tensor's size is below the input's.

    Args:
        part: of which `spec` is an input.
        spec: the input.
        value: an array with as many axes; sizes that are allowed stay as they are, and so do those
            above the largest.
    """
    if value.ndim != len(spec.shape) or not value.size:
        return value  # refused when it is run
    places: dict[str, list[tuple[int, ScaledAxis]]] = {}
    for place, size in enumerate(spec.shape):
        axis = scaled(size)
        if axis is not None and axis.axis != BATCH:
            places.setdefault(axis.axis, []).append((place, axis))
    widths = [0] * value.ndim
    for name, uses in places.items():
        rule = part.axes[name]
        least = max(-(-value.shape[place] * axis.divisor // axis.factor) for place, axis in uses)
        wanted = max(rule.min, -(-least // rule.multiple) * rule.multiple)
        if rule.allows(wanted):
            for place, axis in uses:
                widths[place] = axis.at(wanted) - value.shape[place]
    if not any(widths):
        return value
    return np.pad(value, [(0, width) for width in widths], mode="reflect")
