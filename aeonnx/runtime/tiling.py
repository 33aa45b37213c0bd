"""Decides whether and how the runs of a part are cut into tiles: as asked for, or by size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aeonnx.bundle import Axis, Interface, Variant, axes_of, shape_at
from aeonnx.errors import UsageError
from aeonnx.runtime.blending import run_blended
from aeonnx.runtime.interface import Array, stored_sizes
from aeonnx.runtime.tiles import Run, can_tile, least_side, run_tiled, sized_axes, tile_side

__all__ = ["LARGE", "Tiling", "advice", "default_tile", "require_cuttable", "tiling_of"]

LARGE = 2**22
"""Values of the largest tensor of a row, above which exact tiles are used without being asked."""


@dataclass(frozen=True)
class Tiling:
    """How the runs of a part are cut.

    Args:
        part: its tensors and axes.
        side: length of a tile along each axis.
        overlap: places that blended tiles share; None for exact tiles, which the margins allow.
        asked: whether tiles were asked for: every input that is longer than a tile is cut then.
    """

    part: Interface
    side: int
    overlap: int | None
    asked: bool

    def cuts(self, sizes: Mapping[str, int]) -> bool:
        """Whether inputs of these sizes run in tiles."""
        if self.asked:
            return any(sizes[name] > self.side for name in sized_axes(self.part))
        specs = (*self.part.inputs, *self.part.outputs)
        return max(math.prod(shape_at(spec.shape[1:], sizes)) for spec in specs) > LARGE

    def run(
        self, run: Run, inputs: Mapping[str, Array], sizes: Mapping[str, int]
    ) -> dict[str, Array]:
        """Run the part tile by tile, see `run_tiled` and `run_blended`."""
        if self.overlap is None:
            return run_tiled(self.part, run, inputs, sizes, self.side)
        return run_blended(self.part, run, inputs, sizes, self.side, self.overlap)


def tiling_of(name: str, part: Interface, tile: int | None, overlap: int | None) -> Tiling | None:
    """How a part is cut; None if it always runs whole, as where its outputs have no places.

    Args:
        name: of the part, for messages.
        part: its tensors and axes. Tiles are exact if each axis has a margin.
        tile: length of a tile that is asked for; None for the default of exact tiles, and for no
            others.
        overlap: places that tiles share if they are blended; None for a quarter of a tile. Exact
            tiles overlap by their margins.

    Raises:
        UsageError: the part cannot run in such tiles; the message says in which it can.
    """
    exact = can_tile(part)
    if tile is None:
        return Tiling(part, tile_side(part), None, asked=False) if exact else None
    if not _cuttable(part):
        return None
    _require_side(name, part, tile, exact=exact)
    if exact:
        return Tiling(part, tile, None, asked=True)
    step = _step(part)
    most = tile // 2 // step * step
    overlap = min(most, _rounded(tile // 4, step)) if overlap is None else overlap
    if not 0 <= overlap <= most:
        what = f" in multiples of {step}" if step > 1 else ""
        raise UsageError(
            f"overlap: expected 0 to {most}, at most half of the tile, {tile},{what} for {name}, "
            f"got {overlap}"
        )
    return Tiling(part, tile, overlap, asked=True)


def default_tile(part: Interface, usual: Mapping[str, int]) -> tuple[int, int] | None:
    """Length and overlap of the tiles to recommend for a part that has no margins.

    Args:
        part: its axes.
        usual: a size of each axis, such as that of the golden vectors.

    Returns:
        The longest usual size, as far as every axis allows it, and a quarter of it; None if the
        part cannot run in tiles.
    """
    axes = sized_axes(part)
    if not _cuttable(part):
        return None
    step, low, high = _step(part), *_bounds(part, exact=False)
    side = max(_rounded(max(usual[name] for name in axes), step), low)
    side = side if high is None else min(side, high)
    return (side, min(side // 2 // step * step, _rounded(side // 4, step))) if side >= low else None


def _step(part: Interface) -> int:
    """Of which every length of a tile is a multiple."""
    return math.lcm(*(axis.multiple for axis in sized_axes(part).values()))


def _bounds(part: Interface, *, exact: bool) -> tuple[int, int | None]:
    """The smallest and the largest tile that all axes allow; None without a largest."""
    axes, step = sized_axes(part).values(), _step(part)
    low = max(least_side(axis) if exact else axis.min for axis in axes)
    largest = [axis.max for axis in axes if axis.max is not None]
    return _rounded(low, step), min(largest) // step * step if largest else None


def _rounded(size: int, step: int) -> int:
    return -(-size // step) * step


def _cuttable(part: Interface) -> bool:
    """Whether every output has places that tiles can be put together at."""
    own = [{size.axis for size in axes_of([spec.shape[1:]])} for spec in part.outputs]
    axes = sized_axes(part).keys()
    return bool(axes) and all(found >= axes for found in own)


def require_cuttable(name: str, part: Interface) -> None:
    """Check that a part can run in tiles.

    Raises:
        UsageError: it cannot.
    """
    if not sized_axes(part):
        raise UsageError(f"tile: expected none, {name} runs on inputs of one size: leave it out")
    if not _cuttable(part):
        raise UsageError(
            f"tile: expected none, outputs of {name} belong to the whole of an input: leave it out"
        )


def _require_side(name: str, part: Interface, tile: int, *, exact: bool) -> None:
    axes, step = sized_axes(part), _step(part)
    low, high = _bounds(part, exact=exact)
    if high is not None and high < low:
        raise UsageError(f"tile: expected none, no tile fits all axes of {name}: leave it out")
    if tile < low:
        twice = exact and low > _rounded(max(axis.min for axis in axes.values()), step)
        why = _two_margins(max(axes.values(), key=least_side)) if twice else "its smallest size"
        raise UsageError(f"tile: expected at least {low} for {name}, {why}, got {tile}")
    if high is not None and tile > high:
        raise UsageError(f"tile: expected at most {high} for {name}, its largest size, got {tile}")
    if tile % step:
        below, above = tile // step * step, _rounded(tile, step)
        near = [str(side) for side in (below, above) if side >= low and side <= (high or side)]
        raise UsageError(
            f"tile: expected a multiple of {step} for {name}, got {tile}: "
            f"the nearest {'is' if len(near) == 1 else 'are'} {' and '.join(near)}"
        )


def _two_margins(axis: Axis) -> str:
    """Why a tile cannot be shorter than `least_side`, in words."""
    margin, step = axis.margin or 0, axis.multiple
    rounded = f" (rounded up to a multiple of {step})" if margin % step else ""
    return f"two margins of {_rounded(margin, step)}{rounded} and {step} between them"


def advice(variant: Variant) -> str:
    """What to do where a run of a part without margins does not fit in memory; "" if nothing."""
    usual = default_tile(variant, stored_sizes(variant, variant.golden[0]))
    if usual is None:
        return ""
    tile, overlap = usual
    return (
        f" Or run it in tiles, which is not exact: --tile {tile} --overlap {overlap}, in Python "
        f"aeonnx.load(..., tile={tile}, overlap={overlap})"
    )
