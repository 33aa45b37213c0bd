"""The sizes of dynamic axes at which a part is traced and compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aeonnx.bundle import BATCH, Axis, TensorSpec, axes_of, nearest, shape_at
from aeonnx.models import Part

__all__ = ["at_sizes", "at_usual", "other_sizes", "usual_sizes"]

_USUAL = 64  # places of an axis, where nothing else is said


def usual_sizes(part: Part) -> dict[str, int]:
    """The sizes at which a part is traced, compared in full and timed, by axis; not of rows.

    Those that the part names, else about 64 places: no two axes have the same size.
    """
    found: dict[str, int] = {}
    for name in _sized(part):
        axis = part.axes[name]
        wanted = part.sizes.get(name)
        if wanted is None:
            wanted = nearest(axis, _USUAL)
            while wanted in found.values() and axis.allows(wanted + axis.multiple):
                wanted += axis.multiple
        found[name] = wanted
    return found


def other_sizes(part: Part) -> list[dict[str, int]]:
    """Further sizes at which a part is compared on fewer rows: its smallest, and one between.

    The one between has an odd number of multiples on each axis, and axes of different sizes, so
    that a graph which fits only even sizes, squares, or the traced size shows it.
    """
    usual = usual_sizes(part)
    if not usual:
        return []
    smallest = {name: part.axes[name].min for name in usual}
    between: dict[str, int] = {}
    for place, name in enumerate(usual):
        between[name] = _odd(part.axes[name], usual[name], place)
    found = [sizes for sizes in (smallest, between) if sizes != usual]
    return [sizes for i, sizes in enumerate(found) if sizes not in found[:i]]


def _odd(axis: Axis, usual: int, place: int) -> int:
    """An odd number of multiples, about half of the usual size, or more on later axes."""
    low, high = axis.min // axis.multiple, usual // axis.multiple
    count = (low + high) // 2 + 2 * place
    count += 1 - count % 2
    size = count * axis.multiple
    return size if axis.allows(size) else axis.min


def at_sizes(part: Part, sizes: Mapping[str, int]) -> Part:
    """The part as one with fixed sizes: only its axis of rows stays dynamic."""
    if not sizes:
        return part
    inputs, outputs = (
        tuple(replace(spec, shape=_fixed(spec, sizes)) for spec in specs)
        for specs in (part.inputs, part.outputs)
    )
    axes = {name: axis for name, axis in part.axes.items() if name == BATCH}
    return replace(part, inputs=inputs, outputs=outputs, axes=axes, sizes={})


def at_usual(part: Part) -> Part:
    """The part at the usual sizes of its axes."""
    return at_sizes(part, usual_sizes(part))


def _fixed(spec: TensorSpec, sizes: Mapping[str, int]) -> tuple[int | str, ...]:
    rows = spec.shape[:1] if spec.shape[0] == BATCH else shape_at(spec.shape[:1], sizes)
    return (*rows, *shape_at(spec.shape[1:], sizes))


def _sized(part: Part) -> list[str]:
    """The axes of a part in the order of its tensors, but not that of rows."""
    sizes = axes_of([spec.shape for spec in (*part.inputs, *part.outputs)])
    return [name for name in dict.fromkeys(size.axis for size in sizes) if name != BATCH]
