"""Fit a Gaussian prior to the latents of a model that was trained without a prior."""

from __future__ import annotations

import numpy as np

from aeonnx.errors import UsageError
from aeonnx.exporting.verify.reference import Arrays
from aeonnx.models import Part
from aeonnx.runtime.prior import Gaussian
from aeonnx.runtime.session import Array

__all__ = ["fit", "with_temperature"]


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
    first = outputs[encoder.outputs[0].name]
    means = _by_channel(first)
    covariance = np.atleast_2d(np.cov(means.T, bias=True))
    if "logvar" in outputs:
        logvar = outputs["logvar"]
        logvar = _by_channel(logvar) if logvar.shape == first.shape else logvar.astype(np.float64)
        if logvar.shape not in (means.shape, (len(means), 1)):
            got = ", ".join(map(str, ("batch", *logvar.shape[1:])))
            raise UsageError(
                f"--prior fitted: expected logvar [batch, {means.shape[1]}], as the latent, or "
                f"[batch, 1], got [{got}]: rename this output, or leave --prior out"
            )
        # Broadcast first: np.diag of one element is 1 x 1, and would be added to the whole matrix.
        covariance += np.diag(np.broadcast_to(np.exp(logvar).mean(0), means.shape[1:]))
    if diagonal:
        return Gaussian(means.mean(0), np.sqrt(np.diag(covariance)))
    # Not Cholesky: the covariance is singular with fewer images than latent dimensions, or if one
    # of these is constant.
    variances, axes = np.linalg.eigh(covariance)
    return Gaussian(means.mean(0), axes * np.sqrt(np.maximum(variances, 0.0)))


def _by_channel(latents: Array) -> Array:
    """[n, channels, ...] -> float64 [n * places, channels]."""
    wide = latents.reshape(*latents.shape[:2], -1).astype(np.float64)
    found: Array = wide.transpose(0, 2, 1).reshape(-1, latents.shape[1])
    return found


def with_temperature(prior: Gaussian, temperature: float, size: int) -> Gaussian:
    """The prior with its standard deviation multiplied by `temperature`.

    Args:
        prior: the distribution.
        temperature: above 0.
        size: of the latent.
    """
    if temperature == 1.0:
        return prior
    factor: Array = np.ones(size) if prior.factor is None else prior.factor
    return Gaussian(prior.mean, factor * temperature)
