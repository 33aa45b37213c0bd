"""What compression by JPEG does to images: an encoder and a decoder without the coding of bits.

ITU-T T.81 (1992), sections A.3.3 and A.3.4, with the tables of its annex K. As most programs do it:
colour is stored at half the resolution, and the quality scales the tables as in libjpeg.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor

from aeonnx._util.cosines import cosines

__all__ = ["compressed"]

_BLOCK = 8  # pixels per side

# Annex K.1 and K.2: the step of each coefficient at quality 50, for brightness and for colour.
_BRIGHTNESS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_COLOUR = (
    (17, 18, 24, 47, *[99] * 4),
    (18, 21, 26, 66, *[99] * 4),
    (24, 26, 56, *[99] * 5),
    (47, 66, *[99] * 6),
    *[(99,) * 8] * 4,
)

# JFIF 1.02: brightness and two differences of colour from red, green and blue.
_FROM_RGB = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


def compressed(x: Tensor, quality: Tensor) -> Tensor:
    """Compress and decompress images.

    Args:
        x: float32 [N, C, H, W] in [0, 1]; three channels are red, green and blue, and every other
            number of channels is that many grey images.
        quality: quality of each image, from 1 to 100, float32 [N].

    Returns:
        The same shape and range, in steps of 1/255.
    """
    with torch.autocast(x.device.type, enabled=False):  # its matrix products would be rounded
        bytes_ = (x.float() * 255).round()
        scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1)
        if x.shape[1] != 3:
            return _quantised(bytes_ - 128, _BRIGHTNESS, scale).add(128).round().clamp(0, 255) / 255
        matrix = torch.tensor(_FROM_RGB, device=x.device)
        planes = torch.einsum("ij,njhw->nihw", matrix, bytes_).round()
        brightness = _quantised(planes[:, :1] - 128, _BRIGHTNESS, scale) + 128
        colour = _at_half_size(planes[:, 1:], scale)
        planes = torch.cat([brightness, colour], 1)
        rgb = torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix), planes)
        return rgb.round().clamp(0, 255) / 255


def _at_half_size(colour: Tensor, scale: Tensor) -> Tensor:
    height, width = colour.shape[2:]
    even = F.pad(colour, (0, width % 2, 0, height % 2), mode="replicate")
    half = _quantised(F.avg_pool2d(even, 2).round(), _COLOUR, scale).round()
    # libjpeg's weights of 9, 3, 3 and 1 sixteenths are those of this interpolation.
    whole = F.interpolate(half, scale_factor=2.0, mode="bilinear")
    return whole[:, :, :height, :width]


def _quantised(planes: Tensor, table: tuple[tuple[int, ...], ...], scale: Tensor) -> Tensor:
    """Round the coefficients of blocks: planes [N, C, H, W] around 0, scale [N, 1, 1, 1]."""
    n, channels, height, width = planes.shape
    padding = (0, -width % _BLOCK, 0, -height % _BLOCK)
    padded = F.pad(planes, padding, mode="replicate")
    rows, columns = padded.shape[2] // _BLOCK, padded.shape[3] // _BLOCK
    blocks = padded.view(n, channels, rows, _BLOCK, columns, _BLOCK).transpose(3, 4)
    base = torch.tensor(table, device=planes.device, dtype=torch.float32)
    steps = ((base * scale + 50) / 100).floor().clamp(1, 255)[:, :, None, None]
    waves = torch.from_numpy(cosines(_BLOCK)).to(planes)
    coefficients = (waves @ blocks @ waves.T / steps).round() * steps
    found = (waves.T @ coefficients @ waves).transpose(3, 4).reshape(padded.shape)
    return found[:, :, :height, :width]
