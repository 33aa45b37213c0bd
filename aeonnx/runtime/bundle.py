"""A bundle's parts behind verbs: encode, decode, reconstruct, denoise, classify, generate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aeonnx import files, golden, manifest
from aeonnx.errors import BundleError, InputError, IntegrityError, UnknownNameError
from aeonnx.manifest import GoldenTensor, Manifest, Variant
from aeonnx.pixels import from_pixels
from aeonnx.runtime.batching import any_batch, any_rows
from aeonnx.runtime.checks import check_input
from aeonnx.runtime.prior import Gaussian, draw
from aeonnx.runtime.session import Array, Session

__all__ = ["Bundle", "Classified", "load"]


@dataclass(frozen=True, eq=False)
class Classified:
    """What a classifier says of n images.

    Args:
        labels: name of each image's most probable class.
        indices: its place in `Manifest.classes`, int64 [n].
        probabilities: of all classes, float32 [n, classes].
    """

    labels: tuple[str, ...]
    indices: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]


def load(path: str | os.PathLike[str], providers: Sequence[str] | None = None) -> Bundle:
    """Open a bundle written by `aeonnx export`.

    Args:
        path: the bundle's folder.
        providers: execution providers in order of preference, such as ["CUDAExecutionProvider"] or
            ["cuda"]; the first is what runs, or opening a part fails. None takes CUDA where it
            really loads, else the CPU.

    Raises:
        BundleError: there is no bundle, or its manifest is damaged or of a newer format.
    """
    folder = Path(path)
    return Bundle(folder, manifest.read(folder), providers)


class Bundle:
    """The parts of one trained model. Graphs are opened, and their digests checked, at first use.

    All verbs take and give numpy arrays with the batch as first axis, any number of rows.
    """

    def __init__(
        self, folder: Path, contents: Manifest, providers: Sequence[str] | None = None
    ) -> None:
        self.folder = folder
        self.manifest = contents
        self._requested = providers
        self._sessions: dict[tuple[str, str], Session] = {}
        self._prior: Gaussian | None = None

    def __repr__(self) -> str:
        parts = ", ".join(sorted(self.manifest.parts))
        return f"Bundle({str(self.folder)!r}, {self.manifest.model}/{self.manifest.arch}: {parts})"

    @property
    def provider(self) -> str | None:
        """The execution provider that the opened parts run on; None before the first is opened."""
        return next((session.providers[0] for session in self._sessions.values()), None)

    def encode(self, x: Array) -> Array:
        """The latent of images: float32 [n, C, H, W] in [0, 1], or uint8 -> float32 [n, latent].

        Of a VAE it is `mu`; `run("encoder", x=x)` gives `logvar` too.
        """
        return self._answer("encoder", x)

    def decode(self, z: Array) -> Array:
        """Images of latents: float32 [n, latent] -> float32 [n, C, H, W] in [0, 1]."""
        return self._answer("decoder", z)

    def reconstruct(self, x: Array) -> Array:
        """Images through the latent and back: [n, C, H, W] -> float32 [n, C, H, W] in [0, 1].

        A bundle without a reconstructor, but with encoder and decoder, runs these two.
        """
        if "reconstructor" not in self.manifest.parts and {"encoder", "decoder"} <= set(
            self.manifest.parts
        ):
            return self.decode(self.encode(x))
        return self._answer("reconstructor", x)

    def denoise(self, x: Array) -> Array:
        """Images without their noise: [n, C, H, W] -> float32 [n, C, H, W] in [0, 1]."""
        return self._answer("denoiser", x)

    def classify(self, x: Array) -> Classified:
        """What images show: [n, C, H, W], float32 in [0, 1] or uint8.

        Raises:
            BundleError: the model learns no classes, or the bundle has no classifier.
        """
        if not self.manifest.classes:
            raise BundleError(
                f"a {self.manifest.model} learns no classes, so that there is nothing to tell "
                "apart: use an sdae"
            )
        variant = self.variant("classifier")
        found = self.run("classifier", **{variant.inputs[0].name: x})
        probabilities = found["probabilities"]
        indices = probabilities.argmax(1)
        labels = tuple(self.manifest.classes[index] for index in indices)
        return Classified(labels, indices, probabilities)

    def generate(self, n: int, seed: int = 0, first: int = 0) -> Array:
        """New images from the prior: float32 [n, C, H, W] in [0, 1].

        Sample i of a seed is the same image in any batch, and in the graph of the part `sampler`,
        which runs if there is no decoder; its pixels are given as multiples of 1 / 255.

        Args:
            n: how many.
            seed: 0 to 2**63 - 1.
            first: index of the first.

        Raises:
            BundleError: the bundle has no prior to draw from.
            InputError: an argument is outside its range.
        """
        z = self.draw_latents(n, seed, first)
        if "decoder" in self.manifest.parts or "sampler" not in self.manifest.parts:
            return self.decode(z)
        rows = {"seed": np.array([seed]), "index": np.arange(first, first + n)}
        return from_pixels(self.run("sampler", **rows)["image"])

    def draw_latents(self, n: int, seed: int = 0, first: int = 0) -> npt.NDArray[np.float32]:
        """The latents that `generate` decodes: float32 [n, latent]. Arguments as there."""
        return draw(self._gaussian(), seed, first, n, self.manifest.latent_size)

    def _gaussian(self) -> Gaussian:
        prior = self.manifest.prior
        if prior is None:
            raise BundleError(
                f"this {self.manifest.model} has no distribution of its latents to generate from: "
                f"fit one with: aeonnx export --model {self.manifest.model} --prior fitted; or "
                "decode latents of your own"
            )
        if self._prior is None:
            mean = self.read_golden(prior.mean) if prior.mean else None
            self._prior = Gaussian(mean, self.read_golden(prior.factor) if prior.factor else None)
        return self._prior

    def run(self, part: str, **inputs: Array) -> dict[str, Array]:
        """All outputs of a part by name, for its inputs by name.

        Raises:
            BundleError: the bundle has no such part.
            IntegrityError: a file is missing or is not the one that the manifest names.
            InputError: an input has the wrong name, dtype, shape or values.
            ProviderError: a provider asked for by name cannot run here.
        """
        variant = self.variant(part)
        expected = {spec.name for spec in variant.inputs}
        if inputs.keys() != expected:
            raise InputError(f"{part}: expected inputs {sorted(expected)}, got {sorted(inputs)}")
        specs = any_batch(variant)
        feeds = {spec.name: check_input(part, spec, inputs[spec.name]) for spec in specs}
        return any_rows(variant, self.session(part).run)(feeds)

    def variant(self, part: str, name: str = "fp32") -> Variant:
        """The manifest's entry of a part's variant.

        Raises:
            BundleError: the bundle has no such part.
            UnknownNameError: the part has no such variant.
        """
        if part not in self.manifest.parts:
            has = ", ".join(sorted(self.manifest.parts)) or "none"
            raise BundleError(
                f"this bundle has no part {part!r}, it has: {has}. If a {self.manifest.model} has "
                f"one, add it with: aeonnx export --model {self.manifest.model} --part {part}"
            )
        variants = self.manifest.parts[part]
        if name not in variants:
            raise UnknownNameError(f"variant of {part}", name, variants)
        return variants[name]

    def session(self, part: str, variant: str = "fp32") -> Session:
        """The open graph of a part: checked against the manifest when opened first.

        Raises: as `run`.
        """
        key = (part, variant)
        if key not in self._sessions:
            self._sessions[key] = self._open(part, variant)
        return self._sessions[key]

    def read_golden(self, tensor: GoldenTensor) -> Array:
        """A golden array of the manifest.

        Raises:
            IntegrityError: the file is missing or is not the one that the manifest names.
        """
        return golden.read(self.folder, tensor)

    def _answer(self, part: str, value: Array) -> Array:
        variant = self.variant(part)
        return self.run(part, **{variant.inputs[0].name: value})[variant.outputs[0].name]

    def _open(self, part: str, name: str) -> Session:
        variant = self.variant(part, name)
        path = files.verified(self.folder / variant.file, variant.sha256)
        session = Session(path, self._requested)
        mismatches = session.interface_mismatches(variant.inputs, variant.outputs)
        if session.metadata.get("aeonnx.latent_id") != self.manifest.latent_id:
            mismatches.append("it comes from another checkpoint than the bundle's other parts")
        if mismatches:
            raise IntegrityError(
                f"{session.path} does not match its manifest: {'; '.join(mismatches)}. "
                "Export the bundle again."
            )
        return session
