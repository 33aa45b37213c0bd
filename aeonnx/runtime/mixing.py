"""Denoising in part: a mix of an image and its denoised version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import UsageError
from aeonnx.io.pixels import Bounds, to_pixels
from aeonnx.runtime.array_like import ArrayLike
from aeonnx.runtime.session import Array
from aeonnx.runtime.validation import check_input, check_output, input_array

__all__ = ["check_strength", "mix"]


def check_strength(strength: object) -> float:
    """A share from 0 to 1.

    Raises:
        UsageError: it is something else.
    """
    number = isinstance(strength, Real) and not isinstance(strength, bool)
    if not number or not 0 <= float(strength) <= 1:  # type: ignore[arg-type]
        raise UsageError(
            f"strength: expected a number from 0 (the image as it is) to 1 (all that the denoiser "
            f"does), got {strength!r}"
        )
    return float(strength)  # type: ignore[arg-type]


def mix(
    spec: TensorSpec,
    x: ArrayLike,
    strength: float,
    denoise: Callable[[Array], Array],
    bounds: Bounds | None,
    out: Array | None,
) -> Array:
    """strength * denoise(x) + (1 - strength) * x.

    Args:
        spec: the denoiser's input.
        x: images [n, C, H, W].
        strength: share of the denoised images, from 0 to 1.
        denoise: from floats to floats.
        bounds: return uint8 of this range; None for floats.
        out: see `Bundle`.
    """
    given = input_array("denoiser", spec, x)
    if given.dtype == np.uint8:
        given = check_input("denoiser", spec, given)
    denoised = denoise(given)
    mixed = denoised * np.float32(strength) + given * np.float32(1 - strength)
    made = mixed.astype(denoised.dtype) if bounds is None else to_pixels(mixed, bounds)
    if out is None:
        return made
    check_output("denoiser", replace(spec, dtype=str(made.dtype)), made.shape, given, out)
    out[...] = made
    return out
