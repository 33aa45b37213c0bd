"""Measure how far the outputs of a part depend on its inputs along each dynamic axis.

A place of the inputs is made NaN, and the outputs that become NaN depend on it: convolutions,
activations and poolings pass NaN on, also where a weight is 0. Whole numbers are replaced by
others.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import torch
from torch import Tensor

from aeonnx.bundle import BATCH, ScaledAxis, TensorSpec, nearest, scaled
from aeonnx.exporting.sizes import at_sizes, usual_sizes
from aeonnx.exporting.sources.outputs import examples
from aeonnx.exporting.verify.reference import Reference
from aeonnx.models import Part
from aeonnx.runtime.tiles import can_tile, run_tiled

__all__ = ["with_margins"]

_TRIES = 4  # sizes, each twice the one before
_MOST_PLACES = 64  # places of an axis that are tried
_DRAWS = 3  # of whole numbers


def with_margins(part: Part) -> Part:
    """The part with the margin of each dynamic axis; that of rows is 0.

    A margin is None if any place of the outputs can depend on any of the inputs, as with attention
    or the statistics of a group norm, or if it is more than some hundred places.
    """
    if not usual_sizes(part):
        return _with(part, dict.fromkeys(part.axes, 0))
    copied = replace(part, module=copy.deepcopy(part.module).cpu().eval())
    margins = {name: 0 if name == BATCH else _margin(copied, name) for name in part.axes}
    found = _with(part, margins)
    if can_tile(found) and not _tiles_fit(found):
        return _with(part, {name: 0 if name == BATCH else None for name in part.axes})
    return found


def _with(part: Part, margins: Mapping[str, int | None]) -> Part:
    axes = {name: replace(axis, margin=margins[name]) for name, axis in part.axes.items()}
    return replace(part, axes=axes)


def _tiles_fit(part: Part) -> bool:
    """Whether tiles in float64 give the whole: not if the module knows where a place lies.

    One axis is cut at a time, and the others have their smallest size: tiles of four margins along
    each axis at once would take minutes.
    """
    smallest = {name: part.axes[name].min for name in usual_sizes(part)}
    reference = Reference(part)
    for name in smallest:
        axis = part.axes[name]
        long = nearest(axis, 3 * max(axis.min, 2 * (axis.margin or 0) + axis.multiple))
        sizes = {**smallest, name: long}
        inputs = {key: value.numpy() for key, value in examples(at_sizes(part, sizes), 1).items()}
        whole = reference.double(inputs)
        tiled = run_tiled(part, reference.double, inputs, sizes, side=1)
        for key, value in whole.items():
            most = 1e-9 * np.abs(value).max(initial=0.0)
            if not np.allclose(tiled[key], value, rtol=1e-9, atol=most):
                return False
    return True


def _margin(part: Part, name: str) -> int | None:
    axis, sizes = part.axes[name], {key: part.axes[key].min for key in usual_sizes(part)}
    size = usual_sizes(part)[name]
    for _ in range(_TRIES):
        sizes[name] = size
        found = _reach(part, name, sizes)
        if found is not None:
            return found
        size = nearest(axis, 2 * size)
        if size == sizes[name]:
            return None
    return None


def _reach(part: Part, name: str, sizes: Mapping[str, int]) -> int | None:
    """The margin at these sizes; None if a change in the middle reaches an end of the axis."""
    at, axis = at_sizes(part, sizes), part.axes[name]
    generator = torch.Generator().manual_seed(0)
    inputs = [*examples(at, 1).values()]
    before = _run(at, inputs)
    found = 0
    for number, spec in enumerate(part.inputs):
        place = _place(spec, name)
        if place is None:
            continue
        dim, each = place
        middle = sizes[name] // axis.multiple // 2 * axis.multiple
        first, last = each.at(middle), each.at(middle + axis.multiple)
        step = max(1, (last - first) // _MOST_PLACES)
        for index in range(first, max(last, first + 1), step):
            for changed in _changes(inputs[number], dim, index, generator):
                after = _run(at, [*inputs[:number], changed, *inputs[number + 1 :]])
                for out, old, new in zip(part.outputs, before, after, strict=True):
                    far = _distance(out, name, each, index, old, new)
                    if far is None:
                        return None
                    found = max(found, far)
    return found


def _distance(
    spec: TensorSpec,
    name: str,
    each: ScaledAxis,
    index: int,
    old: Tensor,
    new: Tensor,
) -> int | None:
    """How far from a place of the input an output changes, in places of the axis.

    None if it changes at an end, or has no such axis.
    """
    place = _place(spec, name)
    changed = (old != new) | (new != new)
    if place is None:
        return None if bool(changed.any()) else 0
    dim, own = place
    others = [i for i in range(changed.ndim) if i != dim]
    line = changed.amax(others) if others else changed
    where = line.nonzero().flatten().tolist()
    if not where:
        return 0
    if where[0] == 0 or where[-1] == len(line) - 1:
        return None
    return max(_gap(each, index, own, number) for number in (where[0], where[-1]))


def _gap(each: ScaledAxis, index: int, own: ScaledAxis, number: int) -> int:
    """The smallest margin with which an output at `number` reaches an input at `index`."""
    wide_in, wide_out = Fraction(each.divisor, each.factor), Fraction(own.divisor, own.factor)
    first, last = index * wide_in, (index + 1) * wide_in
    start, stop = number * wide_out, (number + 1) * wide_out
    return max(
        0,
        floor(start - last) + 1 if start >= last else 0,
        floor(first - stop) + 1 if first >= stop else 0,
    )


def _place(spec: TensorSpec, name: str) -> tuple[int, ScaledAxis] | None:
    """Which axis of a tensor follows a named axis, and how."""
    for dim, size in enumerate(spec.shape):
        axis = scaled(size)
        if axis is not None and axis.axis == name:
            return dim, axis
    return None


def _changes(value: Tensor, dim: int, index: int, generator: torch.Generator) -> list[Tensor]:
    """Copies of an input that differ at one place of an axis."""
    if value.is_floating_point():
        changed = value.clone()
        changed.select(dim, index).fill_(float("nan"))
        return [changed]
    low, high = int(value.min()), int(value.max())
    found = []
    for _ in range(_DRAWS):
        changed = value.clone()
        part = changed.select(dim, index)
        part.copy_(torch.randint(low, high + 1, part.shape, generator=generator, dtype=value.dtype))
        found.append(changed)
    return found


@torch.no_grad()
def _run(part: Part, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    result = part.module(*(value.clone() for value in inputs))
    return result if isinstance(result, tuple) else (result,)
