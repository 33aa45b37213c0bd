"""Export plain modules: names, shapes and dynamic axes are found by running them on an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aeonnx.bundle import BATCH, Axis, TensorSpec, axes_of
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import UsageError
from aeonnx.exporting.determinism.state import restored_globals
from aeonnx.exporting.sources.calls import (
    Call,
    Called,
    called_on_example,
    pairs,
    require_rows,
    shapes_only,
)
from aeonnx.exporting.sources.copies import copied
from aeonnx.exporting.sources.external import as_checkpoint, to_cpu
from aeonnx.exporting.sources.modules import require_exportable
from aeonnx.exporting.sources.ranges import Bounds, bounds_of, ranges_of
from aeonnx.exporting.sources.user_code import user_code
from aeonnx.models import Part

__all__ = ["from_modules"]

_AXES = {3: ("time",), 4: ("height", "width"), 5: ("depth", "height", "width")}
"""Names of the axes after the channels, by the number of axes of the example."""

_STEPS = (1, 2, 4, 8, 16, 32, 64)
"""What sizes may have to be multiples of."""


def from_modules(
    modules: Mapping[str, nn.Module],
    example: Any,
    name: str,
    bounds: Any = None,
) -> Checkpoint:
    """Use modules as the parts of a trained model.

    An axis after the channels is dynamic if the modules run at other sizes, and if all sizes that
    change are a multiple of it, or a whole fraction.

    Args:
        modules: by the name of the part. A decoder is called on what the encoder returns, if there
            is one; every other part on the example.
        example: an array or tensor of one row or more, or a tuple of them for several inputs.
        name: of the model in the manifest.
        bounds: lowest and highest value of the first input and of what is decoded; None for any.

    Raises:
        UsageError: there is no example, it has no axis of rows or leaves the range, the range is
            none, or the modules return something else than tensors.
        ModuleError: a module raises an error, or cannot be copied.
        GraphError: see `external.from_source`.
    """
    if example is None:
        raise UsageError(
            "aeonnx.export: expected example=, an array of one row or more that "
            f"{next(iter(modules))} takes: shapes are found by running the modules on it"
        )
    limits = bounds_of(bounds)
    holder = _copies(modules)
    modules = {key: holder[key] for key in sorted(modules, key=_order)}
    given = example if isinstance(example, tuple) else (example,)
    inputs = [_tensor(item) for item in given]
    names = _AXES.get(inputs[0].ndim, ())
    usual = dict(zip(names, inputs[0].shape[2:], strict=bool(names)))
    with torch.no_grad(), restored_globals(holder):
        base = called_on_example(modules, inputs)
        call = shapes_only(modules, inputs, base)
        require_rows(call, modules, inputs)
        axes = {axis: _axis(call, inputs, base, usual, axis) for axis in names}
        grown = {
            axis: call(_resized(inputs, usual, {axis: 2 * usual[axis]}))
            for axis, rule in axes.items()
            if rule is not None
        }
        ranges = {key: ranges_of(modules[key], *base[key], limits) for key in modules}
    shapes = _shapes(base, grown, usual)
    parts = {
        key: _part(modules[key], base[key], shapes[key], axes, usual, ranges[key])
        for key in modules
    }
    return as_checkpoint("aeonnx.export", holder, parts, name)


def _copies(modules: Mapping[str, nn.Module]) -> nn.ModuleDict:
    """Copies of all modules, as nothing may change the caller's: ready to run on the CPU."""
    where = "aeonnx.export"
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise UsageError(f"{name}: expected a torch.nn.Module, got {module!r}")
        require_exportable(name, module)
    holder = copied(where, nn.ModuleDict(modules))
    with user_code(f"{where}: moving its weights to the CPU"):
        to_cpu(holder.eval())
    assert isinstance(holder, nn.ModuleDict)  # noqa: S101  # as its copy is
    return holder


def _order(part: str) -> bool:
    """Other parts first: a decoder takes what an encoder returns."""
    return part == "decoder"


def _tensor(value: Any) -> Tensor:
    found = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    found = found.detach().cpu().clone()
    return found.float() if found.dtype == torch.float64 else found


def _resized(
    inputs: Sequence[Tensor], usual: Mapping[str, int], sizes: Mapping[str, int]
) -> list[Tensor]:
    """Inputs at other sizes of axes: places are repeated in order, or left out at the end."""
    changed = []
    for value in inputs:
        if value.shape[2:] == inputs[0].shape[2:] and value.ndim == inputs[0].ndim:
            for dim, (axis, before) in enumerate(usual.items(), start=2):
                places = torch.arange(sizes.get(axis, before)) % before
                value = value.index_select(dim, places)
        changed.append(value)
    return changed


def _axis(
    call: Call,
    inputs: Sequence[Tensor],
    base: Called,
    usual: Mapping[str, int],
    axis: str,
) -> Axis | None:
    """Which sizes an axis may have; None if the modules run at its size alone."""

    def fits(size: int) -> bool:
        try:
            found = call(_resized(inputs, usual, {axis: size}))
        except Exception:  # the module's own
            return False
        return all(
            before == after
            if same == before
            else _scale(before, usual[axis]) == Fraction(after, size)
            for (before, after), same in zip(pairs(base, found), doubled, strict=True)
        )

    size = usual[axis]
    try:
        twice = call(_resized(inputs, usual, {axis: 2 * size}))
    except Exception:  # the module's own: it has one size
        return None
    doubled = [after for _, after in pairs(base, twice)]
    if len(doubled) != len(pairs(base, base)):
        return None
    for multiple in _STEPS:
        if size % multiple == 0 and fits(size + multiple) and fits(size + 3 * multiple):
            least = next(
                small
                for small in (*(multiple * step for step in _STEPS), size)
                if small >= size or fits(small)
            )
            return Axis(multiple, min=min(least, size))
    return None


def _scale(size: int, usual: int) -> Fraction | None:
    """size / usual, if it or its inverse is a whole number."""
    share = Fraction(size, usual)
    return share if 1 in (share.numerator, share.denominator) else None


def _shapes(
    base: Called, grown: Mapping[str, Called], usual: Mapping[str, int]
) -> dict[str, dict[str, tuple[int | str, ...]]]:
    """Shapes of all tensors by part and name.

    Raises:
        UsageError: a size follows two axes, as after flattening them.
    """
    found: dict[str, dict[str, tuple[int | str, ...]]] = {}
    for part, ends in base.items():
        found[part] = {}
        for end, tensors in enumerate(ends):
            for key, value in tensors.items():
                sizes: list[int | str] = [BATCH]
                for dim, size in enumerate(value.shape[1:], start=1):
                    follows = [
                        axis
                        for axis, other in grown.items()
                        if other[part][end][key].shape[dim] != size
                    ]
                    if len(follows) > 1:
                        raise UsageError(
                            f"aeonnx.export: the size {size} of {part}.{key} follows "
                            f"{' and '.join(follows)}: declare its shape in parts(), with fixed "
                            "sizes, see docs/export.md"
                        )
                    sizes.append(_text(size, follows[0], usual[follows[0]]) if follows else size)
                found[part][key] = tuple(sizes)
    return found


def _text(size: int, axis: str, usual: int) -> str:
    share = Fraction(size, usual)
    if share == 1:
        return axis
    return f"{axis}/{share.denominator}" if share.numerator == 1 else f"{share.numerator}*{axis}"


def _part(
    module: nn.Module,
    called: tuple[dict[str, Tensor], dict[str, Tensor]],
    shapes: Mapping[str, tuple[int | str, ...]],
    axes: Mapping[str, Axis | None],
    usual: Mapping[str, int],
    ranges: Mapping[str, Bounds],
) -> Part:
    specs = [
        tuple(
            TensorSpec(
                key,
                shapes[key],
                str(value.dtype).removeprefix("torch."),
                range=ranges.get(key),
            )
            for key, value in tensors.items()
        )
        for tensors in called
    ]
    used = {key: rule for key, rule in axes.items() if rule is not None}
    mine = {size.axis: used[size.axis] for size in axes_of([*shapes.values()]) if size.axis in used}
    return Part(module, specs[0], specs[1], axes=mine, sizes=dict(usual))
