"""Convert graphs to fp16 and int8; inputs and outputs stay float32."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from itertools import islice

from onnx import ModelProto, NodeProto
from onnxruntime.transformers import float16

from aeonnx.bundle import Conversion
from aeonnx.exporting.passes.bias_correction import with_corrected_bias
from aeonnx.exporting.passes.float16 import (
    float_nodes,
    nodes_outside_float16,
    without_round_trips,
)
from aeonnx.exporting.passes.int8 import dynamic_int8, static_int8
from aeonnx.exporting.passes.layer_losses import layer_losses
from aeonnx.exporting.passes.layers import CONVOLUTIONS, share_of_weights, weighted
from aeonnx.exporting.passes.tensors import Batches
from aeonnx.exporting.passes.weights import with_int8_weights
from aeonnx.runtime.session import Array

__all__ = ["Candidate", "in_precision"]

_BATCHES, _ROWS = 8, 8  # of calibration inputs that tensors are measured on
_KEPT = (1, 2, 4, 8)  # layers that lose most, which stay in float32 where the gate needs it
_LAST_KEPT = "its last layer in fp32"
_MOST_KEPT = 0.5  # share of all weights; with more in float32, weights in int8 are smaller
# Their internal sums or squares exceed 65,504, float16's largest number, or lose precision.
_KEPT_IN_FP32 = (
    "AveragePool",
    "Exp",
    "GlobalAveragePool",
    "GlobalLpPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LpPool",
    "MeanVarianceNormalization",
    "Pow",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMean",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Softmax",
    "Softplus",
    "Sqrt",
)


@dataclass(frozen=True)
class Candidate:
    """A graph in reduced precision that has not passed the gate yet.

    Args:
        graph: its graph.
        conversion: how it was made.
        form: what distinguishes it from the first candidate, such as "its last layer in fp32"; ""
            for the first.
    """

    graph: ModelProto
    conversion: Conversion
    form: str = ""


def in_precision(
    graph: ModelProto,
    precision: str,
    batches: Batches,
    extremes: Iterable[Mapping[str, Array]] = (),
) -> Iterator[Candidate]:
    """Candidate graphs in a precision, the best one first; inputs and outputs stay float32.

    fp16: nodes whose values float16 cannot represent stay in float32, see `nodes_outside_float16`;
    then the last layer, too, with what follows it.

    int8: weights are quantised per channel. Activations are quantised at run time (dynamic) if all
    layers are linear, and to ranges found on the calibration inputs (static) if the graph has
    convolutions, since no engine runs dynamically quantised convolutions fast. Then the last layer
    stays in float32 and is corrected for the mean shift that the other layers cause; in static
    graphs the layers that lose most, too, while the others have most of the weights. The last
    candidate has int8 weights and float32 activations.

    Args:
        graph: in float32, not changed.
        precision: "fp16" or "int8".
        batches: calibration inputs.
        extremes: batches of other inputs on which a graph in fp16 must stay finite.

    Yields:
        At least one graph in fp16; none in int8 without layers that have weights.
    """
    forms = (
        _fp16_forms(_named(graph), batches, extremes)
        if precision == "fp16"
        else (_int8_forms(graph, batches))
    )
    for form in forms:
        yield replace(form, graph=_clean(form.graph, graph))


def _int8_forms(graph: ModelProto, batches: Batches) -> Iterator[Candidate]:
    layers = weighted(graph)
    if not layers:
        return
    static = any(node.op_type in CONVOLUTIONS for node in graph.graph.node)
    method = "static" if static else "dynamic"
    quantise = static_int8(graph, batches) if static else dynamic_int8(graph)
    whole = quantise([])
    yield Candidate(whole, Conversion(method, 0, len(layers)))
    last = layers[-1]
    for kept in _kept_layers(graph, whole, layers, batches, static=static):
        mixed = with_corrected_bias(quantise(kept), graph, last, batches)
        form = f"{len(kept)} of {len(layers)} layers in fp32" if kept[1:] else _LAST_KEPT
        yield Candidate(mixed, Conversion(method, len(kept), len(layers)), form)
    weights = Conversion("weights", 0, len(layers))
    yield Candidate(with_int8_weights(graph), weights, "int8 weights alone")


def _kept_layers(
    graph: ModelProto, whole: ModelProto, layers: list[str], batches: Batches, *, static: bool
) -> Iterator[list[str]]:
    """The layers that stay in float32: the last one, then also those that lose most."""
    *others, last = layers
    if not others:
        return
    yield [last]
    if not static:
        return
    losses = layer_losses(whole, graph, _few(batches))
    worst = sorted((name for name in losses if name != last), key=lambda name: -losses[name])
    for count in _KEPT:
        kept = [last, *worst[:count]]
        if count > len(worst) or share_of_weights(graph, kept) > _MOST_KEPT:
            return
        yield kept


def _few(batches: Batches) -> Iterator[Mapping[str, Array]]:
    return islice(batches(_ROWS), _BATCHES)


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


def _fp16_forms(
    graph: ModelProto, batches: Batches, extremes: Iterable[Mapping[str, Array]]
) -> Iterator[Candidate]:
    outside = nodes_outside_float16(graph, [*_few(batches), *extremes])
    layers = weighted(graph)
    yield _to_fp16(graph, outside)
    if len(layers) > 1:
        # If the mean of an output is large relative to its spread, rounding the output itself to
        # float16 is too coarse.
        yield _to_fp16(graph, [*outside, *_from(graph, layers[-1])], _LAST_KEPT)


def _to_fp16(graph: ModelProto, outside: Sequence[str], form: str = "") -> Candidate:
    copied = ModelProto()
    copied.CopyFrom(graph)
    mine = {node.name for node in copied.graph.node}
    blocked = {*float16.DEFAULT_OP_BLOCK_LIST, *_KEPT_IN_FP32}
    converted: ModelProto = float16.convert_float_to_float16(
        copied, keep_io_types=True, op_block_list=sorted(blocked), node_block_list=list(outside)
    )
    without_round_trips(converted, mine)
    nodes = float_nodes(graph)
    kept = [node for node in nodes if node.op_type in blocked or node.name in outside]
    return Candidate(converted, Conversion("float16", len(kept), len(nodes)), form)


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
