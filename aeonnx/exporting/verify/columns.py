"""Differences of each column of an output, whose columns have units and sizes of their own.

The tolerance of a whole output is that of its largest values: a pressure in Pa would hide any error
of a vibration in g. So each column of an output with names has its own noise floor and tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.exporting.verify.tolerance import ErrorStats, Limit
from aeonnx.runtime.session import Array

__all__ = ["ILL_CONDITIONED", "ColumnDifferences"]

ILL_CONDITIONED = "ill-conditioned"
"""The kind of inputs whose float32 noise floor exceeds `LARGEST_FLOOR`, or changes a code."""

_ENOUGH = 16  # rows whose largest error tells the noise floor of one number


class ColumnDifferences:
    """The differences of one output, by row and column.

    Args:
        spec: the output, with a name for each place of its second axis.
        double: its values in float64 torch, [rows, columns, ...].
    """

    def __init__(self, spec: TensorSpec, double: Array) -> None:
        self.spec, self._double = spec, double
        self._floor, self._error, self._absolute = np.zeros((3, *double.shape[:2]))

    def add_floor(self, places: Array, value: Array) -> None:
        """Raise the floor of some rows by a float32 output, or by a simulated one."""
        lost = _largest(value - self._double[places])
        self._floor[places] = np.maximum(self._floor[places], lost)

    def add(self, places: Array, graph: Array, single: Array) -> None:
        """Add the outputs of the graph and of float32 torch for some rows."""
        for kept, other in ((self._error, self._double[places]), (self._absolute, single)):
            far = _largest(graph.astype(np.float64) - other)
            kept[places] = np.maximum(kept[places], far)

    def failures(self, name: str, kinds: Sequence[str], limit: Limit) -> list[str]:
        """A line for the worst column of each kind of inputs, if it is off by too much.

        Args:
            name: of the part.
            kinds: the kind of each row.
            limit: the tolerance, from the differences of a column.
        """
        lines = []
        every = np.array(kinds)
        for kind in dict.fromkeys(kinds):
            chosen = every == kind
            # A few numbers may all be exact by chance, and have no floor.
            noisy = chosen if chosen.sum() >= _ENOUGH else every != ILL_CONDITIONED
            found = [self._off(chosen, chosen | noisy, i, limit) for i in range(self._columns)]
            worst = max(range(self._columns), key=lambda i: found[i][0])
            share, stats, most = found[worst]
            if share > 1:
                lines.append(
                    f"{name}.{self.spec.name}: column {self.spec.names[worst]}: on {kind} inputs "
                    f"off by up to {max(stats.error, stats.absolute):.3g}, tolerance {most:.3g} "
                    f"(noise floor {stats.floor:.3g})"
                )
        return lines

    @property
    def _columns(self) -> int:
        return len(self.spec.names)

    def _off(
        self, chosen: Array, noisy: Array, column: int, limit: Limit
    ) -> tuple[float, ErrorStats, float]:
        """The difference of a column in tolerances, its statistics, and the tolerance.

        Args:
            chosen: whether a row is judged.
            noisy: whether its floor counts.
            column: index of the column.
            limit: see `failures`.
        """
        error, absolute = (
            float(part[chosen, column].max(initial=0.0)) for part in (self._error, self._absolute)
        )
        floor = float(self._floor[noisy, column].max(initial=0.0))
        largest = np.float32(np.abs(self._double[chosen, column]).max(initial=0.0))
        stats = ErrorStats(absolute, 0.0, error, floor, float(np.spacing(largest)))
        most = limit(self.spec, stats)
        return max(error, absolute) / most, stats, most


def _largest(differences: Array) -> Array:
    """The largest of each row and column, [rows, columns]."""
    found: Array = np.abs(differences).reshape(*differences.shape[:2], -1).max(2)
    return found
