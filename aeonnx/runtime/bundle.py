"""A bundle's parts behind verbs: encode, decode, reconstruct, denoise, classify, generate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import GoldenTensor, Manifest, Variant, manifest
from aeonnx.errors import BundleError, UsageError
from aeonnx.io.pixels import UNIT, Bounds, from_pixels, has_pixels, to_pixels
from aeonnx.runtime.interface import tile_rows
from aeonnx.runtime.prior import Gaussian, check_range, draw
from aeonnx.runtime.providers import Provider
from aeonnx.runtime.runner import PartRunner
from aeonnx.runtime.session import Array, Session
from aeonnx.runtime.sessions import SessionPool
from aeonnx.runtime.settings import Settings
from aeonnx.runtime.validation import check_output
from aeonnx.runtime.variants import Variants
from aeonnx.runtime.verbs import PARTS, check_verb, steps_of

__all__ = ["Bundle", "Classified", "load"]


_DRAWN = 4096
"""Latents that are drawn at once."""


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

    @classmethod
    def of(cls, batches: Iterable[Classified]) -> Classified:
        """The answers of several batches, one after another."""
        every = list(batches)
        return cls(
            tuple(label for batch in every for label in batch.labels),
            np.concatenate([batch.indices for batch in every]),
            np.concatenate([batch.probabilities for batch in every]),
        )


def load(
    path: str | os.PathLike[str],
    providers: Sequence[Provider] | None = None,
    *,
    precision: str = "fp32",
    threads: int | None = None,
    max_batch: int | None = None,
    cuda_graph: bool = False,
) -> Bundle:
    """Open a bundle written by `aeonnx export`.

    Args:
        path: the bundle's folder; a relative one is that of now, wherever the process goes later.
        providers: execution providers in order of preference, such as ["CUDAExecutionProvider"],
            ["cuda"] or [("cuda", {"device_id": "1"})]; the first is what runs, or opening a part
            fails. None takes CUDA where it really loads, else the CPU.
        precision: "fp32", "fp16" or "int8", of what was exported; "auto" takes for each part what
            is fastest on this machine and gives its golden vectors here.
        threads: of each graph; None for the cores that this process may use.
        max_batch: rows that a graph is given at most at once; None for what is fastest here,
            measured once per machine.
        cuda_graph: replay recorded CUDA graphs: less time for small batches, on CUDA alone.

    Raises:
        BundleError: there is no bundle, or its manifest is damaged or of a newer format.
        UnknownNameError, UsageError, InputError: an argument has no such value.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"load: expected the path of a bundle, got {path!r}")
    folder = Path(path)
    settings = Settings(providers, precision, threads, max_batch, cuda_graph)
    return Bundle(folder, manifest.read(folder), settings)


def _opened(folder: Path, settings: Settings) -> Bundle:
    """What a pickled bundle becomes."""
    return Bundle(folder, manifest.read(folder), settings)


class Bundle:
    """The parts of one trained model. Graphs are opened, and their digests checked, at first use.

    All verbs take and give numpy arrays with the batch as first axis, any number of rows. Float
    images are in the range that the manifest gives for the tensor, [0, 1] for the built-in models;
    uint8 images, which verbs take too, stand for that range. With `out` verbs write to that array
    and return it. With `pixels` they give uint8 images, in the very arithmetic of the graphs that
    `--io uint8` exports, which are used if they are there. Any number of threads may use one
    bundle. Use it in a `with` block, or `close` it, to let go of its graphs.

    A pickled or copied bundle is opened again, by its path and the arguments of `load`. A forked
    child cannot run graphs that its parent opened: it loads its own.
    """

    def __init__(self, folder: Path, contents: Manifest, settings: Settings | None = None) -> None:
        self.folder = folder.absolute()
        self.manifest = contents
        self._settings = settings or Settings()
        self._sessions = SessionPool(self.folder, contents, self._settings)
        self._variants = Variants(self._sessions)
        self._calls: dict[str, PartRunner] = {}
        self._fit: set[str] = set()  # verbs that can run
        self._prior: Gaussian | None = None

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name} ({self._variants.chosen[name]})" if name in self._variants.chosen else name
            for name in sorted(self.manifest.parts)
        )
        what = f"{self.manifest.model}/{self.manifest.arch}"
        where = f" on {self.provider}" if self.provider else ""
        return f"Bundle({str(self.folder)!r}, {what}: {parts}{where})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self.folder, self._settings)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the open graphs, after the runs that are under way; again is no harm."""
        self._variants.close()
        self._calls = {}

    @property
    def provider(self) -> str | None:
        """The execution provider that the opened parts run on; None before the first is opened."""
        return self._sessions.provider

    def warmup(self, batch_sizes: Sequence[int] = (1,), parts: Sequence[str] | None = None) -> None:
        """Open parts and run them on golden inputs: the first run of each size is slow on a GPU.

        Args:
            batch_sizes: rows, each 1 or more; the largest runs first, so that memory is taken once.
            parts: names; None for all that are there in the precision asked for.

        Raises: as `run`.
        """
        for part in parts or self._variants.ready():
            variant = self.variant(part, self._variants.choice(part))
            inputs = {
                name: self.read_golden(tensor) for name, tensor in variant.golden.inputs.items()
            }
            for rows in sorted(batch_sizes, reverse=True):
                self._variants.runner(part)(tile_rows(variant, inputs, rows))

    def require(self, verb: str) -> None:
        """Check from the manifest alone, before anything is read or opened, that a verb can run.

        Args:
            verb: "encode", "decode", "reconstruct", "denoise", "classify" or "generate".

        Raises:
            BundleError: the part that it needs is missing, or is not what the verb needs.
        """
        if verb in self._fit:
            return
        if verb == "classify" and not self.manifest.classes:
            raise BundleError(
                f"a {self.manifest.model} learns no classes, so that there is nothing to tell "
                "apart: use an sdae"
            )
        if verb == "generate":
            self._gaussian()
        for step in steps_of(self.manifest, verb):
            self._variants.require(PARTS[step])
            check_verb(self.manifest, step)
        self._fit.add(verb)

    def encode(self, x: Array, *, out: Array | None = None) -> Array:
        """The latent of images: float32 [n, C, H, W] in range, or uint8 -> float32 [n, latent].

        Here and elsewhere, float16 and float64 are rounded to float32.

        Of a VAE it is `mu`; `run("encoder", x=x)` gives `logvar` too.
        """
        return self._answer("encode", x, out)

    def decode(self, z: Array, *, out: Array | None = None, pixels: bool = False) -> Array:
        """Images of latents: float32 [n, latent] -> float32 [n, C, H, W] in range."""
        return self._answer("decode", z, out, pixels)

    def reconstruct(self, x: Array, *, out: Array | None = None, pixels: bool = False) -> Array:
        """Images through the latent and back: [n, C, H, W] -> float32 [n, C, H, W] in range.

        A bundle without a reconstructor, but with encoder and decoder, runs these two.
        """
        if steps_of(self.manifest, "reconstruct") == ("encode", "decode"):
            return self.decode(self.encode(x), out=out, pixels=pixels)
        return self._answer("reconstruct", x, out, pixels)

    def denoise(self, x: Array, *, out: Array | None = None, pixels: bool = False) -> Array:
        """Images without their noise: [n, C, H, W] -> float32 [n, C, H, W] in range."""
        return self._answer("denoise", x, out, pixels)

    def classify(self, x: Array) -> Classified:
        """What images show: [n, C, H, W], float32 in range or uint8.

        Raises:
            BundleError: the model learns no classes, or the bundle has no classifier.
        """
        call = self._call("classify")
        found = call({self.variant("classifier").inputs[0].name: x})
        probabilities = found["probabilities"]
        indices = probabilities.argmax(1)
        labels = tuple(self.manifest.classes[index] for index in indices)
        return Classified(labels, indices, probabilities)

    def generate(self, n: int, seed: int = 0, first: int = 0, *, pixels: bool = False) -> Array:
        """New images from the prior: float32 [n, C, H, W] in range.

        Sample i of a seed is the same image in any batch, and in the graph of the part `sampler`,
        which runs if there is no decoder; its pixels are given as multiples of 1 / 255 of the range
        that another part has, or of [0, 1] where no part has images.

        Args:
            n: how many.
            seed: 0 to 2**63 - 1.
            first: index of the first.
            pixels: give uint8.

        Raises:
            BundleError: the bundle has no prior to draw from.
            InputError: an argument is outside its range.
        """
        check_range(seed, first, n)
        self.require("generate")
        start = self._generate(min(n, _DRAWN), seed, first, pixels)
        if n <= _DRAWN:
            return start
        made = np.empty((n, *start.shape[1:]), start.dtype)
        made[:_DRAWN] = start
        for done in range(_DRAWN, n, _DRAWN):
            rows = made[done : done + _DRAWN]
            rows[...] = self._generate(len(rows), seed, first + done, pixels)
        return made

    def _generate(self, n: int, seed: int, first: int, pixels: bool) -> Array:
        if steps_of(self.manifest, "generate") == ("decode",):
            return self.decode(self.draw_latents(n, seed, first), pixels=pixels)
        rows = {"seed": np.array([seed]), "index": np.arange(first, first + n)}
        image = self._call("generate")(rows)["image"]
        return image if pixels else from_pixels(image, self._image_range())

    def _image_range(self) -> Bounds:
        """Of the float images that the sampler's pixels stand for: other parts tell it."""
        specs = (spec for found in self.manifest.parts.values() for spec in found["fp32"].outputs)
        shape = self.manifest.input_shape
        ranges = (s.range for s in specs if s.dtype == "float32" and s.shape[1:] == shape)
        return next((found for found in ranges if found and has_pixels(found)), UNIT)

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
            GraphError: the graph holds what a bundle never does.
            RunError: the graph stopped, or gave something else than the manifest says.
            InputError: an input has the wrong name, dtype, shape or values.
            ProviderError: a provider asked for by name cannot run here.
        """
        return self._variants.runner(part)(inputs)

    def variant(self, part: str, name: str = "fp32") -> Variant:
        """The manifest's entry of a part's variant.

        Raises:
            BundleError: the bundle has no such part.
            UnknownNameError: the part has no such variant.
        """
        return self._sessions.variant(part, name)

    def path(self, part: str, variant: str = "fp32") -> Path:
        """The .onnx file of a part, for other programs; its name carries its digest.

        Raises: as `variant`.
        """
        return self.folder / self.variant(part, variant).file

    def session(self, part: str, variant: str = "fp32") -> Session:
        """The open graph of a part: checked against the manifest when opened first.

        Raises: as `run`.
        """
        return self._sessions.session(part, variant)

    def read_golden(self, tensor: GoldenTensor) -> Array:
        """A golden array of the manifest.

        Raises:
            IntegrityError: the file is missing or is not the one that the manifest names.
        """
        return self._sessions.read_golden(tensor)

    def _answer(
        self, verb: str, value: Array, out: Array | None = None, pixels: bool = False
    ) -> Array:
        if pixels:
            return self._pixels(verb, value, out)
        return self._call(verb).primary_output(value, out)

    def _call(self, verb: str) -> PartRunner:
        """The part that a verb runs, opened if it is what the verb needs."""
        call = self._calls.get(verb)
        if call is None:
            self.require(verb)
            call = self._calls[verb] = self._variants.runner(PARTS[verb])
        return call

    def _pixels(self, verb: str, value: Array, out: Array | None) -> Array:
        """The answer as uint8: of the graph that gives pixels, if it is there and takes `value`."""
        part = PARTS[verb]
        self.require(verb)
        name = f"{self._variants.choice(part)}-uint8"
        if name in self.manifest.parts[part]:
            dtype = self.variant(part, name).inputs[0].dtype
            if np.asarray(value).dtype == dtype:
                return self._variants.runner(part, name).primary_output(value, out)
        floats = self.variant(part, self._variants.choice(part)).outputs[0]
        made = to_pixels(self._answer(verb, value), floats.range or UNIT)
        if out is None:
            return made
        spec = replace(floats, dtype="uint8")
        check_output(part, spec, len(made), made, out)
        out[...] = made
        return out
