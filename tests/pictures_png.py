"""PNG files of every kind, whole and spoilt, written byte by byte for `tests.pictures`."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["animated", "chunk", "exif", "flipped", "png"]

Array = npt.NDArray[Any]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}
_PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif(orientation: int) -> bytes:
    """An Exif block (TIFF, little-endian) that holds an orientation alone."""
    entry = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def flipped(data: bytes, place: int) -> bytes:
    """The data with one bit of one byte turned."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def png(
    samples: Array,
    depth: int,
    *,
    palette: Array | None = None,
    trns: bytes = b"",
    interlaced: bool = False,
    filters: Sequence[int] = (0,),
    pieces: int = 1,
    before: bytes = b"",
    colour_type: int | None = None,
    head: tuple[int, int, int, int] | None = None,
    spoil: str = "",
) -> bytes:
    """A PNG file.

    Args:
        samples: whole numbers [H, W, n], of `depth` bits; n = 1 with a palette.
        palette: [colours, 3].
        trns: content of the tRNS chunk.
        filters: of the rows in turn, 0 to 4 (others are written without any).
        pieces: of the compressed data; one more is empty.
        before: chunks that come before the pixels.
        colour_type: other than what `samples` says.
        head: other width, height, depth and colour type in the head.
        spoil: "adler", "rows" (a third is missing), "further rows" or "idat" (none at all).
    """
    height, width, n = samples.shape
    colour_type = (
        3 if palette is not None else _COLOUR_TYPES[n] if colour_type is None else colour_type
    )
    head = head or (width, height, depth, colour_type)
    views = [samples]
    if interlaced:
        views = [samples[y::dy, x::dx] for y, x, dy, dx in _PASSES]
    raw = b"".join(_rows(view, depth, filters) for view in views if view.size)
    if spoil == "rows":
        raw = raw[: len(raw) * 2 // 3]
    if spoil == "further rows":
        raw += raw[: len(raw) // height]
    packed = zlib.compress(raw)
    if spoil == "adler":
        packed = flipped(packed, len(packed) - 1)
    data = _SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *head, 0, 0, interlaced)) + before
    if palette is not None:
        data += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if trns:
        data += chunk(b"tRNS", trns)
    if spoil != "idat":
        step = -(-len(packed) // pieces)
        parts = [packed[start : start + step] for start in range(0, len(packed), step)]
        for part in (*parts, b"") if pieces > 1 else parts:
            data += chunk(b"IDAT", part)
    return data + chunk(b"IEND", b"")


def animated(first: Array, second: Array) -> bytes:
    """An animated PNG of two frames, uint8 [H, W, 3]."""
    height, width = first.shape[:2]
    frame = struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)
    before = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", bytes(4) + frame)
    whole = png(first, 8, before=before)
    more = chunk(b"fcTL", struct.pack(">I", 1) + frame)
    more += chunk(b"fdAT", struct.pack(">I", 2) + zlib.compress(_rows(second, 8, (0,))))
    return whole[:-12] + more + whole[-12:]


def _rows(samples: Array, depth: int, filters: Sequence[int]) -> bytes:
    height, _, n = samples.shape
    if depth == 16:
        lines = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    elif depth == 8:
        lines = samples.astype(np.uint8).reshape(height, -1)
    else:
        bits = (samples[..., 0, None] >> np.arange(depth)[::-1]) & 1
        lines = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    step = max(1, n * depth // 8)
    before = np.zeros_like(lines[0])
    found = b""
    for place, line in enumerate(lines):
        kind = filters[place % len(filters)]
        found += bytes([kind]) + _filtered(kind, line, before, step)
        before = line
    return found


def _filtered(kind: int, line: Array, above: Array, step: int) -> bytes:
    """PNG's filters (its specification, section 9), of one row."""
    x, b = line.astype(int), above.astype(int)
    a = np.concatenate([np.zeros(step, int), x[:-step]])
    c = np.concatenate([np.zeros(step, int), b[:-step]])
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
    guess = (np.zeros_like(x), a, b, (a + b) // 2, paeth)[kind if kind < 5 else 0]
    return ((x - guess) % 256).astype(np.uint8).tobytes()
