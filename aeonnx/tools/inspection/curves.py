"""Signals drawn as curves: an SVG picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEIGHT", "WIDTH", "curves"]

WIDTH = 720
"""Of a drawing, in pixels; two values of a signal are drawn for each at most."""
HEIGHT = 80
"""Of a channel, in pixels."""

_MARGIN = 4
# The second is drawn over the first. Readable on both of the page's backgrounds.
_COLOURS = ("#8d939d", "#2f7de1")

Floats = NDArray[np.floating]


def curves(signals: Sequence[Floats]) -> str:
    """One or two signals over one another, each channel in a stripe of its own.

    Args:
        signals: [channels, time]; they may differ in length.

    Returns:
        An SVG image of WIDTH x (channels * HEIGHT).
    """
    channels = len(signals[0])
    lines = []
    for channel in range(channels):
        drawn = [signal[channel].astype(np.float64) for signal in signals if channel < len(signal)]
        low = min(float(values.min()) for values in drawn)
        high = max(float(values.max()) for values in drawn)
        for values, colour in zip(drawn, _COLOURS, strict=False):
            y = (high - values) / ((high - low) or 1.0) * (HEIGHT - 2 * _MARGIN) + _MARGIN
            points = " ".join(f"{x:.1f},{channel * HEIGHT + y:.1f}" for x, y in _thinned(y))
            lines.append(f'<polyline points="{points}" stroke="{colour}"/>')
    size = f'width="{WIDTH}" height="{channels * HEIGHT}"'
    inner = "\n".join(lines)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} fill="none">\n{inner}\n</svg>'


def _thinned(values: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Points (x, y): all values, or the lowest and highest of each column of pixels."""
    n = len(values)
    if n <= 2 * WIDTH:
        return [(place * WIDTH / max(n - 1, 1), float(y)) for place, y in enumerate(values)]
    columns = np.array_split(values, WIDTH)
    return [(x, float(y)) for x, column in enumerate(columns) for y in (column.min(), column.max())]
