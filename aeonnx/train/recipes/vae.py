"""`vae`: the negative evidence lower bound (ELBO), reconstruction loss + KL divergence, in nats.

Kingma & Welling 2014, equation 10 with one draw per image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aeonnx.models.vae import VariationalAutoencoder
from aeonnx.train import losses
from aeonnx.train.recipes._registry import Picture, Recipe, register

__all__: list[str] = []

_SAMPLES = 64


def _loss(model: VariationalAutoencoder, x: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
    logits, mu, logvar = model(x, noise)
    reconstruction_loss = losses.bernoulli(logits, x)
    kl_divergence = losses.kl_divergence(mu, logvar)
    return {
        "loss": reconstruction_loss + kl_divergence,
        "reconstruction_loss": reconstruction_loss,
        "kl_divergence": kl_divergence,
    }


def _metrics(model: VariationalAutoencoder, x: Tensor, noise: torch.Generator) -> dict[str, Tensor]:
    terms = _loss(model, x, noise)
    return {"negative_elbo": terms.pop("loss"), **terms}


def _picture(model: VariationalAutoencoder, x: Tensor, noise: torch.Generator) -> Picture:
    z = torch.randn(_SAMPLES, model.config.latent_size, generator=noise, device=x.device)
    return Picture("samples", model.decoder(z), columns=8)


@register("vae")
def recipe() -> Recipe:
    """The recipe; it takes no options."""
    return Recipe(_loss, _metrics, _picture)
