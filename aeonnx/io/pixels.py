"""Converts between uint8 pixels and float images, in the same arithmetic as the uint8 graphs.

A range [low, high] is mapped to 0..255. low and high are rounded to float32 first, and so is the
result of each operation, as in the graphs and in the clients in other languages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.errors import RunError

__all__ = ["UNIT", "Bounds", "float32_bounds", "from_pixels", "has_pixels", "to_pixels"]

Bounds = tuple[float, float]
"""Lowest and highest value of an image."""

UNIT: Bounds = (0.0, 1.0)


def has_pixels(bounds: Bounds | None) -> bool:
    """Whether a range can be mapped to pixels: its width is a finite float32 above 0."""
    if bounds is None:
        return False
    low, _, width = float32_bounds(bounds)
    return bool(np.isfinite(low) and np.isfinite(width) and width > 0)


def float32_bounds(bounds: Bounds) -> tuple[np.float32, np.float32, np.float32]:
    """Lowest value, highest value and width, all in float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.float32(bounds[0]), np.float32(bounds[1])
        return low, high, np.float32(high - low)


def to_pixels(images: npt.NDArray[Any], bounds: Bounds = UNIT, most: int = 255) -> npt.NDArray[Any]:
    """float32 in `bounds` -> round((clip(x) - low) / (high - low) * most), ties to even.

    `most` is 255 for uint8, or 65535 for uint16.

    Raises:
        RunError: there is NaN, of a network that overflows.
    """
    if np.isnan(images.min(initial=0)):
        raise RunError("an output has NaN, which is no pixel: the network overflows at this input")
    low, high, width = float32_bounds(bounds)
    shares = np.clip(images, low, high)
    if bounds != UNIT:  # for [0, 1] both steps are the identity
        shares = (shares - low) / width
    dtype = np.uint8 if most == 255 else np.uint16
    pixels: npt.NDArray[Any] = np.rint(shares * np.float32(most)).astype(dtype)
    return pixels


def from_pixels(
    pixels: npt.NDArray[Any], bounds: Bounds = UNIT, most: int = 255
) -> npt.NDArray[np.float32]:
    """Pixels -> float32 in `bounds`: low + (pixel / most) * (high - low); see `to_pixels`."""
    low, _, width = float32_bounds(bounds)
    shares = pixels.astype(np.float32) / np.float32(most)
    return shares if bounds == UNIT else low + shares * width
