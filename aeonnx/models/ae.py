"""`ae`: the autoencoder, an encoder and a mirrored decoder with a narrow latent between them.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks".
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from aeonnx.models._columns import Restored, Standardized, columns_scorer, rows
from aeonnx.models._model import Model, Part
from aeonnx.models._networks import decoder_network, encoder_network
from aeonnx.models._parts import Decoder, EncodeDecode, image, latent, scorer
from aeonnx.models._registry import ModelConfig, Widths, register

__all__ = ["Autoencoder", "ColumnsAutoencoder"]


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
        x = image("x", self.config.image_shape, "images")
        z = latent("z", self.config.latent_size, "latent")
        reconstruction = image("reconstruction", self.config.image_shape, self.description)
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (reconstruction,))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (reconstruction,)),
            self.whole: whole,
            "scorer": scorer(whole),
        }


class ColumnsAutoencoder(Model):
    """An autoencoder of the rows of a table or the windows of a time series, in their own units.

    Standardisation and the filling in of missing values are part of the encoder, and the decoder
    returns to the units, so that graphs take and give raw values. A row is a vector [D] of D
    columns or a window [D, W] of W steps.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.columns  # noqa: S101  # the caller looks
        self.config, self.columns = config, config.columns
        shape, hidden, size = config.input_shape, config.hidden, config.latent_size
        network = encoder_network(config.arch, shape, hidden, size)
        self.encoder = Standardized.of(self.columns, network)
        network = decoder_network(config.arch, size, hidden, shape)
        self.decoder = Restored(self.encoder.scale, network)

    def forward(self, rows: Tensor) -> Tensor:
        """Standardised rows [N, D] or [N, D, W], complete -> reconstruction of the same shape."""
        reconstruction: Tensor = self.decoder.network(self.encoder.network(rows))
        return reconstruction

    def parts(self) -> dict[str, Part]:
        shape = self.config.input_shape
        x = rows("x", self.columns, shape, "raw values")
        x = replace(x, missing=self.columns.missing)
        z = latent("z", self.config.latent_size, "latent")
        reconstruction = rows("reconstruction", self.columns, shape, "reconstructed values")
        whole = Part(EncodeDecode(self.encoder, self.decoder), (x,), (reconstruction,))
        return {
            "encoder": Part(self.encoder, (x,), (z,)),
            "decoder": Part(self.decoder, (z,), (reconstruction,)),
            "reconstructor": whole,
            "scorer": columns_scorer(self.encoder, self.decoder, whole),
        }


@register(
    "ae",
    {"mlp": Widths((128, 64, 12), 3), "conv": Widths((32, 64), 16)},
    parts=("encoder", "decoder", "reconstructor", "scorer"),
    tables={"mlp": Widths((32,), 8), "conv": Widths((32, 64), 16), "lstm": Widths((64,), 16)},
)
def build(config: ModelConfig) -> Autoencoder | ColumnsAutoencoder:
    """Layers 784-128-64-12-3 and their mirror, for 28x28 images and the default "mlp" widths."""
    if config.columns is not None:
        return ColumnsAutoencoder(config)
    return Autoencoder(config, "reconstructor", "reconstructed images")
