"""Which images are for testing, where the data itself does not say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["SPLIT", "Places", "split"]

Places = npt.NDArray[np.int64]

SPLIT = "one in ten of a fixed permutation"
_SEED = 20_170_225  # any constant: the split is the data's, not the run's


def split(n: int) -> tuple[Places, Places]:
    """Places of the images for training and for testing, each sorted.

    Args:
        n: how many images there are, 2 or more.
    """
    # numpy promises the same numbers in every version for RandomState alone.
    order = np.random.RandomState(_SEED).permutation(n).astype(np.int64)
    tests = max(1, n // 10)
    return np.sort(order[tests:]), np.sort(order[:tests])
