"""Export plain modules: names, shapes and dynamic axes are found by running them on an example."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from aeonnx.bundle import BATCH, NAME, Axis, TensorSpec, axes_of
from aeonnx.checkpoint import Checkpoint
from aeonnx.errors import UsageError
from aeonnx.exporting.quiet import quiet
from aeonnx.exporting.sources.external import as_checkpoint
from aeonnx.exporting.sources.outputs import fields_of
from aeonnx.exporting.sources.user_code import user_code
from aeonnx.models import Part

__all__ = ["from_modules"]

_AXES = {3: ("time",), 4: ("height", "width"), 5: ("depth", "height", "width")}
"""Names of the axes after the channels, by the number of axes of the example."""

_STEPS = (1, 2, 4, 8, 16, 32, 64)
"""What sizes may have to be multiples of."""

_OUTPUTS = {"encoder": "z", "decoder": "reconstruction", "reconstructor": "reconstruction"}
_OUTPUTS |= {"denoiser": "denoised", "scorer": "error"}

Called = dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Inputs and outputs of each part, by name."""

Call = Callable[[Sequence[Tensor]], Called]
"""Runs all modules on inputs of the first."""


def from_modules(
    modules: Mapping[str, nn.Module],
    example: Any,
    name: str,
    bounds: tuple[float, float] | None = None,
) -> Checkpoint:
    """Use modules as the parts of a trained model.

    An axis after the channels is dynamic if the modules run at other sizes, and if all sizes that
    change are a multiple of it, or a whole fraction.

    Args:
        modules: by the name of the part. A decoder is called on what the encoder returns, if there
            is one; every other part on the example.
        example: an array or tensor of one row or more, or a tuple of them for several inputs.
        name: of the model in the manifest.
        bounds: range of the first input and of what is decoded; None for any values.

    Raises:
        UsageError: there is no example, or the modules return something else than tensors.
        ModuleError: a module raises an error.
    """
    if example is None:
        raise UsageError(
            "aeonnx.export: expected example=, an array of one row or more that "
            f"{next(iter(modules))} takes: shapes are found by running the modules on it"
        )
    modules = {key: modules[key] for key in sorted(modules, key=_order)}
    holder = nn.ModuleDict({key: module.eval() for key, module in modules.items()})
    given = example if isinstance(example, tuple) else (example,)
    inputs = [_tensor(item) for item in given]
    names = _AXES.get(inputs[0].ndim, ())
    usual = dict(zip(names, inputs[0].shape[2:], strict=bool(names)))
    with torch.no_grad():
        base = _called(modules, inputs, told=True)
        call = _shapes_only(modules, inputs, base)
        axes = {axis: _axis(call, inputs, base, usual, axis) for axis in names}
        grown = {
            axis: call(_resized(inputs, usual, {axis: 2 * usual[axis]}))
            for axis, rule in axes.items()
            if rule is not None
        }
    shapes = _shapes(base, grown, usual)
    parts = {
        key: _part(modules[key], base[key], shapes[key], axes, usual, bounds) for key in modules
    }
    return as_checkpoint("aeonnx.export", holder, parts, name)


def _order(part: str) -> bool:
    """Other parts first: a decoder takes what an encoder returns."""
    return part == "decoder"


def _tensor(value: Any) -> Tensor:
    found = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    found = found.detach().cpu()
    return found.float() if found.dtype == torch.float64 else found


def _called(
    modules: Mapping[str, nn.Module], inputs: Sequence[Tensor], *, told: bool = False
) -> Called:
    """Run all modules on inputs.

    Args:
        modules: the encoder before the decoder.
        inputs: of the first module.
        told: raise errors of the modules as the user's.
    """
    found: Called = {}
    for name, module in modules.items():
        parameters = _parameters(module)
        first = inputs[0]
        if name == "decoder" and "encoder" in found:
            first = next(iter(found["encoder"][1].values()))
        values = [first, *inputs[1 : max(1, len(parameters))]]
        names = ["z" if name == "decoder" else "x", *parameters[1 : len(values)]]
        if told:
            with user_code(f"aeonnx.export: {name}, called on the example,"):
                result = module(*values)
        else:
            result = module(*values)
        found[name] = dict(zip(names, values, strict=False)), _outputs(name, result, names)
    return found


def _shapes_only(modules: Mapping[str, nn.Module], inputs: Sequence[Tensor], base: Called) -> Call:
    """A function that finds the shapes of all inputs and outputs for some inputs.

    It computes no values, which takes minutes in large models, unless the modules need them: code
    that asks for values, or that torch does not run, such as numpy's.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def call(values: Sequence[Tensor]) -> Called:
        with mode, quiet():
            return _called(copies, [mode.from_tensor(value) for value in values])

    try:
        # Copies, in which what modules keep of a call may stay.
        copies = {name: copy.deepcopy(module) for name, module in modules.items()}
        found = call(inputs)
    except Exception:  # of many classes
        found = {}
    if found and all(before == after for before, after in _pairs(base, found)):
        return call
    return partial(_called, modules)


def _parameters(module: nn.Module) -> list[str]:
    """Names of the inputs that `forward` needs."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        item.name
        for item in inspect.signature(module.forward).parameters.values()
        if item.kind in kinds and item.default is item.empty
    ]


def _outputs(part: str, result: object, taken: Sequence[str]) -> dict[str, Tensor]:
    """The outputs of a module by name."""
    fields = fields_of(result)
    first = _OUTPUTS.get(part, "y")
    if fields is not None:
        named = fields
    elif isinstance(result, tuple | list):
        named = {first if i == 0 else f"{first}_{i + 1}": value for i, value in enumerate(result)}
    else:
        named = {first: result}
    wrong = [key for key, value in named.items() if not isinstance(value, Tensor)]
    wrong += [key for key in named if not NAME.fullmatch(key) or key in taken]
    if wrong:
        raise UsageError(
            f"aeonnx.export: expected {part} to return tensors, in a tuple or by names in lower "
            f"case that are not those of its inputs, got {', '.join(wrong)}: wrap it in a module "
            "that returns what you want"
        )
    return {key: value for key, value in named.items() if isinstance(value, Tensor)}


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
            for (before, after), same in zip(_pairs(base, found), doubled, strict=True)
        )

    size = usual[axis]
    try:
        twice = call(_resized(inputs, usual, {axis: 2 * size}))
    except Exception:  # the module's own: it has one size
        return None
    doubled = [after for _, after in _pairs(base, twice)]
    if len(doubled) != len(_pairs(base, base)):
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


def _pairs(base: Called, found: Called) -> list[tuple[int, int]]:
    """The sizes of all axes of all tensors, before and after."""
    pairs: list[tuple[int, int]] = []
    for part, ends in base.items():
        for before, after in zip(ends, found[part], strict=True):
            for key, value in before.items():
                sizes = after[key].shape
                if len(sizes) != value.ndim:
                    return [(1, 0)]
                pairs += zip(value.shape, sizes, strict=True)
    return pairs


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
    bounds: tuple[float, float] | None,
) -> Part:
    data = {"x", "reconstruction", "denoised"}
    specs = [
        tuple(
            TensorSpec(
                key,
                shapes[key],
                str(value.dtype).removeprefix("torch."),
                range=bounds if key in data else _range(value) if end == 0 else None,
            )
            for key, value in tensors.items()
        )
        for end, tensors in enumerate(called)
    ]
    used = {key: rule for key, rule in axes.items() if rule is not None}
    mine = {size.axis: used[size.axis] for size in axes_of([*shapes.values()]) if size.axis in used}
    return Part(module, specs[0], specs[1], axes=mine, sizes=dict(usual))


def _range(value: Tensor) -> tuple[float, float] | None:
    """Whole numbers are taken to begin at 0 and to end at the largest of the example."""
    if value.is_floating_point() or value.dtype == torch.bool:
        return None
    return 0.0, float(value.max())
