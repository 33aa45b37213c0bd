"""The manifest of a bundle, and reading and writing its file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from aeonnx._util import files, serde
from aeonnx._util.serde import OPTIONAL, require
from aeonnx.bundle.tensors import NAME, GoldenTensor, TensorSpec, require_digest
from aeonnx.bundle.training import Training
from aeonnx.bundle.variant import PRECISIONS, Variant
from aeonnx.errors import BundleError, ManifestError

__all__ = [
    "FILE_NAME",
    "FORMAT",
    "FORMAT_VERSION",
    "Manifest",
    "Prior",
    "contents",
    "file_names",
    "latents",
    "parse",
    "read",
    "serialize",
]

FILE_NAME = "manifest.json"
FORMAT = "aeonnx-bundle"
FORMAT_VERSION = 2

_MOST = 16 * 2**20
"""Largest size of the file in bytes, enough for thousands of parts."""

_VARIANT = re.compile(rf"({'|'.join(PRECISIONS)})(-uint8)?")
_PRIORS = ("standard-normal", "fitted", "fitted-diagonal", "mixture")


@dataclass(frozen=True)
class Prior:
    """The distribution to draw `z` from: N(mean, factor factor^T), or a mixture of k of them.

    Args:
        kind: "standard-normal" for N(0, I), the prior of the training; "fitted" or
            "fitted-diagonal" for a Gaussian fitted to the latents of training images; "mixture" for
            a mixture of Gaussians.
        temperature: scale of the standard deviation, above 0; `factor` already includes it.
        mean: float64 [channels], for the second axis of `z` at each place; None for 0. Of a
            mixture [k, channels].
        factor: float64 [channels, channels], or its diagonal [channels]; None for the identity. Of
            a mixture [k, channels, channels] or [k, channels].
        weights: of a mixture, float64 [k]; None for others.
    """

    kind: str
    temperature: float
    mean: GoldenTensor | None
    factor: GoldenTensor | None
    weights: GoldenTensor | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(self.kind in _PRIORS, f"kind: expected one of {_PRIORS}, got {self.kind!r}")
        require(self.temperature > 0, f"temperature: expected above 0, got {self.temperature}")
        if self.kind != "mixture":
            require(self.weights is None, f"weights: expected none of {self.kind}")
            return
        given = self.weights, self.mean, self.factor
        shapes = [tensor and tensor.shape for tensor in given]
        ranks = [len(shape or ()) for shape in shapes]
        lengths = {tensor.shape[0] for tensor in given if tensor and tensor.shape}
        floats = all(tensor is None or tensor.dtype == "float64" for tensor in given)
        require(
            floats and ranks in ([1, 2, 2], [1, 2, 3]) and len(lengths) == 1,
            "weights: expected float64 [k], beside mean [k, channels] and factor [k, channels, "
            f"channels] or [k, channels] of a mixture, got {shapes}",
        )


@dataclass(frozen=True)
class Manifest:
    """A bundle: the parts of one checkpoint.

    Args:
        model: name of the model.
        arch: name of its network.
        checkpoint_id: hash of the configuration and weights that all parts were exported from.
        prior: distribution to draw `z` from; None if there is none.
        classes: names of the labels, in the order of `probabilities`; empty without a classifier.
        parts: graphs by part name and variant: fp32, fp16 or int8, with the suffix "-uint8" if
            images are uint8 pixels.
        training: how the weights were trained; None for external weights.
        tools: versions of the software that made the bundle, by name.
    """

    model: str
    arch: str
    checkpoint_id: str
    prior: Prior | None
    classes: tuple[str, ...]
    parts: dict[str, dict[str, Variant]]
    training: Training | None
    tools: dict[str, str]

    def __post_init__(self) -> None:
        require_digest(self.checkpoint_id, "checkpoint_id")
        require(self.parts, "parts: expected at least one part")
        for part, variants in self.parts.items():
            _require_variants(part, variants)
        _require_prior(self)
        _require_classes(self)

    def prior_tensors(self) -> list[GoldenTensor]:
        """The stored arrays of the prior, if there are any."""
        prior = self.prior
        every = (prior.mean, prior.factor, prior.weights) if prior else ()
        return [tensor for tensor in every if tensor]


def _require_variants(part: str, variants: dict[str, Variant]) -> None:
    require(NAME.fullmatch(part), f"parts: expected lower case, got {part!r}")
    require("fp32" in variants, f"parts.{part}: expected an fp32 graph")
    unknown = sorted(name for name in variants if not _VARIANT.fullmatch(name))
    require(
        not unknown,
        f"parts.{part}: expected fp32, fp16 or int8, or these with -uint8, got {unknown}",
    )


def _require_prior(contents: Manifest) -> None:
    """Check the arrays of the prior against the channels of the latents that it is for."""
    tensors = contents.prior_tensors()
    if contents.prior and contents.prior.weights:  # a component is like the prior of others
        tensors = [replace(tensor, shape=tensor.shape[1:]) for tensor in tensors[:2]]
    sizes = {size for tensor in tensors for size in tensor.shape}
    flat = all(tensor.dtype == "float64" and 1 <= len(tensor.shape) <= 2 for tensor in tensors)
    require(
        flat and len(sizes) <= 1,
        "prior: expected a float64 mean [channels] and factor [channels] or [channels, channels], "
        f"got {', '.join(f'{tensor.dtype} {list(tensor.shape)}' for tensor in tensors)}",
    )
    for part, latent in latents(contents):
        wide = latent.shape[1] if len(latent.shape) > 1 else 1
        require(
            not sizes or sizes == {wide},
            f"prior: expected {wide} channels, as {latent.name} of {part} has, got {[*sizes]}",
        )


def latents(contents: Manifest) -> list[tuple[str, TensorSpec]]:
    """(part, latent) that the prior is for: the decoder's first input, and what a sampler draws."""
    found = []
    if "decoder" in contents.parts:
        found.append(("decoder", contents.parts["decoder"]["fp32"].inputs[0]))
    if "sampler" in contents.parts:
        found.append(("sampler", contents.parts["sampler"]["fp32"].outputs[0]))
    return found


def _require_classes(contents: Manifest) -> None:
    classes = contents.classes
    require(all(classes), "classes: expected names, got an empty one")
    require(len(set(classes)) == len(classes), "classes: expected distinct names")
    if "classifier" in contents.parts:
        wide = contents.parts["classifier"]["fp32"].outputs[-1].shape[-1:]
        require(
            wide == (len(classes),),
            f"classes: expected a name for each output of the classifier, {list(wide)}, "
            f"got {len(classes)}",
        )


def serialize(manifest: Manifest) -> bytes:
    """The content of manifest.json; equal manifests result in equal bytes."""
    return serde.dump(manifest, FORMAT, FORMAT_VERSION)


def read(folder: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises:
        BundleError: there is no bundle at `folder`.
        ManifestError: it is damaged or has a newer format version.
    """
    path = folder / FILE_NAME
    try:
        text = files.read_bytes(path, _MOST)
    except (FileNotFoundError, NotADirectoryError):
        what = "has no manifest.json" if os.path.isdir(folder) else "is not a folder"
        raise BundleError(
            f"no bundle at {folder}: it {what}. "
            f"Make one with: aeonnx export --model MODEL -o {folder}"
        ) from None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    return parse(text, where=str(path))


def parse(text: bytes, where: str = FILE_NAME) -> Manifest:
    """Parse and check the content of a manifest.

    Raises:
        ManifestError: names the field, what was expected and what was found.
    """
    try:
        return serde.load(Manifest, text, FORMAT, FORMAT_VERSION)
    except ValueError as error:
        raise ManifestError(f"{where}: {error}") from error


def contents(manifest: Manifest) -> dict[str, tuple[str, int]]:
    """SHA-256 and size of every file that the manifest names, by path inside the bundle."""
    variants = [item for part in manifest.parts.values() for item in part.values()]
    tensors = [
        tensor
        for variant in variants
        for golden in variant.golden
        for kind in (golden.inputs, golden.outputs)
        for tensor in kind.values()
    ]
    stored: tuple[Variant | GoldenTensor, ...] = (*variants, *tensors, *manifest.prior_tensors())
    return {item.file: (item.sha256, item.bytes) for item in stored}


def file_names(manifest: Manifest) -> set[str]:
    """Every file that the manifest names, as a path inside the bundle."""
    return set(contents(manifest))
