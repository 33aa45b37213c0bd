"""Lays errors over an image: the larger an error, the hotter its colour. numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["overlay"]

Array = npt.NDArray[Any]

_COLOURS = np.array([(0, 0, 0), (120, 0, 90), (230, 40, 30), (255, 180, 0), (255, 255, 160)])
"""Of errors from none to the largest, at equal steps."""
_GREY = 0.6  # share of the image's brightness that shows below the colours
_LUMA = np.array([0.299, 0.587, 0.114])


def overlay(image: Array, errors: Array, hottest: float) -> Array:
    """A heat map over the grey version of an image.

    Args:
        image: uint8 [H, W, 1 to 4].
        errors: 0 or more, [H, W].
        hottest: errors from here on have the hottest colour.

    Returns:
        uint8 [H, W, 3].
    """
    colours = image[..., :3].astype(np.float32) if image.shape[2] > 2 else image[..., :1]
    grey = (colours @ _LUMA if colours.shape[2] == 3 else colours[..., 0]) * _GREY
    # Errors are squares: their roots differ as the pixels do.
    heat = np.sqrt(np.clip(errors / max(hottest, 1e-30), 0, 1))
    place = heat * (len(_COLOURS) - 1)
    steps = np.arange(len(_COLOURS))
    hot = np.stack([np.interp(place, steps, channel) for channel in _COLOURS.T], axis=-1)
    shown = grey[..., None] * (1 - heat[..., None]) + hot * heat[..., None]
    found: Array = np.rint(shown).astype(np.uint8)
    return found
