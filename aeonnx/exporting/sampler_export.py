"""Export the sampler: its prior, its graph, and its comparison with torch."""

from __future__ import annotations

import onnx

from aeonnx.bundle import Golden, Prior, golden
from aeonnx.errors import UsageError
from aeonnx.exporting.options import SAMPLER
from aeonnx.exporting.parts import (
    ExportContext,
    ExportedGraph,
    count_macs,
    golden_rows,
    open_graph,
    write_golden,
)
from aeonnx.exporting.passes.sampler import sampler_graph
from aeonnx.exporting.prior_fit import fit, fit_mixture, with_temperature
from aeonnx.exporting.sizes import at_sizes
from aeonnx.exporting.verify.reference import Reference
from aeonnx.exporting.verify.sampler import (
    KIND,
    SamplerReference,
    compare_sampler,
    sampler_part,
)
from aeonnx.runtime.compare import merged
from aeonnx.runtime.prior import Distribution, Gaussian

__all__ = ["distribution_of", "export_sampler", "stored"]

_STORED = 8  # rows of golden vectors
_FILES = (SAMPLER, f"{SAMPLER}.{{}}")
"""Of golden vectors: those of the usual sizes of the axes, and those of another."""


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
    interface = sampler_part(part)
    found = compare_sampler(part, session.run, decoder.run, prior)
    vectors: list[Golden] = []
    for item, where in zip(found, _FILES, strict=False):
        at, count = at_sizes(interface, item.sizes), 1 if vectors else _STORED
        rows = golden_rows(at, item, (KIND,), count)
        file = where.format("x".join(map(str, item.sizes.values())))
        draws = SamplerReference.of(at_sizes(part, item.sizes), prior)
        vectors.append(write_golden(context, file, rows, draws, item.checks))
    return ExportedGraph(
        part=SAMPLER,
        variant="fp32",
        interface=interface,
        graph=graph,
        session=session,
        report=merged(found),
        rows=found[0].rows,
        stored=found[0].rows,
        golden=tuple(vectors),
        macs=count_macs(made, interface, session, found[0]),
    )
