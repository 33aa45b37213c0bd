"""How much generated images are like real ones, in the features of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import InputError

__all__ = ["Fidelity", "fidelity", "frechet_distance", "precision_recall"]

Array = npt.NDArray[Any]

_NEIGHBOURS = 3  # Kynkaanniemi et al. 2019, section 3


@dataclass(frozen=True)
class Fidelity:
    """Measures of n generated images beside real ones.

    Args:
        frechet_distance: see `frechet_distance`; 0 or more, the lower the better.
        precision: share of the generated images that are among the real ones, from 0 to 1.
        recall: share of the real images that are among the generated ones, from 0 to 1.
    """

    frechet_distance: float
    precision: float
    recall: float


def fidelity(real: Array, generated: Array) -> Fidelity:
    """Measure features of generated images, see `frechet_distance` and `precision_recall`.

    All three depend on the number of images and on the features, so that only values from the same
    classifier and the same numbers can be compared.
    """
    return Fidelity(frechet_distance(real, generated), *precision_recall(real, generated))


def frechet_distance(real: Array, generated: Array) -> float:
    """Squared Frechet distance between Gaussians with the means and covariances of features.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): Heusel et al. 2017, "GANs trained by a two
    time-scale update rule converge to a local Nash equilibrium", equation 6; the name FID is that
    of features of Inception, which these are not.

    Args:
        real: features [n, d], n 2 or more.
        generated: features [m, d], m 2 or more.

    Raises:
        InputError: the shapes do not fit.
    """
    _check(real, generated, 2)
    a, b = (np.asarray(value, np.float64) for value in (real, generated))
    first, second = (np.atleast_2d(np.cov(value, rowvar=False)) for value in (a, b))
    # tr (C1 C2)^(1/2) = tr (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric.
    variances, axes = np.linalg.eigh(first)
    root = (axes * np.sqrt(variances.clip(0))) @ axes.T
    crossed = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    means = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, means + np.trace(first) + np.trace(second) - 2 * crossed))


def precision_recall(real: Array, generated: Array) -> tuple[float, float]:
    """Share of each that lies within the other's manifold.

    A point is within the manifold of a set if it is no farther from one of its points than that
    point's third neighbour in the set: Kynkaanniemi et al. 2019, "Improved precision and recall
    metric for assessing generative models", equations 1 and 2.

    Args:
        real: features [n, d], n 4 or more.
        generated: features [m, d], m 4 or more.

    Returns:
        Precision, that of generated points among real ones; recall, that of real points among
        generated ones.

    Raises:
        InputError: the shapes do not fit.
    """
    _check(real, generated, _NEIGHBOURS + 1)
    return _within(generated, real), _within(real, generated)


def _within(points: Array, manifold: Array) -> float:
    """Share of the points [m, d] that are within the manifold of points [n, d]."""
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    # The nearest is the point itself, at distance 0.
    model = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1, algorithm="brute").fit(manifold)
    radii = model.kneighbors(manifold)[0][:, -1]
    inside = [(part <= radii).any(1) for part in pairwise_distances_chunked(points, manifold)]
    return float(np.concatenate(inside).mean())


def _check(real: Array, generated: Array, least: int) -> None:
    shapes = real.shape, generated.shape
    if any(len(s) != 2 or s[0] < least for s in shapes) or shapes[0][1] != shapes[1][1]:
        raise InputError(
            f"expected features [n, d] and [m, d] of {least} images or more each, got "
            f"{list(real.shape)} and {list(generated.shape)}"
        )
