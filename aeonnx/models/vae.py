"""`vae`: the variational autoencoder.

Kingma & Welling 2014, "Auto-encoding variational Bayes".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeonnx.models._model import Model, Part
from aeonnx.models._networks import decoder_network, encoder_network
from aeonnx.models._parts import Decoder, EncodeDecode, image, latent, scorer
from aeonnx.models._registry import ModelConfig, Widths, register

__all__ = ["VariationalAutoencoder", "reparameterize"]


class Posterior(nn.Module):
    """x [N, C, H, W] in [0, 1] -> mu, logvar of q(z|x), both [N, latent_size].

    Args:
        network: x -> [N, 2 * latent_size], mu and logvar side by side.
        latent_size: length of `z`.
    """

    def __init__(self, network: nn.Module, latent_size: int) -> None:
        super().__init__()
        self.network = network
        self.latent_size = latent_size

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        both = self.network(x)
        # Slices instead of chunk: chunk exports to a different ONNX operator before opset 18.
        return both[:, : self.latent_size], both[:, self.latent_size :]


def reparameterize(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """A differentiable draw from q(z|x): z = mu + exp(logvar / 2) * eps, [N, latent_size].

    Kingma & Welling 2014, section 2.4.

    Args:
        mu, logvar: mean and log variance of q(z|x), [N, latent_size].
        eps: [N, latent_size], drawn from N(0, I).
    """
    return mu + torch.exp(0.5 * logvar) * eps


class VariationalAutoencoder(Model):
    """A Gaussian posterior q(z|x), the prior N(0, I) and a decoder that outputs Bernoulli means.

    Kingma & Welling 2014, section 3 and appendix C.
    """

    prior = "standard-normal"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        shape, hidden, size = config.input_shape, config.hidden, config.latent_size
        self.encoder = Posterior(encoder_network(config.arch, shape, hidden, 2 * size), size)
        self.decoder = Decoder(decoder_network(config.arch, size, hidden, shape))

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [N, C, H, W] -> logits [N, C, H, W] of one draw of z; mu, logvar [N, latent_size].

        Args:
            x: images in [0, 1].
            eps: [N, latent_size], drawn from N(0, I).
        """
        mu, logvar = self.encoder(x)
        return self.decoder.logits(reparameterize(mu, logvar, eps)), mu, logvar

    def parts(self) -> dict[str, Part]:
        x = image("x", self.config.input_shape, "images")
        z = latent("z", self.config.latent_size, "latent")
        mu = latent("mu", self.config.latent_size, "mean of the latent given the image")
        logvar = latent(
            "logvar", self.config.latent_size, "log variance of the latent given the image", "other"
        )
        reconstruction = image("reconstruction", self.config.input_shape, "mean of the images")
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (reconstruction,))
        return {
            "encoder": Part(self.encoder, (x,), (mu, logvar)),
            "decoder": Part(self.decoder, (z,), (reconstruction,)),
            "reconstructor": whole,
            "scorer": scorer(whole),
        }


@register(
    "vae",
    {"mlp": Widths((400,), 20), "conv": Widths((32, 64), 20)},
    parts=("encoder", "decoder", "reconstructor", "scorer"),
)
def build(config: ModelConfig) -> VariationalAutoencoder:
    """Layers 784-400-20 and their mirror, for 28x28 images and the default "mlp" widths."""
    return VariationalAutoencoder(config)
