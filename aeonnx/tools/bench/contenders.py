"""The contenders of a cell: aeonnx as users call it, and onnxruntime alone; torch: `_torch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from aeonnx import runtime
from aeonnx.bundle import Variant, golden
from aeonnx.runtime import Bundle
from aeonnx.runtime.interface import tile_rows
from aeonnx.runtime.session import Array
from aeonnx.tools.bench.bare import open_bare
from aeonnx.tools.bench.options import Case
from aeonnx.tools.bench.results import OURS

__all__ = ["OPENED", "Contender", "PartRunner", "bare", "inputs_of", "ours"]

PartRunner = Callable[[], object]
"""Runs the part once on the inputs of the cell."""

OPENED = 4
"""How often a contender is opened; the first time is a warm-up."""


@dataclass(frozen=True)
class Contender:
    """One way to run a part.

    Args:
        name: its name in the results.
        open: loads the files and returns a function that runs the part.
        opened: how often to open it; the first time counts only if it is the only one.
        optional: whether a failure is reported in the results instead of raised.
    """

    name: str
    open: Callable[[], PartRunner]
    opened: int = OPENED
    optional: bool = False


def inputs_of(bundle: Bundle, variant: Variant, batch: int) -> dict[str, Array]:
    """The golden inputs, repeated up to the batch size; real images come first."""
    found = tile_rows(variant, golden.read_all(bundle.folder, variant.golden[0].inputs), batch)
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def ours(bundle: Bundle, case: Case, inputs: Mapping[str, Array]) -> Contender:
    """aeonnx as a contender."""

    def start() -> PartRunner:
        return partial(_open_ours(bundle.folder, case), inputs)

    return Contender(OURS, start)


def _open_ours(folder: Path, case: Case) -> Callable[[Mapping[str, Array]], object]:
    """Open the graph of a case as a user does, digest check included."""
    precision, _, pixels = case.variant.partition("-")
    bundle = runtime.load(folder, [case.provider], precision=precision, threads=case.threads)
    session = bundle.session(case.part, case.variant)
    if pixels:
        return session.run
    return lambda inputs: bundle.run(case.part, **inputs)


def bare(bundle: Bundle, case: Case, inputs: Mapping[str, Array]) -> Contender:
    """onnxruntime alone as a contender, called as in its own documentation."""
    variant = bundle.variant(case.part, case.variant)
    path = str(bundle.folder / variant.file)
    names = [spec.name for spec in variant.outputs]

    def start() -> PartRunner:
        session = open_bare(path, case.provider, case.threads)
        return partial(session.run, names, dict(inputs))

    return Contender("onnxruntime", start)
