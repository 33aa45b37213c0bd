"""Labels of images for a model that was trained with them: given by name, or predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import BundleError, UsageError
from aeonnx.io.pixels import UNIT, from_pixels
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import PARTS, steps_of

if TYPE_CHECKING:
    from aeonnx.runtime.bundle import Bundle

__all__ = ["label_of", "labels_of", "missing_label", "predicted"]


def label_of(
    bundle: Bundle, text: str, option: str = "--label", verb: str = "generate"
) -> tuple[str, int]:
    """The input that takes a class, and the number of a class.

    Args:
        bundle: its part for `verb` takes the class.
        text: name of a class, or its number.
        option: where it was given, for messages.
        verb: such as "generate".

    Raises:
        UsageError: no input takes a class, or there is no such class.
    """
    spec = _spec(bundle, verb)
    if spec is None:
        part = PARTS[steps_of(bundle.manifest, verb)[0]]
        if part not in bundle.manifest.parts:
            raise UsageError(f"{option}: this bundle has no {part} that could take it")
        raise UsageError(f"{option}: this bundle's {part} takes none, leave it out")
    classes = bundle.manifest.classes
    if text in classes:
        return spec.name, classes.index(text)
    if not text.isdecimal():
        known = f"one of {', '.join(classes)}" if classes else "a number"
        raise UsageError(f"{option}: expected {known}, got {text!r}")
    return spec.name, int(text)


def labels_of(bundle: Bundle, text: str) -> list[tuple[str, int]]:
    """As `label_of`, for several classes: names with commas between them, or one letter each.

    Raises:
        UsageError: see `label_of`.
    """
    names = text.split(",") if "," in text or not text else text
    return [label_of(bundle, name, "--labels") for name in names]


def missing_label(
    bundle: Bundle, verb: str, given: Mapping[str, Any]
) -> tuple[str, Callable[[Array], Array]] | None:
    """The input of a verb that takes a label, and what predicts it; None if it is given or not.

    Args:
        bundle: the bundle.
        verb: "encode", "reconstruct", "denoise" or "score".
        given: the inputs that are given, by name.
    """
    spec = None if verb == "decode" else _spec(bundle, verb)
    if spec is None or spec.name in given:
        return None
    try:
        bundle.require("reconstruct")
    except BundleError as error:
        raise BundleError(
            f"{verb}: expected a label, with --label CLASS. To predict it, images are "
            f"reconstructed with each label, and {error}"
        ) from error
    return spec.name, lambda images: predicted(bundle, images)


def predicted(bundle: Bundle, images: Array) -> Array:
    """The class of each image with which the model reconstructs it best, int64 [n].

    It is the class with the highest likelihood under a decoder of Gaussian pixels, at the mean of
    q(z|x, class); see Kingma et al. 2014, "Semi-supervised learning with deep generative models".

    Args:
        bundle: reconstructs, and takes a label to do so.
        images: [n, C, H, W], float32 in range or uint8.

    Raises:
        BundleError: it cannot reconstruct, or takes no label, or does not say which there are.
    """
    bundle.require("reconstruct")
    spec = _spec(bundle, "reconstruct")
    if spec is None or spec.range is None:
        raise BundleError(
            "predicting labels: expected a bundle whose parts take one of a known number of "
            "labels, such as that of a model trained with --conditional"
        )
    first = bundle.inputs(PARTS[steps_of(bundle.manifest, "reconstruct")[0]])[0]
    x = from_pixels(images, first.range or UNIT) if images.dtype == np.uint8 else images
    low, high = map(int, spec.range)
    errors = []
    for label in range(low, high + 1):
        given: dict[str, Any] = {spec.name: label}
        off = bundle.reconstruct(images, **given) - x
        errors.append(np.square(off).reshape(len(x), -1).mean(1))
    found: Array = low + np.argmin(errors, 0).astype(np.int64)
    return found


def _spec(bundle: Bundle, verb: str) -> TensorSpec | None:
    """The input of kind label that a verb's first part takes."""
    part = PARTS[steps_of(bundle.manifest, verb)[0]]
    if part not in bundle.manifest.parts:
        return None
    return next((spec for spec in bundle.inputs(part) if spec.kind == "label"), None)
