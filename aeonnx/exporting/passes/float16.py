"""Find nodes whose values float16 cannot represent, by running the float32 graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx.helper
import onnx.numpy_helper
from onnx import ModelProto, NodeProto, TensorProto

from aeonnx.exporting.passes.tensors import tensors_of
from aeonnx.exporting.shapes import infer_at
from aeonnx.runtime.session import Array

__all__ = ["float_nodes", "nodes_outside_float16", "without_round_trips"]

_LARGEST = 0.5 * float(np.finfo(np.float16).max)  # margin: other inputs may have larger values
_SMALLEST = float(np.finfo(np.float16).tiny)  # smaller values are subnormal and lose precision
_SHARES = ("large", "small", "nonzero")
"""Shares of a tensor's values: above `_LARGEST` in magnitude, or NaN; below `_SMALLEST`, but not 0;
not 0."""


def nodes_outside_float16(graph: ModelProto, batches: Iterable[Mapping[str, Array]]) -> list[str]:
    """Names of nodes with an input or output that float16 cannot represent.

    These are tensors with a magnitude above half of float16's largest, 65,504, or with most of
    their non-zero magnitudes (of a constant: all) below its smallest normal number, 6.1e-5.

    The graph itself measures each tensor as soon as it is made, so that memory is that of a usual
    run, not that of all tensors.

    Args:
        graph: in float32, whose nodes have distinct names; not changed.
        batches: inputs to run it on, at least one.
    """
    outside = {
        tensor.name
        for tensor in graph.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and _constant_outside(tensor)
    }
    tensors = _float_tensors(graph)
    wanted = [f"{share}:{name}" for name in tensors for share in _SHARES]
    run = tensors_of(_with_shares(graph, tensors), wanted, optimised=False)
    shares = sum(np.array([*run(batch).values()], np.float64) for batch in batches)
    for name, (large, small, nonzero) in zip(
        tensors, np.reshape(shares, (-1, len(_SHARES))), strict=True
    ):
        if large > 0 or 2 * small > nonzero:
            outside.add(name)
    return [node.name for node in graph.graph.node if outside & {*node.input, *node.output}]


def _float_tensors(graph: ModelProto) -> list[str]:
    """Names of inputs and results of nodes that are float32, or whose type is unknown."""
    kinds = infer_at(graph, {})
    made = (name for node in graph.graph.node for name in node.output if name)
    names = [*(value.name for value in graph.graph.input), *made]
    return [name for name in names if kinds.get(name, (None,))[0] in (None, "float32")]


def float_nodes(graph: ModelProto) -> list[NodeProto]:
    """The nodes with a float32 result, which float16 may hold: not those of shapes and indices."""
    floats = {*_float_tensors(graph)}
    return [node for node in graph.graph.node if floats & {*node.output}]


def _with_shares(graph: ModelProto, tensors: Iterable[str]) -> ModelProto:
    """A copy that also computes the shares of tensors, each right after it is made."""
    copied, wanted = ModelProto(), {*tensors}
    copied.CopyFrom(graph)
    limits = {"largest:": _LARGEST, "smallest:": _SMALLEST, "zero:": 0.0}
    copied.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in limits.items()
    )
    nodes: list[NodeProto] = []
    for value in graph.graph.input:
        nodes += _shares_of(value.name) if value.name in wanted else []
    for node in graph.graph.node:
        nodes.append(node)
        for name in wanted.intersection(node.output):
            nodes += _shares_of(name)
    del copied.graph.node[:]
    copied.graph.node.extend(nodes)
    return copied


def _shares_of(name: str) -> list[NodeProto]:
    def made(operator: str, inputs: list[str], output: str, **more: Any) -> NodeProto:
        names = [
            item if item.endswith(":") or item == name else f"{item}:{name}" for item in inputs
        ]
        return onnx.helper.make_node(operator, names, [f"{output}:{name}"], **more)

    nodes = [
        made("Cast", [name], "float", to=TensorProto.FLOAT),
        made("Abs", ["float"], "size"),
        made("LessOrEqual", ["size", "largest:"], "fits"),
        made("Not", ["fits"], "is-large"),
        made("Greater", ["size", "zero:"], "is-nonzero"),
        made("Less", ["size", "smallest:"], "is-below"),
        made("And", ["is-below", "is-nonzero"], "is-small"),
    ]
    for share in _SHARES:
        nodes.append(made("Cast", [f"is-{share}"], f"numbers-{share}", to=TensorProto.FLOAT))
        nodes.append(made("ReduceMean", [f"numbers-{share}"], share, keepdims=0))
    return nodes


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
