"""Losses and metrics. Reconstruction terms are sums over pixels or means, as each docstring says.

x, reconstruction, logits: [N, C, H, W]; images and reconstructions in [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor

__all__ = ["bernoulli", "kl_divergence", "mse", "psnr", "squared_error"]


def mse(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Mean squared error over pixels and images: a scalar."""
    return F.mse_loss(reconstruction, x)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error of features [N, width], summed over them, mean over images: a scalar."""
    return (output - target).square().sum(1).mean()


def psnr(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Mean over images of the peak signal-to-noise ratio in dB, peak 1: a scalar."""
    per_image = (reconstruction - x).square().flatten(1).mean(1)
    return (-10 * torch.log10(per_image.clamp_min(1e-10))).mean()


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) in nats, pixels as Bernoulli means: summed over pixels, mean over images.

    Kingma & Welling 2014, appendix C.1. From logits, because a sigmoid first loses digits.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)) in nats, mean over images: a scalar.

    Kingma & Welling 2014, appendix B: -1/2 sum(1 + logvar - mu^2 - exp(logvar)).

    Args:
        mu, logvar: [N, latent_size].
    """
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1).mean()
