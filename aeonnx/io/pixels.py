"""Converts between uint8 pixels and float images, in the same arithmetic as the uint8 graphs.

A range [low, high] is mapped to 0..255. low and high are rounded to float32 first, and so is the
result of each operation, as in the graphs and in the clients in other languages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

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


def to_pixels(images: npt.NDArray[Any], bounds: Bounds = UNIT) -> npt.NDArray[np.uint8]:
    """float32 in `bounds` -> uint8: round((clip(x) - low) / (high - low) * 255), ties to even."""
    low, high, width = float32_bounds(bounds)
    shares = np.clip(images, low, high)
    if bounds != UNIT:  # for [0, 1] both steps are the identity
        shares = (shares - low) / width
    pixels: npt.NDArray[np.uint8] = np.rint(shares * np.float32(255)).astype(np.uint8)
    return pixels


def from_pixels(pixels: npt.NDArray[np.uint8], bounds: Bounds = UNIT) -> npt.NDArray[np.float32]:
    """uint8 -> float32 in `bounds`: low + (pixel / 255) * (high - low)."""
    low, _, width = float32_bounds(bounds)
    shares = pixels.astype(np.float32) / np.float32(255)
    return shares if bounds == UNIT else low + shares * width
