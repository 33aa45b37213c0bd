"""Guess the kinds of tensors that a model from elsewhere does not state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part

__all__ = ["DATA_PARTS", "with_kinds"]

_DATA = {2: "vector", 3: "signal", 4: "image", 5: "volume"}
"""Kind of data by the number of its axes."""

DATA_PARTS = ("encoder", "denoiser", "reconstructor", "scorer", "classifier")
"""The parts whose first input is data such as images, the first that a model has before others."""

_MAKES_DATA = ("decoder", "reconstructor", "denoiser", "scorer", "classifier")
_BY_NAME = {
    **{"label": ("label", None), "mask": ("mask", None)},
    **{"error": ("score", 1), "probabilities": ("vector", 2)},
}
"""Kind of a tensor by its name, and how many axes it then has; None for any."""


def with_kinds(parts: Mapping[str, Part]) -> dict[str, Part]:
    """The parts, with a kind for each tensor whose kind is "other" and can be told.

    The names of the usual parts tell it: an encoder maps data to a latent or to codes, a decoder
    maps them back. The number of axes tells what data is: [batch, columns] is a vector, [batch,
    channels, time] a signal, then images and volumes.
    """
    return {name: _of(name, part) for name, part in parts.items()}


def _of(name: str, part: Part) -> Part:
    first_in = _data if name in DATA_PARTS else _latent if name == "decoder" else None
    first_out = _data if name in _MAKES_DATA else _latent if name == "encoder" else None
    inputs, outputs = (
        tuple(_known(spec, guess if place == 0 else None) for place, spec in enumerate(specs))
        for specs, guess in ((part.inputs, first_in), (part.outputs, first_out))
    )
    return replace(part, inputs=inputs, outputs=outputs)


def _data(spec: TensorSpec) -> str:
    return _DATA.get(len(spec.shape), "other")


def _latent(spec: TensorSpec) -> str:
    return "codes" if np.issubdtype(np.dtype(spec.dtype), np.integer) else "latent"


def _known(spec: TensorSpec, guess: Callable[[TensorSpec], str] | None) -> TensorSpec:
    if spec.kind != "other":
        return spec
    if guess is not None:
        return replace(spec, kind=guess(spec))
    kind, axes = _BY_NAME.get(spec.name, ("other", None))
    return replace(spec, kind=kind) if axes in (None, len(spec.shape)) else spec
