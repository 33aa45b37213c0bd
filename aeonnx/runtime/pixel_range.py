"""Which range of floats the pixels 0 to 255 of a result stand for."""

from __future__ import annotations

from aeonnx.bundle import Manifest, TensorSpec
from aeonnx.errors import BundleError
from aeonnx.io.pixels import Bounds, has_pixels

__all__ = ["pixel_range"]

_LIKE = {"decoder": "encoder"}
"""The part whose first input the result of a part is like; every other part's own."""


def pixel_range(contents: Manifest, part: str, made: TensorSpec) -> Bounds:
    """The range that 0 to 255 stand for in a result; values beyond it are clipped.

    It is the result's own range. An image that has none gets the range of the image that it is
    like, if that has as many channels: the one that the denoiser or reconstructor takes, or, for a
    decoder, the one that the encoder takes.

    Args:
        contents: of the bundle.
        part: that gives the result.
        made: the result.

    Raises:
        BundleError: neither has a range.
    """
    if made.range and has_pixels(made.range):
        return made.range
    like = _LIKE.get(part, part)
    if made.kind == "image" and like in contents.parts:
        taken = contents.parts[like]["fp32"].inputs[0]
        same = (taken.kind, taken.shape[1]) == (made.kind, made.shape[1])
        if same and taken.range and has_pixels(taken.range):
            return taken.range
    raise BundleError(
        f"{part}: {made.name} has no range [low, high] that 0 to 255 could stand for: write its "
        "floats to a name that ends in .npy, such as -o name.npy, without --pixels; in Python "
        "leave pixels out"
    )
