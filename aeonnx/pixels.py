"""uint8 pixels and float images, in the very arithmetic of the graphs that take pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["from_pixels", "to_pixels"]


def to_pixels(images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """float32 in [0, 1] -> uint8: clipped, times 255, to the nearest, ties to even."""
    steps = np.rint(np.clip(images, 0, 1) * np.float32(255))
    pixels: npt.NDArray[np.uint8] = steps.astype(np.uint8)
    return pixels


def from_pixels(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """uint8 -> float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.float32(255)
