"""The gate: a graph must be as close to float64 torch as float32 torch is, within a tolerance.

The graph runs through `aeonnx.runtime`, at the optimisation level that ships. No option skips the
comparison. `tolerance` defines the tolerance, `runs` the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from aeonnx.bundle import axes_of
from aeonnx.exporting.sizes import at_sizes
from aeonnx.exporting.verify.effort import FULL, Effort
from aeonnx.exporting.verify.probes import Rows
from aeonnx.exporting.verify.reference import Arrays, Reference
from aeonnx.exporting.verify.runs import Compared, compare_runs
from aeonnx.models import Part, primary_output
from aeonnx.runtime import Session
from aeonnx.runtime.session import Array

__all__ = ["compare", "compare_composed", "composed"]


def compare(
    name: str,
    part: Part,
    session: Session,
    rows: Rows,
    *,
    sizes: Mapping[str, int] = MappingProxyType({}),
    reference: Reference | None = None,
    effort: Effort = FULL,
) -> Compared:
    """Compare the graph in `session` with eager torch.

    Names, axes and dtypes of the graph are checked first; then `compare_runs` compares outputs.
    All failures are collected.

    Args:
        name: name of the part.
        part: the original part.
        session: the graph's session.
        rows: the inputs.
        sizes: of the inputs, by axis other than that of rows.
        reference: of the part; None to make one.
        effort: see `compare_runs`.
    """
    failures = session.interface_mismatches(part.inputs, part.outputs)
    if failures:
        return Compared((), tuple(f"{name}: {failure}" for failure in failures), kinds=rows.kinds)
    at = at_sizes(part, sizes)
    reference = reference or Reference(part)
    return compare_runs(name, at, session.run, reference, rows, sizes=sizes, effort=effort)


def compare_composed(
    encoder: Part,
    decoder: Part,
    sessions: Mapping[str, Session],
    rows: Rows,
    sizes: Mapping[str, int] = MappingProxyType({}),
    effort: Effort = FULL,
) -> Compared:
    """Compare decode(encode(x)) of the two graphs with the same composition in eager torch.

    Args:
        encoder: its first output is the latent.
        decoder: its first input is the latent.
        sessions: sessions of the graphs, by the names "encoder" and "decoder".
        rows: inputs of `composed(encoder, decoder)`.
        sizes: of the inputs, by axis other than that of rows.
        effort: see `compare_runs`.
    """
    whole = at_sizes(composed(encoder, decoder), sizes)

    def graph(inputs: Mapping[str, Array]) -> Arrays:
        latent = sessions["encoder"].run({spec.name: inputs[spec.name] for spec in encoder.inputs})
        given = {**inputs, decoder.inputs[0].name: latent[encoder.outputs[0].name]}
        return sessions["decoder"].run({spec.name: given[spec.name] for spec in decoder.inputs})

    reference = Reference(whole)
    return compare_runs(
        "decoder(encoder)", whole, graph, reference, rows, sizes=sizes, effort=effort
    )


def composed(encoder: Part, decoder: Part) -> Part:
    """Encoder, then decoder, as one part.

    Its inputs are those of the encoder, then those of the decoder other than the latent.
    """
    names = [spec.name for spec in encoder.inputs]
    more = [spec for spec in decoder.inputs[1:] if spec.name not in names]
    module = _InARow(encoder, decoder, [*names, *(spec.name for spec in more)])
    axes = {**decoder.axes, **encoder.axes}
    inputs = (*encoder.inputs, *more)
    used = {axis.axis for axis in axes_of([spec.shape for spec in (*inputs, *decoder.outputs)])}
    kept = {name: axis for name, axis in axes.items() if name in used}
    return Part(module, inputs, decoder.outputs, axes=kept, sizes=encoder.sizes)


class _InARow(nn.Module):
    def __init__(self, encoder: Part, decoder: Part, names: list[str]) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder.module, decoder.module
        self._names = names
        self._encoder_inputs = [spec.name for spec in encoder.inputs]
        self._beside = [spec.name for spec in decoder.inputs[1:]]

    def forward(self, *values: Tensor) -> Tensor | tuple[Tensor, ...]:
        given = dict(zip(self._names, values, strict=True))
        latent = primary_output(self.encoder(*(given[name] for name in self._encoder_inputs)))
        outputs: Tensor | tuple[Tensor, ...] = self.decoder(
            latent, *(given[name] for name in self._beside)
        )
        return outputs
