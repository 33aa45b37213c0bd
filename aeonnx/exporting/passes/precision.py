"""Convert graphs to fp16 and int8 by onnxruntime's converters; inputs and outputs stay float32."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

import onnx
import onnx.helper
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers import float16

from aeonnx.errors import OutputError
from aeonnx.exporting.passes.bias_correction import Batches, with_corrected_bias
from aeonnx.exporting.passes.float16 import nodes_outside_float16, without_round_trips
from aeonnx.runtime.session import Array

__all__ = ["in_precision"]

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_WEIGHTED = (*_CONVOLUTIONS, "Gemm", "MatMul")
# Their internal sums or squares exceed 65,504, float16's largest number, or lose precision.
_KEPT_IN_FP32 = (
    "Exp",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MeanVarianceNormalization",
    "Pow",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Softmax",
    "Softplus",
    "Sqrt",
)


def in_precision(graph: ModelProto, precision: str, batches: Batches) -> list[ModelProto]:
    """Candidate graphs in a precision, smallest first; inputs and outputs stay float32.

    fp16: nodes whose values float16 cannot represent stay in float32, see `nodes_outside_float16`.

    int8: weights are quantised per channel. Activations are quantised at run time (dynamic) if all
    layers are linear, and to ranges found on the calibration inputs (static) if the graph has
    convolutions, since no engine runs dynamically quantised convolutions fast. A last layer in
    float32 is corrected for the mean shift that the other layers cause.

    Args:
        graph: in float32, not changed.
        precision: one of `options.PRECISIONS`.
        batches: calibration inputs.

    Returns:
        Two graphs, the second with its last layer in float32. One graph if there is only one layer
        with weights. Without such a layer: one in fp16, none in int8. For fp32, the graph itself.
    """
    if precision == "fp32":
        return [graph]
    if precision == "fp16":
        return [_clean(form, graph) for form in _fp16_forms(_named(graph), batches)]
    weighted = _weighted(graph)
    if not weighted:
        return []
    *others, last = weighted
    forms = [_to_int8(graph, [], batches)]
    if others:
        # The quantizer splits a Gemm, and matches excluded nodes by the name of its MatMul.
        mixed = _to_int8(graph, [last, f"{last}_MatMul"], batches)
        forms.append(with_corrected_bias(mixed, graph, last, batches))
    return [_clean(form, graph) for form in forms]


def _named(graph: ModelProto) -> ModelProto:
    """A copy whose nodes have distinct names."""
    copied = ModelProto()
    copied.CopyFrom(graph)
    names = [node.name for node in copied.graph.node]
    for number, node in enumerate(copied.graph.node):
        if not node.name or names.count(node.name) > 1:
            node.name = f"{node.name}.{number}"
    return copied


def _from(graph: ModelProto, first: str) -> list[str]:
    """Names of a node and of all nodes that depend on it."""
    found: list[str] = []
    made: set[str] = set()
    for node in graph.graph.node:  # in topological order
        if node.name == first or made & {*node.input}:
            found.append(node.name)
            made |= {*node.output}
    return found


def _fp16_forms(graph: ModelProto, batches: Batches) -> list[ModelProto]:
    outside, weighted = nodes_outside_float16(graph, batches), _weighted(graph)
    forms = [_to_fp16(graph, outside)]
    if len(weighted) > 1:
        # If the mean of an output is large relative to its spread, rounding the output itself to
        # float16 is too coarse.
        forms.append(_to_fp16(graph, [*outside, *_from(graph, weighted[-1])]))
    return forms


def _to_fp16(graph: ModelProto, kept: list[str]) -> ModelProto:
    copied = ModelProto()
    copied.CopyFrom(graph)
    mine = {node.name for node in copied.graph.node}
    converted: ModelProto = float16.convert_float_to_float16(
        copied,
        keep_io_types=True,
        op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *_KEPT_IN_FP32],
        node_block_list=kept,
    )
    without_round_trips(converted, mine)
    return converted


def _to_int8(graph: ModelProto, excluded: list[str], batches: Batches) -> ModelProto:
    static = any(node.op_type in _CONVOLUTIONS for node in graph.graph.node)
    with _temporary_folder() as folder, _quiet():
        # Pass paths: if given a graph, the quantizer moves its weights to external files.
        source, path = folder / "fp32.onnx", folder / "int8.onnx"
        onnx.save(graph, source)
        if static:
            quantize_static(
                source,
                path,
                _Rows(batches()),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_WEIGHTED),
                nodes_to_exclude=excluded,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        else:
            quantize_dynamic(
                source,
                path,
                op_types_to_quantize=list(_WEIGHTED),
                nodes_to_exclude=excluded,
                per_channel=True,
                weight_type=QuantType.QInt8,
            )
        return onnx.load(path)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except (OSError, DecodeError) as error:  # DecodeError: on a full disk it reads a cut-off file
        raise OutputError(
            f"there is no room for temporary files in {tempfile.gettempdir()} ({error}): free "
            "some, or set TMPDIR to a folder on another disk. Nothing was changed."
        ) from error


def _weighted(graph: ModelProto) -> list[str]:
    """Names of the nodes with constant weights, in order."""
    constants = {tensor.name for tensor in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type in _WEIGHTED and node.input[1] in constants
    ]


def _clean(graph: ModelProto, original: ModelProto) -> ModelProto:
    """Remove the converters' traces (stale shapes, unused domains, producer); sort the nodes."""
    del graph.graph.value_info[:]
    # The converters iterate over sets, whose order differs between processes.
    initializers = sorted(graph.graph.initializer, key=lambda tensor: tensor.name)
    nodes = _sorted(graph.graph.node)
    for field, items in ((graph.graph.initializer, initializers), (graph.graph.node, nodes)):
        del field[:]
        field.extend(items)
    used = {node.domain for node in graph.graph.node} | {""}
    kept = [item for item in graph.opset_import if item.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    graph.producer_name, graph.producer_version = original.producer_name, ""
    graph.ir_version = original.ir_version
    return graph


def _sorted(nodes: Iterable[NodeProto]) -> list[NodeProto]:
    """Nodes in a topological order that depends only on names."""
    by_output = {name: node for node in nodes for name in node.output}
    order: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(by_output):
        order.add(name, *(read for read in by_output[name].input if read in by_output))
    # Keep a node with several outputs only once.
    return list({id(by_output[name]): by_output[name] for name in order.static_order()}.values())


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Batches of calibration inputs, for onnxruntime's quantizer."""

    def __init__(self, batches: Iterable[Mapping[str, Array]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantizer's advice to pre-process: the graph is already simplified."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
