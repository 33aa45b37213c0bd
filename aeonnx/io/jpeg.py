"""Reads the markers of a JPEG file: size, kind, orientation, and whether it is complete."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aeonnx.io.exif import find_orientation

__all__ = ["Jpeg", "read_markers"]

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_START_OF_SCAN, _END, _APP1, _COMMENT = 0xDA, 0xD9, 0xE1, 0xFE
_NEEDLESS = {*range(0xE1, 0xF0), _COMMENT} - {0xEE}  # APP14 declares the colour transform
_MOST_MARKERS = 1_000_000
_MOST_SCANS = 100  # each covers the whole picture; encoders write about ten
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class Jpeg:
    """Content of the markers.

    Args:
        width, height: in pixels, as stored.
        depth: bits per sample.
        components: 1 grey, 3 colour, 4 CMYK.
        orientation: Exif orientation, 1 to 8.
        kept: the pieces of the file that are needed to decode its pixels.
    """

    width: int
    height: int
    depth: int
    components: int
    orientation: int
    kept: tuple[memoryview, ...]

    def bare(self) -> bytes:
        """The JPEG without metadata: pillow would warn about damaged Exif."""
        return b"".join(self.kept)


def read_markers(data: bytes) -> Jpeg:
    """Read all markers up to the end of the picture.

    Raises:
        ValueError: the file is damaged; the message says how.
    """
    frame: bytes | None = None
    orientation, place, first = None, 2, 0
    kept: list[memoryview] = []
    scans = 0
    view = memoryview(data)
    for _ in range(_MOST_MARKERS):
        if place + 2 > len(data):
            raise ValueError("it ends before its last marker (EOI)")
        if data[place] != 0xFF:
            raise ValueError("it has something else where a marker should be")
        kind = data[place + 1]
        if kind == 0xFF:  # fill byte
            place += 1
            continue
        place += 2
        if kind == _END:
            break
        if kind in _ALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        if length < 2 or place + length > len(data):
            raise ValueError("it ends inside of a segment")
        segment = data[place + 2 : place + length]
        if kind in _NEEDLESS:
            kept.append(view[first : place - 2])
            first = place + length
        place += length
        if kind in _FRAMES and frame is None:
            frame = segment
        elif kind == _APP1 and orientation is None and segment.startswith(b"Exif\0\0"):
            orientation = find_orientation(segment)
        elif kind == _START_OF_SCAN:
            scans += 1
            if scans > _MOST_SCANS:
                raise ValueError(f"it has more than {_MOST_SCANS} scans")
            following = _MARKER_IN_SCAN.search(data, place)
            if following is None:
                raise ValueError("it ends before its last marker (EOI)")
            place = following.start()
    else:
        raise ValueError(f"it has more than {_MOST_MARKERS:,} markers")
    if frame is None or len(frame) < 6:
        raise ValueError("it has no frame (SOF)")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    turn = orientation.value if orientation else 1
    kept.append(view[first:place])
    return Jpeg(width, height, frame[0], frame[5], turn, tuple(kept))
