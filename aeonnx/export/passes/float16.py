"""Where float16 does not do: found by running the float32 graph, node by node."""

from __future__ import annotations

from itertools import islice

import numpy as np
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto

from aeonnx.export.passes.bias_correction import Batches, tensors_of
from aeonnx.runtime.session import Array

__all__ = ["outside_float16", "without_round_trips"]

_ROWS_AT_ONCE = 8  # every tensor of the graph is kept for them
_BATCHES = 8
_LARGEST = 0.5 * float(np.finfo(np.float16).max)  # other inputs may go further than these
_SMALLEST = float(np.finfo(np.float16).tiny)  # below it float16 has fewer bits than its eleven


def outside_float16(graph: ModelProto, batches: Batches) -> list[str]:
    """Names of nodes that take or give numbers which float16 does not hold.

    A tensor is outside if a number of it is above half of float16's largest, 65,504, or most of
    those that are not 0 are below its smallest normal one, 6.1e-5; of a constant, all of them.

    Args:
        graph: in float32, whose nodes have distinct names; not changed.
        batches: of calibration inputs: so many rows at once.
    """
    outside = {
        tensor.name
        for tensor in graph.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and _constant_outside(tensor)
    }
    seen: dict[str, _Extent] = {}
    made = [name for node in graph.graph.node for name in node.output if name]
    run = tensors_of(graph, made, optimised=False)
    for inputs in islice(batches(_ROWS_AT_ONCE), _BATCHES):
        for name, value in {**inputs, **run(inputs)}.items():
            if value.dtype == np.float32:
                seen.setdefault(name, _Extent()).add(value)
    outside |= {name for name, extent in seen.items() if extent.outside}
    return [node.name for node in graph.graph.node if outside & {*node.input, *node.output}]


class _Extent:
    """How large and how small the numbers of a tensor are."""

    def __init__(self) -> None:
        self._largest, self._small, self._all = 0.0, 0, 0

    def add(self, value: Array) -> None:
        sizes = np.abs(value[value != 0])
        if sizes.size:
            # NaN, as of 0 / 0, is no number that float16 could hold either.
            self._largest = max(self._largest, float(np.nan_to_num(sizes, nan=np.inf).max()))
            self._small += int((sizes < _SMALLEST).sum())
            self._all += sizes.size

    @property
    def outside(self) -> bool:
        return self._largest > _LARGEST or 2 * self._small > self._all


def _constant_outside(tensor: TensorProto) -> bool:
    sizes = np.abs(onnx.numpy_helper.to_array(tensor))
    sizes = sizes[sizes != 0]
    return bool(sizes.size and (sizes.max() > _LARGEST or sizes.max() < _SMALLEST))


def without_round_trips(graph: ModelProto, kept: set[str]) -> None:
    """Join float32 to float32 where the converter goes through float16 in between.

    Between two nodes that stay in float32, and between one of them and an input or output, it would
    lose what these were kept for.

    Args:
        graph: of the converter, changed in place.
        kept: names of the nodes that are not the converter's.
    """
    nodes = graph.graph.node
    down = {
        node.output[0]: node.input[0]
        for node in nodes
        if node.name not in kept and _casts_to(node, TensorProto.FLOAT16)
    }
    outputs = {value.name for value in graph.graph.output}
    renamed: dict[str, str] = {}
    for node in [node for node in nodes if _casts_to(node, TensorProto.FLOAT)]:
        source = down.get(node.input[0])
        if node.name in kept or source is None:
            continue
        source = renamed.get(source, source)
        made = any(source in other.output for other in nodes)
        if node.output[0] in outputs and (source in outputs or not made):
            continue  # an output that is an input, or that is given twice
        nodes.remove(node)
        old, new = (
            (source, node.output[0]) if node.output[0] in outputs else (node.output[0], source)
        )
        renamed[old] = new
        for other in nodes:
            other.input[:] = [new if name == old else name for name in other.input]
            other.output[:] = [new if name == old else name for name in other.output]
    used = {name for node in nodes for name in node.input} | outputs
    for node in [node for node in nodes if node.output[0] in down and node.output[0] not in used]:
        nodes.remove(node)


def _casts_to(node: NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(
        attribute.name == "to" and attribute.i == kind for attribute in node.attribute
    )
