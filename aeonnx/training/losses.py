"""Losses and metrics, each a scalar; docstrings say what is summed and what is averaged.

x, reconstruction, logits: [N, C, H, W]; x and reconstruction are in [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor

__all__ = ["bernoulli", "kl_divergence", "mse", "negative_psnr", "psnr", "squared_error"]

_ROUNDING = 1 / 255**2 / 12  # mean squared error of rounding to 8 bits


def mse(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Mean squared error: mean over images, channels and pixels."""
    return F.mse_loss(reconstruction, x)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error of features [N, width]: sum over features, mean over images.

    Vincent et al. 2010, "Stacked denoising autoencoders": up to constants, the negative
    log-likelihood of a Gaussian with fixed variance.
    """
    return (output - target).square().sum(1).mean()


def psnr(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB for a peak of 1: mean over images of -10 log10(MSE).

    The MSE is that of each image, at least 1e-10, so that the PSNR is at most 100 dB.
    """
    per_image = (reconstruction - x).square().flatten(1).mean(1)
    return (-10 * torch.log10(per_image.clamp_min(1e-10))).mean()


def negative_psnr(reconstruction: Tensor, x: Tensor) -> Tensor:
    """10 log10(MSE) in dB: mean over images, to be minimised.

    Chen et al. 2021, "HINet: Half instance normalization network for image restoration". The
    gradient of an image does not grow with its error, so that images with little noise count as
    much as those with a lot. To each MSE the error of rounding to 8 bits is added: an image that is
    restored better than that hardly counts, and a perfect one has a finite logarithm.
    """
    per_image = (reconstruction - x).square().flatten(1).mean(1)
    return 10 * torch.log10(per_image + _ROUNDING).mean()


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) in nats for Bernoulli pixels: sum over channels and pixels, mean over images.

    Kingma & Welling 2014, appendix C.1. Computed from logits, because the logarithm of a sigmoid
    loses precision.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) in nats: sum over latent dimensions, mean over images.

    Kingma & Welling 2014, appendix B: -1/2 sum(1 + logvar - mu^2 - exp(logvar)).

    Args:
        mu, logvar: mean and log variance of q(z|x), [N, latent_size].
    """
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1).mean()
