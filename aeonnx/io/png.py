"""Checks PNG files chunk by chunk for damage that decoders ignore.

Pillow fills missing rows with black and accepts truncated files. So every checksum, the length of
the inflated pixels and the end are checked first, and pillow gets only the chunks of the pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from aeonnx.io.exif import find_orientation

__all__ = ["DEPTH_AT", "SIGNATURE", "Png", "check_pixels", "chunk", "read_chunks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH_AT = 24
"""Place of the byte with the bits per sample, in every PNG."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples per pixel by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Adam7: first column and row, and the step between them, of each pass."""
_INFLATED = 1 << 20  # bytes inflated at a time
_MOST_CHUNKS = 1_000_000
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL")


@dataclass(frozen=True)
class Png:
    """Content of the chunks.

    Args:
        width, height: in pixels.
        depth: bits per sample.
        colour_type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA.
        interlaced: whether it uses Adam7.
        palette: content of PLTE.
        transparency: content of tRNS; None without.
        orientation: orientation in eXIf, 1 to 8.
        frames: number of pictures (APNG).
        pixels: the whole IDAT chunks.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes
    transparency: bytes | None
    orientation: int
    frames: int
    pixels: tuple[memoryview, ...]

    def bare(self) -> bytes:
        """The PNG with no chunks but those of its pixels."""
        values = (self.width, self.height, self.depth, self.colour_type, 0, 0, self.interlaced)
        parts = [SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBBBB", *values))]
        if self.colour_type == 3:
            parts.append(chunk(b"PLTE", self.palette))
        return b"".join([*parts, *self.pixels, chunk(b"IEND", b"")])


def read_chunks(data: bytes) -> Png:
    """Read all chunks and check their checksums; the pixels are not inflated.

    Raises:
        ValueError: the file is damaged; the message says how.
    """
    found: dict[bytes, bytes] = {}
    pixels: list[memoryview] = []
    for name, whole in _chunks(data):
        if name == b"IDAT":
            pixels.append(whole)
        elif name[0] & 32 == 0 and name not in (b"IHDR", b"PLTE", b"IEND"):
            raise ValueError(f"it has a chunk {name!r} that must be understood and is not")
        elif name == b"eXIf" or not pixels:
            found.setdefault(name, bytes(whole[8:-4]) if name in _KEPT else b"")
    if not pixels:
        raise ValueError("it has no pixels (IDAT)")
    return _checked(found, tuple(pixels))


def check_pixels(png: Png) -> None:
    """Inflate the pixels piece by piece, to check that they are complete.

    Raises:
        ValueError: there are too few or too many, or their checksum is wrong.
    """
    expected, found = _inflated_size(png), 0
    stream = zlib.decompressobj()
    try:
        for chunk in png.pixels:
            data: bytes | memoryview = chunk[8:-4]
            while data and not stream.eof and found <= expected:
                found += len(stream.decompress(data, _INFLATED))
                data = stream.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"its compressed pixels are damaged: {error}") from error
    if found > expected:
        raise ValueError("it has more pixels than its size says")
    if not stream.eof:
        raise ValueError("its pixels end too early")
    if found < expected:
        raise ValueError("it has fewer rows than its size says")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Iterate over (name, whole chunk) up to IEND, which comes last."""
    view, place = memoryview(data), len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if place + 12 > len(data):
            raise ValueError("it ends before its last chunk (IEND)")
        length, name = struct.unpack_from(">I4s", data, place)
        if place == len(SIGNATURE) and (length, name) != (13, b"IHDR"):
            raise ValueError("it does not begin with a head (IHDR)")
        if not name.isalpha():
            raise ValueError("it has a chunk without a name")
        end = place + 12 + length
        if end > len(data):
            raise ValueError(f"it ends inside of a chunk ({name.decode()})")
        whole = view[place:end]
        if zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:], "big"):
            raise ValueError(f"the checksum of a chunk ({name.decode()}) is wrong")
        yield name, whole
        if name == b"IEND":
            return
        place = end
    raise ValueError(f"it has more than {_MOST_CHUNKS:,} chunks")


def _checked(found: dict[bytes, bytes], pixels: tuple[memoryview, ...]) -> Png:
    width, height, depth, colour_type, *methods = struct.unpack(">IIBBBBB", found[b"IHDR"])
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise ValueError(f"its head says {width}x{height} pixels")
    if depth not in _DEPTHS.get(colour_type, ()) or methods[:2] != [0, 0] or methods[2] > 1:
        raise ValueError("its head says a kind of picture that PNG does not have")
    palette = found.get(b"PLTE", b"")
    if len(palette) % 3 or len(palette) > 768 or (colour_type == 3 and not palette):
        raise ValueError(f"its palette (PLTE) has {len(palette)} bytes")
    transparency = found.get(b"tRNS") if colour_type in (0, 2, 3) else None
    sizes = {0: (2,), 2: (6,), 3: range(len(palette) // 3 + 1)}
    if transparency is not None and len(transparency) not in sizes[colour_type]:
        raise ValueError(f"its transparent colours (tRNS) have {len(transparency)} bytes")
    turn = find_orientation(found.get(b"eXIf", b""))
    control = found.get(b"acTL", b"")
    frames = int.from_bytes(control[:4], "big") if len(control) == 8 else 1
    return Png(
        width,
        height,
        depth,
        colour_type,
        bool(methods[2]),
        palette,
        transparency,
        turn.value if turn else 1,
        frames,
        pixels,
    )


def _inflated_size(png: Png) -> int:
    passes = _PASSES if png.interlaced else ((0, 0, 1, 1),)
    bits = png.depth * _SAMPLES[png.colour_type]
    size = 0
    for x, y, dx, dy in passes:
        width, height = -(-(png.width - x) // dx), -(-(png.height - y) // dy)
        if width > 0 and height > 0:
            size += height * (1 + -(-width * bits // 8))
    return size


def chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
