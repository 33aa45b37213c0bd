"""`vae`: the negative evidence lower bound (ELBO), reconstruction loss + KL divergence, in nats.

Kingma & Welling 2014, "Auto-encoding variational Bayes", equation 10 with one draw per image;
beta of Higgins et al. 2017, "beta-VAE", equation 4; KL warm-up of Sonderby et al. 2016, "Ladder
variational autoencoders", section 2.3. docs/training.md states the bound in full.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from aeonnx.catalog.ranges import Share, Weight
from aeonnx.models import ModelConfig
from aeonnx.models.vae import VariationalAutoencoder
from aeonnx.training import losses
from aeonnx.training.random import Noise
from aeonnx.training.recipes._registry import Batch, Picture, Recipe, Shape, Stage, register

__all__: list[str] = []

_COLUMNS, _ROWS = 8, 20  # of the picture of samples


class _Bound(NamedTuple):
    reconstruction_loss: Tensor
    kl_divergence: Tensor


@register("vae")
def recipe(
    config: ModelConfig,
    *,
    beta: Weight = 1.0,
    kl_warmup: Share = 0.0,
    pixels: Literal["intensities", "binary"] = "intensities",
) -> Recipe:
    """Make the recipe.

    Args:
        config: configuration of the model.
        beta: weight of the KL divergence in the loss. Metrics always use weight 1.
        kl_warmup: share of the training steps over which the weight of the KL divergence grows
            linearly from 0 to beta.
        pixels: use pixels as Bernoulli means, or binarise them at random at every step.
            "intensities" uses pixels in [0, 1] as means, as most code does; "binary" draws each
            pixel from Bernoulli(x) ("dynamic binarisation"), which makes the bound one on a
            likelihood. Burda et al. 2016, section 5.
    """
    binary = pixels == "binary"

    def draw(noise: Noise, shape: Shape) -> tuple[Tensor, ...]:
        eps = noise.normal(config.latent_size)
        return (eps, noise.uniform(*shape)) if binary else (eps,)

    def bound(model: VariationalAutoencoder, batch: Batch) -> _Bound:
        x = (batch.noise[1] < batch.x).to(batch.x.dtype) if binary else batch.x
        logits, mu, logvar = model(x, batch.noise[0], batch.labels)
        return _Bound(losses.bernoulli(logits, x), losses.kl_divergence(mu, logvar))

    def loss(model: VariationalAutoencoder, batch: Batch) -> dict[str, Tensor]:
        terms = bound(model, batch)
        warmth = (batch.progress / kl_warmup).clamp(max=1) if kl_warmup else 1.0
        weighted = terms.reconstruction_loss + beta * warmth * terms.kl_divergence
        return {"loss": weighted, **terms._asdict()}

    def metrics(model: VariationalAutoencoder, batch: Batch) -> dict[str, Tensor]:
        terms = bound(model, batch)
        negative_elbo = terms.reconstruction_loss + terms.kl_divergence
        return {"negative_elbo": negative_elbo, **terms._asdict()}

    def pictures(model: VariationalAutoencoder, batch: Batch) -> list[Picture]:
        x, labels = batch.x, model.known(batch.labels)
        reconstruction = model.decoder(model.encoder(x, *labels)[0], *labels)
        classes = len(config.classes[:_ROWS])
        generator = torch.Generator(x.device).manual_seed(0)
        z = Noise(generator, _COLUMNS * (classes or _COLUMNS)).normal(config.latent_size)
        # With classes, a row for each.
        each = torch.arange(classes, device=x.device).repeat_interleave(_COLUMNS)
        return [
            Picture.of_rows("reconstructions", x, reconstruction),
            Picture("samples", model.decoder(z, *model.known(each)), columns=_COLUMNS),
        ]

    objective = "negative ELBO" if beta == 1 else f"negative ELBO, beta {beta:g}"
    stage = Stage("train", objective, loss, metrics, draw, paced=kl_warmup > 0)
    return Recipe((stage,), pictures, ema=0.999)
