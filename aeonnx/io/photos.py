"""Photographs that come out of a model as they went in: size, colours, depth, alpha, profile.

A model has a number of channels, and a photograph another. What the model does not take is kept
aside, and joined to its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.io.decode import Decoded, dpi_of, info_of, profile_of
from aeonnx.io.deep import decode_deep
from aeonnx.io.pictures import Treatment, checked, composed
from aeonnx.io.pixels import UNIT, Bounds, from_pixels, to_pixels

__all__ = ["Photo", "PhotoFile", "open_photo"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PhotoFile:
    """A picture file that is read on demand.

    Args:
        name: in messages and results.
        output: relative path for its result, with the suffix of the source.
        read: returns the content of the file.
    """

    name: str
    output: str
    read: Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright photograph.

    Args:
        colour: uint8 or uint16 [planes, H, W], 1 plane of grey or 3 of RGB.
        alpha: of the same dtype, [H, W]; None without.
        profile: ICC profile of its colours; None without.
        dpi: pixels per inch, across and down; None if unknown.
    """

    colour: Array
    alpha: Array | None
    profile: bytes | None
    dpi: tuple[float, float] | None = None

    def rows(self, channels: int, bounds: Bounds) -> Array:
        """What a model takes of it.

        Args:
            channels: of the model. One of grey gets each plane of a colour picture as a row.
            bounds: lowest and highest value of the model's images.

        Returns:
            [n, channels, H, W]: uint8 of a photograph of 8 bits, float32 in the bounds of 16 bits.
        """
        planes = self.colour[:, None] if channels < 3 else self.colour[None]
        if channels > 2 and len(self.colour) == 1:
            planes = np.repeat(planes, 3, axis=1)
        if channels in (2, 4):
            alpha = np.full_like(planes[:, :1], self.most) if self.alpha is None else self.alpha
            planes = np.concatenate([planes, np.broadcast_to(alpha, planes[:, :1].shape)], 1)
        return planes if planes.dtype == np.uint8 else from_pixels(planes, bounds, self.most)

    def with_result(self, rows: Array, bounds: Bounds = UNIT) -> Photo:
        """The photograph after a model: what the model made, and what it did not take.

        Args:
            rows: what the model made of `rows`, uint8 or float32 in the bounds.
            bounds: of float rows.
        """
        channels = rows.shape[1]
        if rows.dtype != np.uint8:
            rows = to_pixels(rows, bounds, self.most)
        alpha = rows[0, -1] if channels in (2, 4) and self.alpha is not None else self.alpha
        colour = rows[:, 0] if channels < 3 else rows[0, :3]
        if len(colour) > len(self.colour):  # a grey picture, which the model saw in colour
            colour = np.rint(colour.mean(0, keepdims=True)).astype(colour.dtype)
        return Photo(colour, alpha, self.profile, self.dpi)

    @property
    def most(self) -> int:
        """The value of white: 255 or 65535."""
        return int(np.iinfo(self.colour.dtype).max)

    @property
    def pixels(self) -> Array:
        """All channels, uint8 or uint16 [H, W, 1 to 4]."""
        planes = [*self.colour] if self.alpha is None else [*self.colour, self.alpha]
        return np.stack(planes, axis=-1)


def open_photo(data: bytes, where: str, how: Treatment) -> Photo:
    """Decode a photograph with all of its bits.

    Args:
        data: content of the file.
        where: its name in messages.
        how: with a background, transparent pixels are composed with it, and alpha goes.

    Raises:
        ImageError: it is no picture, damaged or of an unsupported kind.
    """
    found: Decoded = checked(decode_deep, data, where)
    colour, alpha = found.colour, found.alpha
    if alpha is not None and how.background is not None:
        colour, alpha = composed(colour, alpha, how.background), None
    planes = colour[None] if colour.ndim == 2 else colour.transpose(2, 0, 1)
    info = info_of(data)
    return Photo(np.ascontiguousarray(planes), alpha, profile_of(info), dpi_of(info))
