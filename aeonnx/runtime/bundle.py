"""Runs the parts of a bundle by verbs, such as encode, denoise, score and generate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeonnx.bundle import BATCH, GoldenTensor, Manifest, TensorSpec, Variant, manifest
from aeonnx.runtime.answers import Answers
from aeonnx.runtime.array_like import ArrayLike
from aeonnx.runtime.batching import any_batch
from aeonnx.runtime.classified import Classified
from aeonnx.runtime.generating import generate, latent_shape
from aeonnx.runtime.interface import tile_rows
from aeonnx.runtime.labels import predicted
from aeonnx.runtime.prior import Distribution, check_range, draw
from aeonnx.runtime.runner import PartRunner
from aeonnx.runtime.scored import Scored
from aeonnx.runtime.session import Array, Session
from aeonnx.runtime.sessions import SessionPool
from aeonnx.runtime.settings import Settings
from aeonnx.runtime.variants import Variants

__all__ = ["Bundle", "open_bundle"]


def open_bundle(folder: Path, settings: Settings) -> Bundle:
    """Read the manifest in a folder; also what opens a bundle again when it is unpickled."""
    return Bundle(folder, manifest.read(folder), settings)


class Bundle:
    """The parts of one trained model. Graphs are opened, and their digests checked, at first use.

    All verbs accept arrays with the batch as first axis, any number of rows, and return numpy
    arrays. Tensors of torch and arrays of other libraries, images of pillow, and lists of arrays,
    images or numbers are accepted too, see `runtime.array_like.as_array`. Float images are in the
    range that the manifest states for the tensor, [0, 1] for the built-in models; verbs also accept
    uint8 images, whose 0 to 255 are mapped to that range. With `out`, verbs write to that numpy
    array and return it. With `pixels`, they return uint8 images: from the graphs that
    `--io uint8` exports if the bundle has them, else computed in the same arithmetic. A bundle is
    thread-safe. Use it in a `with` block, or `close` it, to release its graphs.

    Pickling or copying a bundle stores its path and the arguments of `load`, and opens it again.
    A forked child cannot run graphs that its parent opened: call `load` in the child.

    All verbs raise what `run` raises.
    """

    def __init__(self, folder: Path, contents: Manifest, settings: Settings | None = None) -> None:
        self.folder = folder.absolute()
        self.manifest = contents
        self._settings = settings or Settings()
        self._sessions = SessionPool(self.folder, contents, self._settings)
        self._variants = Variants(self._sessions)
        self._answers = Answers(self._sessions, self._variants)

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{name} ({self._variants.chosen[name]})" if name in self._variants.chosen else name
            for name in sorted(self.manifest.parts)
        )
        what = f"{self.manifest.model}/{self.manifest.arch}"
        where = f" on {self.provider}" if self.provider else ""
        return f"Bundle({str(self.folder)!r}, {what}: {parts}{where})"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_bundle, (self.folder, self._settings)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all graphs; runs in progress finish first. Idempotent."""
        self._answers.close()
        self._variants.close()

    @property
    def provider(self) -> str | None:
        """The execution provider that the opened parts run on; None before the first is opened."""
        return self._sessions.provider

    @property
    def precision(self) -> str:
        """The precision that `load` was asked for; `precision_of` has that of a part."""
        return self._settings.precision

    @property
    def blended(self) -> tuple[str, ...]:
        """Names of the parts that ran in blended tiles so far, so that results are not exact.

        `variant(part).blending` says how much that loses, if the export measured it.
        """
        return self._variants.blended

    def precision_of(self, part: str) -> str:
        """The variant that verbs run a part in: as asked for, or the fastest for "auto".

        Raises:
            BundleError: the bundle has no such part, or not in the requested precision.
        """
        return self._variants.choice(part)

    def warmup(self, batch_sizes: Sequence[int] = (1,), parts: Sequence[str] | None = None) -> None:
        """Open parts and run them on golden inputs: the first run of each size is slow on a GPU.

        Args:
            batch_sizes: numbers of rows, each 1 or more; the largest runs first, so that memory is
                allocated once.
            parts: names; None for all parts that the bundle has in the requested precision.

        Raises:
            BundleError, IntegrityError, GraphError, RunError, ProviderError: see `run`.
        """
        for part in parts or self._variants.ready():
            name = self._variants.choice(part)
            variant, inputs = self.variant(part, name), self.golden_inputs(part, name)
            for rows in sorted(batch_sizes, reverse=True):
                self.runner(part)(tile_rows(variant, inputs, rows))

    def require(
        self, verb: str, inputs: Collection[str] | None = None, *, pixels: bool = False
    ) -> None:
        """Check from the manifest that a verb can run, before any graph is opened.

        Args:
            verb: "encode", "decode", "reconstruct", "denoise", "score", "classify" or "generate".
            inputs: names of the further inputs that will be given, not for "generate"; None to
                check neither these nor `pixels`.
            pixels: whether the result is to be uint8.

        Raises:
            BundleError: the verb's part is missing or does not fit the verb, or no range is known
                that pixels could stand for.
            InputError: an input is missing or unknown.
        """
        if inputs is None:
            self._answers.require(verb)
        else:
            self._answers.require_call(verb, inputs, pixels=pixels)

    def encode(self, x: ArrayLike, *, out: Array | None = None, **others: ArrayLike) -> Array:
        """Encode images: float32 [n, C, H, W] in range, or uint8 -> latents, float32 [n, latent].

        All verbs also accept float16 and float64, and round them to float32.

        For a VAE the latent is `mu`; `encode_all` returns `logvar` too. Where the encoder accepts
        inputs of any size, they are padded as by `denoise`.
        """
        return self._answers.encode(x, out, others)

    def encode_all(self, x: ArrayLike, **others: ArrayLike) -> dict[str, Array]:
        """Encode as `encode` does, and return every output of the encoder by name.

        A decoder that takes several runs with `decode(found["z"], top=found["top"])`.
        """
        return self._answers.encode_all(x, others)

    def decode(
        self, z: ArrayLike, *, out: Array | None = None, pixels: bool = False, **others: ArrayLike
    ) -> Array:
        """Decode latents: float32 [n, latent] -> images, float32 [n, C, H, W] in range."""
        return self._answers.one("decode", z, out, pixels, others)

    def reconstruct(
        self, x: ArrayLike, *, out: Array | None = None, pixels: bool = False, **others: ArrayLike
    ) -> Array:
        """Encode and decode images: [n, C, H, W] -> float32 [n, C, H, W] in range.

        Runs the reconstructor, or encoder and decoder if the bundle has none. Then the decoder
        takes every output of the encoder that has the name, the dtype and the shape of one of its
        inputs, and `others` are the inputs that remain.
        """
        return self._answers.same_size("reconstruct", x, out, pixels, others)

    def denoise(
        self,
        x: ArrayLike,
        *,
        out: Array | None = None,
        pixels: bool = False,
        strength: float | None = None,
        **others: ArrayLike,
    ) -> Array:
        """Remove noise from images: [n, C, H, W] -> float32 [n, C, H, W] in range.

        Where the denoiser accepts images of any size, they are padded by reflection to a size that
        it allows, and the result is cropped. Large images run in tiles whose results are those of
        the whole, if the denoiser has a margin.

        Args:
            x: the images.
            out: see `Bundle`.
            pixels: see `Bundle`.
            strength: share of the denoised image in the result, from 0 to 1; the rest is `x`. None
                for 1. A denoiser that has an input of this name gets it instead.
            others: further inputs of the denoiser.

        Raises:
            UsageError: the strength is not between 0 and 1.
        """
        if strength is None:  # microseconds count
            return self._answers.same_size("denoise", x, out, pixels, others)
        return self._answers.denoise_in_part(x, strength, out, pixels, others)

    def score(self, x: ArrayLike, *, threshold: str | float = "p99", **others: ArrayLike) -> Scored:
        """Score images by how unlike the training's they are.

        The score is the error, the mean squared difference of an image and its reconstruction, in
        the range of the images; or what `aeonnx export --score` chose. Values outside of that range
        are scored like all others; `run("scorer", x=x)` returns the reconstructions too.

        Args:
            x: images [n, C, H, W].
            threshold: "p99" or "p95", the score that 99 % or 95 % of normal images stay below (see
                `variant("scorer").normal["error"]` for how sure that is); or a number.
            others: further inputs of the scorer.

        Raises:
            UsageError: there is no such threshold.
            BundleError: the bundle has no scorer, its scorer has no output `error`, or the manifest
                has no thresholds and `threshold` is no number.
        """
        return self._answers.score(x, threshold, others)

    def classify(self, x: ArrayLike, **others: ArrayLike) -> Classified:
        """Classify images: [n, C, H, W], float32 in range or uint8.

        Raises:
            BundleError: the model learns no classes, or the bundle has no classifier.
        """
        call = self._answers.runner("classify")
        found = call({self.variant("classifier").inputs[0].name: x, **others})
        probabilities = found["probabilities"]
        indices = probabilities.argmax(1)
        labels = tuple(self.manifest.classes[index] for index in indices)
        return Classified(labels, indices, probabilities)

    def generate(
        self,
        n: int,
        seed: int = 0,
        first: int = 0,
        *,
        size: Sequence[int] | None = None,
        pixels: bool = False,
        **others: ArrayLike,
    ) -> Array:
        """Generate images from the prior: float32 [n, C, H, W] in range.

        Sample i of a seed is the same image in any batch, and in the graph of the part `sampler`,
        which runs if there is no decoder. Its uint8 pixels are mapped to the image range of another
        part, or to [0, 1] if no other part has images.

        Args:
            n: number of images, 1 or more.
            seed: 0 to 2**63 - 1.
            first: index of the first sample, 0 to 2**63 - n.
            size: of the images, (height, width), if the decoder makes images of any size; None for
                the size of its golden vectors.
            pixels: return uint8 images.
            others: the decoder's inputs beside the latent, such as `label=3`: one value for all
                samples, or an array of one row per sample. Classes may be given by their names,
                such as `label="circle"` or a list of them, as in all verbs.

        Raises:
            BundleError: the bundle has no prior to draw from.
            InputError: an argument is outside its range.
            UnknownNameError: there is no class of this name; suggests the nearest.
        """
        check_range(seed, first, n)
        self.require("generate")
        return generate(self, n, seed, first, size=size, pixels=pixels, others=others)

    def predict_labels(self, x: ArrayLike) -> npt.NDArray[np.int64]:
        """The class with which each image is reconstructed best: [n, C, H, W] -> int64 [n].

        For a model that was trained with labels, to encode, reconstruct or score images without:
        `reconstruct(x, label=predict_labels(x))`. The numbers are places in `manifest.classes`.

        Raises:
            BundleError: the bundle cannot reconstruct, or takes no label.
        """
        return predicted(self, np.asarray(x))

    def draw_latents(
        self, n: int, seed: int = 0, first: int = 0, *, size: Sequence[int] | None = None
    ) -> npt.NDArray[np.float32]:
        """The latents that `generate` decodes: float32 [n, latent], or [n, channels, ...].

        Args:
            n: see `generate`.
            seed: see `generate`.
            first: see `generate`.
            size: see `generate`.

        Raises:
            BundleError: see `generate`.
            InputError: see `generate`.
        """
        return draw(self._answers.prior(), seed, first, n, latent_shape(self.manifest, size))

    @property
    def prior(self) -> Distribution:
        """The distribution that `generate` draws latents from.

        Raises:
            BundleError: see `generate`.
        """
        return self._answers.prior()

    def run(self, part: str, **inputs: ArrayLike) -> dict[str, Array]:
        """Run a part on its inputs by name, and return all outputs by name.

        Raises:
            BundleError: the bundle has no such part, or not in the requested precision.
            IntegrityError: a file is missing or does not match the manifest, or onnxruntime
                refuses the graph.
            OldRuntimeError: the graph needs a newer onnxruntime.
            GraphError: the graph has content that a bundle must not have.
            RunError: the run failed, or an output does not match the manifest.
            InputError: an input has the wrong name, dtype, shape or values.
            ProviderError: a provider requested by name cannot run here.
        """
        return self.runner(part)(inputs)

    def runner(self, part: str, variant: str | None = None) -> PartRunner:
        """What runs a part on arrays.

        Args:
            part: its name.
            variant: name of the variant, such as "int8"; None for the precision that was asked for.

        Raises:
            BundleError, IntegrityError, OldRuntimeError, GraphError, ProviderError: see `run`.
            UnknownNameError: the part has no such variant.
        """
        return self._variants.runner(part, variant)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, such as ("decoder", "encoder"), in alphabetical order."""
        return tuple(sorted(self.manifest.parts))

    def inputs(self, part: str, variant: str = "fp32") -> tuple[TensorSpec, ...]:
        """The inputs of a part as `run` accepts them: names, shapes, dtypes and ranges.

        Raises:
            BundleError, UnknownNameError: see `variant`.
        """
        return any_batch(self.variant(part, variant))

    def outputs(self, part: str, variant: str = "fp32") -> tuple[TensorSpec, ...]:
        """The outputs of a part as `run` returns them, see `inputs`."""
        outputs = self.variant(part, variant).outputs
        return tuple(replace(spec, shape=(BATCH, *spec.shape[1:])) for spec in outputs)

    def variant(self, part: str, name: str = "fp32") -> Variant:
        """The manifest's entry of a part's variant.

        Raises:
            BundleError: the bundle has no such part.
            UnknownNameError: the part has no such variant.
        """
        return self._sessions.variant(part, name)

    def path(self, part: str, variant: str = "fp32") -> Path:
        """The .onnx file of a part, for other programs; its name contains its digest.

        Raises:
            BundleError, UnknownNameError: see `variant`.
        """
        return self.folder / self.variant(part, variant).file

    def session(self, part: str, variant: str = "fp32") -> Session:
        """The session of a part, whose graph is checked against the manifest when it is opened.

        Raises:
            BundleError, UnknownNameError: see `variant`.
            IntegrityError, OldRuntimeError, GraphError, ProviderError: see `run`.
        """
        return self._sessions.session(part, variant)

    def golden_inputs(self, part: str, variant: str = "fp32") -> dict[str, Array]:
        """The inputs of a part's first golden vectors, by name.

        Raises:
            BundleError, UnknownNameError: see `variant`.
            IntegrityError: see `read_golden`.
        """
        stored = self.variant(part, variant).golden[0].inputs
        return {name: self.read_golden(tensor) for name, tensor in stored.items()}

    def read_golden(self, tensor: GoldenTensor) -> Array:
        """Read an array that the manifest names.

        Raises:
            IntegrityError: the file is missing or does not match the manifest.
        """
        return self._sessions.read_golden(tensor)
