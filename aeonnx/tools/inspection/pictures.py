"""Pictures of a bundle, from the images among its golden vectors."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeonnx.bundle import GoldenTensor, Manifest, TensorSpec, golden
from aeonnx.io import images
from aeonnx.io.pixels import UNIT, Bounds, has_pixels, to_pixels

__all__ = ["Picture", "pictures_of"]

_SHOWN = 8  # the first golden rows are real images or their latents


@dataclass(frozen=True)
class Picture:
    """A grid of images.

    Args:
        caption: description of its rows, from the top.
        uri: the PNG as a data URI.
        width: in pixels.
        height: in pixels.
    """

    caption: str
    uri: str
    width: int
    height: int


def pictures_of(folder: Path, contents: Manifest) -> list[Picture]:
    """Pictures of the input images of each part above its outputs, and of generated images.

    If no part maps images to images, pictures of all output images.

    Raises:
        IntegrityError: a golden file is missing or differs from what the manifest records.
    """
    rows = {part: _images(contents, part) for part in contents.parts}
    both: dict[str, str] = {}  # by output: a scorer has the same output as the whole model
    for part, (source, result) in rows.items():
        if source and result:
            both.setdefault(result[1].sha256, part)
    with_result = [part for part, (_, result) in rows.items() if result]
    generated = [part for part in with_result if _generates(contents, part)]
    shown = [*both.values(), *generated] if both else with_result
    return [_picture(folder, part, [row for row in rows[part] if row]) for part in shown]


def _generates(contents: Manifest, part: str) -> bool:
    """Whether a part makes images from integers alone, such as a seed."""
    variant = next(iter(contents.parts[part].values()))
    return all(spec.dtype == "int64" for spec in variant.inputs)


Row = tuple[str, GoldenTensor, TensorSpec]
"""Description, stored array and tensor specification."""


def _images(contents: Manifest, part: str) -> tuple[Row | None, Row | None]:
    """The first image input and the first image output of a part."""
    variant = next(iter(contents.parts[part].values()))
    stored = variant.golden[0]

    def first(specs: tuple[TensorSpec, ...], stored: dict[str, GoldenTensor]) -> Row | None:
        spec = next((spec for spec in specs if spec.kind == "image"), None)
        return None if spec is None else (spec.description or spec.name, stored[spec.name], spec)

    return (
        first(variant.inputs, stored.inputs),
        first(variant.outputs, stored.outputs),
    )


def _picture(folder: Path, part: str, rows: list[Row]) -> Picture:
    values = [_pixels(golden.read(folder, tensor)[:_SHOWN], spec.range) for _, tensor, spec in rows]
    picture = np.concatenate(values)
    columns = len(values[0])
    uri = f"data:image/png;base64,{b64encode(images.png(picture, columns)).decode()}"
    height, width = images.grid(picture, columns).shape[:2]
    names = [row[0] for row in rows]
    shown = f"{names[0]} (top row) and {names[1]} (bottom row)" if len(names) > 1 else names[0]
    return Picture(f"{part}: {shown}", uri, width, height)


def _pixels(values: NDArray[Any], bounds: Bounds | None) -> NDArray[np.uint8]:
    """Images as uint8 pixels; without a range, from their minimum to their maximum."""
    if values.dtype == np.uint8:
        return values
    if not (bounds and has_pixels(bounds)):
        bounds = float(values.min()), float(values.max())
    return to_pixels(values, bounds if has_pixels(bounds) else UNIT)
