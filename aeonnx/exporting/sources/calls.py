"""Call plain modules on an example, and name what they take and return."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from aeonnx.bundle import NAME
from aeonnx.errors import ModuleError, UsageError
from aeonnx.exporting.quiet import quiet
from aeonnx.exporting.sources.outputs import fields_of
from aeonnx.exporting.sources.user_code import user_code

__all__ = ["Call", "Called", "called_on_example", "pairs", "require_rows", "shapes_only"]

_OUTPUTS = {"encoder": "z", "decoder": "reconstruction", "reconstructor": "reconstruction"}
_OUTPUTS |= {"denoiser": "denoised", "scorer": "error"}

Called = dict[str, tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Inputs and outputs of each part, by name."""

Call = Callable[[Sequence[Tensor]], Called]
"""Runs all modules on inputs of the first."""


def called_on_example(modules: Mapping[str, nn.Module], inputs: Sequence[Tensor]) -> Called:
    """Run copies of all modules on an example.

    Args:
        modules: the encoder before the decoder.
        inputs: of the first module.

    Raises:
        UsageError: the example is one row without an axis of rows, or the modules return something
            else than tensors.
        ModuleError: a module raises an error.
    """
    try:
        return _called(_fresh(modules), inputs, told=True)
    except ModuleError:
        _refuse_one_row(modules, inputs)
        raise


def require_rows(call: Call, modules: Mapping[str, nn.Module], inputs: Sequence[Tensor]) -> None:
    """Raise `UsageError` if an example is one row: layers such as nn.Conv2d run on these too."""
    count = len(inputs[0]) if inputs[0].ndim else 0
    if not _runs(
        call, [torch.cat([value, value]) if value.ndim else value for value in inputs], 2 * count
    ):
        _refuse_one_row(modules, inputs)


def _refuse_one_row(modules: Mapping[str, nn.Module], inputs: Sequence[Tensor]) -> None:
    """Raise `UsageError` if the modules run on the example with one more axis in front."""
    if _runs(lambda values: _called(_fresh(modules), values), [value[None] for value in inputs], 1):
        sizes = [*inputs[0].shape]
        raise UsageError(
            "example: expected an array of one row or more, whose first axis is that of rows, got "
            f"one row {sizes} without it: pass example[None], {[1, *sizes]}"
        )


def _runs(call: Call, inputs: Sequence[Tensor], rows: int) -> bool:
    """Whether a call on inputs gives outputs of so many rows."""
    try:
        found = call(inputs)
    except Exception:  # the modules' own
        return False
    outputs = [value for _, made in found.values() for value in made.values()]
    return all(value.ndim > 0 and len(value) == rows for value in outputs)


def _fresh(modules: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Copies, since modules may keep something of a call."""
    copies: dict[str, nn.Module] = copy.deepcopy(dict(modules))
    return copies


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
        given = _given(name, module, inputs, found)
        values = [value.clone() for value in given.values()]  # it may write into them
        if told:
            with user_code(f"aeonnx.export: {name}, called on the example,"):
                result = module(*values)
        else:
            result = module(*values)
        both = name == "encoder" and "decoder" in modules
        wanted = _from_encoder(modules["decoder"], inputs) if both else []
        found[name] = given, _outputs(name, result, [*given], wanted)
    return found


def _given(
    name: str, module: nn.Module, inputs: Sequence[Tensor], found: Called
) -> dict[str, Tensor]:
    """The inputs of a module by name.

    A decoder takes the example's inputs after the first last, and outputs of the encoder before:
    those of the names of its inputs, or the first ones.
    """
    parameters = _parameters(module)
    if name != "decoder" or "encoder" not in found:
        names = ["z" if name == "decoder" else "x", *parameters[1:]]
        return dict(zip(names, inputs, strict=False))
    made, wanted = found["encoder"][1], _from_encoder(module, inputs)
    named = set(wanted) <= made.keys()
    taken = {key: made[key] for key in wanted} if named else dict([*made.items()][: len(wanted)])
    if len(taken) == 1 and not named and "z" not in made:
        taken = dict(zip(["z"], taken.values(), strict=True))
    others = zip(parameters[len(wanted) :], inputs[1:], strict=False)
    return taken | dict(others)


def _from_encoder(decoder: nn.Module, inputs: Sequence[Tensor]) -> list[str]:
    """What a decoder calls the inputs that an encoder feeds: all but those of the example."""
    parameters = _parameters(decoder)
    return parameters[: max(1, len(parameters) - len(inputs[1:]))] or ["z"]


def shapes_only(modules: Mapping[str, nn.Module], inputs: Sequence[Tensor], base: Called) -> Call:
    """A function that finds the shapes of all inputs and outputs for some inputs.

    It computes no values, which takes minutes in large models, unless the modules need them: code
    that asks for values, or that torch does not run, such as numpy's.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def call(values: Sequence[Tensor]) -> Called:
        with mode, quiet():
            return _called(copies, [mode.from_tensor(value) for value in values])

    try:
        copies = _fresh(modules)
        found = call(inputs)
    except Exception:  # of many classes
        found = {}
    if found and all(before == after for before, after in pairs(base, found)):
        return call
    return lambda values: _called(_fresh(modules), values)


def _parameters(module: nn.Module) -> list[str]:
    """Names of the inputs that `forward` needs."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        item.name
        for item in inspect.signature(module.forward).parameters.values()
        if item.kind in kinds and item.default is item.empty
    ]


def _outputs(
    part: str, result: object, taken: Sequence[str], wanted: Sequence[str]
) -> dict[str, Tensor]:
    """The outputs of a module by name.

    Args:
        part: its name.
        result: what it returned.
        taken: names of its inputs.
        wanted: what a decoder calls what it takes of them, which come first. The first value of a
            tuple is z all the same.
    """
    fields = fields_of(result)
    first = _OUTPUTS.get(part, "y")
    if fields is not None:
        first_ones = wanted if set(wanted) <= fields.keys() else ()
        named = {key: fields[key] for key in first_ones} | fields
    elif isinstance(result, tuple | list):
        names = [first if i == 0 else f"{first}_{i + 1}" for i in range(len(result))]
        for place, name in enumerate(wanted[: len(names)]):
            if place and NAME.fullmatch(name) and name not in (*taken, *names):
                names[place] = name
        named = dict(zip(names, result, strict=True))
    else:
        named = {first: result}
    wrong = [line for key, value in named.items() if (line := _wrong(key, value, taken))]
    if wrong or not named:
        raise UsageError(
            f"aeonnx.export: expected {part} to return tensors, in a tuple or by names in lower "
            f"case that are not those of its inputs, got {', '.join(wrong) or 'nothing'}: wrap it "
            "in a module that returns what you want"
        )
    return {key: value for key, value in named.items() if isinstance(value, Tensor)}


def _wrong(key: str, value: object, taken: Sequence[str]) -> str:
    if value is None:
        return f"None for {key}"
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__} for {key}"
    if key in taken:
        return f"{key}, the name of an input"
    return "" if NAME.fullmatch(key) else f"the name {key}"


def pairs(base: Called, found: Called) -> list[tuple[int, int]]:
    """The sizes of all axes of all tensors, before and after."""
    sizes: list[tuple[int, int]] = []
    for part, ends in base.items():
        for before, after in zip(ends, found[part], strict=True):
            for key, value in before.items():
                shape = after[key].shape
                if len(shape) != value.ndim:
                    return [(1, 0)]
                sizes += zip(value.shape, shape, strict=True)
    return sizes
