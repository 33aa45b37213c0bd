"""The ranges of the tensors of plain modules: what is given, and how far whole numbers go."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.errors import UsageError
from aeonnx.exporting.sources.outputs import values_of

__all__ = ["Bounds", "bounds_of", "ranges_of"]

Bounds = tuple[float, float] | None
"""Lowest and highest value; None if unbounded."""

_DATA = ("x", "reconstruction", "denoised")
_MOST = 2**20  # more than tables have places


def bounds_of(given: Any) -> Bounds:
    """The range that a user gave.

    Raises:
        UsageError: it is not two finite numbers, the lower one first.
    """
    if given is None:
        return None
    try:
        low, high = map(float, () if isinstance(given, str) else given)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(
            f"range: expected (lowest, highest), such as (0, 1), or None, got {given!r}"
        )
    return low, high


def ranges_of(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    bounds: Bounds,
) -> dict[str, Bounds]:
    """The ranges of a module's tensors by name.

    Whole numbers that the module uses as places in a table, such as an `nn.Embedding`, begin at 0
    and end at the largest that it takes; others have no range.

    Args:
        module: is called on copies.
        inputs, outputs: of a call on the example.
        bounds: of the first input and of what is decoded.

    Raises:
        UsageError: the example leaves the bounds.
    """
    found = {key: bounds for key in (*inputs, *outputs) if key in _DATA}
    for key, value in inputs.items():
        if key in found and bounds:
            low, high = value.min().item(), value.max().item()
            if not bounds[0] <= low <= high <= bounds[1]:
                raise UsageError(
                    f"example: expected values in [{bounds[0]:g}, {bounds[1]:g}], the range, got "
                    f"{low:g} to {high:g}"
                )
        elif not value.is_floating_point() and value.dtype != torch.bool and value.min() >= 0:
            last = _last_place(module, inputs, key, outputs)
            found[key] = None if last is None else (0.0, float(last))
    return found


def _last_place(
    module: nn.Module, inputs: Mapping[str, Tensor], key: str, outputs: Mapping[str, Tensor]
) -> int | None:
    """The largest whole number that an input may have everywhere; None if there is no largest.

    It is found by running the module, as tables raise an error for a place that they do not have.
    """
    shapes = [value.shape for value in outputs.values()]

    def runs(number: int) -> bool:
        given = {name: value.clone() for name, value in inputs.items()}
        given[key].fill_(number)
        try:
            made = values_of(copy.deepcopy(module)(*given.values()))
            return [value.shape for value in made] == shapes
        except Exception:  # the module's own
            return False

    largest = torch.iinfo(inputs[key].dtype).max
    low, high = int(inputs[key].max()), min(_MOST, largest)
    if not runs(low):  # tables of several sizes
        return low
    while low < high and runs(up := min(max(2 * low, 1), high)):
        low = up
    if low >= high:
        return largest if high == largest else None
    while up - low > 1:
        middle = (low + up) // 2
        low, up = (middle, up) if runs(middle) else (low, middle)
    return low
