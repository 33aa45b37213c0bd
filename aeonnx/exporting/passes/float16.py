"""Find nodes whose values float16 cannot represent, by running the float32 graph."""

from __future__ import annotations

from itertools import islice

import numpy as np
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto

from aeonnx.exporting.passes.bias_correction import Batches, tensors_of
from aeonnx.runtime.session import Array

__all__ = ["nodes_outside_float16", "without_round_trips"]

_ROWS_AT_ONCE = 8  # few, since every tensor of the graph is kept in memory
_BATCHES = 8
_LARGEST = 0.5 * float(np.finfo(np.float16).max)  # margin: other inputs may have larger values
_SMALLEST = float(np.finfo(np.float16).tiny)  # smaller values are subnormal and lose precision


def nodes_outside_float16(graph: ModelProto, batches: Batches) -> list[str]:
    """Names of nodes with an input or output that float16 cannot represent.

    These are tensors with a magnitude above half of float16's largest, 65,504, or with most of
    their non-zero magnitudes (of a constant: all) below its smallest normal number, 6.1e-5.

    Args:
        graph: in float32, whose nodes have distinct names; not changed.
        batches: calibration inputs.
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
    """Magnitudes of a tensor's values over several batches."""

    def __init__(self) -> None:
        self._largest, self._small, self._all = 0.0, 0, 0

    def add(self, value: Array) -> None:
        sizes = np.abs(value[value != 0])
        if sizes.size:
            # Count NaN, such as 0 / 0, as out of range.
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
    """Remove pairs of casts float32 -> float16 -> float32 that the converter inserted.

    Between two nodes kept in float32, or between one of them and an input or output, such a pair
    would lose the precision that the nodes were kept for.

    Args:
        graph: the converter's result, changed in place.
        kept: names of the nodes that the converter did not insert.
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
            continue  # the output would be an input, or another output
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
