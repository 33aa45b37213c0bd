"""Inputs for the comparison of graph and torch, chosen so that a difference must show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aeonnx.manifest import TensorSpec
from aeonnx.runtime.session import Array

__all__ = ["Probes", "probes"]

_RANDOM_ROWS = 48
_SIGMAS = 6.0
_EDGE_FEATURES = 4


@dataclass(frozen=True)
class Probes:
    """Rows for one input.

    Args:
        rows: everything, shuffled by a fixed permutation so that any batch is a mixture.
        random: the random rows alone, none of whose values is exactly 0.
        golden: a few of each kind, the real ones first.
    """

    rows: Array
    random: Array
    golden: Array


def probes(spec: TensorSpec, real: Array | None) -> Probes:
    """Real data, asymmetric random data, and edge values for a float32 input.

    Args:
        spec: of the input; its range bounds the values.
        real: float32 rows as they occur in use: test images or their latents; None if there are
            none.
    """
    rng = np.random.default_rng([0, *(ord(letter) for letter in spec.name)])
    shape = tuple(int(size) for size in spec.shape[1:])
    random = _random(rng, spec, real, (_RANDOM_ROWS, *shape))
    edges = _edges(spec, real, shape)
    kinds = [random, edges] if real is None else [real, random, edges]
    rows = np.concatenate(kinds).astype(np.float32)
    golden = np.concatenate([kind[:8] for kind in kinds]).astype(np.float32)
    return Probes(rows[rng.permutation(len(rows))], random.astype(np.float32), golden)


def _random(
    rng: np.random.Generator, spec: TensorSpec, real: Array | None, shape: tuple[int, ...]
) -> Array:
    """Skewed, so that a swapped axis, a dropped activation or a lost sign cannot go unseen."""
    if spec.range:
        low, high = spec.range
        return low + (high - low) * rng.beta(0.6, 1.4, shape)
    mean, deviation = _moments(real)
    return mean + deviation * (rng.gamma(4.0, 0.5, shape) - 2.0)


def _edges(spec: TensorSpec, real: Array | None, shape: tuple[int, ...]) -> Array:
    """0, 1 and a ramp; for unbounded inputs also single features at +-6 standard deviations."""
    ramp = np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape)
    if spec.range:
        low, high = spec.range
        constants = [np.full(shape, value) for value in (low, high)]
        return np.stack([*constants, low + (high - low) * (ramp + 1) / 2])
    mean, deviation = (np.broadcast_to(moment, shape) for moment in _moments(real))
    edges = [np.zeros(shape), np.ones(shape), mean + ramp * _SIGMAS * deviation]
    for feature in np.linspace(0, mean.size - 1, min(mean.size, _EDGE_FEATURES)).astype(int):
        for sign in (-1, 1):
            edge = mean.copy()
            edge.flat[feature] += sign * _SIGMAS * deviation.flat[feature]
            edges.append(edge)
    return np.stack(edges)


def _moments(real: Array | None) -> tuple[Array, Array]:
    """Mean and standard deviation per feature; 0 and 1 where nothing is known."""
    if real is None:
        return np.zeros(()), np.ones(())
    # At least 1: a prior N(0, 1) may be wider than what the encoder uses of it.
    return real.mean(0), np.maximum(real.std(0), 1.0)
