"""Draws latents from a prior, each a function of (seed, index) alone.

The numbers are stable: sample i of a seed is the same in every release, in Python and in the graph
that `aeonnx.exporting.passes.sampler` writes. Row i uses block b of Philox4x32-10 (Salmon et
al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with key = seed and counter = (i, b), low
words first. Pairs of the four words become pairs of normals by the Box-Muller transform, in
float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from aeonnx.errors import InputError
from aeonnx.runtime.settings import whole

__all__ = [
    "MULTIPLIERS",
    "ROUNDS",
    "WEYL",
    "WORDS",
    "Gaussian",
    "check_range",
    "draw",
    "of_normal",
    "philox",
    "standard_normal",
    "truncated",
]

ROUNDS = 10
WORDS = 4  # 32-bit words per counter value
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The Gaussian N(mean, factor factor^T).

    Args:
        mean: float64 [channels]; None for 0.
        factor: float64 [channels, channels], or its diagonal [channels]; None for the identity.

    It is the distribution of a latent [channels], or of each place of a latent [channels, ...].
    """

    mean: npt.NDArray[np.float64] | None = None
    factor: npt.NDArray[np.float64] | None = None


def draw(
    prior: Gaussian, seed: int, first: int, n: int, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Draw samples `first` to `first + n - 1` of the sequence that `seed` defines.

    Args:
        prior: the distribution.
        seed: 0 to 2**63 - 1.
        first: index of the first sample, 0 or more.
        n: number of samples, 1 or more.
        shape: of a latent, [channels] or [channels, ...].

    Returns:
        float32 [n, *shape].

    Raises:
        InputError: an argument is outside its range.
    """
    check_range(seed, first, n)
    return transformed(prior, seed, first + np.arange(n), shape).astype(np.float32)


def check_range(seed: int, first: int, n: int) -> None:
    """Check seed and sample indices.

    Raises:
        InputError: an argument is not a whole number, `seed` or `first` is outside 0 to 2**63 - 1,
            or `n` under 1.
    """
    seed, first, n = whole("seed", seed), whole("first", first), whole("n", n)
    if not 0 <= seed < 2**63:
        raise InputError(f"seed: expected 0 to 2**63 - 1, got {seed}")
    if n < 1:
        raise InputError(f"n: expected at least 1 sample, got {n}")
    if not 0 <= first <= 2**63 - n:
        raise InputError(f"first: expected an index of 0 to 2**63 - n, got {first}")


def transformed(
    prior: Gaussian, seed: int, index: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Samples of the prior: float64 [n, *shape] for int64 [n] indices of 0 or more."""
    return of_normal(prior, standard_normal(seed, index.astype(np.uint64), math.prod(shape)), shape)


def of_normal(
    prior: Gaussian, z: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Samples of the prior, float64 [n, *shape], from those of N(0, I), [n, product of shape]."""
    if prior.factor is None and prior.mean is None:
        return z.reshape(len(z), *shape)
    channels = shape[0]
    places = z.reshape(len(z), channels, -1).transpose(0, 2, 1).reshape(-1, channels)
    if prior.factor is not None:
        places = places @ prior.factor.T if prior.factor.ndim == 2 else places * prior.factor
    if prior.mean is not None:
        places = places + prior.mean
    return places.reshape(len(z), -1, channels).transpose(0, 2, 1).reshape(len(z), *shape)


def truncated(z: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.float64]:
    """Samples of N(0, 1) -> samples of the same cut off at -limit and limit, in the same order.

    Each keeps its share of the distribution, so that no number is drawn again, as the truncation
    of Brock et al. 2019, "Large scale GAN training", section 3.1, does it.
    """
    normal = NormalDist()
    low = normal.cdf(-limit)
    cdf = np.array([normal.cdf(value) for value in z.ravel().tolist()])
    shares = np.clip(low + cdf * (1 - 2 * low), 1e-300, 1 - 1e-16)
    found = np.array([normal.inv_cdf(share) for share in shares.tolist()]).reshape(z.shape)
    inside: npt.NDArray[np.float64] = np.clip(found, -limit, limit)
    return inside


def standard_normal(seed: int, index: Words, size: int) -> npt.NDArray[np.float64]:
    """Samples of N(0, I): float64 [n, size] for uint64 [n] indices."""
    blocks = np.arange(-(-size // WORDS), dtype=np.uint64)
    i = index[:, None]
    words = philox((i & _LOW, i >> _32, blocks & _LOW, blocks >> _32), seed)
    # In (0, 1): the logarithm of the first of each pair must be finite.
    uniform = [(word.astype(np.float64) + 0.5) * 2.0**-32 for word in words]
    normal = []
    for first, second in (uniform[:2], uniform[2:]):
        radius = np.sqrt(-2.0 * np.log(first))
        # cos(x) computed as sin(x + pi/2), as in the graph.
        normal += [radius * np.sin(2.0 * np.pi * turn) for turn in (second + 0.25, second)]
    return np.stack(normal, axis=2).reshape(len(index), -1)[:, :size]


def philox(counter: tuple[Words, Words, Words, Words], key: int) -> list[Words]:
    """Philox4x32-10: four 32-bit words for each counter of four, all held as uint64.

    Args:
        counter: four arrays of words below 2**32 that broadcast.
        key: 64 bits.
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*counter)
    keys = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    for _ in range(ROUNDS):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1 = (p1 >> _32) ^ c1 ^ keys[0], p1 & _LOW
        c2, c3 = (p0 >> _32) ^ c3 ^ keys[1], p0 & _LOW
        keys = [(word + np.uint64(step)) & _LOW for word, step in zip(keys, WEYL, strict=True)]
    return [c0, c1, c2, c3]
