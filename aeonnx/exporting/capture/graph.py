"""Build the ONNX file of a part and check it against the bundle's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx.checker
from onnx import ModelProto, NodeProto

from aeonnx.errors import GraphError
from aeonnx.exporting.capture.program import RANDOM, capture
from aeonnx.exporting.capture.translation import nodes_of
from aeonnx.exporting.opsets import MIN_ONNXRUNTIME
from aeonnx.exporting.shapes import ONNX_ERRORS
from aeonnx.models import Part

__all__ = ["Graph", "build_graph", "finish"]

_UINT64_MUL = "1.21"  # first release with Mul of uint64, used only in graphs with BitShift


@dataclass(frozen=True)
class Graph:
    """A serialised ONNX graph.

    Args:
        data: bytes of the file.
        opset: version of the operator set.
        ir_version: version of the file format: the lowest that supports the opset.
        min_onnxruntime: oldest release of onnxruntime that runs it, such as "1.14".
    """

    data: bytes
    opset: int
    ir_version: int
    min_onnxruntime: str


def build_graph(part: Part, opset: int, metadata: Mapping[str, str]) -> Graph:
    """The graph of a part as one file, with no dynamic axis except `batch`.

    It has no paths or stack traces. The same part, opset and metadata give the same bytes.

    Args:
        part: its module is not changed.
        opset: 13 to 22.
        metadata: written to the file's `metadata_props`.

    Raises:
        GraphError: the part cannot be captured, or the graph breaks a rule.
    """
    return finish(capture(part, opset).graph, metadata)


def finish(graph: ModelProto, metadata: Mapping[str, str]) -> Graph:
    """Serialise a graph, after checking it against the bundle's rules.

    Args:
        graph: its `metadata_props` are replaced.
        metadata: written to `metadata_props`, sorted by key.

    Raises:
        GraphError: it has random, training-mode or non-standard operators, or the onnx checker
            rejects it.
    """
    del graph.metadata_props[:]
    for key, value in sorted(metadata.items()):
        graph.metadata_props.add(key=key, value=value)
    _check(graph)
    opset = graph.opset_import[0].version
    data = graph.SerializeToString(deterministic=True)
    return Graph(data, opset, graph.ir_version, _lowest_release(graph))


def _lowest_release(graph: ModelProto) -> str:
    releases = [MIN_ONNXRUNTIME[graph.opset_import[0].version]]
    if any(node.op_type == "BitShift" for node in graph.graph.node):
        releases.append(_UINT64_MUL)
    return max(releases, key=lambda release: tuple(map(int, release.split("."))))


def _check(graph: ModelProto) -> None:
    problems = [problem for node in nodes_of(graph.graph) if (problem := _forbidden(node))]
    domains = sorted({item.domain for item in graph.opset_import} - {""})
    if domains or graph.functions:
        problems.append(f"operators outside the standard domain: {domains or 'functions'}")
    if problems:
        raise GraphError(f"the graph breaks a rule of the bundle: {'; '.join(problems)}")
    try:
        onnx.checker.check_model(graph, full_check=True)
    except ONNX_ERRORS as error:
        raise GraphError(f"the onnx checker rejects the graph: {error}") from error


def _forbidden(node: NodeProto) -> str | None:
    if node.op_type in RANDOM:
        return f"{node.name} ({node.op_type}) is random: a graph must be a function of its inputs"
    training = any(item.name == "training_mode" and item.i for item in node.attribute)
    if training:
        return f"{node.name} ({node.op_type}) is in training mode: call eval() on the module"
    if node.domain:
        return f"{node.name} ({node.domain}::{node.op_type}) is not a standard operator"
    return None
