"""Generates images: draws latents and decodes them, or runs the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from aeonnx._util.text import counted
from aeonnx.bundle import Manifest, Variant, latents, scaled, shape_at, solve
from aeonnx.errors import InputError, UsageError
from aeonnx.io.pixels import UNIT, Bounds, from_pixels, has_pixels
from aeonnx.runtime.array_like import select
from aeonnx.runtime.interface import Array, stored_sizes
from aeonnx.runtime.settings import whole
from aeonnx.runtime.verbs import steps_of

if TYPE_CHECKING:
    from aeonnx.runtime.bundle import Bundle

__all__ = ["generate", "image_range", "image_sizes", "latent_shape", "size_in"]

_DIGITS = 9  # of a size in a text
_DRAWN = 4096
"""Most images per batch."""


def generate(
    bundle: Bundle,
    n: int,
    seed: int,
    first: int,
    *,
    size: Sequence[int] | None,
    pixels: bool,
    others: Mapping[str, Any],
) -> Array:
    """Images from the prior, some thousands at a time; see `Bundle.generate`."""
    made: Array | None = None
    for done in range(0, n, _DRAWN):
        rows = slice(done, min(done + _DRAWN, n))
        each = {name: select(value, rows) for name, value in others.items()}
        count, start = rows.stop - done, first + done
        if steps_of(bundle.manifest, "generate") == ("decode",):
            latent = bundle.variant("decoder").inputs[0]
            z = bundle.draw_latents(count, seed, start, size=size).astype(latent.dtype, copy=False)
            found = bundle.decode(z, pixels=pixels, **each)
        else:
            found = _sampled(bundle, count, seed, start, size, each)
            found = found if pixels else from_pixels(found, image_range(bundle.manifest))
        if n <= _DRAWN:
            return found
        if made is None:
            made = np.empty((n, *found.shape[1:]), found.dtype)
        made[rows] = found
    return cast(Array, made)


def _sampled(
    bundle: Bundle,
    n: int,
    seed: int,
    first: int,
    size: Sequence[int] | None,
    others: Mapping[str, Any],
) -> Array:
    """Pixels that the graph `sampler` draws."""
    variant = bundle.variant("sampler")
    sizes = image_sizes(variant, size)
    canvases = {
        spec.name: np.zeros((n, *shape_at(spec.shape[1:], sizes)), np.uint8)
        for spec in variant.inputs
        if spec.kind == "canvas"
    }
    index = np.arange(first, first + n)
    given = {"seed": np.array([seed]), "index": index, **canvases, **others}
    return bundle.run("sampler", **given)["image"]


def image_range(contents: Manifest) -> Bounds:
    """The range that the sampler's pixels are mapped to: that of another part's images."""
    specs = (spec for found in contents.parts.values() for spec in found["fp32"].outputs)
    ranges = (spec.range for spec in specs if spec.kind == "image" and spec.dtype == "float32")
    return next((found for found in ranges if found and has_pixels(found)), UNIT)


def latent_shape(contents: Manifest, size: Sequence[int] | None) -> tuple[int, ...]:
    """The shape of a latent without its axis of rows.

    Args:
        contents: of a bundle with a decoder or a sampler.
        size: of the images that are decoded, such as (height, width); None for the size of the
            golden vectors.

    Raises:
        InputError: the images cannot have this size.
    """
    (part, latent), *_ = latents(contents)
    sizes = image_sizes(contents.parts[part]["fp32"], size)
    return shape_at(latent.shape[1:], sizes)


def size_in(what: str, text: str) -> tuple[int, ...]:
    """(64, 48) of "64x48", for `image_sizes`.

    Args:
        what: the option, such as "--size".
        text: its value.

    Raises:
        UsageError: it is no such text.
    """
    sizes = text.lower().split("x")
    if not all(size.isascii() and size.isdecimal() and len(size) <= _DIGITS for size in sizes):
        raise UsageError(
            f"{what}: expected HEIGHTxWIDTH, such as 64x48, or the length of a signal, got "
            f"{text[:60]!r}"
        )
    return tuple(int(size) for size in sizes)


def image_sizes(variant: Variant, size: Sequence[int] | None) -> dict[str, int]:
    """The size of each axis, that of rows included, where the images have a size.

    Args:
        variant: of a decoder or a sampler.
        size: see `latent_shape`.

    Raises:
        InputError: the images cannot have this size.
    """
    sizes = stored_sizes(variant, variant.golden[0])
    if size is None:
        return sizes
    image = next((spec for spec in variant.outputs if spec.kind == "image"), variant.outputs[0])
    dynamic = tuple(each for each in image.shape[2:] if scaled(each))
    if not dynamic:
        raise InputError("size: expected none, the images of this bundle have one size")
    if np.ndim(size) != 1 or len(size) != len(dynamic):
        names = " and ".join(map(str, dynamic))
        raise InputError(f"size: expected {counted(len(dynamic), 'number')}, {names}, got {size!r}")
    wanted = {"size": (dynamic, tuple(whole("size", each) for each in size))}
    try:
        return sizes | solve(wanted, variant.axes)
    except ValueError as error:
        raise InputError(str(error)) from error
