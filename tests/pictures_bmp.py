"""BMP files written byte by byte for `tests.pictures`."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["bmp"]

Array = npt.NDArray[Any]


def bmp(
    samples: Array,
    depth: int,
    *,
    palette: Array | None = None,
    from_top: bool = False,
    alpha: bool = False,
) -> bytes:
    """A BMP file.

    Args:
        samples: whole numbers [H, W, n]: indices with a palette, red, green, blue with depth 24,
            and a fourth with depth 32.
        palette: [up to 2 ** depth, 3].
        from_top: rows from top to bottom, by a negative height.
        alpha: the fourth channel is that, in a head of version 4 with bit fields; else unused.
    """
    height, width, _ = samples.shape
    lines = _lines(samples if from_top else samples[::-1], depth)
    table = b""
    if palette is not None:
        blue_first = np.pad(palette[:, ::-1], ((0, 0), (0, 1)))
        table = blue_first.astype(np.uint8).tobytes()
    size, method = (108, 3) if alpha else (40, 0)
    head = struct.pack(
        "<IiiHHIIiiII",
        size,
        width,
        -height if from_top else height,
        1,
        depth,
        method,
        len(lines),
        2835,
        2835,
        0 if palette is None else len(palette) % 2**depth,  # 0 for all
        0,
    )
    if alpha:
        masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
        head += masks + b"BGRs" + bytes(48)
    start = 14 + len(head) + len(table)
    return b"BM" + struct.pack("<IHHI", start + len(lines), 0, 0, start) + head + table + lines


def _lines(samples: Array, depth: int) -> bytes:
    height = len(samples)
    if depth >= 24:
        order = [2, 1, 0] if depth == 24 else [2, 1, 0, 3]
        rows = samples[..., order].astype(np.uint8).reshape(height, -1)
    elif depth == 8:
        rows = samples.astype(np.uint8).reshape(height, -1)
    else:
        bits = (samples[..., 0, None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()
