"""Generates images into files in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from aeonnx._util import files
from aeonnx.io.animation import animation, check_animation
from aeonnx.io.formats import Target, target_of
from aeonnx.io.pixels import to_pixels
from aeonnx.io.writers import write_bytes
from aeonnx.runtime.bundle import Bundle
from aeonnx.runtime.file_rows import sizes
from aeonnx.runtime.pixel_range import pixel_range
from aeonnx.runtime.session import Array
from aeonnx.runtime.sheets import require_other
from aeonnx.runtime.stream import generated
from aeonnx.runtime.verbs import made_by
from aeonnx.runtime.walks import Walk, walked
from aeonnx.runtime.writing import Advanced, write_rows
from aeonnx.runtime.written import Written

__all__ = ["generate_file"]

_NONE: Mapping[str, float] = MappingProxyType({})


def generate_file(
    bundle: Bundle,
    n: int,
    seed: int,
    first: int,
    target: Path | str | None,
    *,
    size: Sequence[int] | None = None,
    pixels: bool = False,
    force: bool = False,
    advanced: Advanced | None = None,
    others: Mapping[str, float] = _NONE,
    each: Sequence[Mapping[str, float]] = (_NONE,),
    walk: Walk | None = None,
    animate: Path | None = None,
) -> Written:
    """Write generated images to `target`; see `Bundle.generate` and `run_on_files`.

    Args:
        bundle, seed, first, size: see `Bundle.generate`.
        n: number of images for each entry of `each`.
        target, pixels, force, advanced: see `run_on_files`.
        others: a number for each further input of the decoder.
        each: more such numbers, such as labels: n images of each entry, all of the same latents, a
            row of the grid for each if there are several.
        walk: how latents are chosen; None to draw them.
        animate: a .gif or .webp to write with the images as frames, too, or alone if there is no
            `target`.
    """
    walk = walk or Walk()
    bundle.require("generate" if walk.plain else "decode")
    to = None if target is None else target_of(target, pictures=True)
    count = n * len(each)
    if animate is not None:
        if target is not None:
            require_other("--animate", animate, target)
        check_animation(animate, count)
        files.refuse_existing(animate, force=force)
    if to is not None:
        to.require(count, sizes(made_by(bundle.manifest, "generate")[1]))
        to.refuse_existing(force=force)
    pixels = pixels or to is None or to.pictures
    options: dict[str, Any] = {"size": size, "pixels": pixels, **others}
    none: dict[str, Array] = {}
    frames: list[Array] = []

    def results() -> Iterator[tuple[Array, Mapping[str, Array]]]:
        for more in each:
            given = {**options, **more}
            for images in (
                generated(bundle, n, seed, first, **given)
                if walk.plain
                else walked(bundle, n, seed, first, walk, **given)
            ):
                if animate is not None:
                    frames.append(_pixels(bundle, images))
                yield images, none

    written = None
    if to is not None:
        columns = n if len(each) > 1 else None
        written = write_rows(
            results(), to, count, "images", (), columns=columns, force=force, advanced=advanced
        )
    else:
        for _ in results():
            if advanced:
                advanced(sum(map(len, frames)), count)
    if animate is not None:
        images = np.concatenate(frames)
        write_bytes(Target(animate, "png"), animation(images, animate), force=force)
        written = written or Written(f"{animate}", "uint8", images.shape)
    assert written is not None  # noqa: S101  # the command asks for one of both
    return written


def _pixels(bundle: Bundle, images: Array) -> Array:
    if images.dtype == np.uint8:
        return images
    part, made = made_by(bundle.manifest, "generate")
    return to_pixels(images, pixel_range(bundle.manifest, part, made))
