"""Export the sampler: its prior, its graph, and its comparison with torch."""

from __future__ import annotations

import onnx

from aeonnx.bundle import Prior, golden
from aeonnx.errors import UsageError
from aeonnx.exporting.macs import macs
from aeonnx.exporting.options import SAMPLER
from aeonnx.exporting.parts import ExportContext, ExportedGraph, open_graph, write_golden
from aeonnx.exporting.passes.sampler import sampler_graph, sampler_specs
from aeonnx.exporting.prior_fit import fit, fit_mixture, with_temperature
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.variants import compare_sampler, sampler_reference, sampler_rows
from aeonnx.io.pixels import UNIT
from aeonnx.models import Part
from aeonnx.runtime.interface import batch_of
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
    reconstruction = part.outputs[0]
    interface = Part(part.module, *sampler_specs(part.inputs, reconstruction))
    bounds = reconstruction.range or UNIT  # the plan has no sampler without a range
    made = sampler_graph(onnx.load_model_from_string(decoder.graph.data), prior, bounds)
    graph, session = open_graph(made, SAMPLER, "fp32", context)
    rows, draws = sampler_rows(interface), sampler_reference(part, prior)
    report = compare_sampler(part, session.run, decoder.run, draws)
    return ExportedGraph(
        part=SAMPLER,
        variant="fp32",
        interface=interface,
        graph=graph,
        session=session,
        report=report,
        rows=rows,
        stored=rows,
        golden=(write_golden(context, SAMPLER, rows, draws, report.checks),),
        macs=macs(made, batch_of(interface) or 1),
    )
