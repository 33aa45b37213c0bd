"""Finds the orientation in an Exif block and turns pixels by it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

__all__ = ["ORIENTATION", "Orientation", "find_orientation", "turned"]

Array = npt.NDArray[Any]

ORIENTATION, _SHORT = 274, 3


@dataclass(frozen=True)
class Orientation:
    """An orientation, and where an Exif block stores it.

    Args:
        value: 1 (upright) to 8.
        place: offset of its two bytes in the block.
        plain: the two bytes of the value 1 in the block's byte order.
    """

    value: int
    place: int
    plain: bytes


def find_orientation(block: bytes) -> Orientation | None:
    """The orientation in the first directory of a TIFF or Exif block; None if there is none."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return None
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for place in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, number, value = struct.unpack_from(f"{order}HHIH", block, place)
        if (tag, kind, number) == (ORIENTATION, _SHORT, 1) and 1 <= value <= 8:
            return Orientation(value, place + 8, struct.pack(f"{order}H", 1))
    return None


def turned(rows: Array, orientation: int) -> Array:
    """Stored rows [H, W, ...] turned upright, from an Exif orientation of 1 to 8."""
    if orientation > 4:
        rows = rows.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        rows = rows[::-1]
    return rows[:, ::-1] if orientation in (2, 3, 6, 7) else rows
