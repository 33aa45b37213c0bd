"""Check what an external model declares about its parts, before any of them is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from aeonnx.bundle import BATCH, NAME, TensorSpec
from aeonnx.errors import ModuleError, UsageError
from aeonnx.exporting.options import SAMPLER
from aeonnx.exporting.sources.user_code import line_of, raised_by_aeonnx, user_code
from aeonnx.models import Part

__all__ = ["declared", "require_classes_and_prior", "require_declared"]

_PRIORS = ("standard-normal",)
_EXPECTED = "an nn.Module with a method parts() -> dict[str, aeonnx.models.Part]"
_WITHOUT = (
    "In Python, aeonnx.export(NAME, encoder=..., decoder=..., example=x) takes modules without "
    "parts(), see docs/tasks/your-own-model.md"
)


def declared(where: str, model: Any) -> Mapping[str, Part] | None:
    """What the method `parts` of a model returns; None if there is no such method.

    Raises:
        UsageError: a name or a shape is not one that a bundle can have.
        ModuleError: the method raises an error.
    """
    declare: Any = getattr(model, "parts", None)
    if not isinstance(model, nn.Module) or not callable(declare):
        return None
    try:
        with user_code(f"{where}: parts()"):
            found: Mapping[str, Part] = declare()
            return found
    except ModuleError as error:
        cause = error.__cause__
        if cause and raised_by_aeonnx(cause):  # TensorSpec refused a name or a shape
            raise UsageError(f"{where}: parts(): {cause}{line_of(cause)}") from cause
        raise


def require_declared(where: str, model: Any, parts: Any) -> Mapping[str, Part]:
    """Return the parts if a bundle can represent their declarations.

    Args:
        where: what the user wrote, for messages.
        model: what the source returned.
        parts: what its method `parts` returned; None if it has none.

    Raises:
        UsageError: a declaration is missing or invalid; the message names the part or tensor.
    """
    got = f"got a {type(model).__name__}"
    if not isinstance(model, nn.Module) or parts is None:
        also = f" without one. {_WITHOUT}" if isinstance(model, nn.Module) else ""
        raise UsageError(f"{where}: expected {_EXPECTED}; {got}{also}")
    if not isinstance(parts, Mapping) or not all(isinstance(p, Part) for p in parts.values()):
        kinds = type(parts).__name__
        if isinstance(parts, Mapping):
            kinds += f" of {', '.join(sorted({type(part).__name__ for part in parts.values()}))}"
        raise UsageError(f"{where}: expected {_EXPECTED}; {got} whose parts() returns a {kinds}")
    if not parts:
        raise UsageError(
            f"{where}: expected one part or more, such as encoder and decoder, got none"
        )
    problems = [line for name, part in parts.items() for line in _problems(name, part)]
    problems = problems or [*_unlike_inputs(parts)]
    if problems:
        raise UsageError(f"{where}: {'; '.join(problems)}")
    return parts


def require_classes_and_prior(
    where: str, model: nn.Module, parts: Mapping[str, Part]
) -> tuple[str, ...]:
    """Return the class names, if a manifest can represent them and the prior.

    Args:
        where: what the user wrote, for messages.
        model: may have attributes `prior` and `classes`.
        parts: of the model.

    Raises:
        UsageError: the prior is unknown, or the classes are not distinct names, one for each output
            of the part `classifier`.
    """
    prior = getattr(model, "prior", None)
    if prior is not None and prior not in _PRIORS:
        raise UsageError(
            f"{where}: prior: expected {' or '.join(map(repr, _PRIORS))}, or none, got {prior!r}"
        )
    classes = getattr(model, "classes", ())
    named = isinstance(classes, tuple | list) and all(
        isinstance(name, str) and name for name in classes
    )
    if not named or len(set(classes)) != len(classes):
        raise UsageError(f"{where}: classes: expected a list of distinct names, got {classes!r}")
    wide = parts["classifier"].outputs[-1].shape[-1] if "classifier" in parts else len(classes)
    if wide != len(classes):
        raise UsageError(
            f"{where}: classes: expected {wide} names, one for each output of the "
            f"part classifier, got {len(classes)}"
        )
    return tuple(classes)


def _problems(name: Any, part: Any) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == SAMPLER:
        yield (
            f"part {name!r}: expected a name of lower-case letters, digits and _, beginning with a "
            f"letter, and not {SAMPLER!r}, which is built from the decoder"
        )
        return
    if not isinstance(part.module, nn.Module):
        yield f"{name}: expected an nn.Module, got a {type(part.module).__name__}"
    for kind, specs in (("inputs", part.inputs), ("outputs", part.outputs)):
        if not isinstance(specs, tuple) or not specs:
            yield (
                f"{name}: {kind}: expected a tuple of one TensorSpec or more, got "
                f"{_kind(specs)}: write ({'x' if kind == 'inputs' else 'y'},)"
            )
            return
        for spec in specs:
            if not isinstance(spec, TensorSpec):
                yield f"{name}: {kind}: expected TensorSpecs, got a {type(spec).__name__}"
                return
            yield from (f"{name}: {spec.name}: {line}" for line in _unfit(spec))
    names = [spec.name for spec in (*part.inputs, *part.outputs)]
    for twice in sorted({key for key in names if names.count(key) > 1}):
        yield f"{name}: {twice!r} names two tensors: give each a name of its own"
    outputs = {spec.name for spec in part.outputs}
    for key in part.percentiles:
        if key not in outputs:
            yield f"{name}: percentiles: no output {key!r} among {', '.join(sorted(outputs))}"


def _kind(specs: Any) -> str:
    empty = isinstance(specs, tuple)
    return "an empty one" if empty else f"a {type(specs).__name__}"


def _unfit(spec: Any) -> Iterator[str]:
    if not isinstance(spec.shape, tuple):
        yield f"shape: expected a tuple, got a {type(spec.shape).__name__}"
    elif spec.shape[0] != BATCH:
        yield (
            f'expected "{BATCH}" as first size, got {list(spec.shape)}. Declare '
            f'("{BATCH}", {", ".join(map(str, spec.shape[1:]))}); to fix the batch to N rows, '
            "export with --static-batch N"
        )
    if spec.range is not None and not (
        isinstance(spec.range, tuple) and len(spec.range) == 2 and spec.range[0] < spec.range[1]
    ):
        yield f"range: expected (lowest, highest) or None, got {spec.range!r}"


def _unlike_inputs(parts: Mapping[str, Part]) -> Iterator[str]:
    """Inputs of different parts with one name must agree: test inputs are stored by tensor name."""
    seen: dict[str, tuple[str, TensorSpec]] = {}
    for name, part in parts.items():
        for spec in part.inputs:
            other, first = seen.setdefault(spec.name, (name, spec))
            if (first.shape, first.dtype) != (spec.shape, spec.dtype):
                yield (
                    f"{spec.name} is {first.dtype} {list(first.shape)} in {other} and "
                    f"{spec.dtype} {list(spec.shape)} in {name}: give them two names"
                )
