"""A prior for models whose training shaped none: the Gaussian nearest to their latents."""

from __future__ import annotations

import numpy as np

from aeonnx.errors import UsageError
from aeonnx.export.verify.reference import Arrays
from aeonnx.models import Part
from aeonnx.runtime.prior import Gaussian
from aeonnx.runtime.session import Array

__all__ = ["fit", "tempered"]


def fit(encoder: Part, outputs: Arrays, *, diagonal: bool) -> Gaussian:
    """Mean and covariance of the aggregated posterior, q(z) = the mean over images of q(z|x).

    Its covariance is that of the means, plus the mean of the variances where the encoder gives
    them as `logvar` (the law of total variance).

    Args:
        encoder: names of what it gives; the first is the latent, or its mean, [n, latent].
        outputs: what it gave for training images. `logvar` is [n, latent], or [n, 1] for one
            variance that all numbers of a latent share.
        diagonal: leave correlations out.

    Raises:
        UsageError: `logvar` has another shape.
    """
    means = outputs[encoder.outputs[0].name].astype(np.float64)
    covariance = np.atleast_2d(np.cov(means.T, bias=True))
    if "logvar" in outputs:
        logvar = outputs["logvar"].astype(np.float64)
        if logvar.shape not in (means.shape, (len(means), 1)):
            got = ", ".join(map(str, ("batch", *logvar.shape[1:])))
            raise UsageError(
                f"--prior fitted: expected logvar [batch, {means.shape[1]}], as the latent, or "
                f"[batch, 1], got [{got}]: give it under another name, or leave --prior out"
            )
        # Broadcast first: the diagonal of one number, added to a matrix, would fill all of it.
        covariance += np.diag(np.broadcast_to(np.exp(logvar).mean(0), means.shape[1:]))
    if diagonal:
        return Gaussian(means.mean(0), np.sqrt(np.diag(covariance)))
    # Not Cholesky's factor: fewer images than latents, or a dead one, make some variances 0.
    variances, axes = np.linalg.eigh(covariance)
    return Gaussian(means.mean(0), axes * np.sqrt(np.maximum(variances, 0.0)))


def tempered(prior: Gaussian, temperature: float, size: int) -> Gaussian:
    """The same with its deviation multiplied by `temperature`."""
    if temperature == 1.0:
        return prior
    factor: Array = np.ones(size) if prior.factor is None else prior.factor
    return Gaussian(prior.mean, factor * temperature)
