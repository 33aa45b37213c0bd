"""Export the sampler: its prior, its graph, and its comparison with torch."""

from __future__ import annotations

import onnx

from aeonnx.bundle import Prior, golden
from aeonnx.errors import UsageError
from aeonnx.exporting.options import SAMPLER
from aeonnx.exporting.parts import (
    ExportContext,
    ExportedGraph,
    count_macs,
    golden_vectors,
    open_graph,
)
from aeonnx.exporting.passes.sampler import sampler_graph
from aeonnx.exporting.prior_fit import fit, fit_mixture, with_temperature
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.sampler import (
    KIND,
    SamplerReference,
    compare_sampler,
)
from aeonnx.runtime.compare import merged
from aeonnx.runtime.prior import Distribution, Gaussian

__all__ = ["distribution_of", "export_sampler", "stored"]


def distribution_of(kind: str, temperature: float, context: ExportContext) -> Distribution:
    """The distribution that a sampler draws from.

    Args:
        kind: one of `options.PRIORS`.
        temperature: factor on its standard deviation.
        context: has the training images to fit a prior to.

    Raises:
        UsageError: there are no images to fit it to, or `logvar` has an unexpected shape.
    """
    channels = int(context.usual("decoder").inputs[0].shape[1])
    if kind == "standard":
        return with_temperature(Gaussian(), temperature, channels)
    encoder = context.parts["encoder"]
    if not context.train:
        raise UsageError(
            f"--prior {kind}: the checkpoint carries no training images: give some with "
            "--calibration"
        )
    outputs = Reference(encoder).single(
        {spec.name: context.train[spec.name] for spec in encoder.inputs}
    )
    found = (
        fit_mixture(encoder, outputs)
        if kind == "mixture"
        else fit(encoder, outputs, diagonal=kind.endswith("diagonal"))
    )
    return with_temperature(found, temperature, channels)


def stored(kind: str, temperature: float, prior: Distribution, context: ExportContext) -> Prior:
    """The manifest's entry of the prior, after writing its arrays to files of the bundle."""
    stored_arrays = {
        name: golden.write_array(context.staged, f"prior/{name}.bin", value)
        for name, value in vars(prior).items()
        if value is not None
    }
    name = "standard-normal" if kind == "standard" else kind
    mean, factor = stored_arrays.get("mean"), stored_arrays.get("factor")
    return Prior(name, temperature, mean, factor, stored_arrays.get("weights"))


def export_sampler(
    decoder: ExportedGraph, prior: Distribution, context: ExportContext
) -> ExportedGraph:
    """The sampler's graph, compared with numpy's draws and torch's decoder.

    Its images must equal, bit for bit, those of the decoder's graph for the same latents.

    Args:
        decoder: in fp32.
        prior: distribution of the latents.
        context: parts, target and staged folder of the export.

    Raises:
        GraphError: the target lacks one of its operators.
    """
    part = context.parts["decoder"]
    latent, image = part.inputs[0], part.outputs[0]
    of_decoder = onnx.load_model_from_string(decoder.graph.data)
    made = sampler_graph(of_decoder, prior, latent, image)
    graph, session = open_graph(made, SAMPLER, "fp32", context)
    draws = SamplerReference(part, prior)
    found = compare_sampler(session.run, decoder.run, draws)
    stored, vectors = golden_vectors(context, SAMPLER, draws.interface, found, (KIND,), draws)
    return ExportedGraph(
        part=SAMPLER,
        variant="fp32",
        interface=draws.interface,
        graph=graph,
        session=session,
        report=merged(found),
        rows=found[0].rows,
        stored=stored,
        golden=vectors,
        macs=count_macs(made, draws.interface, session, found[0]),
    )
