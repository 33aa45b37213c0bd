"""Counts the pictures in a GIF or TIFF without decoding them, up to a limit."""

from __future__ import annotations

import struct

__all__ = ["MOST_FRAMES", "gif_frames", "tiff_frames"]

MOST_FRAMES = 1000
"""Counting stops here."""

_MOST_BLOCKS = 2_000_000
_EXTENSION, _IMAGE = 0x21, 0x2C


def gif_frames(data: bytes) -> int:
    """Number of image descriptors in a GIF, which may be truncated.

    Raises:
        ValueError: it has more blocks than one picture can need.
    """
    place, frames, blocks = 13 + _colours(data, 10), 0, 0
    while place < len(data) and frames < MOST_FRAMES:
        if data[place] == _IMAGE:
            frames += 1
            place += 11 + _colours(data, place + 9)
        elif data[place] == _EXTENSION:
            place += 2
        else:  # the trailer, or a byte at which pillow stops too
            break
        while place < len(data) and data[place]:
            place += 1 + data[place]
            blocks += 1
            if blocks > _MOST_BLOCKS:
                raise ValueError(f"it has more than {_MOST_BLOCKS:,} blocks")
        place += 1
    return frames


def _colours(data: bytes, place: int) -> int:
    """Size in bytes of the colour table that the flags at `place` declare."""
    flags = data[place] if place < len(data) else 0
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def tiff_frames(data: bytes) -> int:
    """Number of directories of a TIFF; a cycle ends the count."""
    order = "<" if data.startswith(b"II") else ">"
    seen: set[int] = set()
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    while place and place not in seen and len(seen) < MOST_FRAMES:
        seen.add(place)
        (count,) = struct.unpack_from(f"{order}H", data, place)
        following = place + 2 + 12 * count
        if following + 4 > len(data):
            break
        (place,) = struct.unpack_from(f"{order}I", data, following)
    return len(seen)
