"""Runs a part on inputs of any size in pieces, whose results are those of the whole.

An output value depends on inputs within the margin of its axis. A tile is a piece of the outputs;
its inputs reach a margin further on each side, or to the border. Tiles begin at multiples of the
axis, so that strides fall on the same places as in the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from aeonnx.bundle import BATCH, Axis, Interface, ScaledAxis, TensorSpec, axes_of, scaled, shape_at
from aeonnx.runtime.interface import Array, fits

__all__ = [
    "Piece",
    "Run",
    "can_tile",
    "each_tile",
    "frames_for",
    "least_side",
    "pad_to_allowed",
    "pieces",
    "run_tiled",
    "sized_axes",
    "tile_side",
]

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""From inputs to outputs, by name."""

_SIDES = {1: 2**18, 2: 512, 3: 64}
"""Length of a tile of the largest tensor, by the number of axes that are cut."""


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


def sized_axes(part: Interface) -> dict[str, Axis]:
    """The dynamic axes of a part by name, without that of rows."""
    return {name: axis for name, axis in part.axes.items() if name != BATCH}


def can_tile(part: Interface) -> bool:
    """Whether a part has dynamic axes beside that of rows, and a margin for each of them."""
    axes = sized_axes(part).values()
    return bool(axes) and all(axis.margin is not None for axis in axes)


def tile_side(part: Interface) -> int:
    """The length of a tile where nothing else is asked for."""
    axes = sized_axes(part)
    tensors = [spec.shape for spec in (*part.inputs, *part.outputs)]
    largest = max(size.factor for size in axes_of(tensors))
    # With two margins alone in a tile, nearly all that is computed would be thrown away.
    most = max(4 * _margin(axis) + axis.multiple for axis in axes.values())
    return max(_SIDES.get(len(axes), 64) // largest, most)


def least_side(axis: Axis) -> int:
    """The smallest length of a tile: two margins and what is computed between them."""
    return max(2 * _margin(axis) + axis.multiple, axis.min)


def _margin(axis: Axis) -> int:
    """The margin in whole multiples."""
    return -(-(axis.margin or 0) // axis.multiple) * axis.multiple


def pieces(axis: Axis, size: int, side: int) -> list[Piece]:
    """The tiles along an axis.

    Args:
        axis: with a margin.
        size: of the axis, which it allows.
        side: length of a tile's inputs; raised to `least_side`, and cut to a multiple.
    """
    margin = _margin(axis)
    side = max(side // axis.multiple * axis.multiple, least_side(axis))
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


def each_tile(
    part: Interface, run: Run, inputs: Mapping[str, Array], cuts: Mapping[str, Sequence[Piece]]
) -> Iterator[tuple[dict[str, int], Mapping[str, Array]]]:
    """Run a part on one tile after the other.

    Args:
        part: its inputs and outputs.
        run: is called with one tile of all rows.
        inputs: of the whole.
        cuts: the tiles along each axis.

    Yields:
        The number of the tile along each axis, and its outputs.
    """
    for tile in product(*(range(len(cut)) for cut in cuts.values())):
        numbers = dict(zip(cuts, tile, strict=True))
        along = {name: cuts[name][number] for name, number in numbers.items()}
        given = {spec.name: inputs[spec.name][tuple(_inputs(spec, along))] for spec in part.inputs}
        yield numbers, run({name: np.ascontiguousarray(value) for name, value in given.items()})


def run_tiled(
    part: Interface, run: Run, inputs: Mapping[str, Array], sizes: Mapping[str, int], side: int
) -> dict[str, Array]:
    """Run a part tile by tile, and put its outputs together.

    Args:
        part: its axes have margins.
        run: is called with one tile of all rows.
        inputs: of the whole.
        sizes: of its axes.
        side: length of a tile.
    """
    cuts = {name: pieces(axis, sizes[name], side) for name, axis in sized_axes(part).items()}
    outputs: dict[str, Array] = {}
    for numbers, found in each_tile(part, run, inputs, cuts):
        along = {name: cuts[name][number] for name, number in numbers.items()}
        for spec in part.outputs:
            if spec.name not in found:
                continue
            value = found[spec.name]
            if spec.name not in outputs:
                shape = (len(value), *shape_at(spec.shape[1:], sizes))
                outputs[spec.name] = np.empty(shape, value.dtype)
            there, here = zip(*_outputs(spec, along), strict=True)
            outputs[spec.name][there] = value[here]
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
        value: an array; sizes that are allowed stay as they are, and so do those above the largest
            and an array of other axes, which is refused when it is run.

    Raises:
        ValueError: it is a signal that is shorter than one frame.
    """
    if not fits(spec, value) or not value.size:
        return value
    places: dict[str, list[tuple[int, ScaledAxis]]] = {}
    for place, size in enumerate(spec.shape):
        axis = scaled(size)
        if axis is not None and axis.axis != BATCH:
            places.setdefault(axis.axis, []).append((place, axis))
    widths = [0] * value.ndim
    for name, uses in places.items():
        given = [(axis, value.shape[place]) for place, axis in uses]
        wanted = frames_for(spec, part.axes[name], given)
        if wanted is not None:
            for place, axis in uses:
                widths[place] = axis.at(wanted) - value.shape[place]
    if not any(widths):
        return value
    return np.pad(value, [(0, width) for width in widths], mode="reflect")


def frames_for(spec: TensorSpec, rule: Axis, given: Sequence[tuple[ScaledAxis, int]]) -> int | None:
    """The smallest size that an axis may have at which an input fits; None if none is large enough.

    Args:
        spec: the input.
        rule: which sizes the axis may have.
        given: for each axis of the input that follows it, how, and the size that it has.

    Raises:
        ValueError: the input is a signal that is shorter than one frame, the smallest step of the
            axis: nearly all would be padding.
    """
    axis, got = given[0]
    frame = axis.at(rule.multiple)
    if spec.kind == "signal" and got < frame:
        raise ValueError(
            f"{spec.name}: expected a signal of at least one frame, {frame} samples, got {got}: "
            "give a longer one, or append silence"
        )
    least = max(-(-size * each.divisor // each.factor) for each, size in given)
    wanted = max(rule.min, -(-least // rule.multiple) * rule.multiple)
    return wanted if rule.allows(wanted) else None
