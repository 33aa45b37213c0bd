"""The importance-weighted bound on the likelihood of images under a VAE.

Burda et al. 2016, "Importance weighted autoencoders", equation 8; with 5,000 samples, papers report
it as the test NLL (section 5).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aeonnx.models.vae import VariationalAutoencoder, reparameterize

__all__ = ["binarized", "importance_weighted_nll"]


def binarized(images: Tensor, seed: int) -> Tensor:
    """float32 [N, C, H, W] in [0, 1] -> 0 or 1, each pixel one draw from Bernoulli(x)."""
    generator = torch.Generator(images.device).manual_seed(seed)
    draw = torch.rand(images.shape, generator=generator, device=images.device)
    return (draw < images).to(images.dtype)


@torch.no_grad()
def importance_weighted_nll(
    model: VariationalAutoencoder,
    x: Tensor,
    samples: int = 5000,
    seed: int = 0,
    rows: int = 5000,
) -> Tensor:
    """An upper bound on -log p(x), in expectation, in nats: float32 [N].

    Args:
        model: in eval mode.
        x: binary images, float32 [N, C, H, W].
        samples: draws of z from q(z|x) for each image.
        seed: seed of the draws.
        rows: number of latents that are decoded together.
    """
    generator = torch.Generator(x.device).manual_seed(seed)
    at_once = max(1, rows // samples)
    parts = []
    for images in torch.split(x, at_once):
        mu, logvar = model.encoder(images)
        weights = [
            _log_weights(model, images, mu, logvar, count, generator)
            for count in _chunks(samples, rows // len(images))
        ]
        log_weights = torch.cat(weights)
        parts.append(math.log(samples) - torch.logsumexp(log_weights, 0))
    return torch.cat(parts)


def _chunks(total: int, largest: int) -> list[int]:
    whole, rest = divmod(total, min(total, largest))
    return [min(total, largest)] * whole + ([rest] if rest else [])


def _log_weights(
    model: VariationalAutoencoder,
    x: Tensor,
    mu: Tensor,
    logvar: Tensor,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x), [count, N]."""
    eps = torch.randn(count, *mu.shape, generator=generator, device=x.device)
    z = reparameterize(mu, logvar, eps)
    logits = model.decoder.logits(z.flatten(0, 1)).unflatten(0, (count, len(x))).flatten(2)
    pixels = x.flatten(1)
    # log Bernoulli(x | logits), summed: x * logits - softplus(logits).
    log_likelihood = logits.mul(pixels).sum(2) - torch.nn.functional.softplus(logits).sum(2)
    log_prior = -0.5 * z.square().sum(2)
    log_posterior = -0.5 * (eps.square() + logvar).sum(2)  # both without log(2 pi) / 2 per number
    return log_likelihood + log_prior - log_posterior
