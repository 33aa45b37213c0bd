"""`dae`: the denoising autoencoder, the autoencoder's network trained to undo corruption.

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders". Only
training corrupts images; no exported graph does: the denoiser's input is the noisy image itself.
"""

from __future__ import annotations

from aeonnx.models._registry import ModelConfig, Widths, register
from aeonnx.models.ae import Autoencoder

__all__: list[str] = []


@register(
    "dae",
    {"mlp": Widths((1024,), 256), "conv": Widths((32, 64), 128)},
    parts=("encoder", "decoder", "denoiser", "scorer"),
)
def build(config: ModelConfig) -> Autoencoder:
    """Layers 784-1024-256 and their mirror, for 28x28 images and the default "mlp" widths."""
    return Autoencoder(config, "denoiser", "images without their noise")
