"""Run a graph for its intermediate tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import onnxruntime as ort
from onnx import ModelProto, ValueInfoProto

from aeonnx.runtime.session import Array

__all__ = ["Batches", "tensors_of"]

Batches = Callable[..., Iterable[Mapping[str, Array]]]
"""(rows per batch) -> batches of calibration inputs, each [rows, ...] by tensor name."""


def tensors_of(
    graph: ModelProto, names: Iterable[str], *, optimised: bool
) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """The graph as a function that returns intermediate tensors by name.

    Args:
        graph: not changed.
        names: of the tensors to return.
        optimised: apply onnxruntime's graph optimisations; otherwise nodes run as they are stored.
    """
    opened = ModelProto()
    opened.CopyFrom(graph)
    wanted = [*names]
    given = {value.name for value in opened.graph.output}
    opened.graph.output.extend(ValueInfoProto(name=name) for name in wanted if name not in given)
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Nodes run in the order of the file, so that what measures a tensor runs before it is freed.
    options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    options.log_severity_level = 3
    session = ort.InferenceSession(
        opened.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(wanted, session.run(wanted, dict(inputs)), strict=True))

    return run
