"""Pictures of a bundle, from the images, volumes and signals among its golden vectors."""

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
from aeonnx.tools.inspection.curves import HEIGHT, WIDTH, curves

__all__ = ["Picture", "pictures_of"]

_SHOWN = 8  # the first golden rows are real images or their latents
_CHANNELS = 4  # of a signal
_KINDS = ("image", "volume", "signal")
_COLOURED = (1, 3, 4)  # channels of a picture


@dataclass(frozen=True)
class Picture:
    """A grid of images, or curves.

    Args:
        caption: description of its rows, from the top.
        uri: the PNG or SVG as a data URI.
        width: in pixels.
        height: in pixels.
    """

    caption: str
    uri: str
    width: int
    height: int


def pictures_of(folder: Path, contents: Manifest) -> list[Picture]:
    """Pictures of the inputs of each part above its outputs, and of what is generated.

    Of volumes the slice in the middle is shown, and of signals the first row, with the output drawn
    over the input. If no part maps images to images, pictures of all output images.

    Raises:
        IntegrityError: a golden file is missing or differs from what the manifest records.
    """
    rows = {part: _ends(contents, part) for part in contents.parts}
    both: dict[str, str] = {}  # by output: a scorer has the same output as the whole model
    for part, (source, result) in rows.items():
        if source and result:
            both.setdefault(result[1].sha256, part)
    with_result = [part for part, (_, result) in rows.items() if result]
    generated = [part for part in with_result if _generates(contents, part)]
    shown = [*both.values(), *generated] if both else with_result
    return [
        picture
        for part in shown
        for picture in _pictures(folder, part, [row for row in rows[part] if row])
    ]


def _generates(contents: Manifest, part: str) -> bool:
    """Whether a part makes images from integers alone, such as a seed."""
    variant = next(iter(contents.parts[part].values()))
    return all(spec.dtype == "int64" for spec in variant.inputs)


Row = tuple[str, GoldenTensor, TensorSpec]
"""Description, stored array and tensor specification."""


def _ends(contents: Manifest, part: str) -> tuple[Row | None, Row | None]:
    """The first input and the first output of a part that can be shown."""
    variant = next(iter(contents.parts[part].values()))
    stored = variant.golden[0]

    def first(specs: tuple[TensorSpec, ...], stored: dict[str, GoldenTensor]) -> Row | None:
        spec = next((spec for spec in specs if spec.kind in _KINDS), None)
        return None if spec is None else (spec.description or spec.name, stored[spec.name], spec)

    return (
        first(variant.inputs, stored.inputs),
        first(variant.outputs, stored.outputs),
    )


def _pictures(folder: Path, part: str, rows: list[Row]) -> list[Picture]:
    values = [golden.read(folder, tensor)[:_SHOWN] for _, tensor, _ in rows]
    names = [f"{description}{_which(spec)}" for description, _, spec in rows]
    specs = [spec for _, _, spec in rows]
    if all(spec.kind == "signal" for spec in specs):
        signals = [found[0, :_CHANNELS] for found in values]
        shown = f"{names[0]} (grey) and {names[1]} (blue)" if len(names) > 1 else names[0]
        return [_drawn(f"{part}: {shown}", signals)]
    made = [_pixels(_flat(x), spec.range) for x, spec in zip(values, specs, strict=True)]
    if len(made) > 1 and made[0].shape == made[1].shape:
        shown = f"{names[0]} (top row) and {names[1]} (bottom row)"
        return [_grid(f"{part}: {shown}", np.concatenate(made), len(made[0]))]
    return [
        _grid(f"{part}: {name}", found, len(found)) for name, found in zip(names, made, strict=True)
    ]


def _which(spec: TensorSpec) -> str:
    """What is shown of a tensor that is more than pictures, or curves."""
    if spec.kind == "signal":
        wide = spec.shape[1]
        return f", first {_CHANNELS} channels" if isinstance(wide, int) and wide > _CHANNELS else ""
    slices = ", slices in the middle" if spec.kind == "volume" else ""
    return slices if spec.shape[1] in _COLOURED else f"{slices}, first channel"


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """Pictures [n, channels, height, width] of images, volumes or signals."""
    if values.ndim == 5:
        values = values[:, :, values.shape[2] // 2]
    if values.ndim == 3:
        values = values[:, :, None]
    return values if values.shape[1] in _COLOURED else values[:, :1]


def _grid(caption: str, pictures: NDArray[np.uint8], columns: int) -> Picture:
    height, width = images.grid(pictures, columns).shape[:2]
    return Picture(caption, _uri("image/png", images.png(pictures, columns)), width, height)


def _drawn(caption: str, signals: list[NDArray[Any]]) -> Picture:
    """Signals [channels, time] as curves."""
    svg = curves(signals).encode()
    return Picture(caption, _uri("image/svg+xml", svg), WIDTH, HEIGHT * len(signals[0]))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def _pixels(values: NDArray[Any], bounds: Bounds | None) -> NDArray[np.uint8]:
    """Images as uint8 pixels; without a range, from their minimum to their maximum."""
    if values.dtype == np.uint8:
        return values
    if not (bounds and has_pixels(bounds)):
        bounds = float(values.min()), float(values.max())
    return to_pixels(values, bounds if has_pixels(bounds) else UNIT)
