"""`dae`: the denoising autoencoder, the autoencoder's network taught to undo corruption.

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders". The
corruption belongs to the training and is in no graph: the denoiser takes images as they come.
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
    """784-1024-256 and its mirror for 28x28 images and the default widths."""
    return Autoencoder(config, "denoiser", "images without their noise")
