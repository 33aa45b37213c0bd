"""Translate a captured program to ONNX without losing an operation.

onnxscript's optimiser, which `torch.onnx.export(optimize=True)` runs, treats numbers within 1e-8 of
0 as 0 and within 1e-5 of 1 as 1: it deletes `+ 1e-9` from `log(x + 1e-9)`, and a factor of
1.000004. Here the same passes run without the rules that compare numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import onnx.numpy_helper
import onnx_ir
import onnx_ir.passes.common as passes
import torch
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnxscript import optimizer, rewriter
from onnxscript.rewriter import RewriteRule
from onnxscript.rewriter.rules import common as rules
from torch.export.graph_signature import OutputKind

from aeonnx.bundle import BATCH
from aeonnx.errors import GraphError
from aeonnx.exporting.capture.torchlib import build_tables_once
from aeonnx.models import Part

__all__ = ["CAPTURE_OPSET", "graphs_in", "nodes_of", "translated"]

CAPTURE_OPSET = 18  # the exporter's native opset; others are converted from it

_FOLDED = 8192  # largest input of constant folding, in elements
_ROUNDS = 2  # of folding and rewriting: rewriting creates new constants

# No rule compares floats. They remove operators that only move values, merge clips (maxima and
# minima of the given bounds), and fold an eval-mode BatchNorm, in float32, into the weights before
# it, as onnxruntime does on opening the graph.
_RULES: tuple[RewriteRule, ...] = tuple(
    getattr(rules, name)
    for name in (
        "cast_cast_rule",
        "cast_constant_of_shape_rule",
        "cast_constant_of_shape_without_value_rule",
        "collapse_slice_rule",
        "collapse_slice2_rule",
        "dropout_inference_rule",
        "flatten_to_reshape_rule",
        "fuse_batchnorm_into_conv_rule",
        "fuse_batchnorm_into_conv_transpose_rule",
        "fuse_batchnorm_into_gemm_rule",
        "fuse_pad_into_conv_rule",
        "materialize_reshape_shape_rule",
        "max_max_rule",
        "max_min_rule",
        "min_max_rule",
        "min_min_rule",
        "no_op_cast_rule",
        "no_op_dynamic_scatter_nd_rule",
        "no_op_expand_rule",
        "no_op_static_scatter_nd_rule",
        "no_op_transpose_rule",
        "normalize_pad_format_conv_rule",
        "one_reshape_matmul_reshape_rule",
        "remove_optional_bias_from_conv_rule",
        "remove_optional_bias_from_conv_transpose_rule",
        "remove_optional_bias_from_gemm_rule",
        "reshape_reshape_rule",
        "slice_split_rule",
        "squeeze_reshape_1d_rule",
        "successive_clip_relu_rule",
        "successive_clip_rule",
        "successive_relu_clip_rule",
        "successive_relu_rule",
        "transpose_transpose_rule",
        "two_reshapes_matmul_reshape_rule",
        "unsqueeze_unsqueeze_rule",
    )
    if hasattr(rules, name)  # older releases have fewer
)

_MOVING = frozenset(
    {
        "BatchNormalization",
        "Cast",
        "CastLike",
        "Clip",
        "Concat",
        "ConcatFromSequence",
        "Constant",
        "ConstantOfShape",
        "Dropout",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "If",
        "Loop",
        "Max",
        "Min",
        "Pad",
        "Range",
        "Relu",
        "Reshape",
        "ScatterND",
        "SequenceAt",
        "SequenceConstruct",
        "Shape",
        "Size",
        "Slice",
        "Split",
        "SplitToSequence",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators that the passes may remove or merge: data movement, clips, and folded BatchNorm."""


def translated(program: torch.export.ExportedProgram, part: Part) -> ModelProto:
    """Translate a program to an ONNX graph of opset 18, with the names of the part's tensors.

    Raises:
        GraphError: forward changes a buffer, or simplifying the graph lost an operation.
        torch.onnx.errors.OnnxExporterError: torch has no translation for an operator.
    """
    with build_tables_once():
        exported = torch.onnx.export(
            program,
            (),
            dynamo=True,
            input_names=[spec.name for spec in part.inputs],
            output_names=[spec.name for spec in part.outputs],
            opset_version=CAPTURE_OPSET,
            optimize=False,
            verbose=False,
        )
    decomposed: Any = exported.exported_program  # type: ignore[union-attr]  # dynamo=True gives both
    _require_stateless(decomposed)
    model = exported.model  # type: ignore[union-attr]
    passes.InlinePass()(model)
    passes.RemoveUnusedNodesPass()(model)
    before = _operations(model)
    _simplify(model)
    _require_all(before, _operations(model))
    passes.CommonSubexpressionEliminationPass()(model)  # equal operators on equal inputs
    passes.OutputFixPass()(model)
    passes.NameFixPass()(model)
    graph: ModelProto = onnx_ir.to_proto(model)
    _name_axes(graph.graph, part)
    for node in nodes_of(graph.graph):
        _drop_needless(node, {item.name: item for item in graph.graph.initializer})
    return graph


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """The nodes of a graph and of its subgraphs."""
    for node in graph.node:
        yield node
        for inner in graphs_in(node):
            yield from nodes_of(inner)


def graphs_in(node: NodeProto) -> list[GraphProto]:
    """The subgraphs of a node (If, Loop, Scan)."""
    return [item.g for item in node.attribute if item.type == AttributeProto.GRAPH]


def _name_axes(graph: GraphProto, part: Part) -> None:
    """Write the declared sizes of inputs and outputs in place of the exporter's symbols.

    The exporter has its own terms for them, such as "(s39//8)". The comparison at several sizes
    finds a graph whose real sizes differ.

    Raises:
        GraphError: the graph has a fixed size where the part declares a dynamic one.
    """
    del graph.value_info[:]  # has the exporter's symbols, and some shapes are stale
    for value, spec in zip(
        [*graph.input, *graph.output], [*part.inputs, *part.outputs], strict=True
    ):
        dims = value.type.tensor_type.shape.dim
        if len(dims) != len(spec.shape):
            continue  # the comparison refuses it
        for dim, size in zip(dims, spec.shape, strict=True):
            if isinstance(size, str) and dim.dim_value and size != BATCH:
                raise GraphError(
                    f"{spec.name}: expected the size {size}, and the graph has {dim.dim_value} in "
                    "any case: the module fixes it, as a loop over an axis or a number in a "
                    "reshape does. Take sizes from the input, as in x.shape[-1], or declare a "
                    "fixed size"
                )
            if isinstance(size, str) and dim.dim_param:
                dim.dim_param = size


def _drop_needless(node: NodeProto, constants: Mapping[str, TensorProto]) -> None:
    """Remove attributes that have no effect here, since some engines do not support them."""
    sizes = constants.get(node.input[1]) if node.op_type == "Reshape" else None
    if sizes is not None and onnx.numpy_helper.to_array(sizes).all():
        _drop(node, "allowzero")
    if node.op_type.startswith("Reduce") and len(node.input) > 1:
        _drop(node, "noop_with_empty_axes")  # the axes are given


def _drop(node: NodeProto, attribute: str) -> None:
    kept = [item for item in node.attribute if item.name != attribute]
    del node.attribute[:]
    node.attribute.extend(kept)


def _require_stateless(program: torch.export.ExportedProgram) -> None:
    changed = [
        str(spec.target)
        for spec in program.graph_signature.output_specs
        if spec.kind is OutputKind.BUFFER_MUTATION  # clamping parameters in place is idempotent
    ]
    if changed:
        raise GraphError(
            f"forward changes {', '.join(changed)}: a graph has no state between calls, so do not "
            "change it in eval mode, or make it an input and an output of the part"
        )


def _simplify(model: onnx_ir.Model) -> None:
    for _ in range(_ROUNDS):
        optimizer.fold_constants(model, onnx_shape_inference=True, input_size_limit=_FOLDED)
        rewriter.RewritePass(_RULES)(model)
        passes.RemoveUnusedNodesPass()(model)
    passes.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
    passes.RemoveUnusedOpsetsPass()(model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    passes.LiftSubgraphInitializersToMainGraphPass()(model)
    passes.DeduplicateInitializersPass()(model)


def _operations(model: onnx_ir.Model) -> Counter[str]:
    """Count operators that depend on the values, not only the shapes, of the inputs."""
    reached: set[int] = {id(value) for value in model.graph.inputs}
    found: Counter[str] = Counter()
    _walk(model.graph, reached, found)
    return found


def _walk(graph: Iterable[onnx_ir.Node], reached: set[int], found: Counter[str]) -> None:
    for node in graph:
        if node.op_type in ("Shape", "Size"):
            continue
        inner = [
            inside
            for attribute in node.attributes.values()
            if attribute.type == onnx_ir.AttributeType.GRAPH
            for inside in [attribute.as_graph()]
        ]
        # CastLike uses only the dtype of its second input.
        read = node.inputs[:1] if node.op_type == "CastLike" else node.inputs
        given = any(id(value) in reached for value in read if value is not None)
        for inside in inner:
            if given:
                reached.update(id(value) for value in inside.inputs)
            _walk(inside, reached, found)
            given = given or any(id(value) in reached for value in inside.outputs)
        if given:
            reached.update(id(value) for value in node.outputs)
            if node.op_type not in _MOVING:
                found[node.op_type] += 1


def _require_all(before: Counter[str], after: Counter[str]) -> None:
    lost = before - after
    if lost:
        told = ", ".join(f"{count} {name}" for name, count in sorted(lost.items()))
        raise GraphError(f"simplifying the graph lost {told}: please report this with the module")
