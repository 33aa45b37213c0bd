"""Fit a prior to the latents of a model: a Gaussian, or a mixture of Gaussians."""

from __future__ import annotations

import numpy as np

from aeonnx.errors import UsageError
from aeonnx.exporting.verify.reference import Arrays
from aeonnx.models import Part
from aeonnx.runtime.prior import Distribution, Gaussian, Mixture
from aeonnx.runtime.session import Array

__all__ = ["fit", "fit_mixture", "with_temperature"]

_COMPONENTS = (1, 2, 3, 5, 8, 12, 20, 30, 50)
_ROWS = 4  # latents per component, at least
_LEAST = 1e-3  # share of the mean variance that each direction of a component has at least
_LARGEST = 1 << 22  # numbers of all factors: with more, components have no correlations
_HELD_OUT = 5  # every fifth latent chooses the number of components


def fit(encoder: Part, outputs: Arrays, *, diagonal: bool) -> Gaussian:
    """Gaussian with the mean and covariance of the aggregated posterior.

    The aggregated posterior q(z) is the mean over images of q(z|x). Its covariance is that of the
    latent means, plus the mean variance if the encoder outputs `logvar` (law of total variance).

    Args:
        encoder: its first output is the latent, or the mean of it.
        outputs: the encoder's outputs for n training images, by name. The first is [n, latent] or
            [n, channels, ...], whose places count as rows; `logvar` has the same shape, or is
            [n, 1] for a variance shared by all dimensions.
        diagonal: ignore correlations.

    Raises:
        UsageError: `logvar` has another shape.
    """
    means, variance = _moments(encoder, outputs)
    covariance = np.atleast_2d(np.cov(means.T, bias=True)) + np.diag(variance)
    if diagonal:
        return Gaussian(means.mean(0), np.sqrt(np.diag(covariance)))
    # Not Cholesky: the covariance is singular with fewer images than latent dimensions, or if one
    # of these is constant.
    variances, axes = np.linalg.eigh(covariance)
    return Gaussian(means.mean(0), axes * np.sqrt(np.maximum(variances, 0.0)))


def fit_mixture(encoder: Part, outputs: Arrays) -> Mixture:
    """Mixture of Gaussians with the highest likelihood, by expectation maximisation.

    The number of components, up to 50, and whether they have correlations are those with the
    highest likelihood of every fifth latent after a fit to the others. If the encoder outputs
    `logvar`, its mean variance is added to each component.

    Args:
        encoder, outputs: see `fit`.

    Raises:
        UsageError: see `fit`; or the latent is no vector, or there are fewer than ten.
    """
    from sklearn.mixture import GaussianMixture

    first = outputs[encoder.outputs[0].name]
    if first.ndim != 2:
        raise UsageError(
            f"--prior mixture: expected latents that are vectors, got {list(first.shape[1:])} per "
            "image: give --prior fitted"
        )
    if len(first) < 2 * _HELD_OUT:
        raise UsageError(
            f"--prior mixture: expected {2 * _HELD_OUT} images or more to fit it to, got "
            f"{len(first)}: give more with --calibration, or --prior fitted"
        )
    means, variance = _moments(encoder, outputs)
    distinct = len(np.unique(means, axis=0))
    if distinct == 1:
        return Mixture(np.ones(1), means[:1], np.sqrt(variance)[None])
    least = _LEAST * float(means.var(0).mean())

    def fitted(rows: Array, count: int, kind: str) -> GaussianMixture:
        return GaussianMixture(
            count, covariance_type=kind, reg_covar=least, random_state=0, max_iter=300
        ).fit(rows)

    held_out = np.arange(len(means)) % _HELD_OUT == 0
    train, test = means[~held_out], means[held_out]
    most = max(1, min(len(train) // _ROWS, distinct // 2))
    counts = [count for count in _COMPONENTS if count <= most]
    choices = [
        (count, kind)
        for count in counts
        for kind in ("full", "diag")
        if kind == "diag" or count * means.shape[1] ** 2 <= _LARGEST
    ]
    best = max(choices, key=lambda choice: fitted(train, *choice).score(test))
    found = fitted(means, *best)
    weights = found.weights_ / found.weights_.sum()
    if best[1] == "diag":
        return Mixture(weights, found.means_, np.sqrt(found.covariances_ + variance))
    variances, axes = np.linalg.eigh(found.covariances_ + np.diag(variance))
    factor = axes * np.sqrt(np.maximum(variances, 0.0))[:, None, :]
    return Mixture(weights, found.means_, factor)


def _moments(encoder: Part, outputs: Arrays) -> tuple[Array, Array]:
    """Means of q(z|x), float64 [rows, channels], and their mean variance [channels]."""
    first = outputs[encoder.outputs[0].name]
    means = _by_channel(first)
    if "logvar" not in outputs:
        return means, np.zeros(means.shape[1])
    logvar = outputs["logvar"]
    logvar = _by_channel(logvar) if logvar.shape == first.shape else logvar.astype(np.float64)
    if logvar.shape not in (means.shape, (len(means), 1)):
        got = ", ".join(map(str, ("batch", *logvar.shape[1:])))
        raise UsageError(
            f"--prior fitted: expected logvar [batch, {means.shape[1]}], as the latent, or "
            f"[batch, 1], got [{got}]: rename this output, or leave --prior out"
        )
    # Broadcast: np.diag of one element is 1 x 1, and would be added to the whole matrix.
    return means, np.broadcast_to(np.exp(logvar).mean(0), means.shape[1:])


def _by_channel(latents: Array) -> Array:
    """[n, channels, ...] -> float64 [n * places, channels]."""
    wide = latents.reshape(*latents.shape[:2], -1).astype(np.float64)
    found: Array = wide.transpose(0, 2, 1).reshape(-1, latents.shape[1])
    return found


def with_temperature(prior: Distribution, temperature: float, size: int) -> Distribution:
    """The prior with its standard deviation, that of each component, multiplied by `temperature`.

    Args:
        prior: the distribution.
        temperature: above 0.
        size: of the latent.
    """
    if temperature == 1.0:
        return prior
    if isinstance(prior, Mixture):
        return Mixture(prior.weights, prior.mean, prior.factor * temperature)
    factor: Array = np.ones(size) if prior.factor is None else prior.factor
    return Gaussian(prior.mean, factor * temperature)
