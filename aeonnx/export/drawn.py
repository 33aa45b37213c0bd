"""The sampler on its way into a bundle: its prior, its graph, its proof."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from aeonnx.errors import UsageError
from aeonnx.export.fitted import fit, tempered
from aeonnx.export.golden import store, write_golden
from aeonnx.export.options import SAMPLER
from aeonnx.export.pixels import images_of, require_same_pixels
from aeonnx.export.proven import Material, Proven, open_graph
from aeonnx.export.sampler import sampler_graph, sampler_specs
from aeonnx.export.verify.probes import Rows
from aeonnx.export.verify.reference import Arrays, Reference
from aeonnx.export.verify.runs import compare_runs
from aeonnx.export.verify.tolerance import Seen
from aeonnx.inspection.operations import multiply_adds
from aeonnx.manifest import Prior, TensorSpec
from aeonnx.models import Part
from aeonnx.pixels import Bounds, to_pixels
from aeonnx.runtime.batching import whole_batches
from aeonnx.runtime.interface import batch_of
from aeonnx.runtime.prior import Gaussian, transformed
from aeonnx.runtime.session import Array

__all__ = ["gaussian_of", "prove_sampler", "stored"]

_SEED = 0x0123456789ABCDEF
_INDICES = (*range(30), 2**32 - 1, 2**32, 2**63 - 1)


def gaussian_of(kind: str, temperature: float, material: Material) -> Gaussian:
    """The distribution that a sampler draws from.

    Args:
        kind: one of `plan.PRIORS`.
        temperature: what its deviation is multiplied by.
        material: whose training images a prior is fitted to.

    Raises:
        UsageError: there are no images to fit it to.
    """
    size = material.trained.config.latent_size
    if kind == "standard":
        return tempered(Gaussian(), temperature, size)
    encoder = material.parts["encoder"]
    if not material.train:
        raise UsageError(
            f"--prior {kind}: the checkpoint carries no training images: give some with "
            "--calibration"
        )
    outputs = Reference(encoder).single(
        {spec.name: material.train[spec.name] for spec in encoder.inputs}
    )
    return tempered(fit(encoder, outputs, diagonal=kind.endswith("diagonal")), temperature, size)


def stored(kind: str, temperature: float, prior: Gaussian, material: Material) -> Prior:
    """The prior in the manifest, its arrays in files of the bundle."""
    mean, factor = (
        None if value is None else store(material.staged, f"prior/{name}.bin", value)
        for name, value in (("mean", prior.mean), ("factor", prior.factor))
    )
    name = "standard-normal" if kind == "standard" else kind
    return Prior(name, temperature, mean, factor)


def prove_sampler(decoder: Proven, prior: Gaussian, material: Material) -> Proven:
    """The sampler's graph, compared with numpy's draws and torch's decoder.

    Args:
        decoder: in fp32.
        prior: what it draws from.
        material: what it is made of.

    Raises:
        ParityError: its images are not, bit for bit, the decoder's of its own latents.
        GraphError: the target lacks one of its operators.
    """
    part = material.parts["decoder"]
    z, reconstruction = part.inputs[0], part.outputs[0]
    interface = Part(part.module, *sampler_specs(z, reconstruction))
    bounds = images_of(part)[reconstruction.name]
    made = sampler_graph(onnx.load_model_from_string(decoder.graph.data), prior, bounds)
    graph, session = open_graph(made, SAMPLER, "fp32", material)
    index = whole_batches(interface, np.array(_INDICES))
    rows = Rows.of(interface, {"seed": np.array([_SEED]), "index": index}, "index")
    truth = _Draws(prior, Reference(part), z, reconstruction, bounds)
    report = compare_runs(SAMPLER, interface, session.run, truth, rows, limit=_limit)
    proven = Proven(
        part=SAMPLER,
        variant="fp32",
        interface=interface,
        graph=graph,
        session=session,
        report=report,
        rows=rows,
        stored=rows,
        golden=write_golden(material.staged, SAMPLER, rows.values, truth),
        multiply_adds=multiply_adds(made, batch_of(interface) or 1),
    )
    outputs = proven.run(rows.values)
    decoded = decoder.run({z.name: outputs[z.name]})[reconstruction.name]
    whose = "the decoder for the same latents"
    require_same_pixels(SAMPLER, outputs["image"], to_pixels(decoded, bounds), whose)
    return proven


@dataclass(frozen=True)
class _Draws:
    """What a sampler should give; see `Reference`."""

    prior: Gaussian
    decoder: Reference
    z: TensorSpec
    reconstruction: TensorSpec
    bounds: Bounds

    def single(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self._latents(inputs).astype(np.float32)
        image = self.decoder.single({self.z.name: z})[self.reconstruction.name]
        return {self.z.name: z, "image": to_pixels(image, self.bounds)}

    def double(self, inputs: Mapping[str, Array]) -> Arrays:
        z = self._latents(inputs)
        image = self.decoder.double({self.z.name: z.astype(np.float32)})[self.reconstruction.name]
        return {self.z.name: z, "image": to_pixels(image, self.bounds)}

    def rounded(self, inputs: Mapping[str, Array], draw: int = 0) -> Arrays:  # noqa: ARG002  # exact
        return self.double(inputs)

    def _latents(self, inputs: Mapping[str, Array]) -> Array:
        size = int(self.z.shape[1])
        return transformed(self.prior, int(inputs["seed"][0]), inputs["index"], size)


def _limit(spec: TensorSpec, seen: Seen) -> float:
    # The last bit of a logarithm or cosine is the machine's own; and may turn a pixel's rounding.
    return 1.0 if spec.dtype == "uint8" else 2 * seen.resolution
