"""Latents drawn from the prior, each a function of (seed, index) alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aeonnx.errors import InputError

__all__ = ["standard_normal"]

_WORDS = 4  # 64-bit words that one counter value of numpy's Philox4x64-10 gives


def standard_normal(seed: int, first: int, n: int, size: int) -> npt.NDArray[np.float32]:
    """Rows `first` to `first + n` of the endless table of N(0, 1) that `seed` stands for.

    Row i uses the counter values [i * blocks, (i + 1) * blocks) of the counter-based generator
    Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with key
    `seed`, so that it does not depend on how rows are split into batches. Pairs of its words become
    pairs of normals by the Box-Muller transform, in float64.

    Args:
        seed: 0 to 2**64 - 1.
        first: index of the first row, 0 or more.
        n: number of rows, 1 or more.
        size: numbers per row.

    Returns:
        float32 [n, size].

    Raises:
        InputError: an argument is outside its range.
    """
    if not 0 <= seed < 2**64:
        raise InputError(f"seed: expected 0 to 2**64 - 1, got {seed}")
    if first < 0:
        raise InputError(f"first: expected an index of 0 or more, got {first}")
    if n < 1:
        raise InputError(f"n: expected at least 1 sample, got {n}")
    blocks = -(-size // _WORDS)
    words = np.random.Philox(key=seed, counter=first * blocks).random_raw(n * blocks * _WORDS)
    # 53 bits each; the first of a pair in (0, 1], since its logarithm is taken.
    uniform = ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(-1, 2)
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform[:, 0]))
    angle = 2.0 * np.pi * uniform[:, 1]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return normal.reshape(n, blocks * _WORDS)[:, :size].astype(np.float32)
