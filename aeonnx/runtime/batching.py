"""Any number of rows through a graph that is fixed to one batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.runtime.interface import Interface, batch_of, has_rows, rows_in, select_rows
from aeonnx.runtime.session import Array

__all__ = ["Run", "any_batch", "any_rows", "pad_rows", "whole_batches"]

Run = Callable[[Mapping[str, Array]], dict[str, Array]]


def any_rows(part: Interface, run: Run) -> Run:
    """`run` itself, or what runs it as often as needed: the last rows are filled up by repeating.

    Args:
        part: names and shapes of what goes in and comes out.
        run: the graph, which takes the rows of one batch.
    """
    size = batch_of(part)
    if size is None:
        return run

    def run_all(inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = rows_in(part, inputs)
        found = []
        for start in range(0, rows, size):
            places = np.minimum(np.arange(start, start + size), rows - 1)
            found.append(run(select_rows(part, inputs, places)))
        return {key: np.concatenate([item[key] for item in found])[:rows] for key in found[0]}

    return run_all


def any_batch(part: Interface) -> tuple[TensorSpec, ...]:
    """What `any_rows` takes: the inputs with a batch axis of any size."""
    return tuple(
        replace(spec, shape=(BATCH, *spec.shape[1:])) if has_rows(part, spec) else spec
        for spec in part.inputs
    )


def whole_batches(part: Interface, rows: Array) -> Array:
    """Rows for a graph that is fixed to a batch size: the last repeated until a batch is full."""
    size = batch_of(part) or 1
    return pad_rows(rows, -(-len(rows) // size) * size)


def pad_rows(rows: Array, count: int) -> Array:
    """`count` rows: the last one repeated, if there are not as many."""
    return rows if len(rows) == count else rows[np.minimum(np.arange(count), len(rows) - 1)]
