"""Draws latents from a prior, each a function of (seed, index) alone.

The numbers are stable: sample i of a seed is the same in every release, in Python and in the graph
that `aeonnx.exporting.passes.sampler` writes. Row i uses block b of Philox4x32-10 (Salmon et
al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with key = seed and counter = (i, b), low
words first. Pairs of the four words become pairs of normals by the Box-Muller transform, in
float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import GoldenTensor, Prior
from aeonnx.errors import BundleError, InputError
from aeonnx.runtime.settings import whole

__all__ = [
    "MULTIPLIERS",
    "ROUNDS",
    "WEYL",
    "WORDS",
    "Distribution",
    "Gaussian",
    "Mixture",
    "check_range",
    "draw",
    "of_normal",
    "philox",
    "shares_of",
    "standard_normal",
    "stored_prior",
    "truncated",
]

ROUNDS = 10
WORDS = 4  # 32-bit words per counter value
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDING = 1e-6  # of the sum of weights
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


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians over latents that are vectors, [channels].

    Args:
        weights: float64 [k], above 0, with sum 1.
        mean: float64 [k, channels].
        factor: float64 [k, channels, channels]; component j is N(mean_j, factor_j factor_j^T). Or
            the diagonals of all, [k, channels].
    """

    weights: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    factor: npt.NDArray[np.float64]

    @property
    def upper(self) -> npt.NDArray[np.float64]:
        """Sums of the weights up to each component, [k]; the last is above any uniform number."""
        sums: npt.NDArray[np.float64] = np.cumsum(self.weights)
        sums[-1] = 2.0
        return sums


Distribution = Gaussian | Mixture


def stored_prior(prior: Prior, read: Callable[[GoldenTensor], Any]) -> Distribution:
    """The distribution that a manifest describes.

    Args:
        prior: of the manifest.
        read: returns a stored array.

    Raises:
        BundleError: a number is not finite, or the weights of a mixture are no shares.
    """
    stored = {"mean": prior.mean, "factor": prior.factor, "weights": prior.weights}
    found = {name: read(tensor) for name, tensor in stored.items() if tensor}
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise BundleError(f"prior.{name}: expected finite numbers: export the bundle again")
    weights = found.get("weights")
    if weights is None:
        return Gaussian(found.get("mean"), found.get("factor"))
    if (weights < 0).any() or abs(weights.sum() - 1) > _ROUNDING:
        raise BundleError(
            f"prior.weights: expected shares with sum 1, got {weights.tolist()[:6]}: export the "
            "bundle again"
        )
    return Mixture(weights, found["mean"], found["factor"])


def draw(
    prior: Distribution, seed: int, first: int, n: int, shape: tuple[int, ...]
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
    prior: Distribution, seed: int, index: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Samples of the prior: float64 [n, *shape] for int64 [n] indices of 0 or more."""
    places, size = index.astype(np.uint64), math.prod(shape)
    shares = shares_of(prior, seed, places, size)
    return of_normal(prior, standard_normal(seed, places, size), shape, shares)


def shares_of(
    prior: Distribution, seed: int, index: Words, size: int
) -> npt.NDArray[np.float64] | None:
    """The component of a mixture that each sample is of: float64 [n, k], 1 for it and 0 elsewhere.

    It is drawn by the first word of the block after those of the normals. None for a Gaussian.
    """
    if isinstance(prior, Gaussian):
        return None
    block = np.full_like(index, -(-size // WORDS))
    words = philox((index & _LOW, index >> _32, block, np.zeros_like(index)), seed)
    component = (_uniform(words[0])[:, None] >= prior.upper).sum(1)
    shares: npt.NDArray[np.float64] = np.eye(len(prior.weights))[component]
    return shares


def of_normal(
    prior: Distribution,
    z: npt.NDArray[np.float64],
    shape: tuple[int, ...],
    shares: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Samples of the prior, float64 [n, *shape], from those of N(0, I), [n, product of shape].

    Args:
        prior: the distribution.
        z: samples of N(0, I).
        shape: of a latent.
        shares: of a mixture, see `shares_of`.
    """
    if isinstance(prior, Mixture):
        found = np.empty_like(z)
        assert shares is not None  # noqa: S101  # the caller has them for a mixture
        for component, (mean, factor) in enumerate(zip(prior.mean, prior.factor, strict=True)):
            rows = shares[:, component] > 0
            found[rows] = (z[rows] @ factor.T if factor.ndim == 2 else z[rows] * factor) + mean
        return found.reshape(len(z), *shape)
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
    uniform = [_uniform(word) for word in words]
    normal = []
    for first, second in (uniform[:2], uniform[2:]):
        radius = np.sqrt(-2.0 * np.log(first))
        # cos(x) computed as sin(x + pi/2), as in the graph.
        normal += [radius * np.sin(2.0 * np.pi * turn) for turn in (second + 0.25, second)]
    return np.stack(normal, axis=2).reshape(len(index), -1)[:, :size]


def _uniform(word: Words) -> npt.NDArray[np.float64]:
    """In (0, 1): the logarithm of the first of each pair must be finite."""
    found: npt.NDArray[np.float64] = (word.astype(np.float64) + 0.5) * 2.0**-32
    return found


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
