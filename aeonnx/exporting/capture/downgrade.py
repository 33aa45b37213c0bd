"""Convert graphs of opset 18 to the opset that an engine supports.

onnx's converter cannot downgrade many operators that autoencoders need (Split, Pad by reflection,
LayerNormalization), and nothing below 15. Here each operator that changed between 13 and 18 has a
rule; an operator without a rule is refused by name.
"""

from __future__ import annotations

from dataclasses import replace

import onnx
import onnx.defs
import onnx.shape_inference
import onnx.version_converter
from onnx import GraphProto, ModelProto, NodeProto

from aeonnx.errors import GraphError
from aeonnx.exporting.capture.downgrade_rules import INSTEAD, RULES, SAME, Known
from aeonnx.exporting.capture.reasons import Where, where_of_node
from aeonnx.exporting.capture.translation import CAPTURE_OPSET, graphs_in, nodes_of

__all__ = ["at_opset"]


def at_opset(graph: ModelProto, opset: int) -> ModelProto:
    """Convert a graph of opset 18 to another opset.

    Args:
        graph: is modified; use only the result.
        opset: target opset, 13 to 22.

    Raises:
        GraphError: the opset lacks an operator. The message names it, the line of the module that
            needs it, and what to write instead.
    """
    if opset < CAPTURE_OPSET:
        inferred = onnx.shape_inference.infer_shapes(graph, data_prop=True)
        _lower(graph.graph, inferred.graph, opset)
        _drop_unused(graph.graph)
    elif opset > CAPTURE_OPSET:
        try:
            graph = onnx.version_converter.convert_version(graph, opset)
        except Exception as error:  # the C++ converter's own types
            raise GraphError(
                f"onnx cannot convert this part to opset {opset}: {str(error).splitlines()[0]} "
                f"Use --opset {CAPTURE_OPSET}"
            ) from error
    graph.opset_import[0].version = opset
    return graph


def _lower(
    graph: GraphProto, inferred: GraphProto, opset: int, around: Known | None = None
) -> None:
    known = Known(
        opset,
        {**(around.shapes if around else {}), **_shapes(inferred)},
        {**(around.types if around else {}), **_types(inferred)},
        {**(around.constants if around else {}), **{item.name: item for item in graph.initializer}},
    )
    lowered: list[NodeProto] = []
    for node, twin in zip(graph.node, inferred.node, strict=True):
        for inner, same in zip(graphs_in(node), graphs_in(twin), strict=True):
            _lower(inner, same, opset, known)
        found = _lowered(node, known)
        if found is None:
            raise GraphError(_refusal(node, known))
        lowered += found
    del graph.node[:]
    graph.node.extend(lowered)
    graph.initializer.extend(known.added)


def _lowered(node: NodeProto, known: Known) -> list[NodeProto] | None:
    newest = onnx.defs.get_schema(node.op_type, CAPTURE_OPSET).since_version
    if newest <= known.opset or node.op_type in SAME:
        return [node]
    rule = RULES.get(node.op_type)
    found = rule(node, known) if rule else None
    if found is None:
        return None
    result: list[NodeProto] = []
    for made in found:  # a different operator may also be too new
        lower = [made] if made.op_type == node.op_type else _lowered(made, known)
        if lower is None:
            return None
        result += lower
    return result


def _refusal(node: NodeProto, known: Known) -> str:
    enough = next(
        opset
        for opset in range(known.opset + 1, CAPTURE_OPSET + 1)
        if _lowered(node, replace(known, opset=opset, added=[])) is not None
    )
    reason = f"opset {known.opset} does not support this {node.op_type}"
    what = Where.told(reason, where_of_node(node))
    instead = INSTEAD.get(node.op_type, "write it with other operators")
    return (
        f"{what}: {instead}; or, where the engine allows it, export without --target and with "
        f"--opset {enough} or newer"
    )


def _drop_unused(graph: GraphProto) -> None:
    """Remove constants that became attributes."""
    used = {name for node in nodes_of(graph) for name in node.input}
    used |= {value.name for value in graph.output}
    kept = [item for item in graph.initializer if item.name in used]
    if len(kept) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(kept)


def _shapes(graph: GraphProto) -> dict[str, list[int | None]]:
    return {
        value.name: [
            dim.dim_value if dim.HasField("dim_value") else None
            for dim in value.type.tensor_type.shape.dim
        ]
        for value in [*graph.input, *graph.value_info, *graph.output]
        if value.type.tensor_type.HasField("shape")
    } | {item.name: [*item.dims] for item in graph.initializer}


def _types(graph: GraphProto) -> dict[str, int]:
    return {
        value.name: value.type.tensor_type.elem_type
        for value in [*graph.input, *graph.value_info, *graph.output]
    } | {item.name: item.data_type for item in graph.initializer}
