"""A picture that shows pairs of images side by side. numpy; pillow when used."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.io.images import enlarged

__all__ = ["MOST_SHOWN", "Sheet"]

Array = npt.NDArray[Any]

MOST_SHOWN = 12
"""Most pairs of a sheet."""
_SIDE = 480  # most pixels of an image that are shown, per side: its middle, at 100 %
_SMALL = 96  # images with fewer pixels per side are enlarged
_GAP, _LINE = 8, 16  # pixels between images, and of a line of text


@dataclass
class Sheet:
    """The first `MOST_SHOWN` pairs of images, such as those before and after.

    Args:
        titles: of the two columns.
    """

    titles: tuple[str, str] = ("before", "after")
    rows: list[tuple[str, Array, Array]] = field(default_factory=list)

    def add(self, name: str, before: Array, after: Array) -> None:
        """Show one more pair, if there is room.

        Args:
            name: the text above it.
            before: uint8 or uint16 [H, W, 1 to 4].
            after: uint8 or uint16 [H, W, 1 to 4], of the same size.
        """
        if len(self.rows) < MOST_SHOWN:
            self.rows.append((name, _shown(before), _shown(after)))

    def png(self) -> bytes:
        """The sheet as a PNG: a row per pair, its name above it."""
        from PIL import Image, ImageDraw

        wide = max(before.shape[1] for _, before, _ in self.rows)
        high = sum(before.shape[0] + _LINE + _GAP for _, before, _ in self.rows)
        sheet = Image.new("RGB", (2 * wide + 3 * _GAP, high + _LINE + _GAP), "white")
        draw = ImageDraw.Draw(sheet)
        for column, title in enumerate(self.titles):
            draw.text((_GAP + column * (wide + _GAP), _GAP // 2), title, fill="black")
        top = _LINE + _GAP
        for name, *pair in self.rows:
            draw.text((_GAP, top), _latin(name), fill="black")
            top += _LINE
            for column, image in enumerate(pair):
                sheet.paste(Image.fromarray(image), (_GAP + column * (wide + _GAP), top))
            top += pair[0].shape[0] + _GAP
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        return buffer.getvalue()


def _latin(name: str) -> str:
    """A name in the characters that pillow's own font has in every version."""
    return name.encode("latin-1", "replace").decode("latin-1")


def _shown(image: Array) -> Array:
    """The middle of an image, uint8 RGB, over white where it is transparent."""
    top, left = (max(0, size - _SIDE) // 2 for size in image.shape[:2])
    cut = image[top : top + _SIDE, left : left + _SIDE]
    if cut.dtype == np.uint16:
        cut = (cut >> 8).astype(np.uint8)
    if cut.shape[2] in (2, 4):
        share = cut[..., -1:].astype(np.float32) / 255
        cut = np.rint(cut[..., :-1] * share + 255 * (1 - share)).astype(np.uint8)
    if cut.shape[2] == 1:
        cut = np.repeat(cut, 3, axis=2)
    return np.ascontiguousarray(enlarged(cut, _SMALL))
