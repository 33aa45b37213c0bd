"""The discrete cosine transform as a matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["cosines"]


def cosines(size: int) -> npt.NDArray[np.float64]:
    """The orthonormal transform of `size` numbers (DCT-II), float64 [size, size].

    Row 0 gives their mean times the square root of `size`; the inverse is the transpose.
    """
    places = np.arange(size)
    waves: npt.NDArray[np.float64] = np.cos(np.pi / size * (places + 0.5) * places[:, None])
    waves[0] /= np.sqrt(2)
    waves *= np.sqrt(2 / size)
    return waves
