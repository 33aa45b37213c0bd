"""`ae`: the autoencoder, an encoder and a mirrored decoder with a narrow latent between them.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks".
"""

from __future__ import annotations

from torch import Tensor

from aeonnx.models._model import Model, Part
from aeonnx.models._networks import decoder_network, encoder_network
from aeonnx.models._parts import Decoder, EncodeDecode, image, latent, scorer
from aeonnx.models._registry import ModelConfig, Widths, register

__all__ = ["Autoencoder"]


class Autoencoder(Model):
    """An encoder and a mirrored decoder (Hinton & Salakhutdinov 2006).

    Args:
        config: sizes and architecture.
        whole: name of the part that maps images to reconstructions.
        description: description of that part's output in the manifest.
    """

    def __init__(self, config: ModelConfig, whole: str, description: str) -> None:
        super().__init__()
        self.config, self.whole, self.description = config, whole, description
        shape, hidden, size = config.input_shape, config.hidden, config.latent_size
        self.encoder = encoder_network(config.arch, shape, hidden, size)
        self.decoder = Decoder(decoder_network(config.arch, size, hidden, shape))

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] in [0, 1] -> reconstruction of the same shape and range."""
        reconstruction: Tensor = self.decoder(self.encoder(x))
        return reconstruction

    def parts(self) -> dict[str, Part]:
        x = image("x", self.config.input_shape, "images")
        z = latent("z", self.config.latent_size, "latent")
        reconstruction = image("reconstruction", self.config.input_shape, self.description)
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (reconstruction,))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (reconstruction,)),
            self.whole: whole,
            "scorer": scorer(whole),
        }


@register(
    "ae",
    {"mlp": Widths((128, 64, 12), 3), "conv": Widths((32, 64), 16)},
    parts=("encoder", "decoder", "reconstructor", "scorer"),
)
def build(config: ModelConfig) -> Autoencoder:
    """Layers 784-128-64-12-3 and their mirror, for 28x28 images and the default "mlp" widths."""
    return Autoencoder(config, "reconstructor", "reconstructed images")
