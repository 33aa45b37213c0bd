"""Self-ensemble: a denoiser that is run on flips and turns of each image, and the mean of it.

Timofte et al. 2016, "Seven ways to improve example-based single image super resolution", section
3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from aeonnx.bundle import scaled
from aeonnx.errors import UsageError
from aeonnx.models import Part

__all__ = ["with_ensemble"]

_DENOISER = "denoiser"
_FLIPS = ((), (2,), (3,), (2, 3))  # of axes of [batch, channels, height, width]


def with_ensemble(parts: Mapping[str, Part], orientations: int) -> dict[str, Part]:
    """The parts, with a denoiser that is the mean over orientations of each image.

    Args:
        parts: by name, with a denoiser among them.
        orientations: 4, the image and its flips; or 8, with the image turned and its flips too.

    Raises:
        UsageError: the denoiser does not take images alone, or is to turn images and cannot take
            their height as width.
    """
    part = parts[_DENOISER]
    (x, *more), (y, *others) = part.inputs, part.outputs
    if more or others or x.kind != "image" or (y.kind, y.shape) != (x.kind, x.shape):
        names = ", ".join(f"{spec.name} of {spec.kind}" for spec in (*part.inputs, *part.outputs))
        raise UsageError(
            f"--ensemble: expected a denoiser from an image to one of its size, got {names}: leave "
            "it out"
        )
    turned = orientations > len(_FLIPS)
    if turned and not _alike(part):
        sides = "x".join(str(side) for side in x.shape[2:])
        raise UsageError(
            f"--ensemble {orientations} turns images, and this denoiser does not take the height "
            f"of one as its width: {sides}: give --ensemble {len(_FLIPS)}, which only flips them"
        )
    found = replace(
        part,
        module=_SelfEnsemble(part.module, turned=turned),
        outputs=(
            replace(y, description=f"{y.description}, mean over {orientations} orientations"),
        ),
        ensemble=orientations,
    )
    return {**parts, _DENOISER: found}


def _alike(part: Part) -> bool:
    """Whether an image may have its height as width and its width as height."""
    height, width = part.inputs[0].shape[2:]
    of_height, of_width = scaled(height), scaled(width)
    if of_height is None or of_width is None:
        return height == width
    same_rule = part.axes[of_height.axis] == part.axes[of_width.axis]
    return same_rule and replace(of_height, axis=of_width.axis) == of_width


class _SelfEnsemble(nn.Module):
    """x [N, C, H, W] -> mean of what a network makes of its flips and turns, turned back.

    Args:
        network: x -> [N, C, H, W].
        turned: whether to exchange height and width too.
    """

    def __init__(self, network: nn.Module, *, turned: bool) -> None:
        super().__init__()
        self.network, self.turned = network, turned

    def forward(self, x: Tensor) -> Tensor:
        found = [torch.flip(self.network(torch.flip(x, axes)), axes) for axes in _FLIPS]
        if self.turned:
            y = x.transpose(2, 3)
            found += [
                torch.flip(self.network(torch.flip(y, axes)), axes).transpose(2, 3)
                for axes in _FLIPS
            ]
        return torch.stack(found).mean(0)
