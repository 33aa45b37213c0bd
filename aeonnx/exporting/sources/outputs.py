"""Check that a part's module returns the declared outputs, and put these in order.

Modules may return dicts, named tuples, dataclasses or lists of tensors. `ready` wraps such a module
so that capture, reference and timing see one tensor, or a plain tuple of tensors in the declared
order.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.errors import GraphError, ModuleError, ParityError, UsageError
from aeonnx.exporting.determinism.check import require_deterministic
from aeonnx.exporting.determinism.state import restored_globals
from aeonnx.exporting.sizes import at_usual
from aeonnx.exporting.sources.copies import copied
from aeonnx.exporting.sources.modules import is_wrapped
from aeonnx.exporting.sources.user_code import user_code
from aeonnx.models import Part
from aeonnx.runtime.interface import batch_of

__all__ = ["CAPTURED_ROWS", "examples", "fields_of", "in_order", "ready", "values_of"]

CAPTURED_ROWS = 2
"""Batch size at which a part is captured: torch.export specialises on 0 and 1."""

_BATCHES = (CAPTURED_ROWS, 1, 3)
_MANY = 8  # rows to test whether rows depend on each other, after an error
_SHOWN = 6


def ready(name: str, part: Part) -> Part:
    """Call a part's module on example inputs and check its outputs against the declaration.

    Args:
        name: of the part, for messages.
        part: with the batch axis (dynamic or fixed) of its graph.

    Returns:
        The part. Its module returns a tensor, or a tuple of tensors in the declared order, and is
        not wrapped by DataParallel, DistributedDataParallel or torch.compile.

    Raises:
        UsageError: the module does not return the declared number of tensors.
        ParityError: a shape or dtype differs from the declared one, at batch 1, 2 or 3 or at the
            fixed batch.
        ModuleError: the module raises an error, or cannot be copied.
        GraphError: the module raises an error on some batches, and its rows depend on each other.
    """
    module = copied(name, part.module)  # no call may change what is captured
    if is_wrapped(part.module):
        part = replace(part, module=copied(name, part.module))
    size = batch_of(part)
    wrapped = False
    usual = at_usual(part)
    for batch in _BATCHES if size is None else (size,):
        before = "" if batch in (CAPTURED_ROWS, size) else f" (at batch {CAPTURED_ROWS} it ran)"
        reporting = user_code(f"{name}: its module, called at batch {batch}{before},")
        try:
            with restored_globals(module), reporting, torch.no_grad():
                result = module(*examples(part, batch).values())
        except ModuleError:
            if before:
                _require_separate_rows(name, part)
            raise
        try:
            values = in_order(part.outputs, result)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
        for spec, value in zip(usual.outputs, values, strict=True):
            problem = _unlike(spec, value, batch)
            if problem:
                raise ParityError(f"{name}: {problem}. Nothing was written")
        wrapped = wrapped or not isinstance(result, Tensor | tuple) or _is_named(result)
    return replace(part, module=_ordering(part)) if wrapped else part


def _require_separate_rows(name: str, part: Part) -> None:
    """Raise `GraphError` if a module that fails at some batch sizes mixes rows: a likely cause."""
    rows = {key: value.numpy() for key, value in examples(part, _MANY).items()}
    try:
        require_deterministic(name, part, rows)
    except GraphError:
        raise
    except Exception:  # the module fails here too: report the first error
        return


def examples(part: Part, batch: int) -> dict[str, Tensor]:
    """Random inputs of the declared shapes, dtypes and ranges, by name; the same in each call."""
    generator = torch.Generator().manual_seed(0)
    usual = at_usual(part)
    return {spec.name: _example(spec, batch, generator) for spec in usual.inputs}


def _example(spec: TensorSpec, batch: int, generator: torch.Generator) -> Tensor:
    shape = [batch if size == BATCH else int(size) for size in spec.shape]
    dtype: torch.dtype = getattr(torch, spec.dtype)
    share = torch.rand(shape, generator=generator, dtype=torch.float64)
    if dtype.is_floating_point:
        low, high = spec.range or (-1.0, 1.0)
        return (low + (high - low) * share).to(dtype)
    low, high = spec.range or (0.0, 1.0)
    return (low + (high - low + 1) * share).floor().clamp(low, high).to(dtype)


def in_order(specs: Sequence[TensorSpec], result: object) -> tuple[Tensor, ...]:
    """The declared outputs of a module, in the declared order.

    Args:
        specs: the declared outputs.
        result: what the module returned: a tensor, or a tuple, list, dict, named tuple or dataclass
            of tensors. A dict or dataclass must have the declared names.

    Raises:
        UsageError: these are not the declared outputs; the message says what was returned.
    """
    names = [spec.name for spec in specs]
    found = fields_of(result)
    values: Sequence[object]
    if found is not None and found.keys() == set(names):
        values = [found[name] for name in names]
    elif isinstance(result, tuple | list) and not (found and found.keys() & set(names)):
        values = result
    else:
        values = [result]
    if len(values) != len(names) or not all(isinstance(value, Tensor) for value in values):
        wanted = ", ".join(f"{spec.name} {_spec(spec)}" for spec in specs)
        form = "one tensor" if len(specs) == 1 else f"a tuple of {len(specs)} tensors"
        raise UsageError(
            f"expected its module to return {form} ({wanted}), got {_described(result)}. Return "
            "these, or a dict or dataclass with these names; or declare in parts() what it returns"
        )
    return tuple(value for value in values if isinstance(value, Tensor))


def fields_of(result: Any) -> dict[str, object] | None:
    """Values by name of a dict, dataclass or named tuple; None for anything else."""
    if isinstance(result, Mapping):
        return {str(name): value for name, value in result.items()}
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    if _is_named(result):
        return dict(zip(result._fields, result, strict=True))
    return None


def values_of(result: Any) -> list[Any]:
    """Values of what a module returned: one, or those of a tuple, list, dict or dataclass."""
    found = fields_of(result)
    if found is not None:
        return [*found.values()]
    return [*result] if isinstance(result, tuple | list) else [result]


def _is_named(result: object) -> bool:
    return isinstance(result, tuple) and hasattr(result, "_fields")


def _described(result: object) -> str:
    """A description of a returned value: types, shapes, names."""
    if result is None:
        return "None: is there a return at its end?"
    if isinstance(result, Tensor):
        return _tensor(result)
    found = fields_of(result)
    kind = type(result).__name__
    if found is not None:
        shown = ", ".join(f"{name}: {_type_of(value)}" for name, value in _few(found.items()))
        return f"a {kind} with {shown or 'nothing'}"
    if isinstance(result, tuple | list):
        shown = ", ".join(_type_of(value) for value in _few(result))
        return f"a {kind} of {len(result)} ({shown})" if result else f"an empty {kind}"
    return f"a {type(result).__module__}.{kind}".replace("a builtins.", "a ")


def _type_of(value: object) -> str:
    return _tensor(value) if isinstance(value, Tensor) else type(value).__name__


def _few(items: Any) -> list[Any]:
    return list(items)[:_SHOWN]


def _tensor(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


def _spec(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join(map(str, spec.shape))}]"


def _unlike(spec: TensorSpec, value: Tensor, batch: int) -> str | None:
    """How a tensor differs from its declaration, and how to fix it; None if it does not."""
    shape = [batch if size == BATCH else size for size in spec.shape]
    dtype = str(value.dtype).removeprefix("torch.")
    if list(value.shape) == shape and dtype == spec.dtype and value.layout == torch.strided:
        return None
    said = f"{spec.name}: expected {spec.dtype} {shape} at batch {batch}, got {_tensor(value)}"
    if value.layout != torch.strided:
        return f"{said} in the layout {value.layout}. Make it dense with .to_dense()"
    if list(value.shape) == shape:
        return f"{said}. Convert it with .to(torch.{spec.dtype}), or declare its dtype in parts()"
    if batch == CAPTURED_ROWS or spec.shape[0] != BATCH:
        return f"{said}. Declare in parts() the shape that it has, or change the module"
    right = f"{said}, though batch {CAPTURED_ROWS} gave the declared shape"
    if batch == 1 and value.ndim < len(shape):
        return f"{right}: .squeeze() drops a batch of 1 too. Name the axis, as in .squeeze(1)"
    return (
        f"{right}: the batch size is hard-coded, as in .reshape({CAPTURED_ROWS}, -1). Take it from "
        "the input, as in .reshape(x.shape[0], -1) or .flatten(1)"
    )


def _ordering(part: Part) -> nn.Module:
    """A module that wraps the part's and returns its outputs in the declared order.

    torch.export reads the number of inputs from the signature of forward, so a class is made for
    each part.
    """

    def forward(self: _Ordered, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        values = in_order(self.specs, self.module(*inputs))
        return values if len(values) > 1 else values[0]

    names = ["self", *(spec.name for spec in part.inputs)]
    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by inspect
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    made: nn.Module = type("Ordered", (_Ordered,), {"forward": forward})(part)
    return made.eval()


class _Ordered(nn.Module):
    def __init__(self, part: Part) -> None:
        super().__init__()
        self.module = part.module
        self.specs = part.outputs
