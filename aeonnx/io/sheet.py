"""A picture that shows pairs of images side by side. numpy; pillow when used."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aeonnx.io.images import enlarged

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

__all__ = ["MOST_SHOWN", "Sheet"]

Array = npt.NDArray[Any]

MOST_SHOWN = 12
"""Most pairs of a sheet."""
_SIDE = 480  # most pixels of an image that are shown, per side: its middle, at 100 %
_SMALL = 96  # images with fewer pixels per side are enlarged
_WIDE = 960  # pixels that pairs fill side by side, if they are not wider
_GAP, _LINE = 8, 16  # pixels between images, and of a line of text


@dataclass
class Sheet:
    """The first `MOST_SHOWN` pairs of images, such as those before and after.

    Args:
        titles: of the two images of a pair.
    """

    titles: tuple[str, str] = ("before", "after")
    rows: list[tuple[tuple[str, ...], Array, Array]] = field(default_factory=list)

    def add(self, name: str, before: Array, after: Array, *more: str) -> None:
        """Show one more pair, if there is room.

        Args:
            name: the text above it.
            before: uint8 or uint16 [H, W, 1 to 4].
            after: uint8 or uint16 [H, W, 1 to 4], of the same size.
            more: further lines of text.
        """
        if len(self.rows) < MOST_SHOWN:
            self.rows.append(((name, *more), _shown(before), _shown(after)))

    def png(self) -> bytes:
        """The sheet as a PNG: pairs with their text above them, row by row."""
        from PIL import Image, ImageDraw

        wide = max(before.shape[1] for _, before, _ in self.rows)
        cell, lines = 2 * (wide + _GAP), max(len(text) for text, _, _ in self.rows)
        columns = min(len(self.rows), max(1, _WIDE // cell))
        rows = [self.rows[i : i + columns] for i in range(0, len(self.rows), columns)]
        tall = [max(pair[1].shape[0] for pair in row) + lines * _LINE + _GAP for row in rows]
        size = (columns * cell + (2 * columns - 1) * _GAP, sum(tall) + _LINE + _GAP)
        sheet = Image.new("RGB", size, "white")
        draw = ImageDraw.Draw(sheet)
        lefts = [_GAP + column * (cell + 2 * _GAP) for column in range(columns)]
        for left in lefts:
            for place, title in enumerate(self.titles):
                draw.text((left + place * (wide + _GAP), _GAP // 2), title, fill="black")
        top = _LINE + _GAP
        for row, high in zip(rows, tall, strict=True):
            for left, (text, *pair) in zip(lefts, row, strict=False):
                for line, words in enumerate(text):
                    fitting = _fitting(draw, _latin(words), cell - _GAP)
                    draw.text((left, top + line * _LINE), fitting, fill="black")
                for place, image in enumerate(pair):
                    at = (left + place * (wide + _GAP), top + lines * _LINE)
                    sheet.paste(Image.fromarray(image), at)
            top += high
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        return buffer.getvalue()


def _fitting(draw: ImageDraw, text: str, width: int) -> str:
    """The text, without its middle if it is wider than so many pixels."""
    kept = len(text)
    found = text
    while kept > 1 and draw.textlength(found) > width:
        kept -= 1
        found = f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"
    return found


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
