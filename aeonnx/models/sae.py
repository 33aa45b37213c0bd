"""`sae`: the stacked autoencoder: autoencoders in series, each reconstructing the previous output.

They are trained one after the other and then together: the greedy scheme of Bengio et al. 2007,
"Greedy layer-wise training of deep networks", section 2.3, with whole autoencoders as its layers.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from aeonnx.models._model import Model, Part
from aeonnx.models._parts import image, latent, scorer
from aeonnx.models._registry import ModelConfig, Widths, register
from aeonnx.models.ae import Autoencoder

__all__ = ["SERIES", "StackedAutoencoder"]

SERIES = 3
"""Number of autoencoders in series."""


class StackedAutoencoder(Model):
    """Three autoencoders of the same shape, in series (Bengio et al. 2007, section 2.3).

    The encoder part ends at the latent of the last autoencoder, and the decoder part begins there.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoders = nn.ModuleList(
            Autoencoder(config, "reconstructor", "reconstructed images") for _ in range(SERIES)
        )

    def upto(self, count: int) -> nn.Sequential:
        """The first `count` autoencoders: x [N, C, H, W] in [0, 1] -> the same shape and range."""
        return nn.Sequential(*self.autoencoders[:count])

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] in [0, 1] -> reconstruction of the same shape and range."""
        reconstruction: Tensor = self.upto(SERIES)(x)
        return reconstruction

    def parts(self) -> dict[str, Part]:
        x = image("x", self.config.image_shape, "images")
        z = latent("z", self.config.latent_size, "latent of the last autoencoder")
        reconstruction = image("reconstruction", self.config.image_shape, "reconstructed images")
        series = [cast(Autoencoder, module) for module in self.autoencoders]
        last = series[-1]
        encoder = nn.Sequential(*series[:-1], last.encoder)
        whole = Part(nn.Sequential(*series), (x,), (reconstruction,))
        return {
            "encoder": Part(encoder, (x,), (z,)),
            "decoder": Part(last.decoder, (z,), (reconstruction,)),
            "reconstructor": whole,
            "scorer": scorer(whole),
        }


@register(
    "sae",
    {"mlp": Widths((128, 64), 32), "conv": Widths((32, 64), 32)},
    parts=("encoder", "decoder", "reconstructor", "scorer"),
)
def build(config: ModelConfig) -> StackedAutoencoder:
    """Three times 784-128-64-32 and its mirror, for 28x28 images and the default "mlp" widths."""
    return StackedAutoencoder(config)
