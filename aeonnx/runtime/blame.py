"""Which column makes a row of a table, or a window of a time series, odd."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aeonnx.runtime.session import Array

__all__ = ["column_without_which"]


def column_without_which(
    rows: Array, usual: Array, score: Callable[[Array], Array]
) -> npt.NDArray[np.intp]:
    """The column of each row without which the row is least odd, [n].

    Where columns depend on one another, the error of a wrong value spreads over those that follow
    from it, and is often larger in them. Where the network overflows whichever column is left out,
    it is the column with the largest value.

    Args:
        rows: float32 [n, D] or [n, D, W], NaN where a value is missing.
        usual: what stands for each column when it is left out, [D]; NaN if it may be missing.
        score: of such rows, [n]; infinite where the network overflows.
    """
    without = []
    for column in range(rows.shape[1]):
        rest = rows.copy()
        rest[:, column] = usual[column]
        absent = np.isnan(rows[:, column]).reshape(len(rows), -1).all(1)
        without.append(np.where(absent, np.inf, score(rest)))
    largest = np.abs(np.nan_to_num(rows)).reshape(*rows.shape[:2], -1).max(2).argmax(1)
    found: npt.NDArray[np.intp] = np.where(
        np.isfinite(np.min(without, 0)), np.argmin(without, 0), largest
    )
    return found
