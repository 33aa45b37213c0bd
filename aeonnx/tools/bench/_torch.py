"""torch as a contender: a part of the checkpoint, eager and compiled, from numpy to numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from aeonnx.catalog.source import Source
from aeonnx.errors import CheckpointError
from aeonnx.exporting.sources.outputs import in_order
from aeonnx.exporting.verify.checkpoint import origin
from aeonnx.runtime import Bundle
from aeonnx.runtime.session import Array
from aeonnx.tools.bench.bare import DEVICES
from aeonnx.tools.bench.contenders import OPENED, Contender, PartRunner, inputs_of
from aeonnx.tools.bench.options import Case

__all__ = ["check", "torch_contenders"]

Make = Callable[[torch.nn.Module], Callable[..., Any]]


def check(bundle: Bundle, source: Source) -> None:
    """Raise unless the bundle was exported from the model at `source`; for errors see `origin`."""
    origin(bundle, source)


@contextmanager
def torch_contenders(bundle: Bundle, source: Source, case: Case) -> Iterator[list[Contender]]:
    """torch eager and torch.compile for a case; torch uses its number of threads in the block.

    They run the part in float32 with float images, whatever the variant is, because the weights
    were trained that way.
    """
    inputs = inputs_of(bundle, bundle.variant(case.part), case.batch)

    def contender(name: str, made: Make, opened: int) -> Contender:
        def start() -> PartRunner:
            return _opened(bundle, source, case, inputs, made)

        return Contender(name, start, opened, optional=True)

    before = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    # Convolutions on GPUs take TF32 by default, which keeps 10 bits of each factor.
    torch.backends.fp32_precision = "ieee"  # type: ignore[attr-defined]  # its stubs lack it
    try:
        # Opened once only: compiling takes a minute.
        yield [contender("torch", _eager, OPENED), contender("torch.compile", _compiled, 1)]
    finally:
        torch.set_num_threads(before)


def _opened(
    bundle: Bundle, source: Source, case: Case, inputs: Mapping[str, Array], made: Make
) -> PartRunner:
    """Load the part from the checkpoint; returns the function that is timed."""
    device = DEVICES.get(case.provider)
    if device is None:
        raise CheckpointError(f"torch is not measured beside {case.provider}")
    parts = origin(bundle, source).model.parts()
    if case.part not in parts:
        raise CheckpointError(f"torch has no {case.part}: it is made at export")
    part = parts[case.part]
    module = made(part.module.to(device))
    values = [torch.from_numpy(inputs[spec.name]) for spec in part.inputs]

    def call() -> object:
        with torch.inference_mode():
            found = module(*(value.to(device) for value in values))
            return [value.cpu().numpy() for value in in_order(part.outputs, found)]

    return call


def _eager(module: torch.nn.Module) -> torch.nn.Module:
    return module


def _compiled(module: torch.nn.Module) -> Callable[..., Any]:
    torch._dynamo.reset()  # after several shapes it would fall back to eager
    compiled: Callable[..., Any] = torch.compile(module, dynamic=False)
    return compiled
