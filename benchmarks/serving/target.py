"""What all servers run: a part of a bundle, rows to ask for, and the answers of the library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import aeonnx
from aeonnx.bundle import BATCH

__all__ = ["Array", "Target", "target_of"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Target:
    """A part with one input, and its golden rows.

    Args:
        bundle: its folder.
        part: name of the part.
        graph: file of its fp32 graph.
        input: name of the input.
        output: name of the first output.
        rows: float32, golden inputs.
        right: the library's first output for each row, flat.
        tolerance: of each row, as the bundle states it.
    """

    bundle: Path
    part: str
    graph: Path
    input: str
    output: str
    rows: Array
    right: Array
    tolerance: Array

    @property
    def model(self) -> str:
        """Name of the model in `aeonnx serve`."""
        return f"{self.bundle.name}.{self.part}"

    def batch(self, rows: int) -> Array:
        """So many rows, repeated in order."""
        return self.rows[np.arange(rows) % len(self.rows)]

    def require_right(self, who: str, first: int, found: Array) -> None:
        """Compare the answer for the rows from `first` on with the library's.

        Raises:
            SystemExit: it differs by more than the tolerance.
        """
        found = found.reshape(-1, self.right.shape[1])
        at = (first + np.arange(len(found))) % len(self.rows)
        off = np.abs(found - self.right[at]).max(axis=1)
        if not (off <= self.tolerance[at]).all():  # NaN is wrong as well
            raise SystemExit(
                f"{who}: differs by {off.max()} from the library, whose tolerance is "
                f"{self.tolerance[at].min()}"
            )


def target_of(bundle: Path, part: str) -> Target:
    """Open a part, and run it on its golden rows.

    Raises:
        SystemExit: it does not have one input, of float32 and rows of one size.
    """
    with aeonnx.load(bundle, ["cpu"], threads=1, precision="fp32") as opened:
        entry = opened.variant(part)
        given, *others = entry.inputs
        sized = given.shape[0] == BATCH and all(isinstance(size, int) for size in given.shape[1:])
        if others or given.dtype != "float32" or not sized:
            raise SystemExit(
                f"{bundle}: expected a {part} with one input, of float32 and rows of one size, "
                "since the servers beside it are written for that"
            )
        golden, output = entry.golden[0], entry.outputs[0].name
        rows = opened.read_golden(golden.inputs[given.name])
        right = opened.run(part, **{given.name: rows})[output]
        return Target(
            *(bundle.resolve(), part, opened.path(part).resolve(), given.name, output),
            rows=rows,
            right=right.reshape(len(rows), -1),
            tolerance=np.array(golden.outputs[output].tolerance),
        )
