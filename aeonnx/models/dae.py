"""`dae`: the denoising autoencoder, a network trained to undo corruption.

Vincent et al. 2008, "Extracting and composing robust features with denoising autoencoders". Only
training corrupts images; no exported graph does: the denoiser's input is the noisy image itself.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor, nn

from aeonnx.bundle import Axis, nearest
from aeonnx.models._model import Model, Part
from aeonnx.models._parts import image
from aeonnx.models._registry import ModelConfig, Widths, register
from aeonnx.models._unet import UNet, multiple_of
from aeonnx.models.ae import Autoencoder

__all__ = ["Denoiser"]

_DESCRIPTION = "images without their noise"


class Denoiser(Model):
    """A U-Net that subtracts the noise from images of any size; it has no latent.

    Args:
        config: its `input_shape` is that of the crops that it is trained on.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, self.multiple = config, multiple_of(config.hidden)
        self.network = UNet(config.input_shape[0], config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] of any size -> the same without its noise, not limited to [0, 1].

        Sizes are padded to multiples by reflection, as the runtime does it.
        """
        height, width = x.shape[2:]
        below, right = -height % self.multiple, -width % self.multiple
        padded = F.pad(x, (0, right, 0, below), mode="reflect") if below or right else x
        denoised: Tensor = self.network(padded)
        return denoised[:, :, :height, :width]

    def parts(self) -> dict[str, Part]:
        channels, height, width = self.config.input_shape
        shape = (channels, "height", "width")
        axis = Axis(self.multiple, min=self.multiple)
        denoiser = Part(
            _Clipped(self.network),
            (image("x", shape, "noisy images", None if self.config.unbounded else (0.0, 1.0)),),
            (image("denoised", shape, _DESCRIPTION),),
            axes={"height": axis, "width": axis},
            sizes={"height": nearest(axis, height), "width": nearest(axis, width)},
        )
        return {"denoiser": denoiser}


class _Clipped(nn.Module):
    """x -> network(x), limited to [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        denoised: Tensor = self.network(x)
        return denoised.clamp(0, 1)


@register(
    "dae",
    {
        "mlp": Widths((1024,), 256),
        "conv": Widths((32, 64), 128),
        # Of blocks of 2x2 pixels with three channels, 16 numbers would hold little more than them.
        "unet": Widths((16, 32, 64, 128), crop=128, colour=(32, 64, 96, 128)),
    },
    parts=("encoder", "decoder", "denoiser", "scorer"),
    fewer={"unet": ("denoiser",)},
)
def build(config: ModelConfig) -> Model:
    """Layers 784-1024-256 and their mirror, for 28x28 images and the default "mlp" widths."""
    if config.arch == "unet":
        return Denoiser(config)
    return Autoencoder(config, "denoiser", _DESCRIPTION)
