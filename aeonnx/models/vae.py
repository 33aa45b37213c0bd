"""`vae`: the variational autoencoder.

Kingma & Welling 2014, "Auto-encoding variational Bayes".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aeonnx.models._conditional import CODE, LabelledDecoder, LabelledEncoder, label
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

    Kingma & Welling 2014, section 3 and appendix C. With classes in its configuration, posterior
    and decoder depend on the label of the image too, see `_conditional`.
    """

    prior = "standard-normal"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        shape, hidden, size = config.image_shape, config.hidden, config.latent_size
        classes = len(config.classes)
        code, channels = min(classes, CODE), shape[0] + bool(classes)
        network = encoder_network(config.arch, (channels, *shape[1:]), hidden, 2 * size)
        decoder = decoder_network(config.arch, size + code, hidden, shape)
        encoder: nn.Module = Posterior(network, size)
        self.encoder = LabelledEncoder(encoder, classes, shape[1:]) if classes else encoder
        self.decoder = LabelledDecoder(decoder, classes, code) if classes else Decoder(decoder)

    def forward(self, x: Tensor, eps: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [N, C, H, W] -> logits [N, C, H, W] of one draw of z; mu, logvar [N, latent_size].

        Args:
            x: images in [0, 1].
            eps: [N, latent_size], drawn from N(0, I).
            label: int64 [N]; not used without classes.
        """
        labels = self.known(label)
        mu, logvar = self.encoder(x, *labels)
        return self.decoder.logits(reparameterize(mu, logvar, eps), *labels), mu, logvar

    def known(self, label: Tensor) -> tuple[Tensor, ...]:
        """The labels, if encoder and decoder take them."""
        return (label,) if self.config.classes else ()

    def parts(self) -> dict[str, Part]:
        x = image("x", self.config.image_shape, "images")
        z = latent("z", self.config.latent_size, "latent")
        mu = latent("mu", self.config.latent_size, "mean of the latent given the image")
        logvar = latent(
            "logvar", self.config.latent_size, "log variance of the latent given the image", "other"
        )
        reconstruction = image("reconstruction", self.config.image_shape, "mean of the images")
        labels = (label(self.config.classes),) if self.config.classes else ()
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x, *labels), (reconstruction,))
        return {
            "encoder": Part(self.encoder, (x, *labels), (mu, logvar)),
            "decoder": Part(self.decoder, (z, *labels), (reconstruction,)),
            "reconstructor": whole,
            "scorer": scorer(whole),
        }


@register(
    "vae",
    {"mlp": Widths((400,), 20), "conv": Widths((32, 64), 20)},
    parts=("encoder", "decoder", "reconstructor", "scorer"),
    conditional=True,
)
def build(config: ModelConfig) -> VariationalAutoencoder:
    """Layers 784-400-20 and their mirror, for 28x28 images and the default "mlp" widths."""
    return VariationalAutoencoder(config)
