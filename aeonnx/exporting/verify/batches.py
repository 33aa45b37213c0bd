"""Which rows run together in a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aeonnx.exporting.verify.effort import FULL, Effort
from aeonnx.exporting.verify.probes import EDGE
from aeonnx.exporting.verify.reference import Arrays
from aeonnx.runtime.batching import Run
from aeonnx.runtime.interface import Interface, batch_of, rows_in, select_rows
from aeonnx.runtime.session import Array

__all__ = ["batch_sizes", "batches", "drawn", "in_chunks"]


def drawn(part: Interface, kinds: Sequence[str], draw: int, effort: Effort) -> Array:
    """The rows whose rounding is simulated in this draw, in whole batches."""
    most = {EDGE: effort.edge_draws}
    few = [i for i, kind in enumerate(kinds) if draw < most.get(kind, effort.draws)]
    size = batch_of(part) or 1
    return np.resize(np.array(few, np.int64), -(-len(few) // size) * size)


def in_chunks(part: Interface, run: Run, rows: int) -> Run:
    """A function that runs `rows` rows at once, or the fixed batch, of any number: for memory."""
    size = batch_of(part) or rows

    def run_all(inputs: Mapping[str, Array]) -> Arrays:
        found = [
            run(select_rows(part, inputs, slice(start, start + size)))
            for start in range(0, rows_in(part, inputs), size)
        ]
        return {key: np.concatenate([item[key] for item in found]) for key in found[0]}

    return run_all


def batch_sizes(part: Interface, rows: int, effort: Effort = FULL) -> tuple[int, ...]:
    """The batch sizes at which a part is compared on so many rows; the last takes all rows."""
    size = batch_of(part)
    if size is not None:
        return (size,)
    *smaller, largest = effort.batches
    return (*(batch for batch in smaller if batch < rows), min(rows, largest))


def batches(part: Interface, rows: int, effort: Effort) -> list[Array]:
    """The rows of each batch: the smaller batches from a share of the rows, the largest from all.

    Rows are shuffled in a fixed order, so that every batch mixes kinds. Rows that do not fill the
    last batch form a smaller one; a graph that is fixed to a batch size gets only that size.
    """
    order = np.random.default_rng(0).permutation(rows)
    size = batch_of(part)
    if size is not None:
        return [order[start : start + size] for start in range(0, rows - size + 1, size)]
    sizes = batch_sizes(part, rows, effort)
    shares = {batch: min(rows, 8 * batch) for batch in sizes}
    shares[sizes[-1]] = rows
    return [
        order[start : min(start + batch, end)]
        for batch, end in shares.items()
        for start in range(0, end, batch)
    ]
