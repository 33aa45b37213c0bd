"""Labels of images for a model that was trained with them: given by name, or predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.errors import BundleError, UsageError
from aeonnx.io.pixels import UNIT, from_pixels
from aeonnx.runtime.class_names import label_number, said
from aeonnx.runtime.session import Array
from aeonnx.runtime.verbs import taken_by

if TYPE_CHECKING:
    from aeonnx.runtime.bundle import Bundle

__all__ = ["label_of", "labels_of", "missing_label", "nearest", "predicted", "require_label"]


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
        part = taken_by(bundle.manifest, verb)
        if part not in bundle.manifest.parts:
            raise UsageError(f"{option}: this bundle has no {part} that could take it")
        raise UsageError(f"{option}: this bundle's {part} takes none, leave it out")
    return spec.name, label_number(spec, bundle.manifest.classes, text, option)


def labels_of(bundle: Bundle, text: str) -> list[tuple[str, int]]:
    """As `label_of`, for several classes: names with commas between them, or one letter each.

    Raises:
        UsageError: see `label_of`.
    """
    names = text.split(",") if "," in text or not text else text
    return [label_of(bundle, name, "--labels") for name in names]


def require_label(bundle: Bundle, given: Mapping[str, Any]) -> None:
    """Raise unless all labels that "generate" needs are given: there is no image to predict from.

    Args:
        bundle: the bundle.
        given: the inputs that are given, by name.

    Raises:
        UsageError: one is missing.
    """
    spec = _spec(bundle, "generate")
    if spec is not None and spec.name not in given:
        known = said(spec, bundle.manifest.classes)
        raise UsageError(f"Missing option '--label' or '--labels': the class to generate, {known}")


def missing_label(
    bundle: Bundle, verb: str, given: Mapping[str, Any], option: str = "--label CLASS"
) -> str | None:
    """The input of a verb that takes a label, which is to be predicted; None if nothing is.

    Args:
        bundle: the bundle.
        verb: "encode", "reconstruct", "denoise" or "score"; "decode" predicts none.
        given: the inputs that are given, by name.
        option: how a label is given, for messages.

    Raises:
        BundleError: a label is missing, and the bundle cannot predict it.
    """
    spec = None if verb == "decode" else _spec(bundle, verb)
    if spec is None or spec.name in given:
        return None
    try:
        bundle.require("reconstruct")
    except BundleError as error:
        raise BundleError(
            f"{verb}: expected a label, with {option}. To predict it, images are "
            f"reconstructed with each label, and {error}"
        ) from error
    return spec.name


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
    first = bundle.inputs(taken_by(bundle.manifest, "reconstruct"))[0]
    x = from_pixels(images, first.range or UNIT) if images.dtype == np.uint8 else images

    def reconstruct(label: int) -> Array:
        given: dict[str, Any] = {spec.name: label}
        return bundle.reconstruct(images, **given)

    return nearest(x, spec.range, reconstruct)


def nearest(x: Array, limits: tuple[float, float], reconstruct: Callable[[int], Array]) -> Array:
    """The label whose reconstruction is nearest to each image, int64 [n].

    Args:
        x: images [n, ...], float32 in range.
        limits: the lowest and the highest label.
        reconstruct: label -> reconstructions [n, ...].
    """
    low, high = map(int, limits)
    errors = [
        np.square(reconstruct(label) - x).reshape(len(x), -1).mean(1)
        for label in range(low, high + 1)
    ]
    found: Array = low + np.argmin(errors, 0).astype(np.int64)
    return found


def _spec(bundle: Bundle, verb: str) -> TensorSpec | None:
    """The input of kind label that a verb's first part takes."""
    part = taken_by(bundle.manifest, verb)
    if part not in bundle.manifest.parts:
        return None
    return next((spec for spec in bundle.inputs(part) if spec.kind == "label"), None)
