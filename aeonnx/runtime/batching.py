"""Runs any number of rows through a graph with a fixed batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.runtime.interface import Interface, batch_of, rows_in, select_rows, shape_of_rows
from aeonnx.runtime.session import Array

__all__ = ["Run", "any_batch", "any_rows", "pad_rows", "whole_batches"]

Run = Callable[[Mapping[str, Array]], dict[str, Array]]


def any_rows(part: Interface, run: Run) -> Run:
    """A function that accepts any number of rows: `run` itself if the batch axis is dynamic.

    For a fixed batch size it calls `run` once per batch and pads the last batch with copies of
    the last row.

    Args:
        part: inputs and outputs of the graph.
        run: runs the graph on one batch.
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
    """The inputs of an `any_rows` function: those of the part, with a dynamic batch axis."""
    return tuple(replace(spec, shape=shape_of_rows(part, spec)) for spec in part.inputs)


def whole_batches(part: Interface, rows: Array) -> Array:
    """Rows padded to a multiple of the graph's fixed batch size by repeating the last row."""
    size = batch_of(part) or 1
    return pad_rows(rows, -(-len(rows) // size) * size)


def pad_rows(rows: Array, count: int) -> Array:
    """Rows padded to `count` by repeating the last row."""
    return rows if len(rows) == count else rows[np.minimum(np.arange(count), len(rows) - 1)]
