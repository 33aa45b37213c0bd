"""Pictures of a bundle: the images among its golden vectors."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aeonnx import golden, images
from aeonnx.manifest import BATCH, GoldenTensor, Manifest, TensorSpec

__all__ = ["Picture", "pictures_of"]

_SHOWN = 8  # the first golden rows are real images or their latents


@dataclass(frozen=True)
class Picture:
    """A grid of images.

    Args:
        caption: what its rows are, from the top.
        uri: a PNG as data URI.
        width: in pixels.
        height: in pixels.
    """

    caption: str
    uri: str
    width: int
    height: int


def pictures_of(folder: Path, contents: Manifest) -> list[Picture]:
    """Images above what each part made of them; if no part does that, images that parts give.

    Raises:
        IntegrityError: a golden file is missing or is not the one that the manifest names.
    """
    rows = {part: _images(contents, part) for part in contents.parts}
    both = {part: pair for part, pair in rows.items() if all(pair)}
    shown = both or {part: (None, given) for part, (_, given) in rows.items() if given}
    return [
        _picture(folder, part, [row for row in pair if row is not None])
        for part, pair in shown.items()
    ]


Row = tuple[str, GoldenTensor]


def _images(contents: Manifest, part: str) -> tuple[Row | None, Row | None]:
    """The first image that a part takes and the first that it gives, with their meanings."""
    variant = next(iter(contents.parts[part].values()))
    shape = (BATCH, *contents.input_shape)

    def first(specs: tuple[TensorSpec, ...], stored: dict[str, GoldenTensor]) -> Row | None:
        found = [spec for spec in specs if spec.shape == shape]
        return (found[0].meaning or found[0].name, stored[found[0].name]) if found else None

    return (
        first(variant.inputs, variant.golden.inputs),
        first(variant.outputs, variant.golden.outputs),
    )


def _picture(folder: Path, part: str, rows: list[Row]) -> Picture:
    values = [golden.read(folder, tensor)[:_SHOWN] for _, tensor in rows]
    picture = np.concatenate(values)
    columns = len(values[0])
    uri = f"data:image/png;base64,{b64encode(images.png(picture, columns)).decode()}"
    height, width = images.grid(picture, columns).shape[:2]
    return Picture(f"{part}: {' above '.join(meaning for meaning, _ in rows)}", uri, width, height)
